"""The page of the events names every step and every field, and none that is not."""

import re
from dataclasses import fields

from docs.generate import REFERENCE
from lockgate_updater.command.events import health_json
from lockgate_updater.events import Progress, StepName
from lockgate_updater.watch.health import HealthNote, judge_health

PAGE = (REFERENCE / "events.md").read_text("utf-8")


def rows(section: str) -> set[str]:
    text = PAGE.split(f"## `{section}`")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def test_the_page_lists_every_step() -> None:
    assert rows("step") == {name.value for name in StepName}


def test_the_page_lists_every_field_of_progress() -> None:
    assert rows("progress") == {field.name for field in fields(Progress)}


def test_the_page_lists_every_field_of_health() -> None:
    told = PAGE.split("`health` holds")[1]
    assert all(f"`{name}`" in told for name in health_json(judge_health(HealthNote())))
