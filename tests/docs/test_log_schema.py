"""The page of the log schema is what the registry says, and what the programs do."""

import json
import logging
from datetime import UTC, datetime

import pytest

from docs.generate import REFERENCE, render
from lockgate_release.errors import TransportError
from lockgate_release.log.bounds import SUMMARY_S
from lockgate_release.log.events import KNOWN_FACTOR
from lockgate_release.log.fields import Field, Kind, Value
from lockgate_release.log.lines import JsonLines
from lockgate_release.log.registry import EVENTS
from lockgate_release.log.server_events import REQUEST_REFUSED
from lockgate_release.log.telling import ATTRIBUTE, Told, bound
from lockgate_release.log.updater_events import UPDATER_EVENTS
from lockgate_release.strict_json import JsonObject
from lockgate_updater.command.events import event_json, result_json, round_json
from lockgate_updater.events import Progress, Step, StepName
from lockgate_updater.outcomes import Outcome, UpdateResult
from lockgate_updater.results import Unknown
from lockgate_updater.watch.health import HealthNote, judge_health
from lockgate_updater.watch.loop import Round
from tests.docs.pages import blocks_of
from tests.docs.tables import rows, section
from tests.simulators.log_reader import faults_of_line

PAGE = REFERENCE / "log-schema.md"
TEXT = PAGE.read_text("utf-8")
NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
ROUND = Round(
    at=NOW,
    result=Unknown(reason="no answer", error=TransportError("no answer")),
    health=judge_health(HealthNote()),
    delay_s=3600.4,
)
RESULT = UpdateResult(outcome=Outcome.UPDATED, version="1.1.0", previous="1.0.0", reason="")
TOLD: dict[str, JsonObject] = {
    "step": event_json(Step(name=StepName.OFFERED, version="1.1.0", text="1.1.0 is offered")),
    "progress": event_json(
        Progress(version="1.1.0", received_bytes=1, total_bytes=2, speed_bytes_s=3, left_s=4)
    ),
    "round": round_json(ROUND),
    "result": {"event": "result", **result_json(RESULT)},
}
_TYPES: dict[Kind, type] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.OBJECT: dict}


def test_the_page_is_what_the_registry_says() -> None:
    assert render(PAGE.name) == TEXT, "stale: run `make docs`"


def test_every_event_stands_on_the_page() -> None:
    found = {
        row[0]
        for part in ("## Events of the server", "## Events of `lockgate`")
        for row in rows(section(TEXT, part), "event")
    }
    assert found == EVENTS.keys()


def test_the_line_that_the_page_shows_is_as_the_registry_says() -> None:
    (shown,) = (block.text for block in blocks_of(PAGE) if block.language == "json")
    assert faults_of_line(json.loads(shown)) == []


@pytest.mark.parametrize("event", UPDATER_EVENTS)
def test_the_updater_tells_what_the_registry_describes(event: str) -> None:
    told, (_, fields) = TOLD[event], UPDATER_EVENTS[event]
    assert told["event"] == event
    if event == "result":  # and what `--json` alone prints
        assert fields.keys() <= told.keys()
    else:
        assert told.keys() - {"event"} == fields.keys()
    assert [name for name, known in fields.items() if not _fits(told[name], known)] == []


def _fits(value: object, known: Field) -> bool:
    return type(value) is _TYPES[known.kind]


def test_the_numbers_in_the_page_s_words_are_those_of_the_code() -> None:
    words = section(TEXT, "## How much is written")
    assert KNOWN_FACTOR == 20
    assert "twenty times" in words
    assert SUMMARY_S == 10
    assert "ten seconds" in words


def test_a_day_of_refused_requests_is_as_large_as_the_page_says() -> None:
    made = logging.LogRecord("x", logging.INFO, "", 1, "", (), None)
    fields: dict[str, Value] = {"method": "GET", "path": "/" * 60, "status": 404, "ms": 1}
    fields |= {"bytes": 190, "code": "not-found"}
    setattr(made, ATTRIBUTE, Told(REQUEST_REFUSED, fields))
    with bound(request_id="9f1b6c0d2a3e4f50"):
        line = JsonLines("public").format(made)
    rate = REQUEST_REFUSED.rate
    size_mb = (len(line) + 1) * (rate.burst + rate.per_s * 86_400) / 1e6
    assert 50 < size_mb < 65
    assert "about 60 MB" in section(TEXT, "## How much is written")
