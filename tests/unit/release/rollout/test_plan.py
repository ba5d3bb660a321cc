"""A plan: what it says, what it leaves out, and what no plan can be."""

import tomllib
from datetime import UTC, datetime

import pytest

from lockgate_release.errors import DocumentError
from lockgate_release.rollout.plan import DEFAULT_PLAN, Approval, Plan, read_plan
from lockgate_release.strict_json import Fields, dump_json, parse_json

STAGES = """
[[stages]]
exposure = "0.1%"
dwell = "2h"
[[stages]]
exposure = "10%"
control = "20%"
reports = 500
[[stages]]
exposure = "100%"
"""


def _read(text: str) -> Plan:
    return read_plan(Fields(tomllib.loads(text), subject="plan.toml", path=""))


def test_an_empty_plan_is_the_default() -> None:
    assert _read("") == DEFAULT_PLAN
    assert [stage.exposure_bp for stage in DEFAULT_PLAN.stages] == [100, 500, 2500, 10_000]


def test_a_plan_that_is_written_is_read_back() -> None:
    plan = _read('window = "6h"\nzone = "UTC"\n' + STAGES)
    assert read_plan(parse_json(dump_json(plan.to_json()), subject="plan")) == plan
    assert read_plan(parse_json(dump_json(DEFAULT_PLAN.to_json()), subject="x")) == DEFAULT_PLAN


def test_a_tenth_of_a_percent_is_ten_basis_points_and_never_nobody() -> None:
    first, second, last = _read(STAGES).stages
    assert (first.exposure_bp, first.control_bp, first.dwell_s) == (10, 9990, 7200)
    assert (second.exposure_bp, second.control_bp, second.reports) == (1000, 2000, 500)
    assert (last.exposure_bp, last.control_bp, last.dwell_s) == (10_000, 0, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[stages]]\nexposure="10%"\n[[stages]]\nexposure="5%"', r"stages\[1\].*never narrows"),
        ('[[stages]]\nexposure="10%"\n[[stages]]\nexposure="10%"', "never narrows"),
        ('[[stages]]\nexposure="10%"', "must reach everybody"),
        ("stages = []", "must reach everybody"),
        ('[[stages]]\nexposure="0"', "out of range"),
        ('[[stages]]\nexposure="101%"', "at most 100%"),
        ('[[stages]]\nexposure="-1%"', "not a percentage"),
        ('[[stages]]\nexposure="nan"', "not a percentage"),
        ("[[stages]]\nexposure=nan", "wrong type"),
        ("[[stages]]\nexposure=0.1", "wrong type"),
        ('[[stages]]\nexposure="50%"\ncontrol="51%"', "out of range"),
        ('[[stages]]\nexposure="100%"\ndwel="1h"', "dwel.*no such field of a stage"),
        ('windows=[{opens="09:00",closes="12:00"},{opens="11:00",closes="13:00"}]', "overlaps"),
        ('windows=[{opens="22:00",closes="06:00"}]', "closes before it opens"),
        ('windows=[{opens="9:00",closes="12:00"}]', "wrong value"),
        ('windows=[{days=["friday"],opens="09:00",closes="12:00"}]', "no such day"),
        ('zone="Mars/Olympus"', "no such time zone"),
        ('zone="../../etc/passwd"', "no such time zone"),
        ('alpha="30%"', "out of range"),
        ('alpha="0%"', "out of range"),
        ("worst_ratio_percent=100", "out of range"),
        ('ceiling="100%"', "out of range"),
        ('window="1s"', "at least 1m"),
        ('window="31d"', "at most 30d"),
        ('window="soon"', "not a span of time"),
        ('approval="maybe"', "one of none, last, each"),
        ('ceilling="5%"', "ceilling.*no such field of a plan"),
    ],
)  # fmt: skip
def test_no_plan(text: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        _read(text)


WEEK = (
    'zone="Europe/Berlin"\nwindows=[{days=["mon","tue","wed","thu"],opens="08:00",closes="16:00"}]'
)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 1, 5, 7, 0, tzinfo=UTC), True),  # a Monday, 08:00 in Berlin
        (datetime(2026, 1, 5, 6, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 5, 15, 0, tzinfo=UTC), False),
        (datetime(2026, 7, 6, 6, 0, tzinfo=UTC), True),  # summer time
        (datetime(2026, 1, 9, 10, 0, tzinfo=UTC), False),  # no widening on a Friday
    ],
)
def test_hours_are_the_zones(moment: datetime, is_open: bool) -> None:
    assert _read(WEEK).is_open(moment) is is_open


def test_after_a_weekend_it_opens_on_monday_morning() -> None:
    friday = datetime(2026, 1, 9, 10, 0, 30, tzinfo=UTC)
    assert _read(WEEK).opens_at(friday) == datetime(2026, 1, 12, 7, 0, tzinfo=UTC)


def test_a_window_to_midnight_lasts_until_the_day_ends() -> None:
    plan = _read('windows=[{opens="22:00",closes="00:00"},{opens="00:00",closes="06:00"}]')
    assert plan.is_open(datetime(2026, 1, 5, 23, 59, 59, tzinfo=UTC))
    assert plan.is_open(datetime(2026, 1, 6, 0, 0, tzinfo=UTC))
    assert not plan.is_open(datetime(2026, 1, 6, 6, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("approval", "waits"),
    [
        (Approval.NONE, [False, False, False]),
        (Approval.LAST, [False, False, True]),
        (Approval.EACH, [True, True, True]),
    ],
)
def test_who_waits_for_a_person(approval: Approval, waits: list[bool]) -> None:
    plan = _read(f'approval = "{approval}"')
    assert [plan.waits_for_person(stage) for stage in range(3)] == waits
