"""What experiments make of what a store does, and what they leave in it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from lockgate_release.errors import DiskFullError, LocalError, TransportError
from lockgate_server.ports import Always
from lockgate_server.stores.probing.checking import Surroundings, check_store, refuse_weak_store
from lockgate_server.stores.probing.findings import (
    Answer,
    Experiment,
    Finding,
    LackingError,
    WeakStoreError,
    carry_out,
    refuse_weak,
)
from lockgate_server.stores.probing.races import Outcome, judge_race
from tests.simulators.faulty_store import Fault, FaultyStore, KilledError, Moment, kill, time_out
from tests.simulators.memory_store import MemoryStore

WON, LOST, UNSURE = Outcome.WON, Outcome.LOST, Outcome.UNSURE
NOW = datetime(2026, 2, 1, 8, tzinfo=UTC)
BODIES = [b"a", b"b", b"c"]
ADDRESS = "s3://releases"


def around(now: datetime = NOW, run: str = "0123") -> Surroundings:
    return Surroundings(run=run, now=lambda: now, sleep=lambda _: pytest.fail("it waited"))


def empty_store() -> MemoryStore:
    return MemoryStore(clock=lambda: NOW)


# --- races -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "content", "winners"),
    [
        ([WON, LOST, LOST], b"a", 1),
        ([LOST, WON, UNSURE], b"b", 1),
        ([LOST, UNSURE, LOST], b"b", 0),
        ([LOST, LOST, LOST], b"before", 0),
    ],
)
def test_a_race_with_at_most_one_winner_whose_bytes_are_there_is_sound(
    told: Sequence[Outcome], content: bytes | None, winners: int
) -> None:
    assert judge_race(told, BODIES, content) == winners


@pytest.mark.parametrize(
    ("told", "content", "found"),
    [
        ([WON, WON, LOST], b"a", "2 of 3 writers"),
        ([WON, LOST, LOST], b"b", "not what the only winner wrote"),
        ([WON, UNSURE, LOST], b"b", "not what the only winner wrote"),
        ([WON, LOST, LOST], None, "not what the only winner wrote"),
        ([LOST, LOST, UNSURE], b"a", "told that it had lost"),
    ],
)
def test_a_race_that_went_wrong_is_a_lack(
    told: Sequence[Outcome], content: bytes | None, found: str
) -> None:
    with pytest.raises(LackingError, match=found):
        judge_race(told, BODIES, content)


def test_a_race_in_which_nobody_got_an_answer_says_nothing() -> None:
    with pytest.raises(TransportError):
        judge_race([UNSURE, UNSURE, UNSURE], BODIES, None)


# --- findings --------------------------------------------------------------------------------


def finding(answer: Answer, *, is_needed: bool = True) -> Finding:
    return Finding(code="x", name="stand on its head", is_needed=is_needed, answer=answer, found="")


def test_a_store_without_something_that_is_needed_is_refused_by_name() -> None:
    with pytest.raises(WeakStoreError, match="stand on its head"):
        refuse_weak([finding(Answer.YES), finding(Answer.NO), finding(Answer.UNKNOWN)], ADDRESS)


def test_could_not_find_out_is_neither_yes_nor_no() -> None:
    with pytest.raises(TransportError, match="well enough to be judged"):
        refuse_weak([finding(Answer.YES), finding(Answer.UNKNOWN)], ADDRESS)


@pytest.mark.parametrize("answer", list(Answer))
def test_what_is_nice_to_have_may_be_missing(answer: Answer) -> None:
    refuse_weak([finding(Answer.YES), finding(answer, is_needed=False)], ADDRESS)


@pytest.mark.parametrize(
    ("error", "answer", "found"),
    [
        (LackingError("upside down"), Answer.NO, "upside down"),
        (LocalError("refused", found="403 AccessDenied"), Answer.NO, "403 AccessDenied"),
        (TransportError("no answer", found="500"), Answer.UNKNOWN, "500"),
        (TransportError("no answer"), Answer.UNKNOWN, "no answer"),
    ],
)
def test_an_experiment_that_fails_says_how(error: Exception, answer: Answer, found: str) -> None:
    def run() -> str:
        raise error

    (only,) = carry_out([Experiment(code="x", name="stand", is_needed=True, run=run)])
    assert (only.answer, only.found) == (answer, found)


# --- what is left ----------------------------------------------------------------------------


def test_a_sound_store_has_all_that_is_needed_and_holds_no_trace_of_it() -> None:
    store = empty_store()
    found = list(check_store(store, around()))
    assert {one.code: one.answer for one in found if one.answer is not Answer.YES} == {}
    assert len({one.code for one in found}) == len(found) == 10
    refuse_weak_store(store, ADDRESS, around())
    assert list(store.list("")) == []


def test_what_others_keep_is_left_alone() -> None:
    store = empty_store()
    for key in ("app/metadata/timestamp.json", "health/other", "health/probe/4567-create"):
        store.put(key, b"x", Always())
    before = [info.key for info in store.list("")]
    list(check_store(store, around()))
    assert [info.key for info in store.list("")] == before


def test_what_a_killed_probe_has_left_goes_a_day_later() -> None:
    store = FaultyStore(empty_store())
    store.plan(kill(Moment.AFTER, "put", skip=2), kill(Moment.BEFORE, "delete"))
    with pytest.raises(KilledError):
        refuse_weak_store(store, ADDRESS, around())
    store.heal()
    left = [info.key for info in store.list("")]
    assert left
    refuse_weak_store(store, ADDRESS, around(NOW + timedelta(hours=23), run="4567"))
    assert [info.key for info in store.list("")] == left
    refuse_weak_store(store, ADDRESS, around(NOW + timedelta(hours=25), run="4567"))
    assert list(store.list("")) == []


def test_a_disk_that_is_full_is_not_called_weak() -> None:
    def fill_up(_: str) -> None:
        raise DiskFullError("no space left")

    store = FaultyStore(empty_store())
    store.plan(Fault("put", "*", Moment.BEFORE, fill_up, times=-1))
    with pytest.raises(DiskFullError):
        refuse_weak_store(store, ADDRESS, around())


def test_a_store_that_falls_silent_in_the_middle_is_not_called_weak() -> None:
    store = FaultyStore(empty_store())
    store.plan(time_out(Moment.BEFORE, "put", skip=1, times=-1))
    with pytest.raises(TransportError, match="well enough to be judged"):
        refuse_weak_store(store, ADDRESS, around())


def test_a_clock_that_is_off_is_said() -> None:
    an_hour_ago = around(NOW - timedelta(hours=1))
    found = {one.code: one for one in check_store(empty_store(), an_hour_ago)}
    assert found["clock"].answer is Answer.NO
    assert "3600 s ahead" in found["clock"].found
