"""What monitors are told: each part with its reason, and to strangers nothing they may not know."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from flask.testing import FlaskClient

from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.strict_json import JsonObject
from lockgate_server.ports.reports import ActiveCount, Drop
from lockgate_server.services.read.checks import (
    BackupNews,
    Level,
    judge_backup,
    judge_clock,
    judge_signing,
    only_warn,
)
from lockgate_server.services.read.counting import count_active
from lockgate_server.services.read.health import KEPT, KEPT_BY_APP
from lockgate_server.services.read.metrics import METRICS, to_metrics
from tests.simulators.faulty_store import FaultyStore, Moment, time_out
from tests.simulators.server_scene import APP, Scene

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(folder=tmp_path)
    made.register()
    made.publish("1.0.0")
    return made


def levels(scene: Scene, *, is_public: bool = False) -> dict[str, str]:
    return {one.name: one.level.value for one in scene.health(is_public=is_public).checks()}


def by_app(snapshot: JsonObject) -> JsonObject:
    (one,) = cast("list[JsonObject]", snapshot["by_app"])
    return one


def test_each_side_looks_at_what_it_can(scene: Scene) -> None:
    well = dict.fromkeys(("storage", "database", "clock", "signing"), "ok")
    assert levels(scene, is_public=True) == well
    assert levels(scene) == {**well, "key": "ok"}


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda scene: (scene.folder / "keys" / f"{APP}.pem").unlink(), "key"),
        (lambda scene: scene.pass_time(scene.now + 8 * DAY), "signing"),
        (lambda scene: scene.pass_time(scene.now - HOUR), "clock"),
    ],
)
def test_what_is_wrong_takes_the_api_off_and_leaves_the_public_side_serving(
    scene: Scene, spoil: Callable[[Scene], object], name: str
) -> None:
    spoil(scene)
    api, public = scene.api().http, scene.public()
    answer = api.get("/health/ready")
    assert (answer.status_code, answer.get_json()["checks"][name]) == (503, "failed")
    assert answer.get_json()["reasons"][name] in answer.get_json()["detail"]
    said = public.get("/health/ready")
    assert said.status_code == 200
    assert said.get_json()["checks"].get(name) in {None, "warning"}


def test_another_key_than_the_root_names_is_no_key(scene: Scene, tmp_path: Path) -> None:
    other = Scene(folder=tmp_path / "other")
    other.register()
    mine = scene.folder / "keys" / f"{APP}.pem"
    mine.write_bytes((other.folder / "keys" / f"{APP}.pem").read_bytes())
    assert levels(scene)["key"] == "failed"


def test_a_stranger_learns_no_name_no_number_and_no_version(scene: Scene) -> None:
    scene.pass_time(scene.now + 8 * DAY)
    faces: list[FlaskClient] = [scene.public(), scene.api().http]
    for face in faces:
        for path in ("/health/live", "/health/ready", "/health/snapshot"):
            said = face.get(path).get_data(as_text=True)
            assert not re.search(rf"{APP}|1\.2\.3|1\.0\.0|releases|/tmp|\.pem|T08", said), path
        assert "details" not in face.get("/health/ready").get_json()


def test_details_take_a_token_and_a_wrong_one_is_refused(scene: Scene) -> None:
    scene.pass_time(scene.now + 8 * DAY)
    token = {"Authorization": f"Bearer {scene.token('read')}"}
    api = scene.api().http
    found = api.get("/health/ready", headers=token).get_json()
    assert found["details"]["signing"] == [f"{APP}: the timestamp ran out at 2026-02-07T08:00:00Z"]
    assert api.get("/health/snapshot", headers=token).get_json()["version"] == "1.2.3"
    wrong = {"Authorization": "Bearer lg_nobody"}
    for path in ("/health/ready", "/health/snapshot", "/health/metrics"):
        assert api.get(path, headers=wrong).status_code == 401
    assert api.get("/health/metrics").status_code == 401
    for headers in (token, wrong, {}):
        assert scene.public().get("/health/metrics", headers=headers).status_code == 404
        snapshot = scene.public().get("/health/snapshot", headers=headers).get_json()
        assert sorted(snapshot) == ["checks", "status", "uptime_s"]


def test_the_snapshot_has_what_a_person_asks_first(scene: Scene) -> None:
    scene.publish("1.1.0", exposure_bp=500)
    made_at = scene.now - HOUR
    news = BackupNews(name="lockgate-1", made_at=made_at, verified_at=scene.now, every=DAY)
    found = scene.health(backup=news).snapshot()
    assert (found["apps"], found["releases"], found["status"]) == (1, 2, "ready")
    assert found["last_published_at"] == "2026-01-31T08:00:00Z"
    queues = {"open_changes": 0, "pending_changes": 0, "open_uploads": 0, "reports": None}
    assert found["queues"] == queues
    assert found["last_backup"] == {
        "name": "lockgate-1",
        "made_at": "2026-01-31T07:00:00Z",
        "verified_at": "2026-01-31T08:00:00Z",
        "failed_at": None,
    }
    one = by_app(found)
    assert (one["app"], one["timestamp_version"]) == (APP, 3)
    assert one["timestamp_expires_at"] == "2026-02-07T08:00:00Z"
    assert one["clients"] == {"day": None, "versions": {}}


def test_every_metric_is_a_line_that_prometheus_reads(scene: Scene) -> None:
    news = BackupNews(name="x", made_at=NOW, verified_at=NOW, every=DAY)
    snapshot = dict(scene.health(backup=news).snapshot())
    one = by_app(snapshot)
    clients: JsonObject = {"day": "2026-01-30", "versions": {'1.0"\n': 7}}
    snapshot["by_app"] = [{**one, "clients": clients}]
    snapshot["reports_dropped"] = {"late": 3}
    snapshot["queues"] = {"reports": 12}
    text = to_metrics(snapshot)
    line = re.compile(
        r'[a-z_]+(?:\{[a-z]+="[^"\n]*(?:\\.[^"\n]*)*"(?:,[a-z]+="[^\n]*")?\})? -?[0-9]+'
    )
    said = [one for one in text.splitlines() if not one.startswith("#")]
    assert [one for one in said if not line.fullmatch(one)] == []
    assert {re.split(r"[{ ]", one)[0] for one in said} == {*METRICS}
    assert f'lockgate_active_clients{{app="{APP}",version="1.0\\"\\n"}} 7' in said
    assert 'lockgate_check{name="key"} 0' in said
    assert f"lockgate_last_backup_seconds {int(NOW.timestamp())}" in said


def test_what_is_looked_at_by_app_is_kept_for_longer_good_or_bad(scene: Scene) -> None:
    store = FaultyStore(scene.store)
    scene.store = store
    health = scene.health()
    health.checks()
    before = len(store.calls)
    scene.now += KEPT
    health.checks()
    assert len(store.calls) == before + 1  # the probe alone
    scene.now += KEPT_BY_APP
    health.checks()
    assert len(store.calls) > before + 2


def test_a_store_that_fails_while_apps_are_looked_at_is_a_warning_not_a_crash(
    scene: Scene,
) -> None:
    faulty = FaultyStore(scene.store)
    faulty.plan(time_out(Moment.BEFORE, "open", times=-1))
    scene.store = faulty
    assert levels(scene) == {"storage": "ok", "database": "ok", "signing": "warning"}


def test_how_old_signatures_are() -> None:
    app = AppName("demo")
    assert judge_signing({app: NOW + 6 * DAY}, NOW).level is Level.OK
    assert judge_signing({app: NOW + 5 * DAY - HOUR}, NOW).level is Level.WARNING
    assert judge_signing({app: NOW}, NOW).level is Level.FAILED
    assert judge_signing({app: None}, NOW).level is Level.FAILED
    assert judge_signing({}, NOW).level is Level.OK
    failed = judge_signing({app: NOW, AppName("later"): NOW + DAY}, NOW)
    assert (failed.level, len(failed.details)) == (Level.FAILED, 2)
    assert only_warn(failed).level is Level.WARNING


def test_what_the_clock_is_held_against() -> None:
    assert judge_clock(NOW, None, None).level is Level.OK
    assert judge_clock(NOW, NOW + timedelta(seconds=60), None).level is Level.OK
    assert judge_clock(NOW, NOW + timedelta(seconds=61), None).level is Level.FAILED
    for off, level in ((59, Level.OK), (90, Level.WARNING), (301, Level.FAILED)):
        for sign in (1, -1):
            store_now = NOW + sign * timedelta(seconds=off)
            assert judge_clock(NOW, NOW - DAY, store_now).level is level


def test_a_backup_that_is_too_old_or_unproven_warns_and_never_fails() -> None:
    def level_of(**news: object) -> list[Level]:
        found = judge_backup(BackupNews(every=DAY, **news), NOW)  # type: ignore[arg-type]
        return [one.level for one in found]

    assert judge_backup(None, NOW) == ()
    assert judge_backup(BackupNews(made_at=NOW), NOW) == ()
    assert level_of() == [Level.WARNING]
    assert level_of(made_at=NOW - 2 * DAY, verified_at=NOW) == [Level.OK]
    assert level_of(made_at=NOW - 2 * DAY - HOUR, verified_at=NOW) == [Level.WARNING]
    assert level_of(made_at=NOW) == [Level.WARNING]


def test_clients_are_counted_by_version_on_the_newest_day_that_is_known() -> None:
    today = NOW.date()
    told = {
        today: [active("2.0.0", 1)],
        today - DAY: [active("1.0.0", 5), active("1.1.0", 7), active("1.0.0", 4, "beta")],
    }

    class Told:
        def dropped(self) -> dict[Drop, int]:
            return {}

        def active(self, app: AppName, day: date) -> tuple[ActiveCount, ...]:
            assert app == APP
            return tuple(told.get(day, []))

        def waiting(self, *, now: datetime) -> int | None:
            raise AssertionError(f"nobody asks at {now}")

    yesterday = (today - DAY).isoformat()
    found = count_active(Told(), APP, today)
    assert found == {"day": yesterday, "versions": {"1.0.0": 9, "1.1.0": 7}}
    del told[today - DAY]
    assert count_active(Told(), APP, today) == {"day": "2026-05-01", "versions": {"2.0.0": 1}}
    told.clear()
    assert count_active(Told(), APP, today) == {"day": None, "versions": {}}


def active(version: str, clients: int, channel: str = "stable") -> ActiveCount:
    return ActiveCount(
        channel=ChannelName(channel), version=version, platform=Platform("any"), clients=clients
    )
