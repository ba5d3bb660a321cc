"""Recovery is pure and total: a test for each row of its table, and none for a row it lacks."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.names import Sha256Hex
from lockgate_updater.install.recovery import (
    MAX_RECOVERIES,
    Action,
    ActionName,
    Facts,
    derive,
    recover,
)
from lockgate_updater.state.journal import Attempt, Record, State

OLD, NEW, OTHER = "1.0.0-00000001", "2.0.0-00000002", "0.9.0-00000009"


def _record(
    state: State, *, tries_left: int = 1, back_to: str = OLD, recoveries: int = 0
) -> Record:
    attempt = Attempt(
        id="a",
        folder=NEW,
        version="2.0.0",
        release_sha256=Sha256Hex("0" * 64),
        back_to=back_to,
        tries_left=tries_left,
    )
    return Record(state=state, installed=OLD, attempt=attempt, recoveries=recoveries)


def _facts(*trees: str, current: str = OLD, good: tuple[str, ...] = (OLD,)) -> Facts:
    return Facts(
        current=current,
        trees=frozenset(trees),
        good=tuple(folder for folder in good if folder in trees),
    )


ROWS = [
    (Record(installed=OLD), _facts(OLD), Action(ActionName.NOTHING)),
    (Record(), _facts(current=""), Action(ActionName.NOTHING)),
    (Record(installed=OLD), _facts(OLD, NEW, current=NEW), Action(ActionName.REST_AT, OLD)),
    (Record(installed=OLD), _facts(OLD, current=""), Action(ActionName.REST_AT, OLD)),
    (Record(), _facts(NEW, current=NEW), Action(ActionName.REST_AT, "")),
    (
        Record(installed=OLD),
        _facts(OTHER, current=OLD, good=(OTHER,)),
        Action(ActionName.REST_AT, OTHER),
    ),
    (Record(installed=OLD), _facts(NEW, current=OLD), Action(ActionName.REST_AT, "")),
    (_record(State.DOWNLOADING), _facts(OLD), Action(ActionName.DROP_ATTEMPT)),
    (_record(State.STAGED), _facts(OLD, NEW), Action(ActionName.KEEP_STAGED, NEW)),
    (_record(State.STAGED), _facts(OLD), Action(ActionName.DROP_ATTEMPT)),
    (
        _record(State.STAGED, recoveries=MAX_RECOVERIES),
        _facts(OLD, NEW),
        Action(ActionName.DROP_ATTEMPT),
    ),
    (_record(State.TRIAL), _facts(OLD, NEW), Action(ActionName.CONTINUE_TRIAL, NEW)),
    (_record(State.TRIAL, tries_left=0), _facts(OLD, NEW), Action(ActionName.ROLL_BACK, OLD)),
    (_record(State.TRIAL), _facts(OLD), Action(ActionName.ROLL_BACK, OLD)),
    (
        _record(State.TRIAL, recoveries=MAX_RECOVERIES),
        _facts(OLD, NEW),
        Action(ActionName.ROLL_BACK, OLD),
    ),
    (
        _record(State.TRIAL, tries_left=0, back_to=""),
        _facts(NEW, good=()),
        Action(ActionName.ROLL_BACK, ""),
    ),
    (_record(State.COMMITTED), _facts(OLD, NEW), Action(ActionName.FINISH_COMMIT, NEW)),
    (_record(State.COMMITTED), _facts(OLD), Action(ActionName.ROLL_BACK, OLD)),
    (_record(State.ROLLING_BACK), _facts(OLD, NEW), Action(ActionName.FINISH_ROLLBACK, OLD)),
    (
        _record(State.ROLLING_BACK),
        _facts(NEW, OTHER, good=(OTHER, NEW)),
        Action(ActionName.FINISH_ROLLBACK, OTHER),
    ),
    (
        _record(State.ROLLING_BACK),
        _facts(NEW, good=(NEW,)),
        Action(ActionName.FINISH_ROLLBACK, ""),
    ),
]


CASES = [
    "at-rest",
    "nothing-installed",
    "points-elsewhere",
    "points-nowhere",
    "points-somewhere",
    "tree-gone",
    "all-gone",
    "downloading",
    "staged",
    "staged-gone",
    "staged-again-and-again",
    "trial",
    "trial-no-try",
    "trial-gone",
    "trial-again-and-again",
    "trial-no-way-back",
    "committed",
    "committed-gone",
    "rolling-back",
    "rolling-back-further",
    "rolling-back-to-nothing",
]
"""What the rows are called, in their order. The page names them."""


@pytest.mark.parametrize(("record", "facts", "action"), ROWS, ids=CASES)
def test_each_row_of_the_table(record: Record, facts: Facts, action: Action) -> None:
    assert recover(record, facts, waits=False) == action


def test_a_program_on_its_last_try_is_not_rolled_back_under_its_feet() -> None:
    record = _record(State.TRIAL, tries_left=0)
    assert recover(record, _facts(OLD, NEW), waits=True).name is ActionName.CONTINUE_TRIAL


@pytest.mark.parametrize("state", State)
def test_every_record_on_every_disk_has_an_action_that_keeps_a_program(state: State) -> None:
    """Enumerated: where a good tree exists, no action rests or rolls back to nothing."""
    for present in itertools.product([False, True], repeat=3):
        trees = [
            name for name, is_there in zip((OLD, NEW, OTHER), present, strict=True) if is_there
        ]
        for current, waits in itertools.product(["", OLD, NEW, OTHER], [False, True]):
            facts = _facts(*trees, current=current, good=(OLD, OTHER))
            record = Record(installed=OLD) if state is State.IDLE else _record(state)
            action = recover(record, facts, waits=waits)
            if action.name in {
                ActionName.REST_AT,
                ActionName.ROLL_BACK,
                ActionName.FINISH_ROLLBACK,
            }:
                assert action.folder in facts.good or not facts.good


@pytest.mark.parametrize(
    ("facts", "installed"),
    [
        (_facts(), ""),
        (_facts(OLD, NEW, current=OLD), OLD),
        (_facts(OLD, NEW, current=NEW), OLD),
        (_facts(NEW, current=NEW), ""),
        (_facts(OLD, current=""), OLD),
    ],
)
def test_without_a_journal_only_a_committed_tree_is_installed(facts: Facts, installed: str) -> None:
    assert derive(facts) == Record(installed=installed)


FOLDERS = ("", OLD, NEW, OTHER)
DISKS = st.builds(
    lambda trees, good, current: Facts(
        current=current,
        trees=frozenset(trees),
        good=tuple(folder for folder in good if folder in trees),
    ),
    st.sets(st.sampled_from(FOLDERS[1:])),
    st.permutations(FOLDERS[1:]),
    st.sampled_from(FOLDERS),
)
ATTEMPTS = st.builds(
    lambda folder, back_to, tries_left: Attempt(
        id="a",
        folder=folder,
        version="2.0.0",
        release_sha256=Sha256Hex("0" * 64),
        back_to=back_to,
        tries_left=tries_left,
    ),
    st.sampled_from(FOLDERS[1:]),
    st.sampled_from(FOLDERS),
    st.integers(0, 3),
)
RECORDS = st.builds(Record, installed=st.sampled_from(FOLDERS)) | st.builds(
    Record,
    state=st.sampled_from([state for state in State if state is not State.IDLE]),
    installed=st.sampled_from(FOLDERS),
    attempt=ATTEMPTS,
    recoveries=st.integers(0, MAX_RECOVERIES + 1),
)


@given(record=RECORDS, facts=DISKS, waits=st.booleans())
def test_recovery_is_total_and_never_leads_to_a_tree_that_is_not_there(
    record: Record, facts: Facts, waits: bool
) -> None:
    action = recover(record, facts, waits=waits)
    assert action == recover(record, facts, waits=waits)
    assert action.folder in {*facts.trees, ""}


@given(facts=DISKS, record=st.builds(Record, installed=st.sampled_from(FOLDERS)))
def test_what_was_recovered_at_rest_needs_nothing_more(facts: Facts, record: Record) -> None:
    action = recover(record, facts, waits=False)
    if action.name is not ActionName.REST_AT:
        assert action.name is ActionName.NOTHING
        return
    settled = Facts(current=action.folder, trees=facts.trees, good=facts.good)
    again = recover(record.at_rest(action.folder), settled, waits=False)
    assert again.name is ActionName.NOTHING


@given(facts=DISKS, record=RECORDS)
def test_the_same_attempt_is_not_gone_on_with_for_ever(facts: Facts, record: Record) -> None:
    """The loop guard: after so many starts nothing goes on before commit."""
    tired = Record(
        state=record.state,
        installed=record.installed,
        attempt=record.attempt,
        recoveries=MAX_RECOVERIES,
    )
    going_on = {ActionName.KEEP_STAGED, ActionName.CONTINUE_TRIAL}
    assert recover(tired, facts, waits=False).name not in going_on
