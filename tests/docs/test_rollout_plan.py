"""The page on plans says every field, its default and its range, as the reader has them."""

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest

from lockgate_release.documents import Rollout
from lockgate_release.errors import DocumentError
from lockgate_release.rollout.plan import DEFAULT_PLAN, read_plan
from lockgate_release.rollout.progress import begin, read_progress
from lockgate_release.strict_json import Fields
from tests.docs.tables import examples, page, rows, section

PAGE = page("rollout-plan.md")
_NOW = datetime(2026, 1, 31, tzinfo=UTC)
DEFAULT: dict[str, Any] = dict(DEFAULT_PLAN.to_json())


def _table(heading: str) -> dict[str, list[str]]:
    return {cells[0]: cells[1:] for cells in rows(section(PAGE, heading), "field")}


def _read(**fields: Any) -> None:
    read_plan(Fields(fields, subject="plan", path=""))


def test_every_field_of_a_plan_is_there_and_no_other() -> None:
    assert list(_table("## The plan")) == list(DEFAULT)
    assert list(_table("## A stage")) == list(DEFAULT["stages"][0])
    assert list(_table("## A window")) == ["days", "opens", "closes"]


def test_the_defaults_are_those_of_the_default_plan() -> None:
    said = {name: cells[-1] for name, cells in _table("## The plan").items()}
    structured = {"stages": "1 %, 5 %, 25 %, 100 %", "windows": "none"}
    expected = {name: structured.get(name, str(value)) for name, value in DEFAULT.items()}
    assert said == expected


@pytest.mark.parametrize("name", ["alpha", "beta", "ceiling", "negligible"])
def test_the_ranges_of_shares_are_as_they_say(name: str) -> None:
    cell = _table("## The plan")[name][1].replace("`", "")
    low, high = cell.split(" to ")
    for share in (low, high):
        _read(**{name: share})
    for share in ("0%", f"{int(high[:-1]) + 1}%"):
        with pytest.raises(DocumentError):
            _read(**{name: share})


@pytest.mark.parametrize(
    ("name", "below"), [("window", "59s"), ("outage", "599s"), ("parked", "59m")]
)
def test_the_least_spans_are_as_they_say(name: str, below: str) -> None:
    _read(**{name: _table("## The plan")[name][1].split("`")[1]})
    with pytest.raises(DocumentError):
        _read(**{name: below})


def test_the_example_is_a_plan() -> None:
    _read(**tomllib.loads(examples(PAGE)["plan"]))


def test_every_field_of_the_progress_is_there_and_no_other() -> None:
    progress = begin(DEFAULT_PLAN, name="", now=_NOW)
    assert list(_table("## Where it stands")) == list(progress.to_json())
    rollout = Rollout(salt="0" * 32, exposure_bp=0, control_bp=0, progress=progress.to_json())
    assert read_progress(rollout) == progress
