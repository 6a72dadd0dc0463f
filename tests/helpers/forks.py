"""Forks that Python is not told of."""

from __future__ import annotations

import ctypes


def fork_unseen() -> int:
    """A fork as a server written in C makes it, without Python's hooks: 0 in the child."""
    return int(ctypes.PyDLL(None).fork())
