"""Everything that `lockgate simulate` does, in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lockgate_cli.simulating.course import Rates, follow
from lockgate_cli.simulating.population import draw_population
from lockgate_cli.simulating.scene import KINDS
from lockgate_cli.simulating.telling import Told
from lockgate_cli.simulating.trials import Fleet, run_trials
from lockgate_cli.simulating.vector_gate import draw_places
from lockgate_release.names import format_percentage
from lockgate_release.rollout.plan import Plan

__all__ = ["Wish", "run_simulation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be simulated; shares are 0 to 1.

    Attributes:
        clients: How many there are.
        base: The share that fares badly as it is.
        bad: The share that fares badly with the release.
        reporting: The share that reports.
        slow: The share that is on one day in seven.
        days: When to stop, whatever has happened.
        seed: What chance begins with.
        runs: How many more rollouts are led through, to see how often they end how.
        processes: How many work at the gate.
    """

    clients: int
    base: float
    bad: float
    reporting: float
    slow: float
    days: int
    seed: int
    runs: int
    processes: int = 2


def run_simulation(plan: Plan, wish: Wish, *, tell: Callable[[str], None]) -> Told:
    """Return how a plan goes on a fleet.

    Args:
        plan: The plan.
        wish: The fleet, and how clients fare.
        tell: Is told how far it has got.
    """
    salt = np.random.default_rng((wish.seed, 1 << 34)).bytes(16).hex()
    tell("placing every client at the gate")
    places = draw_places(salt, wish.clients, seed=wish.seed, processes=wish.processes)
    population = draw_population(
        places, kinds=len(KINDS), seed=wish.seed, reporting=wish.reporting, slow=wish.slow
    )
    course = follow(
        plan,
        population,
        Rates(base=wish.base, bad=wish.bad),
        salt=salt,
        seed=wish.seed,
        most_hours=wish.days * 24,
        tell=lambda stage: tell(f"stage {format_percentage(plan.stages[stage].exposure_bp)}"),
    )
    tell(f"{wish.runs} more rollouts of a harmless release, and of this one")
    harmless, others = (
        run_trials(
            plan,
            Fleet(
                clients=round(wish.clients * wish.reporting),
                base_rate=wish.base,
                bad_rate=bad,
                platforms=len(KINDS),
                versions=1,
            ),
            runs=wish.runs,
            hours=wish.days * 24,
            seed=wish.seed + offset,
        )
        for offset, bad in enumerate((wish.base, wish.bad), start=1)
    )
    return Told(
        clients=wish.clients,
        rates=Rates(base=wish.base, bad=wish.bad),
        seed=wish.seed,
        course=course,
        harmless=harmless,
        others=others,
    )
