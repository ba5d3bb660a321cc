"""Steering when things break: kills, lost databases, unreadable counts, plans that are none."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import LocalError
from lockgate_release.names import AppName, ChannelName
from lockgate_release.requests import OfferRequest
from lockgate_release.rollout.counts import Cohort
from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_release.rollout.progress import read_progress
from lockgate_release.steering_requests import ChosenPlan
from lockgate_server.services.steer.steer import Steering
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.deps import Caller
from tests.simulators.faulty_store import WRITE, FaultyStore, KilledError, Moment, kill
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, STABLE, Scene
from tests.simulators.told_counts import ToldCounts

NEW = "1.1.0"
LATER = NOW + timedelta(hours=28)


def _offer(scene: Scene, version: str = NEW, channel: str = STABLE) -> Any:
    """The request that publishes a version by the default plan."""
    chosen = ChosenPlan(plan=DEFAULT_PLAN, name="canary")
    offer = OfferRequest(channel=ChannelName(channel), version=version, chosen=chosen)
    return replace(scene.prepare(version, channels=(channel,)), offer=offer)


@pytest.fixture
def counts() -> ToldCounts:
    """What proves 1.1.0 safe, once its windows have closed."""
    counts = ToldCounts(heard_at=LATER)
    for hour in range(2):
        at = NOW + timedelta(hours=hour)
        counts.fare(at, canaries=(4_000, 80), control=(396_000, 7_920))
    return counts


@pytest.fixture
def scene(tmp_path: Path, counts: ToldCounts) -> Scene:
    """1.1.0 by the default plan, about to widen."""
    scene = Scene(folder=tmp_path, reports=counts)
    scene.register()
    scene.publish("1.0.0")
    scene.send(_offer(scene))
    scene.pass_time(LATER)
    return scene


def _steer(scene: Scene) -> list[str]:
    steps = Steering(caller=Caller(actor="worker"))(scene.deps(), APP)
    return [step.action for step in steps]


def _copy(scene: Scene, reports: ToldCounts) -> Scene:
    fork = scene.fork()
    fork.reports = reports
    return fork


def _stage(scene: Scene) -> tuple[int, int, int]:
    """Exposure, epoch, and how many stages the plan has reached."""
    offer = scene.look().channels[STABLE].offer_of(NEW)
    assert offer is not None
    progress = read_progress(offer.rollout)
    assert progress is not None
    return offer.rollout.exposure_bp, offer.rollout.epoch, len(progress.stage_epochs)


@pytest.mark.parametrize("moment", list(Moment))
def test_a_worker_killed_at_any_write_of_a_step_takes_it_once_in_the_end(
    scene: Scene, counts: ToldCounts, moment: Moment
) -> None:
    whole = _copy(scene, counts)
    watched = FaultyStore(whole.store)
    whole.store = watched
    assert _steer(whole) == ["widen"]
    writes = len(watched.writes())
    assert writes >= 3
    for step in range(writes):
        fork = _copy(scene, counts)
        faulty = FaultyStore(fork.store)
        fork.store = faulty
        faulty.plan(kill(moment, WRITE, skip=step))
        with pytest.raises(KilledError):
            _steer(fork)
        faulty.heal()
        assert _stage(fork) in {(100, 1, 1), (500, 2, 2)}
        read_settled(fork.deps(), APP)
        _steer(fork)
        assert _stage(fork) == (500, 2, 2)
        assert _steer(fork) == []


def test_a_lost_database_loses_no_rollout_and_moves_none(scene: Scene) -> None:
    forgetful = _copy(scene, ToldCounts(version="none"))
    assert _steer(forgetful) == []
    assert _stage(forgetful) == _stage(scene) == (100, 1, 1)


class _Unreadable(ToldCounts):
    def cohorts(self, app: AppName, channel: ChannelName, version: str) -> tuple[Cohort, ...]:
        if channel == STABLE:
            raise LocalError("cannot be read", subject="reports.sqlite3")
        return super().cohorts(app, channel, version)


def test_a_rollout_that_cannot_be_judged_keeps_no_other_from_being_steered(
    scene: Scene, counts: ToldCounts, caplog: pytest.LogCaptureFixture
) -> None:
    scene.send(_offer(scene, "1.2.0", "zeta"))
    broken = _Unreadable(version="1.2.0", heard_at=LATER)
    broken.fare(LATER, canaries=(100, 90), control=(9_900, 99))
    scene.reports = broken
    assert _steer(scene) == ["halt"]
    assert _stage(scene) == (100, 1, 1)
    assert "rollout.not-steered" in caplog.text
    scene.reports = counts
    assert _steer(scene) == ["widen"]


@pytest.mark.parametrize("back", [timedelta(hours=5), timedelta(days=1), timedelta(days=400)])
def test_a_clock_that_goes_back_moves_nothing_until_it_is_right(
    scene: Scene, back: timedelta
) -> None:
    before = _stage(scene)
    scene.now = LATER - back
    assert _steer(scene) == []
    assert _stage(scene) == before
    scene.now = LATER
    assert _steer(scene) == ["widen"]


def test_a_clock_that_is_days_ahead_pauses_for_want_of_reports_and_widens_nothing(
    scene: Scene,
) -> None:
    scene.now = LATER + timedelta(days=6)
    assert _steer(scene) == ["pause"]
    assert _stage(scene)[0] == 100


@pytest.mark.parametrize(
    ("stages", "field"),
    [
        ([{"exposure": "5%"}, {"exposure": "1%"}, {"exposure": "100%"}], "stages[1].exposure"),
        ([{"exposure": "NaN%"}, {"exposure": "100%"}], "stages[0].exposure"),
        ([{"exposure": "-1%"}, {"exposure": "100%"}], "stages[0].exposure"),
        ([{"exposure": "0%"}, {"exposure": "100%"}], "stages[0].exposure"),
        ([{"exposure": "101%"}], "stages[0].exposure"),
        ([{"exposure": 5}, {"exposure": "100%"}], "stages[0].exposure"),
        ([], "stages"),
    ],
)
def test_a_plan_that_is_none_is_refused_by_its_field_and_nothing_moves(
    scene: Scene, stages: Any, field: str
) -> None:
    before = (scene.look().numbers(), scene.outcomes())
    body = {"action": "plan", "chosen": {"plan": {"stages": stages}}}
    path = f"/apps/{APP}/channels/{STABLE}/rollouts/{NEW}"
    answer = scene.api()("PATCH", path, body)
    assert answer.status_code in {400, 422}
    assert f"chosen.plan.{field}" in answer.get_json()["subject"]
    assert (scene.look().numbers(), scene.outcomes()) == before
