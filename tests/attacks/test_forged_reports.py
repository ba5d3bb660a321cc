"""A flood of forged reports: what it reaches, at the public side and at the one who judges."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.gate import Arm
from lockgate_release.names import Platform
from lockgate_release.reports import (
    MAX_BATCH_BYTES,
    CohortKey,
    Enrolled,
    Failure,
    Fared,
    Outcome,
    Report,
    dump_reports,
)
from lockgate_release.rollout.controller import OPENING_CANARIES, judge
from lockgate_release.rollout.counts import Cohort, Opening
from lockgate_release.rollout.plan import DEFAULT_PLAN, Approval, Plan
from lockgate_release.rollout.situation import Action, Situation
from lockgate_server.services.reports.blocks import allowance
from tests.simulators.server_scene import APP, STABLE, Scene

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
ANY = Platform("any")
THIEF = "192.0.2.7"
FIRST = DEFAULT_PLAN.stages[0]
FIFTH = replace(FIRST, exposure_bp=2_000, control_bp=8_000)
PLAN = replace(DEFAULT_PLAN, stages=(FIFTH, DEFAULT_PLAN.stages[-1]))
WINDOW_S = DEFAULT_PLAN.window_s


class Flooded:
    """A rollout with a plan, into which a thief sends what they like."""

    def __init__(self, folder: Path) -> None:
        self.scene = Scene(folder=folder)
        self.scene.register()
        self.scene.publish("1.0.0")
        self.scene.publish("1.1.0", exposure_bp=FIFTH.exposure_bp)
        self.began_at = self.scene.now
        self.intake = self.scene.intake()
        self.web = self.scene.public(intake=self.intake)

    def cohort(self, arm: Arm = Arm.OFFERED, **change: Any) -> CohortKey:
        honest = CohortKey(
            channel=STABLE,
            version="1.1.0",
            epoch=1,
            arm=arm,
            platform=ANY,
            from_version="1.0.0",
            hour=self.began_at.replace(minute=0, second=0),
        )
        return replace(honest, **change)

    def send(self, reports: list[Report], address: str) -> None:
        for start in range(0, len(reports), 20):
            data = dump_reports(reports[start : start + 20])
            headers = {"X-Forwarded-For": address}
            self.web.post(f"/{APP}/reports", data=data, headers=headers)
            self.scene.now += timedelta(seconds=1)
        self.intake.flush()

    def fleet(self, canaries: int, *, worse: float = 1.0) -> None:
        """Honest clients, each from a network of its own, of which one in fifty fares badly."""
        for arm, count, bad in (
            (Arm.OFFERED, canaries, round(canaries * 0.02 * worse)),
            (Arm.CONTROL, 4 * canaries, round(4 * canaries * 0.02)),
        ):
            for number in range(count):
                fared = (Outcome.BAD, Failure.HEALTH) if number < bad else (Outcome.HEALTHY, "")
                self.send(
                    client(number, self.cohort(arm), fared[0], Failure(fared[1])),
                    f"198.{number >> 8}.{number & 255}.{'19'[arm is Arm.CONTROL]}",
                )

    def verdict(self, *, plan: Plan = PLAN, after_s: int = WINDOW_S + 7200) -> Action:
        ledger = self.scene.reports
        cohorts = ledger.cohorts(APP, STABLE, "1.1.0")
        closed_at = self.began_at + timedelta(seconds=after_s)
        situation = Situation(
            plan=plan,
            stage_epochs=(1,),
            stage_since=self.began_at,
            platforms=(ANY,),
            cohorts=cohorts,
            opening=ledger.opening(APP, STABLE, "1.1.0", first=OPENING_CANARIES),
            last_report_at=closed_at,
        )
        return judge(situation, closed_at).action

    def enrolled(self) -> int:
        return sum(one.enrolled for one in self.scene.reports.cohorts(APP, STABLE, "1.1.0"))

    def dropped(self) -> dict[str, int]:
        return {why.value: count for why, count in self.scene.reports.dropped().items()}


def client(
    number: int,
    cohort: CohortKey,
    outcome: Outcome = Outcome.BAD,
    failure: Failure = Failure.CRASH_LOOP,
) -> list[Report]:
    nonce = f"{cohort.arm.value.encode().hex()}{number:032x}"[-32:]
    return [
        Enrolled(nonce=nonce, cohort=cohort),
        Fared(nonce=nonce, cohort=cohort, outcome=outcome, failure=failure),
    ]


@pytest.fixture
def flooded(tmp_path: Path) -> Flooded:
    return Flooded(tmp_path)


FORGED: dict[str, Callable[[Flooded, int], list[Report]]] = {
    "crash loops": lambda at, n: client(n, at.cohort()),
    "silence": lambda at, n: client(n, at.cohort())[:1],
    "health": lambda at, n: client(n, at.cohort(), Outcome.HEALTHY, Failure.NONE),
    "control that is well": lambda at, n: client(
        n, at.cohort(Arm.CONTROL), Outcome.HEALTHY, Failure.NONE
    ),
    "control that fares badly": lambda at, n: client(n, at.cohort(Arm.CONTROL)),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_flood_of_reports_from_one_block_moves_nothing(flooded: Flooded, kind: str) -> None:
    flooded.fleet(100)
    before = flooded.verdict()
    for number in range(1_000):
        flooded.send(FORGED[kind](flooded, 10**6 + number), f"192.0.2.{number & 255}")
    assert flooded.dropped()["weight"] > 700
    assert flooded.verdict() is before is Action.HOLD


def test_a_flood_of_reports_from_one_block_cannot_be_the_first_to_speak(flooded: Flooded) -> None:
    for number in range(1_000):
        flooded.send(client(number, flooded.cohort()), THIEF)
    assert flooded.enrolled() == 2
    assert flooded.verdict() is Action.HOLD


def test_a_flood_of_reports_from_one_block_hides_no_harm(flooded: Flooded) -> None:
    flooded.fleet(100, worse=10)
    assert flooded.verdict() is Action.HALT
    for number in range(1_000):
        flooded.send(FORGED["health"](flooded, 10**6 + number), THIEF)
        flooded.send(FORGED["control that fares badly"](flooded, 10**6 + number), THIEF)
    assert flooded.verdict() is Action.HALT


def flood_of_health(flooded: Flooded) -> None:
    """From a thousand blocks: all is well, in both arms as they were drawn."""
    for number in range(1_000):
        address = f"203.{number >> 8}.{number & 255}.1"
        flooded.send(FORGED["health"](flooded, number), address)
        for one in range(4):
            flooded.send(FORGED["control that is well"](flooded, 4 * number + one), address)


def test_a_flood_of_reports_from_many_blocks_can_stop_a_rollout_from_widening(
    flooded: Flooded,
) -> None:
    flooded.fleet(20)
    for number in range(100):
        flooded.send(client(10**6 + number, flooded.cohort()), f"203.0.{number}.1")
    assert flooded.verdict() in {Action.HALT, Action.PAUSE}


def test_a_flood_of_reports_from_many_blocks_widens_no_faster_than_the_plan(
    flooded: Flooded,
) -> None:
    flood_of_health(flooded)
    dwell_s = FIFTH.dwell_s
    patient = replace(PLAN, window_s=60)
    assert flooded.verdict(plan=patient, after_s=dwell_s - 1) is Action.HOLD
    assert flooded.verdict(plan=patient, after_s=dwell_s + 60) is Action.WIDEN


def test_a_flood_of_reports_from_many_blocks_passes_no_approval(flooded: Flooded) -> None:
    flood_of_health(flooded)
    asking = replace(PLAN, approval=Approval.EACH)
    later_s = FIFTH.dwell_s + WINDOW_S + 7200
    assert flooded.verdict(after_s=later_s) is Action.WIDEN
    assert flooded.verdict(plan=asking, after_s=later_s) is Action.HOLD


def test_reports_can_only_hold_widen_pause_and_halt() -> None:
    assert {action.value for action in Action} == {"hold", "widen", "pause", "halt"}


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.05])
@pytest.mark.parametrize("canaries", [0, 1, 5, 20, 100, 330, 1_000, 5_000, 20_000, 200_000])
@pytest.mark.parametrize("says", ["crash-loop", "nothing"])
def test_what_one_block_is_let_in_for_never_halts_nor_pauses(
    rate: float, canaries: int, says: str
) -> None:
    forged = allowance(canaries + allowance(canaries))
    began_at = NOW - timedelta(seconds=WINDOW_S + 7200)
    controls = canaries * FIRST.control_bp // FIRST.exposure_bp

    def cohort(arm: Arm, honest: int, more: int) -> Cohort:
        bad = round(honest * rate)
        return Cohort(
            arm=arm,
            epoch=1,
            platform=ANY,
            from_version="1.0.0",
            began_at=began_at,
            enrolled=honest + more,
            healthy=honest - bad,
            bad=bad + (more if says == "crash-loop" else 0),
            crash_loops=more if says == "crash-loop" else 0,
        )

    situation = Situation(
        plan=DEFAULT_PLAN,
        stage_epochs=(1,),
        stage_since=began_at,
        platforms=(ANY,),
        cohorts=(cohort(Arm.OFFERED, canaries, forged), cohort(Arm.CONTROL, controls, 0)),
        # Who is first in line is let in for two: then come others.
        opening=Opening(canaries=20, crash_loops=2 if says == "crash-loop" else 0),
        last_report_at=NOW,
    )
    assert judge(situation, NOW).action in {Action.HOLD, Action.WIDEN}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "6.6.6"}, "unknown"),
        ({"epoch": 2}, "unknown"),
        ({"from_version": "1.1.0"}, "impossible"),
        ({"hour": NOW.replace(year=2036)}, "future"),
        ({"hour": NOW.replace(year=2020)}, "late"),
    ],
)
def test_reports_that_cannot_be_true_move_nothing(
    flooded: Flooded, change: dict[str, Any], why: str
) -> None:
    flooded.fleet(20)
    before = (flooded.verdict(), flooded.enrolled())
    for number in range(200):
        flooded.send(client(number, flooded.cohort(**change)), f"203.0.{number}.1")
    assert (flooded.verdict(), flooded.enrolled()) == before
    assert flooded.dropped() == {why: 400}


def test_reports_that_are_replayed_move_nothing(flooded: Flooded) -> None:
    flooded.fleet(20)
    heard = client(0, flooded.cohort(), Outcome.BAD, Failure.HEALTH)
    flooded.send(heard, "203.0.0.1")
    before = (flooded.verdict(), flooded.enrolled())
    for number in range(200):
        flooded.send(heard, f"203.0.{number}.1")
    assert (flooded.verdict(), flooded.enrolled()) == before
    assert flooded.dropped()["repeated"] >= 400


def test_a_voice_that_was_heard_is_not_turned_round(flooded: Flooded) -> None:
    flooded.fleet(20)
    before = flooded.scene.reports.cohorts(APP, STABLE, "1.1.0")
    for number in range(20):
        turned = client(number, flooded.cohort())[1:]
        flooded.send(turned, f"203.0.{number}.1")
    assert flooded.scene.reports.cohorts(APP, STABLE, "1.1.0") == before


def test_outcomes_without_clients_move_nothing(flooded: Flooded) -> None:
    flooded.fleet(20)
    before = flooded.scene.reports.cohorts(APP, STABLE, "1.1.0")
    for number in range(200):
        flooded.send(client(10**6 + number, flooded.cohort())[1:], f"203.0.{number}.1")
    for _ in range(10):
        flooded.intake.flush()
    assert flooded.scene.reports.cohorts(APP, STABLE, "1.1.0") == before
    assert flooded.dropped() == {"unmatched": 200}


def test_reports_that_are_too_large_move_nothing(flooded: Flooded) -> None:
    padding = b" " * MAX_BATCH_BYTES
    data = dump_reports(client(1, flooded.cohort())) + padding
    answer = flooded.web.post(f"/{APP}/reports", data=data)
    assert answer.status_code == 413
    flooded.intake.flush()
    assert flooded.enrolled() == 0


def test_strangers_do_not_make_the_counts_grow_by_names_they_think_up(flooded: Flooded) -> None:
    for number in range(200):
        named = replace(
            flooded.cohort(), from_version=f"0.0.{number}", platform=Platform(f"beos-{number}")
        )
        flooded.send(client(number, named), f"203.0.{number}.1")
    [cohort] = flooded.scene.reports.cohorts(APP, STABLE, "1.1.0")
    assert (cohort.from_version, cohort.platform, cohort.enrolled) == ("other", "any", 200)
