"""Spans of time in text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.durations import format_duration, parse_duration
from lockgate_release.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800), (" 1d ", 86400)],
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-1d", "1.5h", "1h30m", "1w", "1 d", "\u0661d", "4000d", "9999999999s"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a span of time"):
        parse_duration(text)


@given(st.integers(0, 3650 * 86400))
def test_a_span_that_is_written_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (86400, "1d"), (5400, "90m")])
def test_the_largest_unit_that_divides_is_chosen(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text
