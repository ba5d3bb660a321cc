"""The door before Flask: what it takes in, what it hands on, and that nobody can tell the two."""

import io
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from lockgate_release.gate import Arm
from lockgate_release.log.server_events import REQUEST_PROBED
from lockgate_release.log.telling import ATTRIBUTE
from lockgate_release.names import AppName, Platform
from lockgate_release.reports import CohortKey, Enrolled, dump_reports, hour_of
from lockgate_server.ports.reports import Drop
from lockgate_server.services.reports.intake import Intake, _Places
from lockgate_server.views.problems import problem
from tests.simulators.server_scene import APP, STABLE, Scene

IDS = {"X-Request-Id": "mine-1", "X-Operation-Id": "run-1"}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(folder=tmp_path)
    made.register()
    made.publish("1.0.0")
    made.publish("1.1.0", exposure_bp=1_000)
    return made


@pytest.fixture
def intake(scene: Scene) -> Intake:
    return scene.intake()


@pytest.fixture
def web(scene: Scene, intake: Intake) -> FlaskClient:
    return scene.public(intake=intake)


def enrolled(scene: Scene) -> Enrolled:
    cohort = CohortKey(
        channel=STABLE,
        version="1.1.0",
        epoch=1,
        arm=Arm.OFFERED,
        platform=Platform("linux-x86_64"),
        from_version="1.0.0",
        hour=hour_of(scene.now),
    )
    return Enrolled(nonce="0" * 32, cohort=cohort)


def test_an_answer_carries_what_every_answer_carries(scene: Scene, web: FlaskClient) -> None:
    body = dump_reports([enrolled(scene)])
    answer = web.post(f"/{APP}/reports", data=body, headers=IDS)
    assert answer.status == "202 ACCEPTED"
    assert {name: answer.headers[name] for name in IDS} == IDS
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content_type == "application/json"
    unnamed = web.post(f"/{APP}/reports", data=body, headers={"X-Request-Id": "a b"})
    assert unnamed.headers["X-Request-Id"] == "made-id"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/reports", 421),
        ("POST", "//reports", 404),
        ("POST", "/reports", 404),
        ("POST", f"/{APP}/reports/", 405),
        ("POST", f"/{APP}/more/reports", 405),
        ("PUT", f"/{APP}/reports", 405),
        ("OPTIONS", f"/{APP}/reports", 200),
        ("GET", f"/{APP}/reports", 404),
    ],
)
def test_whatever_is_not_sent_to_an_app_is_not_the_doors_business(
    scene: Scene, intake: Intake, web: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = web.open(path, method=method, data=dump_reports([enrolled(scene)]))
    assert answer.status_code == status
    intake.flush()
    assert scene.reports.dropped() == {}
    assert scene.reports.cohorts(APP, STABLE, "1.1.0") == ()


def test_a_body_that_comes_in_pieces_is_not_read(scene: Scene, web: FlaskClient) -> None:
    body = io.BytesIO(dump_reports([enrolled(scene)]))
    answer = web.post(
        f"/{APP}/reports",
        input_stream=body,
        environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (411, "usage.length-required")
    assert body.tell() == 0


class Broken(io.BytesIO):
    """A body that does not come."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def read(self, _size: int | None = None) -> bytes:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"), [(BlockingIOError(), 408), (ZeroDivisionError("a bug"), 500)]
)
def test_what_goes_wrong_at_the_door_is_told_as_it_is_inside(
    web: FlaskClient, error: Exception, status: int
) -> None:
    web.application.config["PROPAGATE_EXCEPTIONS"] = False
    answer = web.post(
        f"/{APP}/reports", input_stream=Broken(error), environ_overrides={"CONTENT_LENGTH": "10"}
    )
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["request_id"] == "made-id"


@pytest.mark.parametrize(
    ("limits", "status", "code", "after"),
    [
        ({"burst": 0, "requests_per_s": 0.1}, 429, "too-many", "10"),
        ({"waiting": 0}, 503, "full", "5"),
    ],
)
def test_who_is_sent_away_is_told_what_flask_would_have_said(
    scene: Scene, limits: dict[str, float], status: int, code: str, after: str
) -> None:
    web = scene.public(intake=scene.intake(**limits))
    answer = web.post(f"/{APP}/reports", data=b"never read", headers=IDS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, after)
    assert {name: answer.headers[name] for name in IDS} == IDS
    told = answer.get_json()
    with web.application.test_request_context(headers=IDS):
        web.application.preprocess_request()
        expected = problem(status, code, told["detail"])
    assert answer.get_data() == expected.get_data()
    assert answer.content_type == expected.content_type
    assert answer.headers["Cache-Control"] == expected.headers["Cache-Control"]


def test_who_listens_closely_hears_of_every_request(
    scene: Scene, web: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="lockgate_server.access"):
        web.post(f"/{APP}/reports", data=dump_reports([enrolled(scene)]))
    [line] = [record for record in caplog.records if record.name == "lockgate_server.access"]
    told = line.__dict__[ATTRIBUTE]
    assert told.event is REQUEST_PROBED
    assert (told.fields["status"], told.fields["path"]) == (202, f"/{APP}/reports")


def test_two_apps_do_not_make_each_other_forget(scene: Scene, intake: Intake) -> None:
    there = intake._view.of(APP)
    assert there is not None
    other = replace(there)
    places = _Places(intake._limits)
    cohort = enrolled(scene).cohort
    first = places.find(APP, cohort, there, scene.now)
    assert not isinstance(first, Drop)
    places.find(AppName("other"), cohort, other, scene.now)
    assert places.find(APP, cohort, there, scene.now) is first
