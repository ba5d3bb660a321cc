"""The job that steers: a rollout with a plan takes a step at a time, on evidence, and says why."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.documents import Rollout
from lockgate_release.errors import StaleMirrorError, UsageError
from lockgate_release.gate import Arm
from lockgate_release.names import ChannelName
from lockgate_release.requests import OfferRequest, PublishRequest
from lockgate_release.rollout.counts import Opening
from lockgate_release.rollout.plan import DEFAULT_PLAN, Approval, Plan
from lockgate_release.rollout.progress import Progress, read_progress
from lockgate_release.steering_requests import ChosenPlan, RolloutAction, RolloutRequest
from lockgate_server.services.steer.alarms import find_alarms
from lockgate_server.services.steer.describing import decimal_text, plan_digest
from lockgate_server.services.steer.steer import Steering
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.rollouts import change_rollout
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene
from tests.simulators.told_counts import ToldCounts

NEW = "1.1.0"
WORKER = Caller(actor="worker")
DAY = timedelta(days=1)


@pytest.fixture
def scene(tmp_path: Path, counts: ToldCounts) -> Scene:
    """1.0.0 for everybody, and nothing else."""
    scene = Scene(folder=tmp_path, reports=counts)
    scene.register()
    scene.publish("1.0.0")
    return scene


@pytest.fixture
def counts() -> ToldCounts:
    return ToldCounts()


def _publish(
    scene: Scene,
    plan: Plan = DEFAULT_PLAN,
    start_at: datetime | None = None,
    channels: tuple[str, ...] = (STABLE,),
) -> None:
    request = scene.prepare(NEW, channels=channels)
    chosen = ChosenPlan(plan=plan, name="canary", start_at=start_at)
    offer = OfferRequest(channel=STABLE, version=NEW, chosen=chosen)
    scene.send(replace(request, offer=offer))


def _steer(scene: Scene) -> list[tuple[str, str]]:
    steps = Steering(caller=WORKER)(scene.deps(), APP)
    return [(step.action, step.reason) for step in steps]


def _rollout(scene: Scene) -> Rollout:
    offer = scene.look().channels[STABLE].offer_of(NEW)
    assert offer is not None
    return offer.rollout


def _progress(scene: Scene) -> Progress:
    found = read_progress(_rollout(scene))
    assert found is not None
    return found


def _fare_well(counts: ToldCounts, at: datetime, *, epoch: int = 1, canaries: int = 1_000) -> None:
    """Let nobody fare worse than control, in enough cohorts to prove it."""
    share = {1: 1, 2: 5, 3: 25}[epoch]
    control = canaries * (100 - share) // share
    for hour in range(2):
        counts.fare(
            at + timedelta(hours=hour),
            canaries=(canaries, canaries // 50),
            control=(control, control // 50),
            epoch=epoch,
        )
    counts.heard_at = at + timedelta(hours=1)


def _fare_badly(counts: ToldCounts, at: datetime) -> None:
    counts.fare(at, canaries=(1_000, 300), control=(99_000, 2_000))
    counts.heard_at = at


def _do(scene: Scene, action: str, **how: Any) -> None:
    request = RolloutRequest(action=RolloutAction(action), **how)
    change_rollout(scene.deps(), APP, STABLE, NEW, request, CALLER)


def test_a_good_release_reaches_everybody_stage_by_stage(scene: Scene, counts: ToldCounts) -> None:
    _publish(scene)
    seen = []
    for epoch in (1, 2, 3):
        assert _steer(scene) == [], "before its dwell time is over nothing widens"
        _fare_well(counts, scene.now, epoch=epoch, canaries=4_000)
        scene.pass_time(scene.now + DAY + timedelta(hours=4))
        counts.heard_at = scene.now
        assert _steer(scene) == [("widen", "proven")]
        seen.append((_rollout(scene).exposure_bp, _rollout(scene).epoch))
    assert seen == [(500, 2), (2_500, 3), (10_000, 4)]
    assert scene.look().offers() == [(NEW, 10_000)]
    assert _steer(scene) == []


def test_a_bad_release_is_halted_with_its_evidence_in_the_audit_log(
    scene: Scene, counts: ToldCounts
) -> None:
    _publish(scene)
    _fare_badly(counts, scene.now)
    scene.pass_time(scene.now + DAY + timedelta(hours=2))
    counts.heard_at = scene.now
    assert _steer(scene) == [("halt", "worse-than-control")]
    assert _rollout(scene).state == "halted"
    assert _progress(scene).reason == "worse-than-control"
    entry = scene.ledger.audit(APP, limit=1)[0].intent
    assert (entry.action, entry.actor) == ("rollout.halt", "worker")
    assert entry.details["plan_sha256"] == plan_digest(DEFAULT_PLAN)
    evidence: Any = entry.details["evidence"]
    assert evidence["canary"]["bad"] == 300
    assert float(evidence["harm"]["e_value"]) > float(evidence["harm"]["limit"])
    assert _steer(scene) == []


def test_what_evidence_has_stopped_in_one_channel_begins_in_no_other(
    scene: Scene, counts: ToldCounts
) -> None:
    _publish(scene, channels=(STABLE, "beta"))
    _fare_badly(counts, scene.now)
    scene.pass_time(scene.now + DAY + timedelta(hours=2))
    counts.heard_at = scene.now
    assert _steer(scene) == [("halt", "worse-than-control")]
    promotion = PublishRequest(offer=OfferRequest(channel=ChannelName("beta"), version=NEW))
    with pytest.raises(UsageError, match="stopped by evidence in another channel"):
        scene.send(promotion)
    again = ChosenPlan(plan=DEFAULT_PLAN, name="canary")
    scene.send(PublishRequest(offer=OfferRequest(channel=STABLE, version=NEW, chosen=again)))
    _do(scene, "resume", anyway=True, reason="the lab was on fire")
    scene.send(promotion)
    assert scene.look().offers("beta") == [(NEW, 10_000)]


def test_what_a_person_has_halted_may_begin_in_another_channel(scene: Scene) -> None:
    _publish(scene, channels=(STABLE, "beta"))
    _do(scene, "halt")
    scene.send(PublishRequest(offer=OfferRequest(channel=ChannelName("beta"), version=NEW)))
    assert scene.look().offers("beta") == [(NEW, 10_000)]


def test_no_plan_starts_in_a_year_that_nobody_meant(scene: Scene) -> None:
    with pytest.raises(UsageError, match="starts too late"):
        _publish(scene, start_at=NOW + timedelta(days=367))


def test_to_hold_writes_nothing(scene: Scene) -> None:
    _publish(scene)
    before = (scene.look().numbers(), scene.outcomes())
    assert _steer(scene) == []
    assert (scene.look().numbers(), scene.outcomes()) == before


def test_what_waits_for_its_time_starts_then_and_not_before(scene: Scene) -> None:
    _publish(scene, start_at=NOW + DAY)
    assert scene.look().offers() == [(NEW, 0), ("1.0.0", 10_000)]
    scene.pass_time(NOW + DAY - timedelta(seconds=1))
    assert _steer(scene) == []
    scene.pass_time(NOW + DAY)
    assert _steer(scene) == [("start", "")]
    assert scene.look().offers() == [(NEW, 100), ("1.0.0", 10_000)]
    assert _progress(scene).stage_since == NOW + DAY


def test_a_start_in_the_past_is_at_once(scene: Scene) -> None:
    _publish(scene, start_at=NOW - DAY)
    assert scene.look().offers()[0] == (NEW, 100)


def test_of_two_workers_one_takes_the_step(scene: Scene, counts: ToldCounts) -> None:
    _publish(scene)
    _fare_well(counts, scene.now, canaries=4_000)
    scene.pass_time(NOW + DAY + timedelta(hours=4))
    counts.heard_at = scene.now
    taken: list[tuple[str, str]] = []

    def work(clock: datetime) -> None:
        # In one second both would sign the very same bytes, and both have put them in force.
        deps = replace(scene.deps(), now=lambda: clock)
        taken.extend((step.action, step.reason) for step in Steering(caller=WORKER)(deps, APP))

    clocks = (scene.now, scene.now + timedelta(seconds=1))
    workers = [threading.Thread(target=work, args=(clock,)) for clock in clocks]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert taken == [("widen", "proven")]
    assert _rollout(scene).epoch == 2
    assert [action for action, _ in scene.outcomes()].count("rollout.widen") <= 2


def test_a_step_that_broke_off_is_finished_and_not_taken_twice(
    scene: Scene, counts: ToldCounts
) -> None:
    _publish(scene)
    _fare_well(counts, scene.now, canaries=4_000)
    scene.pass_time(NOW + DAY + timedelta(hours=4))
    counts.heard_at = scene.now
    ledger = scene.ledger

    class KilledLedger:
        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        def finish(self, *_: object) -> None:
            raise SystemExit("killed")

    scene.ledger = KilledLedger()
    with pytest.raises(SystemExit):
        _steer(scene)
    scene.ledger = ledger
    read_settled(scene.deps(), APP)
    assert _steer(scene) == []
    assert (_rollout(scene).exposure_bp, _rollout(scene).epoch) == (500, 2)
    assert ("rollout.widen", "done") in scene.outcomes()


def test_a_store_that_was_put_back_is_not_steered(scene: Scene, counts: ToldCounts) -> None:
    _publish(scene)
    old = scene.fork()
    scene.pass_time(NOW + timedelta(hours=1))
    _do(scene, "pause")
    old.ledger, old.reports = scene.ledger, counts
    _fare_badly(counts, NOW)
    old.pass_time(NOW + 2 * DAY)
    counts.heard_at = old.now
    with pytest.raises(StaleMirrorError):
        _steer(old)


def test_silence_pauses_and_a_person_who_resumes_gets_the_same_time_again(
    scene: Scene, counts: ToldCounts
) -> None:
    _publish(scene)
    counts.fare(NOW, canaries=(10, 0), control=(990, 0))
    counts.heard_at = NOW
    scene.pass_time(NOW + timedelta(hours=13))
    assert _steer(scene) == [("pause", "no-reports")]
    assert "was paused by its plan (no-reports)" in _alarms(scene)[0]
    _do(scene, "resume")
    assert _steer(scene) == []
    scene.pass_time(NOW + timedelta(hours=26))
    assert _steer(scene) == [("pause", "no-reports")]


def _alarms(scene: Scene) -> tuple[str, ...]:
    return find_alarms(read_settled(scene.deps(), APP).channels, scene.now)


def test_what_is_paused_is_left_alone(scene: Scene, counts: ToldCounts) -> None:
    _publish(scene)
    _do(scene, "pause")
    _fare_badly(counts, NOW)
    scene.pass_time(NOW + 2 * DAY)
    assert _steer(scene) == []
    assert _alarms(scene) == ()


def test_a_step_that_needs_a_person_waits_for_one(scene: Scene, counts: ToldCounts) -> None:
    _publish(scene, replace(DEFAULT_PLAN, approval=Approval.EACH))
    _fare_well(counts, NOW, canaries=4_000)
    scene.pass_time(NOW + DAY + timedelta(hours=4))
    counts.heard_at = scene.now
    assert _steer(scene) == []
    _do(scene, "approve")
    assert _steer(scene) == [("widen", "proven")]
    assert not _progress(scene).approved


def test_going_on_anyway_sets_the_evidence_aside_and_judges_what_comes(
    scene: Scene, counts: ToldCounts
) -> None:
    _publish(scene)
    _fare_badly(counts, NOW)
    counts.first = Opening(canaries=20, crash_loops=20)
    scene.pass_time(NOW + DAY + timedelta(hours=2))
    counts.heard_at = scene.now
    assert _steer(scene)[0][0] == "halt"
    _do(scene, "resume", anyway=True, reason="the test machines were on fire")
    entry = scene.ledger.audit(APP, limit=1)[0].intent
    assert (entry.details["why"], entry.details["anyway"]) == (
        "the test machines were on fire",
        True,
    )
    assert _steer(scene) == []
    counts.fare(scene.now, canaries=(1_000, 300), control=(99_000, 2_000), epoch=3)
    scene.pass_time(scene.now + DAY + timedelta(hours=2))
    counts.heard_at = scene.now
    assert _steer(scene) == [("halt", "worse-than-control")]


def test_harm_that_shows_late_halts_also_what_everybody_is_offered(
    scene: Scene, counts: ToldCounts
) -> None:
    two = replace(DEFAULT_PLAN, stages=(DEFAULT_PLAN.stages[2], DEFAULT_PLAN.stages[3]))
    _publish(scene, two)
    for hour in range(2):
        at = NOW + timedelta(hours=hour)
        counts.fare(at, canaries=(25_000, 500), control=(75_000, 1_500))
    scene.pass_time(NOW + DAY + timedelta(hours=4))
    counts.heard_at = scene.now
    assert _steer(scene) == [("widen", "proven")]
    counts.enrol(Arm.OFFERED, 2_000, bad=900, epoch=2, at=scene.now)
    assert _steer(scene) == [("halt", "above-ceiling")]
    assert scene.look().offers() == [(NEW, 10_000), ("1.0.0", 10_000)]


def test_after_its_watch_a_finished_rollout_is_nobodys_business(
    scene: Scene, counts: ToldCounts
) -> None:
    two = replace(DEFAULT_PLAN, stages=(DEFAULT_PLAN.stages[2], DEFAULT_PLAN.stages[3]))
    _publish(scene, two)
    for hour in range(2):
        at = NOW + timedelta(hours=hour)
        counts.fare(at, canaries=(25_000, 500), control=(75_000, 1_500))
    scene.pass_time(NOW + DAY + timedelta(hours=4))
    counts.heard_at = scene.now
    _steer(scene)
    scene.pass_time(scene.now + timedelta(hours=25, seconds=1))
    counts.enrol(Arm.OFFERED, 2_000, bad=900, epoch=2, at=scene.now)
    assert _steer(scene) == []


def test_what_stands_still_for_too_long_raises_an_alarm_once_a_day(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    _publish(scene)
    job = Steering(caller=WORKER)
    scene.pass_time(NOW + 8 * DAY)
    job(scene.deps(), APP)
    job(scene.deps(), APP)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "1.1.0 in stable has stood in stage 1 for 8d" in _alarms(scene)[0]
    scene.pass_time(NOW + 9 * DAY)
    job(scene.deps(), APP)
    assert len(caplog.records) == 2


def test_a_revoked_release_is_steered_no_more(scene: Scene, counts: ToldCounts) -> None:
    _publish(scene)
    scene.revoke(NEW)
    _fare_well(counts, NOW, canaries=4_000)
    scene.pass_time(NOW + 2 * DAY)
    assert _steer(scene) == []
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_a_successor_has_a_plan_of_its_own(scene: Scene) -> None:
    _publish(scene)
    scene.publish("1.2.0", exposure_bp=1_000)
    assert scene.look().offers() == [("1.2.0", 1_000), ("1.0.0", 10_000)]
    assert scene.look().channels[STABLE].offers[0].rollout.progress is None
    assert _steer(scene) == []


def test_publishing_the_same_once_more_throws_no_rollout_back(
    scene: Scene, counts: ToldCounts
) -> None:
    _publish(scene)
    _fare_well(counts, NOW, canaries=4_000)
    scene.pass_time(NOW + DAY + timedelta(hours=4))
    counts.heard_at = scene.now
    _steer(scene)
    offer = OfferRequest(channel=STABLE, version=NEW, chosen=ChosenPlan(plan=DEFAULT_PLAN))
    assert not scene.send(PublishRequest(offer=offer)).changed
    assert _rollout(scene).exposure_bp == 500


@pytest.mark.parametrize(
    ("log_value", "text"),
    [
        (float("-inf"), "0"),
        (0.0, "1"),
        (4.96284, "143"),
        (6.90776, "1000"),
        (-4.60517, "0.01"),
        (1000.0, "1.97e+434"),
        (-1000.0, "5.08e-435"),
    ],
)
def test_an_e_value_of_any_size_is_decimal_text(log_value: float, text: str) -> None:
    assert decimal_text(log_value) == text
