# SPDX-License-Identifier: MIT
"""
Cases of Python's unittest as a suite of `make test`.

    sys.exit(unittests.run())    at the end of a selftest.py: the last line is the one tools/tally wants
"""

import sys
import unittest


def run():
    """Runs the cases of the program itself. Returns its exit status."""
    result = unittest.main(exit=False, argv=sys.argv).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    return 1 if failed else 0
