"""How far long work has got, on stderr: bars at a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import click

from lockgate_cli.output import format_size, say
from lockgate_release.words import harmless

__all__ = ["Progress", "Tally", "Task"]

_BAR_CELLS = 24
_LABEL_CELLS = 30
_REDRAW_S = 0.1
_LINES = 10
_LINE_S = 5.0
"""Where nobody watches, a line every tenth, no two within five seconds."""
_SILENT_S = 30.0
"""And one in half a minute in any case, so that CI does not take it for dead."""
_WINDOW = 50


class Tally:
    """How many bytes of something are done. Used by several threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = Lock()
        self.sent_bytes = 0
        self.skipped_bytes = 0
        self.is_checking = False

    @property
    def done_bytes(self) -> int:
        """All that are done, or need not be done."""
        return self.sent_bytes + self.skipped_bytes

    def send(self, size_bytes: int) -> None:
        """Count bytes that are on their way, or, below 0, did not arrive."""
        with self._lock:
            self.sent_bytes += size_bytes

    def skip(self, size_bytes: int) -> None:
        """Count bytes that were there already."""
        with self._lock:
            self.skipped_bytes += size_bytes

    def restart(self) -> None:
        """Begin with none again."""
        with self._lock:
            self.sent_bytes = self.skipped_bytes = 0
            self.is_checking = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that takes its time.

    Attributes:
        label: What it is.
        size_bytes: How much there is to do.
        tally: How much is done.
        afterwards: What follows once all bytes are done and `tally.is_checking` is set.
    """

    label: str
    size_bytes: int
    tally: Tally
    afterwards: str = "sent, the server is checking it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far long work has got.

    Attributes:
        clock: Seconds that only go forward.
        watched: Whether there is a terminal to draw on.
        quiet: Whether nothing is to be said of it.
    """

    clock: Callable[[], float]
    watched: bool
    quiet: bool = False

    @contextmanager
    def bar(self, label: str, size_bytes: int) -> Iterator[Callable[[int], None]]:
        """Show the work in the block; what is yielded is told of each piece done, in bytes."""
        tally = Tally()
        with self.board([Task(label=label, size_bytes=size_bytes, tally=tally)]) as draw:

            def advance(size_bytes: int) -> None:
                tally.send(size_bytes)
                draw()

            yield advance

    @contextmanager
    def board(self, tasks: Sequence[Task]) -> Iterator[Callable[[], None]]:
        """Show all tasks while the block lasts; what is yielded looks at them and draws.

        Call it often: it draws only when there is something to see.
        """
        if self.quiet or not tasks:
            yield lambda: None
            return
        board = _Bars(tasks, self.clock) if self.watched else _Lines(tasks, self.clock)
        try:
            yield board.look
        finally:
            board.end()


class _Speed:
    """How fast a task is, going by the last of the looks at it."""

    def __init__(self, task: Task, clock: Callable[[], float]) -> None:
        self._task = task
        self._clock = clock
        self._looks = deque([(clock(), task.tally.sent_bytes)], maxlen=_WINDOW)

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        size_bytes = self._task.size_bytes
        return min(self._task.tally.done_bytes / size_bytes, 1.0) if size_bytes else 1.0

    def describe(self) -> str:
        """Return share, speed, and how long the rest will take."""
        now, sent = self._clock(), self._task.tally.sent_bytes
        self._looks.append((now, sent))
        then, before = self._looks[0]
        speed = max(sent - before, 0) / max(now - then, 1e-6)
        text = f"{self.share:4.0%} {format_size(speed)}/s"
        if self._task.tally.is_checking:
            return f"{self.share:4.0%} {self._task.afterwards}"
        left = self._task.size_bytes - self._task.tally.done_bytes
        return f"{text}, {_span(left / speed)} left" if speed and left > 0 else text


class _Bars:
    """A bar for each task, drawn over themselves a few times a second."""

    def __init__(self, tasks: Sequence[Task], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._drawn = clock()
        self._width = min(max(len(task.label) for task in tasks), _LABEL_CELLS)
        self._bars = [(harmless(task.label), _Speed(task, clock)) for task in tasks]
        self._is_first = True

    def look(self) -> None:
        """Draw, if it is some time ago."""
        if self._clock() - self._drawn >= _REDRAW_S:
            self._draw()

    def end(self) -> None:
        """Draw for the last time."""
        self._draw()

    def _draw(self) -> None:
        self._drawn = self._clock()
        columns = shutil.get_terminal_size().columns
        lines = [self._line(label, speed)[: columns - 1] for label, speed in self._bars]
        up = "" if self._is_first else f"\x1b[{len(lines)}A"
        self._is_first = False
        click.echo(up + "".join(f"\r\x1b[K{line}\n" for line in lines), err=True, nl=False)

    def _line(self, label: str, speed: _Speed) -> str:
        full = round(speed.share * _BAR_CELLS)
        bar = "█" * full + "░" * (_BAR_CELLS - full)
        if len(label) > self._width:
            label = label[: self._width - 1] + "…"
        return f"{label.ljust(self._width)} {bar} {speed.describe()}"


class _Lines:
    """A line for each task now and then, for a log."""

    def __init__(self, tasks: Sequence[Task], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tasks = [(task.label, _Speed(task, clock)) for task in tasks]
        self._said = dict.fromkeys(range(len(tasks)), (clock(), 0))
        for task in tasks:
            say(f"{task.label} ({format_size(task.size_bytes)})")

    def look(self) -> None:
        """Say what is worth a line."""
        now = self._clock()
        for index, (label, speed) in enumerate(self._tasks):
            said_at, lines = self._said[index]
            tenths = int(speed.share * _LINES + 1e-9)
            is_much = tenths > lines and now - said_at >= _LINE_S
            if is_much or now - said_at >= _SILENT_S:
                self._said[index] = (now, tenths)
                say(f"{label}: {speed.describe().strip()}")

    def end(self) -> None:
        """Say no more: what came of it is said by who has done it."""


def _span(seconds: float) -> str:
    """Return a span of time as people say it, such as `4 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
