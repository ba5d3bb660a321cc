"""What is said and shown: data on stdout, words on stderr, progress where somebody is watching.

Texts come from servers and documents too, so control characters are taken out of all of them: a
reason for a revocation cannot move a maintainer's cursor.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from lockgate_release.words import harmless

__all__ = [
    "Progress",
    "fail",
    "format_percentage",
    "format_size",
    "is_watched",
    "say",
    "show",
    "show_json",
    "show_table",
    "warn",
]

_BAR_CELLS = 24
_REDRAW_S = 0.1


def say(text: str = "") -> None:
    """Leave words for a person on stderr."""
    click.echo(harmless(text), err=True)


def warn(text: str) -> None:
    """Leave a warning for a person on stderr."""
    click.echo(click.style("warning: ", fg="yellow") + harmless(text), err=True)


def fail(text: str) -> None:
    """Leave the reason why a command ends in failure on stderr."""
    click.echo(click.style("error: ", fg="red") + harmless(text), err=True)


def show(text: str) -> None:
    """Leave data on stdout."""
    click.echo(harmless(text))


def show_json(value: object) -> None:
    """Leave data for a program on stdout."""
    click.echo(json.dumps(value, indent=2, sort_keys=True))


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Leave rows below their heads on stdout, in columns as wide as they need to be."""
    cells = [list(heads), *[[harmless(cell).replace("\n", " ") for cell in row] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        pairs = zip(row, widths, strict=True)
        click.echo("  ".join(cell.ljust(width) for cell, width in pairs).rstrip())


def is_watched() -> bool:
    """Whether a person sits at a terminal and can both read and answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def format_percentage(basis_points: int) -> str:
    """Return a share in basis points as people write it, such as `12.5%`."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".") + "%"


def format_size(size_bytes: float) -> str:
    """Return a size as people write it, such as `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far long work has got: a bar on a terminal, one line before and after elsewhere.

    Attributes:
        clock: Seconds that only go forward.
        watched: Whether there is a terminal to draw on.
    """

    clock: Callable[[], float]
    watched: bool

    @contextmanager
    def bar(self, label: str, size_bytes: int) -> Iterator[Callable[[int], None]]:
        """Show the work in the block; what is yielded is told of each piece done, in bytes."""
        line = _Line(label=label, size_bytes=size_bytes, clock=self.clock, started=self.clock())
        if not self.watched:
            say(f"{label} ({format_size(size_bytes)})")
            yield lambda _: None
            return
        try:
            yield line.advance
        finally:
            line.draw()
            click.echo(err=True)


class _Line:
    """One bar on a terminal, redrawn a few times a second."""

    def __init__(
        self, *, label: str, size_bytes: int, clock: Callable[[], float], started: float
    ) -> None:
        self._label = harmless(label)
        self._size_bytes = size_bytes
        self._clock = clock
        self._started = started
        self._drawn = started
        self._done = 0

    def advance(self, size_bytes: int) -> None:
        """Count a piece."""
        self._done += size_bytes
        if self._clock() - self._drawn >= _REDRAW_S:
            self.draw()

    def draw(self) -> None:
        """Draw the bar over itself: share, speed, and how long the rest will take."""
        self._drawn = self._clock()
        elapsed = max(self._drawn - self._started, 1e-6)
        share = min(self._done / self._size_bytes, 1.0) if self._size_bytes else 1.0
        speed = self._done / elapsed
        left_s = (self._size_bytes - self._done) / speed if speed and share < 1 else 0.0
        full = round(share * _BAR_CELLS)
        bar = "█" * full + "░" * (_BAR_CELLS - full)
        text = f"{self._label} {bar} {share:4.0%} {format_size(speed)}/s"
        tail = f", {left_s:.0f} s left" if left_s else ""
        click.echo(f"\r\x1b[K{text}{tail}", err=True, nl=False)
