"""What the shell starts: nothing is imported yet, and somebody may have thought better already."""

from __future__ import annotations

import sys

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run `lockgate` for the shell that called it."""
    try:
        # Only now: it takes a third of a second, and an interruption in it is none of Python's.
        from lockgate_cli.main import main as run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was done\n")
        sys.exit(_INTERRUPTED)
    run()
