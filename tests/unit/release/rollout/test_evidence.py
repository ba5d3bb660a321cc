"""What counts prove: bets that are fair, whoever looks and whenever."""

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.rollout.evidence import (
    Cell,
    combine,
    log_above_ceiling,
    log_below_ceiling,
    log_harm,
    log_mismatch,
    log_never,
    log_safety,
    ratio_interval,
)

SHARES = [0.01, 0.05, 0.5, 0.9]
COUNTS = st.integers(0, 400)
CELLS = st.lists(
    st.builds(
        Cell,
        bad_canary=COUNTS,
        bad_control=COUNTS,
        canary_share=st.floats(0.001, 0.999),
    ),
    max_size=6,
)


def _wealth_expected(
    log_e: Callable[[list[Cell]], float], shares: list[float], rho: float
) -> float:
    """The mean wealth after one bad outcome in each cell: every way it can come, by its chance."""
    mean = 0.0
    for falls_on_canary in itertools.product((True, False), repeat=len(shares)):
        chance, cells = 1.0, []
        for share, on_canary in zip(shares, falls_on_canary, strict=True):
            canary = rho * share / (rho * share + 1 - share)
            chance *= canary if on_canary else 1 - canary
            cells.append(Cell(bad_canary=on_canary, bad_control=not on_canary, canary_share=share))
        mean += chance * math.exp(log_e(cells))
    return mean


@pytest.mark.parametrize("share", SHARES)
def test_who_bets_on_harm_gains_nothing_from_a_harmless_release(share: float) -> None:
    shares = [share] * 8
    assert _wealth_expected(log_harm, shares, rho=1.0) == pytest.approx(1.0)
    assert _wealth_expected(log_harm, shares, rho=0.5) < 1.0
    assert _wealth_expected(log_harm, shares, rho=3.0) > 1.0


def test_the_bet_stays_fair_when_the_share_changes_from_epoch_to_epoch() -> None:
    shares = [0.01, 0.01, 0.05, 0.05, 0.25, 0.25, 0.5, 0.9]
    assert _wealth_expected(log_harm, shares, rho=1.0) == pytest.approx(1.0)
    assert _wealth_expected(lambda cells: log_safety(cells, 2.0), shares, 2.0) == pytest.approx(1.0)


@pytest.mark.parametrize("share", SHARES)
def test_who_bets_on_safety_gains_nothing_from_what_must_be_ruled_out(share: float) -> None:
    def log_safe(cells: list[Cell]) -> float:
        return log_safety(cells, 2.0)

    shares = [share] * 8
    assert _wealth_expected(log_safe, shares, rho=2.0) == pytest.approx(1.0)
    assert _wealth_expected(log_safe, shares, rho=4.0) < 1.0
    assert _wealth_expected(log_safe, shares, rho=1.0) > 1.0


@pytest.mark.parametrize("ceiling", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("log_rate", [log_above_ceiling, log_below_ceiling])
def test_who_bets_against_a_ceiling_gains_nothing_at_it(
    log_rate: Callable[[int, int, float], float], ceiling: float
) -> None:
    total = 30
    mean = sum(
        math.comb(total, bad)
        * ceiling**bad
        * (1 - ceiling) ** (total - bad)
        * math.exp(log_rate(bad, total, ceiling))
        for bad in range(total + 1)
    )
    assert mean == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5])
def test_who_bets_that_nobody_fares_badly_gains_nothing_where_so_many_do(share: float) -> None:
    all_well = (1 - share) ** 30
    assert all_well * math.exp(log_never(30, share)) == pytest.approx(1.0)


def test_cells_of_one_share_say_the_same_together_as_apart() -> None:
    apart = [Cell(bad_canary=bad, bad_control=9 - bad, canary_share=0.05) for bad in range(4)]
    together = [Cell(bad_canary=6, bad_control=30, canary_share=0.05)]
    assert log_harm(apart) == pytest.approx(log_harm(together))
    assert log_safety(apart, 2.0) == pytest.approx(log_safety(together, 2.0))


def test_arms_as_they_were_drawn_raise_no_suspicion_and_others_do() -> None:
    assert log_mismatch(500, 9500, 0.05) < 0
    assert log_mismatch(250, 9750, 0.05) > math.log(1000)
    assert log_mismatch(1000, 9000, 0.05) > math.log(1000)


@given(CELLS)
def test_no_count_breaks_the_arithmetic(cells: list[Cell]) -> None:
    interval = ratio_interval(cells, 0.01)
    values = [log_harm(cells), log_safety(cells, 2.0)]
    assert all(math.isfinite(value) for value in values)
    assert 0 <= interval.low <= interval.high


@given(CELLS)
def test_cells_add_up_whatever_their_order(cells: list[Cell]) -> None:
    assert log_harm(cells) == pytest.approx(log_harm(cells[::-1]), abs=1e-9)


def test_nothing_counted_proves_nothing() -> None:
    assert log_harm([]) == pytest.approx(0)
    assert log_safety([], 2.0) == pytest.approx(0)
    assert log_above_ceiling(0, 0, 0.1) == pytest.approx(0)
    assert ratio_interval([], 0.01).low == 0
    assert ratio_interval([], 0.01).high == math.inf


def test_one_more_bad_canary_is_more_harm_and_less_safety() -> None:
    def cells(bad: int) -> list[Cell]:
        return [Cell(bad_canary=bad, bad_control=50, canary_share=0.05)]

    harms = [log_harm(cells(bad)) for bad in range(30)]
    assert harms[4:] == sorted(harms[4:])
    safeties = [log_safety(cells(bad), 2.0) for bad in range(2, 30)]
    assert safeties == sorted(safeties, reverse=True)


@pytest.mark.parametrize("share", SHARES)
def test_the_interval_holds_what_was_counted_and_excludes_what_is_far(share: float) -> None:
    controls = 500
    canaries = round(2.0 * controls * share / (1 - share))
    interval = ratio_interval(
        [Cell(bad_canary=canaries, bad_control=controls, canary_share=share)], 0.01
    )
    assert interval.low < 2.0 < interval.high
    assert interval.high < 20


def test_shares_of_wealth_are_added_and_what_nobody_bets_stays() -> None:
    assert combine([(0.5, math.log(100)), (0.5, math.log(2))]) == pytest.approx(math.log(51))
    assert combine([(0.25, math.log(40))]) == pytest.approx(math.log(10.75))


def test_more_than_all_wealth_cannot_be_bet() -> None:
    with pytest.raises(ValueError, match="more than there is"):
        combine([(0.7, 0.0), (0.4, 0.0)])
