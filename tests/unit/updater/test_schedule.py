"""When a client looks again: spread over the interval, never too often, whatever clocks do."""

import random
import uuid
from collections import Counter
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.errors import UsageError
from lockgate_updater.watch.schedule import (
    MAX_INTERVAL_S,
    MIN_INTERVAL_S,
    back_off_s,
    first_delay_s,
    interval_s,
    parse_quiet_hours,
    phase_of,
    slot_delay_s,
)

NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
"""Half an hour before the clocks of Europe go forward."""
INTERVALS = st.integers(MIN_INTERVAL_S, MAX_INTERVAL_S)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2400, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)
PHASES = st.floats(0, 1, exclude_max=True)


def fleet(size: int) -> list[str]:
    drawn = random.Random(7)
    return [str(uuid.UUID(int=drawn.getrandbits(128), version=4)) for _ in range(size)]


@pytest.mark.parametrize("interval", [600, 3600, 86_400])
def test_a_fleet_that_starts_at_once_spreads_and_stays_spread(interval: int) -> None:
    """2000 clients, 8 rounds: in no tenth of any interval come more than twice its share."""
    drawn = random.Random(11)
    clients, arrivals = fleet(2000), Counter[int]()
    for client in clients:
        at = first_delay_s(interval, phase_of(client), None, NOW)
        for _ in range(8):
            at += slot_delay_s(
                interval, phase_of(client), NOW + timedelta(seconds=at), drawn.uniform
            )
            arrivals[int(10 * at / interval)] += 1
    steady = [arrivals[tenth] for tenth in range(20, 60)]
    assert max(steady) < 2 * len(clients) / 10
    assert min(steady) > 0.5 * len(clients) / 10


def test_first_checks_of_a_fleet_spread_over_a_quarter_of_an_hour() -> None:
    delays = [first_delay_s(3600, phase_of(client), None, NOW) for client in fleet(900)]
    minutes = Counter(int(delay / 60) for delay in delays)
    assert set(minutes) == set(range(15))
    assert max(minutes.values()) < 120


@given(interval=INTERVALS, phase=PHASES, now=MOMENTS, seed=st.integers())
def test_no_clock_makes_a_wait_too_short_or_endless(
    interval: int, phase: float, now: datetime, seed: int
) -> None:
    delay = slot_delay_s(interval, phase, now, random.Random(seed).uniform)
    assert MIN_INTERVAL_S <= delay <= max(1.7 * interval, MIN_INTERVAL_S)


@given(interval=INTERVALS, phase=PHASES, now=MOMENTS, planned=MOMENTS)
def test_no_planned_moment_makes_the_first_wait_endless(
    interval: int, phase: float, now: datetime, planned: datetime
) -> None:
    assert 0 <= first_delay_s(interval, phase, planned, now) <= 1.7 * interval


def test_a_restart_keeps_what_was_planned() -> None:
    assert first_delay_s(3600, 0.5, NOW + timedelta(seconds=2000), NOW) == 2000


def test_a_steady_client_comes_once_an_interval_give_or_take_two_fifths() -> None:
    """Each arrival lies within a fifth of its slot, so two lie within two fifths of each other."""
    drawn, at, phase = random.Random(3), 0.0, 0.3
    at += slot_delay_s(3600, phase, NOW, drawn.uniform)
    waits = []
    for _ in range(500):
        wait = slot_delay_s(3600, phase, NOW + timedelta(seconds=at), drawn.uniform)
        waits.append(wait)
        at += wait
    assert min(waits) >= 0.6 * 3600
    assert max(waits) <= 1.4 * 3600
    assert sum(waits) / len(waits) == pytest.approx(3600, rel=0.01)


@given(interval=INTERVALS, seed=st.integers(), rounds=st.integers(1, 50))
def test_back_off_stays_between_a_minute_and_the_longest(
    interval: int, seed: int, rounds: int
) -> None:
    drawn, delay = random.Random(seed), 0.0
    for _ in range(rounds):
        delay = back_off_s(interval, delay, drawn.uniform)
        assert MIN_INTERVAL_S <= delay <= max(interval, 3600)


def test_back_off_grows_and_no_two_clients_keep_step() -> None:
    def waits(seed: int) -> list[float]:
        drawn, delay, found = random.Random(seed), 0.0, []
        for _ in range(6):
            delay = back_off_s(3600, delay, drawn.uniform)
            found.append(delay)
        return found

    fleets = [waits(seed) for seed in range(300)]
    first, last = ([found[at] for found in fleets] for at in (0, 5))
    assert max(first) <= 180
    assert sum(last) > 4 * sum(first)
    assert len({round(wait) for wait in last}) > 200


@given(asked=st.integers(-10, 10**9), seed=st.integers())
def test_retry_after_is_obeyed_within_a_minute_and_a_day(asked: int, seed: int) -> None:
    delay = back_off_s(3600, 0, random.Random(seed).uniform, asked)
    obeyed = min(max(asked, MIN_INTERVAL_S), MAX_INTERVAL_S)
    assert obeyed <= delay <= 1.2 * obeyed


@pytest.mark.parametrize(
    ("channel", "owner", "wanted"),
    [
        (None, None, 3600),
        (None, 300, 300),
        (600, None, 600),
        (600, 7200, 600),
        (7200, 600, 600),
        (1, None, 60),
        (10**6, None, 86_400),
    ],
)
def test_the_faster_of_channel_and_owner_counts_within_bounds(
    channel: int | None, owner: int | None, wanted: int
) -> None:
    assert interval_s(channel, owner) == wanted


@pytest.mark.parametrize(
    ("said", "moment", "is_quiet"),
    [
        ("22:00-06:00", time(23, 0), True),
        ("22:00-06:00", time(5, 59, 59), True),
        ("22:00-06:00", time(6, 0), False),
        ("22:00-06:00", time(21, 59), False),
        ("22:00-06:00, 12:00-13:00", time(12, 30), True),
        ("12:00-13:00", time(13, 0), False),
        ("", time(0, 0), False),
    ],
)
def test_quiet_hours(said: str, moment: time, is_quiet: bool) -> None:
    assert (moment in parse_quiet_hours(said)) is is_quiet


@pytest.mark.parametrize(
    "said", ["22-6", "24:00-01:00", "10:60-11:00", "10:00-10:00", "10:00-11:00,", "at night"]
)
def test_quiet_hours_that_make_no_sense_are_refused(said: str) -> None:
    with pytest.raises(UsageError, match="22:00-06:00"):
        parse_quiet_hours(said)
