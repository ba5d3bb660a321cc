"""How often the rules for rollouts err, and how soon they see harm, beside a counter and a z-test.

The shipped rules, all of them, looked at after every hour; 2,000 rollouts for each row. What is
known of an outcome is known at once, every bad one is a crash loop, and windows close after a day.
Rivals: Flagger's counter (100 requests an interval, limit 1 %, 10 strikes, 60 intervals), and a
one-sided z-test at 1 % that is looked at as often as our rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bench.table import Table
from lockgate_cli.simulating.trials import Endings, Fleet, Forgery, run_trials
from lockgate_cli.simulating.vector_controller import Integers, Says
from lockgate_release.rollout.plan import DEFAULT_PLAN, Plan

RUNS = 2_000
_DAY = 24
_ERRORS_BAR = 0.01
_CAUGHT_BAR = 330
_SLOW, _QUICK = 0.002, 0.08
"""What part of the clients enrols within an hour: 10 canaries of 100,000, or most in a day."""

_HEADS = ("what", "bad in control", "bad canaries", "halted", "paused", "took a step")
_MORE = ("reached everybody", "canaries at a halt (median)", "soonest to everybody", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    what: str
    plan: Plan
    fleet: Fleet
    days: int
    seed: int
    first_stage_only: bool = False
    bar_halted: bool = False
    bar_widened: bool = False
    bar_caught: bool = False


def run() -> Table:
    """Simulate every row."""
    table = Table(heads=(*_HEADS, *_MORE))
    for case in (*_harmless(), *_harmful(), *_twice_as_bad(), *_forged()):
        fleet = case.fleet
        endings = run_trials(
            case.plan,
            fleet,
            runs=RUNS,
            hours=case.days * _DAY,
            seed=case.seed,
            first_stage_only=case.first_stage_only,
        )
        rates = (_percent(fleet.base_rate), _percent(fleet.bad_rate))
        table.add(case.what, *rates, *_cells(table, case, endings), case.seed)
    _add_rivals(table)
    return table


def _cells(table: Table, case: _Case, endings: Endings) -> tuple[str, ...]:
    halted, widened = round(endings.halted, 4), round(endings.widened, 4)
    caught, done = endings.median(endings.canaries), endings.says == Says.FINISHED
    return (
        table.judge(halted, at_most=_ERRORS_BAR) if case.bar_halted else _percent(halted),
        _percent(endings.share_of(Says.UNEQUAL_ARMS)),
        table.judge(widened, at_most=_ERRORS_BAR) if case.bar_widened else _percent(widened),
        "" if case.first_stage_only else _percent(float(done.mean())),
        table.judge(caught, at_most=_CAUGHT_BAR)
        if case.bar_caught
        else ("" if np.isnan(caught) else f"{caught:,.0f}"),
        _soonest(table, case.plan, endings.hours[done]),
    )


def _soonest(table: Table, plan: Plan, hours: Integers) -> str:
    """Return the shortest way to everybody, and count it as missed if the plan takes longer."""
    if not len(hours):
        return ""
    table.missed += int(hours.min()) * 3600 < sum(stage.dwell_s for stage in plan.stages)
    return f"{hours.min()} h"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _harmless() -> list[_Case]:
    sizes = {0.005: 1_000_000, 0.02: 400_000, 0.05: 400_000}
    return [
        _Case(
            what=f"harmless, default plan, {clients:,} clients",
            plan=DEFAULT_PLAN,
            fleet=Fleet(clients=clients, base_rate=rate, bad_rate=rate, enrolling=_QUICK),
            days=12,
            seed=1,
            bar_halted=True,
        )
        for rate, clients in sizes.items()
    ]


def _two_stages(canary_bp: int, control_bp: int, dwell_days: int) -> Plan:
    first = replace(
        DEFAULT_PLAN.stages[0],
        exposure_bp=canary_bp,
        control_bp=control_bp,
        dwell_s=dwell_days * 86400,
    )
    return replace(DEFAULT_PLAN, stages=(first, DEFAULT_PLAN.stages[-1]))


def _harmful() -> list[_Case]:
    pairs = ((0.005, 0.01), (0.005, 0.015), (0.005, 0.025), (0.005, 0.05), (0.02, 0.06))
    plan = _two_stages(500, 9500, 365)
    return [
        _Case(
            what="harmful, 5 % canary, the rest in control",
            plan=plan,
            fleet=Fleet(
                clients=400_000 if bad < 0.02 else 100_000,
                base_rate=base,
                bad_rate=bad,
                enrolling=_SLOW,
            ),
            days=16,
            seed=2,
            first_stage_only=True,
            bar_caught=(base, bad) == (0.005, 0.025),
        )
        for base, bad in pairs
    ]


def _twice_as_bad() -> list[_Case]:
    arms = {
        "5 % canary, the rest in control": (500, 9500, 100_000),
        "equal arms": (5000, 5000, 10_000),
    }
    return [
        _Case(
            what=f"twice as bad, {name}",
            plan=_two_stages(canary_bp, control_bp, 1),
            fleet=Fleet(clients=clients, base_rate=base, bad_rate=2 * base, enrolling=_QUICK),
            days=6,
            seed=3,
            first_stage_only=True,
            bar_widened=base >= 0.005,
        )
        for name, (canary_bp, control_bp, clients) in arms.items()
        for base in (0.0005, 0.005, 0.02, 0.05)
    ]


def _forged() -> list[_Case]:
    contents = (
        (
            "harmless; {} forged, all as canaries that crash",
            0.005,
            Forgery(share=0, as_canaries=True),
        ),
        ("harmless; {} forged, in their arms, canaries crash", 0.005, Forgery(share=0)),
        (
            "harmful; {} forged, in their arms, control crashes",
            0.025,
            Forgery(share=0, bad_canaries=0.0, bad_controls=1.0),
        ),
    )
    return [
        _Case(
            what=what.format(_percent(share)),
            plan=DEFAULT_PLAN,
            fleet=Fleet(
                clients=400_000,
                base_rate=0.005,
                bad_rate=bad,
                enrolling=_QUICK,
                forgery=replace(content, share=share),
            ),
            days=8,
            seed=4,
        )
        for what, bad, content in contents
        for share in (0.01, 0.05, 0.2)
    ]


def _add_rivals(table: Table) -> None:
    """Add what others do, on draws of the same sizes."""
    random = np.random.default_rng(5)
    for rate in (0.005, 0.009, 0.02):
        failed = random.binomial(100, rate, (RUNS, 60)) > 1
        halted = float((failed.sum(axis=1) >= 10).mean())
        blank = ("", "", "", "", "", 5)
        table.add("rival: Flagger's counter", "", _percent(rate), _percent(halted), *blank)
    for rate in (0.005, 0.02, 0.05):
        halted = _peeked_z_test(random, rate)
        table.add(
            "rival: z-test at 1 %, looked at hourly",
            _percent(rate),
            _percent(rate),
            _percent(halted),
            *("", "", "", "", "", 5),
        )


def _peeked_z_test(random: np.random.Generator, rate: float) -> float:
    """Return how often it halts a harmless release: 10 canaries and 190 in control an hour."""
    hours = np.arange(1, 16 * _DAY + 1)
    canaries, controls = 10 * hours, 190 * hours
    bad_canaries = random.binomial(10, rate, (RUNS, len(hours))).cumsum(axis=1)
    bad_controls = random.binomial(190, rate, (RUNS, len(hours))).cumsum(axis=1)
    pooled = (bad_canaries + bad_controls) / (canaries + controls)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / canaries + 1 / controls))
    z = (bad_canaries / canaries - bad_controls / controls) / spread
    return float((z > 2.326).any(axis=1).mean())
