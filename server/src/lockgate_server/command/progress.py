"""How far something long has got: one line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from lockgate_server.command.common import say

__all__ = ["Progress", "format_bytes"]

_TERMINAL_S = 0.2
_ELSEWHERE_S = 10.0


class Progress:
    """Says where it is on stderr, but not more often than somebody can read."""

    def __init__(self) -> None:
        """Begin; nothing is said before the first interval is over."""
        self._on_terminal = sys.stderr.isatty()
        self._interval_s = _TERMINAL_S if self._on_terminal else _ELSEWHERE_S
        self._said_at_s = time.monotonic()
        self._is_line_open = False

    def __call__(self, text: str) -> None:
        """Say it, if it is time to."""
        now_s = time.monotonic()
        if now_s - self._said_at_s < self._interval_s:
            return
        self._said_at_s = now_s
        if self._on_terminal:
            self._is_line_open = True
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        else:
            say(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave a clean line."""
        if self._is_line_open:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def format_bytes(size_bytes: int) -> str:
    """Return a size as people read it: `512 B`, `4.1 MB`."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
