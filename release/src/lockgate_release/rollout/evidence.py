"""What counts prove about a release, however often one looks.

Each function returns the logarithm of an *e-value*: the wealth of somebody who began with 1 and
bet, fairly under a hypothesis, against that hypothesis. If the hypothesis is true, the chance that
the wealth ever reaches 1/a is at most a (Ville's inequality). So one may look after every report,
stop at any time, and correct nothing. Wealth that several bettors began with shares of 1 may be
added up; that is how rules and strata divide one error rate (`combine`).

Relative evidence looks at bad outcomes only. Given one, it fell on a canary with chance

    rho * k / (rho * k + 1 - k)

where k is the canary's share of the clients whose window has closed, and rho how many times more
often a canary fares badly. What is common to both arms, such as an outage, cancels (Lindon &
Malek, NeurIPS 2022, arXiv 2011.03567). The bets are spread over a grid of rho rather than over a
density: one rho holds in every cell, so that epochs and strata with other shares multiply without
beginning anew, and no special function is needed (decision 0012).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "GAINS",
    "HARMS",
    "RATES",
    "Cell",
    "Interval",
    "combine",
    "log_above_ceiling",
    "log_below_ceiling",
    "log_harm",
    "log_mismatch",
    "log_never",
    "log_safety",
    "ratio_interval",
]


def _geometric(low: float, high: float, count: int) -> tuple[float, ...]:
    step = (high / low) ** (1 / (count - 1))
    return tuple(low * step**place for place in range(count))


HARMS = _geometric(1.2, 15.0, 24)
"""The ratios that are bet on where harm is looked for."""

GAINS = _geometric(0.125, 1 / 1.1, 24)
"""The ratios that are bet on where safety is looked for, as multiples of what must be ruled out."""

_BOTH = _geometric(1 / 64, 64.0, 49)
"""The ratios that are bet on where an interval is asked for."""

RATES = _geometric(1.1, 20.0, 12)
"""The odds, as multiples of a ceiling's, that are bet on where a ceiling is in question."""


_HALVINGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The bad outcomes of one epoch in one stratum.

    Attributes:
        bad_canary: Among clients that were offered the release, >= 0.
        bad_control: Among clients that only report, >= 0.
        canary_share: The canary's share of both arms, strictly between 0 and 1.
    """

    bad_canary: int
    bad_control: int
    canary_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What the counts have not ruled out, at the level it was asked for, at any time.

    Attributes:
        low: The lowest ratio; 0 where none was ruled out below.
        high: The highest ratio; infinite where none was ruled out above.
    """

    low: float
    high: float


def log_harm(cells: Iterable[Cell]) -> float:
    """Return the evidence that canaries fare worse, against "at most as badly"."""
    return _log_mixture(cells, HARMS, against=1.0)


def log_safety(cells: Iterable[Cell], worst_ratio: float) -> float:
    """Return the evidence that canaries fare less than `worst_ratio` times as badly.

    Args:
        cells: What was counted.
        worst_ratio: The ratio that must be ruled out, > 1.
    """
    ratios = tuple(worst_ratio * gain for gain in GAINS)
    return _log_mixture(cells, ratios, against=worst_ratio)


def ratio_interval(cells: Iterable[Cell], alpha: float) -> Interval:
    """Return the ratios that are not ruled out at level `alpha`, looked at however often."""
    counted = _Counted.of(cells)
    likelihoods = {ratio: counted.log_likelihood(ratio) for ratio in _BOTH}
    least = _log_mean(list(likelihoods.values())) + math.log(alpha)
    likeliest = max(likelihoods, key=lambda ratio: likelihoods[ratio])

    def is_held(ratio: float) -> bool:
        return counted.log_likelihood(ratio) > least

    return Interval(
        low=0.0 if is_held(_BOTH[0]) else _edge(is_held, likeliest, _BOTH[0]),
        high=math.inf if is_held(_BOTH[-1]) else _edge(is_held, likeliest, _BOTH[-1]),
    )


