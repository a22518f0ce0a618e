#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Plays scripts of tests/fuzz without libFuzzer: every regression, and random ones. Seconds, for `make test`.

    tests/fuzz/selftest.py [--seed N] [--scripts N]

1. Programs: build/<configuration>/fuzz-<target>, compiled by gcc. Plain builds play the fast paths;
   debug and hardened ones check more; under AddressSanitizer the tool watches the objects.
2. The random scripts are made from a seed, which is printed: `fuzz-malloc --random N SEED` repeats it.
3. A script that fails ends its program, and is named in what it printed last.

Ends with "N passed, N failed", counting programs.
"""

import argparse
import concurrent.futures
import glob
import os
import random
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGETS = ("malloc", "pages", "gc")
# Configuration: how many random scripts of those asked for (they are slower in some).
SHARES = {"host": 1.0, "host-debug": 0.2, "host-harden": 0.5, "host-asan": 0.2}


def parse_arguments():
    parser = argparse.ArgumentParser(description="play regressions and random scripts")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 10**9))
    parser.add_argument("--scripts", type=int, default=1500, help="per target in a plain build (default 1500)")
    return parser.parse_args()


def play(program, arguments):
    """Returns None, or the last lines of what went wrong."""
    result = subprocess.run([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", timeout=600, check=False)
    if result.returncode == 0 and re.search(r"^[1-9]\d* passed, 0 failed\s*\Z", result.stdout, re.M):
        return None
    return "\n".join(result.stdout.splitlines()[-40:]) + f"\nexit status {result.returncode}"


def jobs_for(options):
    """Pairs (program, arguments)."""
    jobs = []
    for config, share in SHARES.items():
        for target in TARGETS:
            program = f"build/{config}/fuzz-{target}"
            scripts = sorted(glob.glob(f"tests/fuzz/regressions/{target}-*"))
            if scripts:
                jobs.append((program, scripts))
            jobs.append((program, ["--random", str(int(options.scripts * share)), str(options.seed)]))
    return jobs


def main():
    os.chdir(ROOT)
    options = parse_arguments()
    print(f"seed {options.seed}")
    jobs = jobs_for(options)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for (program, arguments), fault in zip(jobs, pool.map(lambda job: play(*job), jobs)):
            what = f"{program} {' '.join(arguments)}"
            print(f"not ok - {what}\n{fault}" if fault else f"ok - {what}", flush=True)
            failed += fault is not None
    print(f"\n{len(jobs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
