"""How long a client keeps quiet of a release it cannot install: never past the window."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.documents import ChannelOffer
from lockgate_release.durations import format_duration
from lockgate_release.rollout.counts import COHORT
from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_release.rollout.progress import begin
from lockgate_updater.report.patience import PATIENCE, patience_with
from tests.unit.release import builders


def offer_with(progress: Any) -> ChannelOffer:
    rollout = builders.rollout(1_000, progress=progress)
    return builders.offer_of(builders.trusted("2.0.0")).with_rollout(rollout)


def with_window(window: str) -> ChannelOffer:
    return offer_with({"plan": {"window": window}})


@pytest.mark.parametrize(
    ("window", "every_s", "hours"),
    [("24h", 3600, 6), ("6h", 3600, 4), ("3h", 3600, 1), ("1h", 3600, 0), ("24h", 86400, 0)],
)
def test_it_ends_two_looks_before_the_window_does(window: str, every_s: int, hours: int) -> None:
    assert patience_with(with_window(window), every_s) == timedelta(hours=hours)


def test_the_window_of_a_real_plan_is_read() -> None:
    plan = replace(DEFAULT_PLAN, window_s=5 * 3600)
    progress = begin(plan, name="", now=builders.NOW).to_json()
    assert patience_with(offer_with(progress), 3600) == timedelta(hours=3)


@pytest.mark.parametrize(
    "progress",
    [None, {}, {"plan": None}, {"plan": []}, {"plan": {}}, {"plan": {"window": 5}}]
    + [{"plan": {"window": said}} for said in ("", "soon", "-1h", "9" * 30 + "h")],
)
def test_a_plan_that_cannot_be_read_leaves_it_as_it_was(progress: Any) -> None:
    assert patience_with(offer_with(progress), 3600) == PATIENCE


@given(window_s=st.integers(60, 30 * 86400), every_s=st.integers(60, 86400))
def test_who_looks_on_time_is_heard_before_the_cohort_closes(window_s: int, every_s: int) -> None:
    window = timedelta(seconds=window_s)
    patience = patience_with(with_window(format_duration(window_s)), every_s)
    assert timedelta(0) <= patience <= PATIENCE
    # A look comes at most a fifth late; the first one after that tells.
    heard = patience + timedelta(seconds=1.2 * every_s)
    assert heard <= COHORT + window or not patience
