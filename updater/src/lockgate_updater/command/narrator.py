"""How an update tells what it does: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TextIO

from lockgate_updater.command.output import fit_to_show
from lockgate_updater.events import Event, Progress

__all__ = ["Narrator"]

_BAR_WIDTH = 24


class Narrator:
    """Shows an update's events: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._tenth = -1
        self._bar = False

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not isinstance(event, Progress):
            self.end_line()
            self._tenth = -1
            self._write(f"{fit_to_show(str(event))}\n")
        elif self._is_terminal:
            self._draw(event)
        else:
            self._tell(event)

    def end_line(self) -> None:
        """Leave the line of the bar, if there is one."""
        if self._bar:
            self._write("\n")
            self._bar = False

    def _draw(self, progress: Progress) -> None:
        total = max(progress.total_bytes, 1)
        filled = _BAR_WIDTH * progress.received_bytes // total
        bar = "#" * filled + "-" * (_BAR_WIDTH - filled)
        self._write(f"\r[{bar}] {progress}\x1b[K")
        self._bar = True

    def _tell(self, progress: Progress) -> None:
        """Say every tenth of a download, so that logs stay short."""
        tenth = 10 * progress.received_bytes // max(progress.total_bytes, 1)
        if tenth > self._tenth:
            self._tenth = tenth
            self._write(f"{progress}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