def _edge(is_held: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return where holding ends: the likelihood falls on both sides of its only peak."""
    for _ in range(_HALVINGS):
        middle = math.sqrt(inside * outside)
        if is_held(middle):
            inside = middle
        else:
            outside = middle
    return outside


def log_above_ceiling(bad: int, total: int, ceiling: float) -> float:
    """Return the evidence that more than `ceiling` of all fare badly, against "at most so many".

    Args:
        bad: How many fared badly.
        total: How many there were.
        ceiling: A share, strictly between 0 and 1.
    """
    return _log_rates(bad, total, ceiling, RATES)


def log_below_ceiling(bad: int, total: int, ceiling: float) -> float:
    """Return the evidence that less than `ceiling` of all fare badly, against "at least so many".

    Says something even where nobody fared badly, which no ratio can. The arguments are as for
    `log_above_ceiling`.
    """
    return _log_rates(bad, total, ceiling, tuple(1 / odds for odds in RATES))


def log_never(total: int, share: float) -> float:
    """Return the evidence of `total` clients, all of them well, that fewer than `share` fare badly.

    The first that fares badly ends this bet with nothing, so it is worth something only until
    then; the same is true of a ratio the other way round.

    Args:
        total: How many there were.
        share: What is to be ruled out, strictly between 0 and 1.
    """
    return -total * math.log1p(-share)


def log_mismatch(canary: int, control: int, canary_share: float) -> float:
    """Return the evidence that the arms are not as large as they were drawn.

    Args:
        canary: How many enrolled in the canary.
        control: How many enrolled in control.
        canary_share: The share of the canary, as drawn.
    """
    drawn = (Cell(bad_canary=canary, bad_control=control, canary_share=canary_share),)
    both_ways = (*RATES, *(1 / odds for odds in RATES))
    return _log_mixture(drawn, both_ways, against=1.0)


def combine(shares: Sequence[tuple[float, float]]) -> float:
    """Return the log of one e-value made of several, each of which began with a share of 1.

    Args:
        shares: Pairs of a share, > 0, and the logarithm of an e-value. What is missing to 1 is
            wealth that nobody bets: a later stratum may begin with it.

    Raises:
        ValueError: The shares are more than 1.
    """
    spare = 1 - math.fsum(share for share, _ in shares)
    if spare < -1e-9:
        raise ValueError("the shares are more than there is")
    terms = [math.log(share) + log_value for share, log_value in shares]
    if spare > 0:
        terms.append(math.log(spare))
    return _log_sum(terms)


def _log_rates(bad: int, total: int, ceiling: float, multiples: Sequence[float]) -> float:
    odds = ceiling / (1 - ceiling)
    terms = []
    for multiple in multiples:
        rate = multiple * odds / (1 + multiple * odds)
        terms.append(
            bad * math.log(rate / ceiling) + (total - bad) * math.log((1 - rate) / (1 - ceiling))
        )
    return _log_mean(terms)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Cells, put together as far as they say the same about a ratio."""

    bad_canary: int
    bad_by_share: Mapping[float, int]

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> _Counted:
        bad_canary, by_share = 0, Counter[float]()
        for cell in cells:
            bad = cell.bad_canary + cell.bad_control
            if bad:
                bad_canary += cell.bad_canary
                by_share[cell.canary_share] += bad
        return cls(bad_canary, by_share)

    def log_likelihood(self, ratio: float) -> float:
        """Return how much likelier the counts are at this ratio than at 1, as a logarithm.

        On a canary, an outcome is `ratio / (1 + share * (ratio - 1))` times as likely as at 1, and
        in control it is the same without the numerator.
        """
        shared = (bad * math.log1p(share * (ratio - 1)) for share, bad in self.bad_by_share.items())
        return self.bad_canary * math.log(ratio) - math.fsum(shared)


def _log_mixture(cells: Iterable[Cell], ratios: Sequence[float], *, against: float) -> float:
    counted = _Counted.of(cells)
    mixture = _log_mean([counted.log_likelihood(ratio) for ratio in ratios])
    return mixture - counted.log_likelihood(against)


def _log_mean(terms: Sequence[float]) -> float:
    return _log_sum(terms) - math.log(len(terms))


def _log_sum(terms: Sequence[float]) -> float:
    largest = max(terms)
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms))
