# SPDX-License-Identifier: MIT
"""The parts of tools/bench: rows and columns, inputs, running, judging, drawing."""
