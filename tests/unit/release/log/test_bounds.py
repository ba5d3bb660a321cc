"""A flood of events writes so many lines and no more, and what was left out is counted."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from lockgate_release.log.bounds import Bounds
from lockgate_release.log.events import KNOWN_FACTOR
from lockgate_release.log.rules import LogFormat, LogRules, set_up_lines
from lockgate_release.log.server_events import REQUEST_REFUSED, REQUEST_SERVED
from lockgate_release.log.telling import tell

LOG = logging.getLogger("a.test")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(clock: Clock) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        set_up_lines("api", stream, LogRules(form=LogFormat.JSON), monotonic_s=clock)
        yield stream
    finally:
        root.handlers[:], root.level = before
        logging.captureWarnings(capture=False)


def refuse(actor: str = "") -> None:
    tell(
        LOG, REQUEST_REFUSED,
        method="GET", path="/x", status=404, bytes=1, ms=1, actor=actor, code="not-found",
    )  # fmt: skip


def test_a_flood_writes_its_burst_and_then_its_rate(clock: Clock) -> None:
    bounds, rate = Bounds(clock), REQUEST_REFUSED.rate
    written = 0
    for _ in range(3600):
        clock.now_s += 1
        written += sum(bounds.admit(REQUEST_REFUSED) is not None for _ in range(100))
    assert written <= rate.burst + 3600 * rate.per_s
    assert written >= 3600 * rate.per_s


def test_what_was_left_out_is_said_by_the_next_line(clock: Clock) -> None:
    bounds, burst = Bounds(clock), REQUEST_REFUSED.rate.burst
    found = [bounds.admit(REQUEST_REFUSED) for _ in range(burst + 7)]
    assert found == [0] * burst + [None] * 7
    clock.now_s = 1
    assert bounds.admit(REQUEST_REFUSED) == 7
    assert bounds.admit(REQUEST_REFUSED) == 0


def test_strangers_crowd_out_neither_publishers_nor_other_events(clock: Clock) -> None:
    bounds = Bounds(clock)
    for _ in range(10_000):
        bounds.admit(REQUEST_REFUSED)
    assert bounds.admit(REQUEST_SERVED) == 0
    known = [bounds.admit(REQUEST_REFUSED, known=True) for _ in range(100_000)]
    assert known.count(0) == REQUEST_REFUSED.rate.burst * KNOWN_FACTOR


def test_a_flood_on_the_wire_stays_small_and_is_told_of(lines: io.StringIO, clock: Clock) -> None:
    for _ in range(5000):
        refuse()
    refuse(actor="ci (t-1)")
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert len(found) == REQUEST_REFUSED.rate.burst + 1
    assert found[-1]["actor"] == "ci (t-1)"
    clock.now_s = 60
    refuse()
    *_, last = map(json.loads, lines.getvalue().splitlines())
    assert last["suppressed"] == 5000 - REQUEST_REFUSED.rate.burst


def test_a_flood_that_ends_is_told_of_by_a_line_of_its_own(clock: Clock) -> None:
    bounds = Bounds(clock)
    for _ in range(REQUEST_REFUSED.rate.burst + 3):
        bounds.admit(REQUEST_REFUSED)
    assert bounds.is_counting()
    assert list(bounds.take_summaries()) == []
    clock.now_s = 11
    assert list(bounds.take_summaries()) == [(REQUEST_REFUSED, 3)]
    assert not bounds.is_counting()
    assert list(bounds.take_summaries(silent_s=0)) == []
