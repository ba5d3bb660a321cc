"""What the log says of requests and of changes, and by which ids it joins them."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import UsageError
from lockgate_release.log.rules import LogFormat, LogRules, set_up_lines
from lockgate_release.log.telling import bound_now
from lockgate_server.command.common import local_caller
from lockgate_server.errors import TooLargeError
from lockgate_server.services.write.deps import Caller
from tests.simulators.faulty_store import FaultyStore, Moment, lose, time_out
from tests.simulators.log_reader import read_log
from tests.simulators.memory_store import MemoryStore
from tests.simulators.server_scene import Scene

IDS = {"X-Request-Id": "r-7", "X-Operation-Id": "ci-7"}
REVOKE = {"version": "1.0.0", "reason": "it eats files"}


class Log:
    """What has been logged, read anew each time and held to the registry."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        found = read_log(self.stream.getvalue())
        return [line for line in found if event in {"", line["event"]}]

    def only(self, event: str) -> dict[str, Any]:
        (line,) = self.lines(event)
        return line


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path, store=FaultyStore(MemoryStore()))
    scene.register()
    scene.publish("1.0.0")
    return scene


@pytest.fixture
def log(scene: Scene) -> Iterator[Log]:
    del scene  # what was done before the log began is not in it
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log = Log()
    try:
        set_up_lines("api", log.stream, LogRules(form=LogFormat.JSON, level="debug"))
        yield log
    finally:
        root.handlers[:], root.level = before
        logging.captureWarnings(capture=False)


def test_a_request_has_one_line_of_its_kind_with_both_ids(scene: Scene, log: Log) -> None:
    api, web = scene.api(), scene.public()
    api("GET", "/apps/demo", headers=IDS)
    web.get("/demo/nothing", headers=IDS)
    web.get("/health/live", headers=IDS)
    kinds = [(line["event"], line["level"], line["status"]) for line in log.lines()]
    assert kinds == [
        ("request.served", "info", 200),
        ("request.refused", "info", 404),
        ("request.probed", "debug", 200),
    ]
    assert {(line["request_id"], line["operation_id"]) for line in log.lines()} == {("r-7", "ci-7")}
    served, refused, _ = log.lines()
    assert served["actor"].startswith("ci (")
    assert "actor" not in refused


def test_no_line_after_a_request_is_taken_for_one_of_it(scene: Scene, log: Log) -> None:
    scene.api()("GET", "/apps/demo", headers=IDS)
    scene.public().get("/demo/nothing", headers=IDS)
    assert bound_now() == {}
    logging.getLogger("gunicorn.error").warning("something else")
    assert not {"request_id", "operation_id"} & log.only("library.said").keys()


def test_why_is_told_of_those_who_have_shown_a_token(scene: Scene, log: Log) -> None:
    scene.api()("GET", "/apps/nothing-there")
    scene.public().get("/demo/secret-looking-name")
    known, stranger = log.lines("request.refused")
    assert known["code"] == stranger["code"] == "not-found"
    assert "nothing-there" in known["reason"]
    assert "reason" not in stranger


def test_a_fault_of_ours_leaves_its_trace_under_the_request(scene: Scene, log: Log) -> None:
    api = scene.api()

    def fail() -> str:
        raise ZeroDivisionError(f"with {api.token}")

    app = api.http.application
    app.add_url_rule("/fail", "fail", fail)
    answer = api.http.get("/fail", headers=IDS).get_json()
    assert (answer["request_id"], answer["operation_id"]) == ("r-7", "ci-7")
    bug, failed = log.lines()
    assert (bug["event"], failed["event"]) == ("request.bug", "request.failed")
    assert bug["request_id"] == failed["request_id"] == "r-7"
    assert "ZeroDivisionError" in bug["trace"]
    assert api.token not in log.stream.getvalue()


def test_a_change_is_told_with_its_ids_and_what_reports_will_name(scene: Scene, log: Log) -> None:
    request = scene.prepare("1.1.0", exposure_bp=1_000)
    api = scene.api()
    api("POST", "/apps/demo/publish", request.to_json(), headers=IDS)
    line = log.only("change.in-force")
    assert (line["request_id"], line["operation_id"]) == ("r-7", "ci-7")
    assert (line["app"], line["channel"], line["version"]) == ("demo", "stable", "1.1.0")
    entry = api("GET", "/apps/demo/audit?limit=1").get_json()["entries"][0]
    assert (line["entry"], line["actor"], line["action"]) == (
        entry["number"],
        entry["actor"],
        entry["action"],
    )
    assert line["timestamp_version"] == scene.look().chain.timestamp.version
    offer = scene.look().channels["stable"].offer_of("1.1.0")
    assert offer is not None
    assert line["epoch"] == entry["details"]["epoch"] == offer.rollout.epoch


def test_a_change_that_was_given_up_and_one_that_nobody_knows_of_are_told_apart(
    scene: Scene, log: Log
) -> None:
    assert isinstance(scene.store, FaultyStore)
    api = scene.api()
    scene.store.plan(lose("put", "*/timestamp.json"))
    assert api("POST", "/apps/demo/revocations", REVOKE, headers=IDS).status_code == 200
    abandoned, in_force = log.lines("change.abandoned")[0], log.only("change.in-force")
    assert (abandoned["level"], abandoned["action"]) == ("warning", "revoke")
    assert abandoned["entry"] < in_force["entry"]
    assert abandoned["operation_id"] == in_force["operation_id"] == "ci-7"
    gone = time_out(Moment.BEFORE, "put", "*/timestamp.json")
    gone.times = 99
    scene.store.plan(gone)
    stopped = api("POST", "/apps/demo/stop", {"reason": "a drill"}, headers=IDS)
    assert stopped.status_code == 503
    unclear = log.only("change.unclear")
    assert (unclear["level"], unclear["operation_id"]) == ("error", "ci-7")
    assert log.only("request.failed")["code"] == "transport"


def test_too_much_is_refused_in_a_short_line(scene: Scene, log: Log) -> None:
    scene.api(max_body_bytes=10)("POST", "/apps/demo/publish", {"releases": "x" * 1000})
    assert log.only("request.refused")["code"] == TooLargeError.code


def test_a_command_on_the_server_may_belong_to_an_operation_too() -> None:
    found = local_caller({"SUDO_USER": "ann", "LOCKGATE_OPERATION": "ci-7"})
    assert found == Caller(actor="ann (on the server)", operation_id="ci-7")
    assert local_caller({"SUDO_USER": "ann"}).operation_id == ""
    with pytest.raises(UsageError, match="hyphens"):
        local_caller({"SUDO_USER": "ann", "LOCKGATE_OPERATION": "a b"})
