"""The vector controller says of each rollout what the controller says, look for look."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate_cli.simulating.vector_controller import Hour, Says, VectorController
from lockgate_release.gate import Arm
from lockgate_release.names import Platform
from lockgate_release.rollout.controller import judge
from lockgate_release.rollout.counts import Cohort, Opening
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan
from lockgate_release.rollout.situation import Action, Situation

SINCE = datetime(2026, 1, 5, tzinfo=UTC)
PLATFORMS = (Platform("linux-x86_64"), Platform("macos-arm64"))
VERSIONS = ("1.0.0", "1.1.0")
PLAN = replace(
    DEFAULT_PLAN,
    window_s=2 * 3600,
    stages=tuple(replace(stage, dwell_s=4 * 3600) for stage in DEFAULT_PLAN.stages),
)
ALONE = replace(PLAN, stages=tuple(replace(stage, control_bp=0) for stage in PLAN.stages))


@dataclass
class Told:
    """One rollout, as the controller is told of it."""

    plan: Plan
    platforms: tuple[Platform, ...]
    stage_epochs: tuple[int, ...] = (1,)
    stage_since: datetime = SINCE
    cohorts: list[Cohort] = field(default_factory=list)
    crashes: int = 0

    def situation(self, now: datetime) -> Situation:
        return Situation(
            plan=self.plan,
            stage_epochs=self.stage_epochs,
            stage_since=self.stage_since,
            platforms=self.platforms,
            cohorts=tuple(self.cohorts),
            opening=Opening(canaries=20, crash_loops=self.crashes),
            last_report_at=now,
        )


def _tell(told: Told, hour: Hour, run: int, began_at: datetime) -> None:
    told.crashes += int(hour.opening_crashes[run])
    for place, platform in enumerate(told.platforms):
        for which in range(hour.canaries.shape[2]):
            for arm, enrolled, bad in (
                (Arm.OFFERED, hour.canaries, hour.bad_canaries),
                (Arm.CONTROL, hour.controls, hour.bad_controls),
            ):
                count, failed = int(enrolled[run, place, which]), int(bad[run, place, which])
                if count:
                    told.cohorts.append(
                        Cohort(
                            arm=arm,
                            epoch=int(hour.stage[run]) + 1,
                            platform=platform,
                            from_version=VERSIONS[which],
                            began_at=began_at,
                            enrolled=count,
                            healthy=count - failed,
                            bad=failed,
                            crash_loops=failed,
                        )
                    )


def _draw(
    random: np.random.Generator, shape: tuple[int, int, int], many: VectorController, rates: float
) -> Hour:
    canaries = random.integers(0, random.choice([2, 60, 900]) + 1, shape)
    controls = random.integers(0, random.choice([2, 900, 20_000]) + 1, shape)
    return Hour(
        stage=many.stage.copy(),
        canaries=canaries,
        controls=controls,
        bad_canaries=random.binomial(canaries, rates * random.choice([0, 1, 3, 8])),
        bad_controls=random.binomial(controls, rates),
        opening_crashes=random.binomial(1, 0.05, shape[0]),
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    plan=st.sampled_from([PLAN, ALONE]),
    platforms=st.integers(1, 2),
    versions=st.integers(1, 2),
    rate=st.sampled_from([0.0, 0.001, 0.01, 0.05]),
)
def test_every_look_at_every_rollout_says_the_same(
    seed: int, plan: Plan, platforms: int, versions: int, rate: float
) -> None:
    random, runs, window = np.random.default_rng(seed), 4, plan.window_s // 3600
    many = VectorController(plan, runs=runs, platforms=platforms)
    told = [Told(plan, PLATFORMS[:platforms]) for _ in range(runs)]
    since, hours = np.zeros(runs), []
    for clock in range(14):
        hours.append(_draw(random, (runs, platforms, versions), many, rate))
        many.enrol(hours[-1])
        if clock >= window:
            many.close(hours[clock - window])
        now = SINCE + timedelta(hours=clock + 1)
        said = many.judge((clock + 1 - since) * 3600)
        for run in range(runs):
            _tell(told[run], hours[-1], run, now - timedelta(hours=1))
            verdict = judge(told[run].situation(now), now)
            evidence = verdict.evidence
            assert many.log_harm()[run] == pytest.approx(evidence.log_harm, abs=1e-9)
            assert many.log_ceiling()[run] == pytest.approx(evidence.log_ceiling, abs=1e-9)
            assert many.log_safety()[run] == pytest.approx(evidence.log_safety, abs=1e-9)
            assert many.closed[run] == evidence.canaries_closed
            assert Says(said[run]).name == verdict.reason.name
            if verdict.action is Action.WIDEN:
                told[run].stage_epochs += (len(told[run].stage_epochs) + 1,)
                told[run].stage_since = now
                since[run] = clock + 1
        many.widen(said == Says.PROVEN)
