# SPDX-License-Identifier: MIT
"""What machine the figures are of."""

import os

HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"


def describe():
    """One line."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        model = ""
    try:
        with open(HUGE_PAGES, encoding="utf-8") as file:
            huge = file.read().split("[")[1].split("]")[0]
    except (OSError, IndexError):
        huge = "unknown"
    return f"{os.cpu_count()} processors {model}, Linux {os.uname().release}, transparent huge pages: {huge}"
