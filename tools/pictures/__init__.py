# SPDX-License-Identifier: MIT
"""What tools/heapmap, tools/gcplot and tools/run draw: heap dumps and the collector's trace lines."""
