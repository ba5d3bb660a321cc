"""Rollouts over HTTP: their evidence, what people do to them, and the emergency stop."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.requests import OfferRequest
from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_release.steering_requests import ChosenPlan
from lockgate_server.services.steer.steer import Steering
from lockgate_server.services.write.deps import Caller
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, STABLE, Scene
from tests.simulators.told_counts import ToldCounts

NEW = "1.1.0"
ROLLOUT = f"/apps/{APP}/channels/{STABLE}/rollouts/{NEW}"


@pytest.fixture
def counts() -> ToldCounts:
    return ToldCounts()


@pytest.fixture
def scene(tmp_path: Path, counts: ToldCounts) -> Scene:
    """1.0.0 for everybody, and 1.1.0 by the default plan."""
    scene = Scene(folder=tmp_path, reports=counts)
    scene.register()
    scene.publish("1.0.0")
    chosen = ChosenPlan(plan=DEFAULT_PLAN, name="canary")
    offer = OfferRequest(channel=STABLE, version=NEW, chosen=chosen)
    scene.send(replace(scene.prepare(NEW), offer=offer))
    return scene


def _body(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.get_json()
    body: dict[str, Any] = answer.get_json()
    return body


def _states(scene: Scene, channel: str = STABLE) -> list[tuple[str, str]]:
    document = scene.look().channels[channel]
    return [(offer.version, offer.rollout.state.value) for offer in document.offers]


def test_a_rollout_is_shown_with_its_evidence_and_nothing_is_done(
    scene: Scene, counts: ToldCounts
) -> None:
    counts.fare(NOW, canaries=(100, 90), control=(9_900, 99))
    scene.pass_time(NOW + timedelta(hours=26))
    before = scene.look().numbers()
    body = _body(scene.api(scene.token("read"))("GET", ROLLOUT))
    assert body["steering"]["stage"] == 1
    assert body["steering"]["stages"] == 4
    assert body["steering"]["name"] == "canary"
    assert body["verdict"]["action"] == "halt"
    assert body["verdict"]["evidence"]["canary"] == {
        "enrolled": 100,
        "closed": 100,
        "bad": 90,
        "crash_loops": 0,
        "failed_already": 90,
        "answered": 100,
    }
    assert scene.look().numbers() == before


def test_a_rollout_without_a_plan_has_no_verdict(scene: Scene) -> None:
    body = _body(scene.api()("GET", ROLLOUT.replace(NEW, "1.0.0")))
    assert (body["steering"], body["verdict"]) == (None, None)


def test_what_is_not_offered_is_not_found(scene: Scene) -> None:
    for path in (ROLLOUT.replace(NEW, "9.9.9"), ROLLOUT.replace(STABLE, "beta")):
        assert _body(scene.api()("GET", path), 404)["code"] == "not-found"


def test_a_dry_run_says_what_would_be_and_changes_nothing(scene: Scene) -> None:
    before = scene.look().numbers()
    body = _body(scene.api()("PATCH", ROLLOUT, {"action": "finish", "dry_run": True}))
    assert (body["changed"], body["would_change"]) == (False, True)
    assert body["rollout"]["exposure_bp"] == 10_000
    assert scene.look().numbers() == before


def test_each_hand_on_a_rollout_moves_it_and_stands_in_the_audit_log(scene: Scene) -> None:
    api = scene.api()
    approved = _body(api("PATCH", ROLLOUT, {"action": "approve", "expected_epoch": 1}))
    assert approved["rollout"]["progress"]["approved"] is True
    assert "waits for no person" in approved["warnings"][0]
    halted = _body(api("PATCH", ROLLOUT, {"action": "halt", "reason": "people call"}))
    assert halted["rollout"]["state"] == "halted"
    assert _body(api("PATCH", ROLLOUT, {"action": "resume"}))["rollout"]["state"] == "active"
    by_hand = _body(api("PATCH", ROLLOUT, {"action": "set", "exposure_bp": 700}))
    assert "progress" not in by_hand["rollout"]
    assert "follows no plan any more" in by_hand["warnings"][0]
    chosen = ChosenPlan(plan=DEFAULT_PLAN, name="slow").to_json()
    planned = _body(api("PATCH", ROLLOUT, {"action": "plan", "chosen": chosen}))
    assert planned["rollout"]["exposure_bp"] == 2_500
    assert planned["rollout"]["progress"]["name"] == "slow"
    done = [action for action, _ in scene.outcomes()][-5:]
    assert done == [
        "rollout.approve",
        "rollout.halt",
        "rollout.resume",
        "rollout.set",
        "rollout.plan",
    ]
    assert scene.ledger.audit(APP, limit=4)[3].intent.details["why"] == "people call"


def test_of_two_people_the_second_is_told_what_has_changed(scene: Scene) -> None:
    api = scene.api()
    _body(api("PATCH", ROLLOUT, {"action": "pause", "expected_epoch": 1}))
    late = _body(api("PATCH", ROLLOUT, {"action": "finish", "expected_epoch": 1}), 409)
    assert late["found"] == "epoch 2, paused, exposure 1%"


def test_a_stop_needs_one_person_and_a_start_as_many_as_are_set(scene: Scene) -> None:
    one = scene.api(scene.token(label="one"), start_needs=2)
    two = scene.api(scene.token(label="two"), start_needs=2)
    assert _body(one("POST", f"/apps/{APP}/stop", {"reason": "fire"}))["changed"]
    assert _states(scene) == [(NEW, "paused"), ("1.0.0", "active")]
    for _ in range(2):
        missing = _body(one("POST", f"/apps/{APP}/start", {}))["channels"][0]
        assert (missing["stopped"], missing["starts_missing"]) == (True, 1)
    assert _states(scene)[0] == (NEW, "paused")
    started = _body(two("POST", f"/apps/{APP}/start", {"reason": "it was a drill"}))
    assert started["channels"] == [{"channel": "stable", "stopped": False}]
    assert _states(scene) == [(NEW, "active"), ("1.0.0", "active")]
    assert [action for action, _ in scene.outcomes()][-3:] == ["stop", "start", "start"]


def test_what_stands_in_the_open_names_nobody_who_wants_to_start(scene: Scene) -> None:
    api = scene.api(scene.token(label="one"), start_needs=2)
    _body(api("POST", f"/apps/{APP}/stop", {"reason": "fire"}))
    body = _body(api("POST", f"/apps/{APP}/start", {}))
    approvals = body["channels"][0]["stop"]["approvals"]
    assert [len(item) for item in approvals] == [16]
    assert "one" not in str(approvals)


def test_a_stopped_app_lets_no_channel_begin_and_steers_nothing(
    scene: Scene, counts: ToldCounts
) -> None:
    api = scene.api()
    _body(api("POST", f"/apps/{APP}/stop", {"reason": "fire"}))
    request = scene.prepare("1.2.0", channels=("beta",))
    refused = _body(api("POST", f"/apps/{APP}/publish", request.to_json()), 400)
    assert refused["detail"].startswith("channel stable: stopped")
    _body(api("PATCH", ROLLOUT, {"action": "resume"}), 400)
    counts.fare(NOW, canaries=(100, 90), control=(9_900, 99))
    scene.pass_time(NOW + timedelta(hours=26))
    assert Steering(caller=Caller(actor="worker"))(scene.deps(), APP) == ()
    warnings = _body(api("GET", f"/apps/{APP}"))["warnings"]
    assert any(text.startswith("channel stable is stopped since") for text in warnings)


def test_a_stop_of_one_channel_leaves_the_others(scene: Scene) -> None:
    api = scene.api()
    scene.publish("1.2.0", channels=("beta",), exposure_bp=500)
    _body(api("POST", f"/apps/{APP}/stop", {"reason": "fire", "channel": "stable"}))
    assert _states(scene, "beta") == [("1.2.0", "active")]
    unknown = {"reason": "fire", "channel": "gamma"}
    assert _body(api("POST", f"/apps/{APP}/stop", unknown), 404)["expected"] == "beta, stable"


def test_a_release_is_still_revoked_while_everything_is_stopped(scene: Scene) -> None:
    _body(scene.api()("POST", f"/apps/{APP}/stop", {"reason": "fire"}))
    scene.revoke(NEW)
    assert _states(scene) == [("1.0.0", "active")]
    _body(scene.api()("POST", f"/apps/{APP}/start", {}))
    assert _states(scene) == [("1.0.0", "active")]


@pytest.mark.parametrize("path", ["stop", "start"])
def test_who_may_only_publish_neither_stops_nor_starts(scene: Scene, path: str) -> None:
    api = scene.api(scene.token("publish"))
    assert api("POST", f"/apps/{APP}/{path}", {"reason": "fire"}).status_code == 403


def test_a_dry_run_of_a_stop_pauses_nothing(scene: Scene) -> None:
    body = _body(scene.api()("POST", f"/apps/{APP}/stop", {"reason": "fire", "dry_run": True}))
    assert (body["changed"], body["would_change"]) == (False, True)
    assert body["channels"][0]["stop"]["paused"] == {NEW: 2}
    assert _states(scene)[0] == (NEW, "active")
