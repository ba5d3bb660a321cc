"""Instants have one spelling, and it is read back as it was written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.instants import format_instant, parse_instant, utc_now

AWARE = st.datetimes(timezones=st.just(UTC)).map(lambda found: found.replace(microsecond=0))


@given(AWARE)
def test_every_instant_is_read_back_as_it_was_written(instant: datetime) -> None:
    text = format_instant(instant)
    assert len(text) == 20
    assert parse_instant(text) == instant


@pytest.mark.parametrize("year", [1, 42, 999, 1000, 9999])
def test_a_year_is_written_with_four_digits(year: int) -> None:
    assert format_instant(datetime(year, 1, 2, tzinfo=UTC)) == f"{year:04}-01-02T00:00:00Z"


def test_another_zone_is_written_in_utc() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    instant = datetime(2026, 1, 31, 3, 0, 0, 999_999, tzinfo=zone)
    assert format_instant(instant) == "2026-01-30T21:30:00Z"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        format_instant(datetime(2026, 1, 31))  # noqa: DTZ001 (what is refused)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T08:00:00",
        "2026-01-31T08:00:00+00:00",
        "2026-01-31 08:00:00Z",
        "2026-01-31T08:00:00z",
        "2026-01-31t08:00:00Z",
        "2026-01-31T08:00:00.5Z",
        "2026-1-31T008:00:00Z",
        "2026-02-30T08:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:59:60Z",
        "2026-01-31T23:59:61Z",
        "0000-01-01T00:00:00Z",
        "-026-01-31T08:00:00Z",
        "2026-01-31T08:00:00Z\n",
        " 026-01-31T08:00:00Z",
        "\u0662\u0660\u0662\u0666-01-31T08:00:00Z",
    ],
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an instant|does not match|out of range|must be in"):
        parse_instant(text)


def test_now_is_aware_utc_and_in_whole_seconds() -> None:
    now = utc_now()
    assert now.tzinfo is UTC
    assert now.microsecond == 0
