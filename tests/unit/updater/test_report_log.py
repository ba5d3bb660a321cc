"""Whatever a client sees, in whatever order: one nonce for each arm, one outcome for each nonce."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.decision import Considered, Decision, Held, Obstacle, Offer, UpToDate
from lockgate_release.gate import Arm
from lockgate_release.names import ChannelName, Platform
from lockgate_release.reports import Active, Enrolled, Failure, Fared, Outcome, Report
from lockgate_updater.report.log import (
    MAX_KEPT,
    Answer,
    Log,
    Look,
    next_batch,
    with_answer,
    with_control,
    with_look,
    with_obstacle,
    with_trial,
)
from lockgate_updater.report.patience import PATIENCE
from tests.unit.release import builders

STABLE = ChannelName("stable")
NOON = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
TAKEN, BUSY = Answer(status=202, text=""), Answer(status=503, text="")
VERSIONS = ("2.0.0", "2.1.0")


def _drawing() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{next(numbers):032x}"


def _offered(version: str, epoch: int = 1) -> Offer:
    found = builders.trusted(version)
    artifact = found.document.artifacts[0]
    return Offer(release=found, artifact=artifact, arm=Arm.OFFERED, epoch=epoch, reason="")


def _held(version: str) -> Held:
    said = Considered(version=version, obstacle=Obstacle.CONTROL, text="")
    return Held(obstacle=Obstacle.CONTROL, reason="", considered=(said,))


def _look(
    decision: Decision,
    *,
    epoch: int = 1,
    now: datetime = NOON,
    installed: str = "1.0.0",
    on_trial: str = "",
    is_manual: bool = False,
    has_check: bool = False,
    failed: frozenset[str] = frozenset(),
) -> Look:
    return Look(
        now=now,
        channel=STABLE,
        platform=Platform("linux-x86_64"),
        installed=installed,
        on_trial=on_trial,
        failed=failed,
        has_check=has_check,
        is_manual=is_manual,
        decision=decision,
        epochs=dict.fromkeys(VERSIONS, epoch),
    )


STEPS = st.one_of(
    st.builds(
        lambda decision, **seen: lambda log, draw: with_look(log, _look(decision, **seen), draw),
        st.one_of(
            st.sampled_from(VERSIONS).map(_offered),
            st.sampled_from(VERSIONS).map(_held),
            st.just(UpToDate(version="1.0.0", reason="")),
        ),
        epoch=st.integers(1, 3),
        now=st.integers(-50, 50).map(lambda hours: NOON + timedelta(hours=hours)),
        installed=st.sampled_from(["1.0.0", "1.0.0", "1.0.0", "", *VERSIONS]),
        on_trial=st.sampled_from(["", "", "", "", *VERSIONS]),
        is_manual=st.sampled_from([False, False, False, True]),
        has_check=st.booleans(),
        failed=st.frozensets(st.sampled_from(VERSIONS)),
    ),
    st.builds(
        lambda version, failure: (
            lambda log, _: with_trial(
                log, STABLE, version, Outcome.BAD if failure else Outcome.HEALTHY, failure
            )
        ),
        st.sampled_from(VERSIONS),
        st.sampled_from([Failure.NONE, Failure.HEALTH, Failure.CRASH_LOOP]),
    ),
    st.builds(
        lambda version, failure, patience: (
            lambda log, _: with_obstacle(log, STABLE, version, failure, now=NOON, patience=patience)
        ),
        st.sampled_from(VERSIONS),
        st.sampled_from([Failure.DOWNLOAD, Failure.VERIFY, Failure.INSTALL]),
        st.sampled_from([timedelta(0), timedelta(hours=2), PATIENCE]),
    ),
    st.just(lambda log, _: with_control(log, STABLE, Outcome.BAD, Failure.HEALTH)),
)


@given(
    steps=st.lists(st.tuples(STEPS, st.sampled_from([None, TAKEN, BUSY])), min_size=5, max_size=40)
)
def test_each_arm_has_one_nonce_and_each_nonce_one_outcome_after_its_enrolment(
    steps: list[tuple[Callable[[Log, Callable[[], str]], Log], Answer | None]],
) -> None:
    log, draw, heard = Log(), _drawing(), list[Report]()
    for step, answer in steps:
        log = step(log, draw)
        if answer is not None and (batch := next_batch(log, NOON)):
            heard += batch if answer is TAKEN else ()
            log = with_answer(log, batch, answer, NOON)
    said = [*heard, *log.waiting]
    arms = Counter(
        (one.cohort.version, one.cohort.arm, one.cohort.arm is Arm.CONTROL and one.cohort.epoch)
        for one in said
        if isinstance(one, Enrolled)
    )
    assert set(arms.values()) <= {1}
    known: dict[str, Enrolled] = {}
    told = Counter[str]()
    for one in said:
        if isinstance(one, Enrolled):
            known[one.nonce] = one
        if isinstance(one, Fared):
            told[one.nonce] += 1
            assert one.cohort == known[one.nonce].cohort
            assert (one.outcome is Outcome.HEALTHY) is (one.failure is Failure.NONE)
    assert set(told.values()) <= {1}
    assert sum(isinstance(one, Active) for one in log.waiting) <= 1


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (_look(_offered("2.0.0"), now=NOON + PATIENCE / 2), None),
        (_look(_offered("2.0.0"), now=NOON + PATIENCE), (Outcome.NOT_INSTALLED, Failure.DOWNLOAD)),
        (_look(_offered("2.1.0")), (Outcome.NOT_INSTALLED, Failure.DOWNLOAD)),
        (_look(_offered("2.0.0"), on_trial="2.0.0", now=NOON + PATIENCE), None),
        (_look(_held("2.1.0"), installed="2.0.0"), (Outcome.HEALTHY, Failure.NONE)),
        (_look(_held("2.1.0"), failed=frozenset({"2.0.0"})), (Outcome.BAD, Failure.EXIT)),
    ],
)
def test_what_was_not_told_when_it_happened_is_seen_at_the_next_look(
    later: Look, expected: tuple[Outcome, Failure] | None
) -> None:
    draw = _drawing()
    log = with_look(Log(), _look(_offered("2.0.0")), draw)
    log = with_obstacle(log, STABLE, "2.0.0", Failure.DOWNLOAD, now=NOON)
    log = with_look(log, later, draw)
    told = [
        (one.outcome, one.failure)
        for one in log.waiting
        if isinstance(one, Fared) and one.cohort.version == "2.0.0"
    ]
    assert told == ([] if expected is None else [expected])


def test_too_much_that_waits_loses_its_oldest() -> None:
    log, draw = Log(), _drawing()
    for epoch in range(1, 3 * MAX_KEPT):
        log = with_look(log, _look(_held("2.0.0"), epoch=epoch), draw)
    assert len(log.waiting) == len(log.enrolments) == MAX_KEPT
    assert log.enrolments[-1].cohort.epoch == 3 * MAX_KEPT - 1


def test_a_day_is_said_again_until_it_was_heard_and_then_on_the_next_day() -> None:
    log, draw = Log(), _drawing()
    quiet = UpToDate(version="1.0.0", reason="")
    log = with_look(log, _look(quiet), draw)
    log = with_answer(log, next_batch(log, NOON), BUSY, NOON)
    log = with_look(log, _look(quiet), draw)
    (said,) = log.waiting
    assert isinstance(said, Active)
    assert said.last_counted is None
    log = with_answer(log, next_batch(log, NOON), TAKEN, NOON)
    assert with_look(log, _look(quiet), draw).waiting == ()
    (next_day,) = with_look(log, _look(quiet, now=NOON + timedelta(days=1)), draw).waiting
    assert isinstance(next_day, Active)
    assert next_day.last_counted == date(2026, 5, 1)
