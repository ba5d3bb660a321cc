"""The page of health names every metric and every field, and none that is not there."""

import re
from pathlib import Path

from lockgate_server.services.read.metrics import METRICS
from tests.docs.pages import ROOT
from tests.simulators.server_scene import Scene

TEXT = (ROOT / "docs" / "reference" / "health.md").read_text("utf-8")


def _rows(heading: str) -> list[list[str]]:
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_metric_is_on_the_page_and_none_that_is_not_there() -> None:
    assert [row[0].strip("`") for row in _rows("For Prometheus")] == list(METRICS)


def test_every_check_and_every_field_is_on_the_page(tmp_path: Path) -> None:
    scene = Scene(folder=tmp_path)
    checks = {row[0].strip("`") for row in _rows("What is looked at")}
    assert {one.name for one in scene.health().checks()} <= checks
    assert checks == {"storage", "database", "key", "signing", "clock", "backup"}
    fields = {name for row in _rows("In numbers") for name in re.findall(r"`(\w+)`", row[0])}
    assert fields == {*scene.health().snapshot()}
