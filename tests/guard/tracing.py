"""Lets threads begin while coverage watches them and the network is guarded.

Up to Python 3.11 `sys.settrace` fails in one thread while it is under way in another. It asks the
audit hooks then, and in a hook written in Python, as our guard is, threads take turns.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["let_threads_begin"]

_TRIES = 1000
_install = sys.settrace


def let_threads_begin() -> None:
    """Have `sys.settrace` wait for its turn from now on, in this process."""
    sys.settrace = _install_in_turn


def _install_in_turn(hook: Any, /) -> None:
    for _ in range(_TRIES):
        try:
            return _install(hook)
        except RuntimeError:
            continue
    return _install(hook)
