# SPDX-License-Identifier: MIT
"""The checks of `make check`, by subject; tools/check runs them."""
