"""What to do when a start finds a record: one pure function, total over every record and disk.

| state        | found on the disk                     | action                              |
|--------------|---------------------------------------|-------------------------------------|
| idle         | `current` points to what is installed | nothing                             |
| idle         | it points elsewhere, the tree is there| point it back                       |
| idle         | the installed tree is gone            | the best good tree there, or none   |
| downloading  | anything                              | drop the tree, keep the download    |
| staged       | the tree is there                     | keep it; the next update decides    |
| staged       | it is gone                            | drop the attempt                    |
| trial        | the tree is there, tries are left     | go on with the trial                |
| trial        | it waits for its program's word       | go on waiting                       |
| trial        | it is gone, or no try is left         | roll back                           |
| committed    | the tree is there                     | finish: from here only forward      |
| committed    | it is gone                            | roll back                           |
| rolling-back | anything                              | finish rolling back                 |

A start that finds the same attempt unfinished more than `MAX_RECOVERIES` times stops trying: before
commit it rolls back. Where `current` itself is missing, the same actions write it again.

The idea, and the point of no return, are Mender's (its daemon's state machine).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from lockgate_updater.state.journal import Record, State

__all__ = ["MAX_RECOVERIES", "Action", "ActionName", "Facts", "derive", "recover"]

MAX_RECOVERIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is on the disk.

    Attributes:
        current: The folder that `current` points to; "" if it is missing or points anywhere else.
        trees: Folders of trees that have a receipt.
        good: Those of them that were committed, the newest commit first.
    """

    current: str
    trees: frozenset[str]
    good: tuple[str, ...]

    def best_good(self, *, but: str = "") -> str:
        """Return the newest good tree other than `but`, or ""."""
        return next((folder for folder in self.good if folder != but), "")


class ActionName(StrEnum):
    """What to do."""

    NOTHING = "nothing"
    REST_AT = "rest-at"
    """Point `current` to the folder (remove it for ""), and record it as installed."""
    DROP_ATTEMPT = "drop-attempt"
    KEEP_STAGED = "keep-staged"
    CONTINUE_TRIAL = "continue-trial"
    FINISH_COMMIT = "finish-commit"
    ROLL_BACK = "roll-back"
    """Begin to roll back to the folder."""
    FINISH_ROLLBACK = "finish-rollback"
    """Roll back to the folder."""


@dataclass(frozen=True, slots=True)
class Action:
    """What to do, and the tree it is about."""

    name: ActionName
    folder: str = ""


def recover(record: Record, facts: Facts, *, waits: bool) -> Action:
    """Return what has to be done before anything else.

    Args:
        record: What the journal says.
        facts: What is on the disk.
        waits: The release on trial proves itself by its program's word, and this is not a start
            of that program: it may be running right now, on its last try.
    """
    match record.state:
        case State.IDLE:
            return _at_rest(record, facts)
        case State.DOWNLOADING:
            return Action(ActionName.DROP_ATTEMPT)
        case State.STAGED:
            return _staged(record, facts)
        case State.TRIAL:
            return _trial(record, facts, waits=waits)
        case State.COMMITTED:
            return _committed(record, facts)
        case State.ROLLING_BACK:
            return Action(ActionName.FINISH_ROLLBACK, _way_back(record, facts))
        case _:
            assert_never(record.state)


def derive(facts: Facts) -> Record:
    """Return the record of a home whose journal is missing or damaged, from the disk alone.

    Only a tree that was once committed counts as installed: one that `current` points to and that
    was on trial has proven nothing.
    """
    if facts.current in facts.good:
        return Record(installed=facts.current)
    return Record(installed=facts.best_good())


def _at_rest(record: Record, facts: Facts) -> Action:
    installed = record.installed
    if installed and installed not in facts.trees:
        return Action(ActionName.REST_AT, facts.best_good())
    if facts.current != installed:
        return Action(ActionName.REST_AT, installed)
    return Action(ActionName.NOTHING)


def _staged(record: Record, facts: Facts) -> Action:
    assert record.attempt is not None
    there = record.attempt.folder in facts.trees
    if there and record.recoveries < MAX_RECOVERIES:
        return Action(ActionName.KEEP_STAGED, record.attempt.folder)
    return Action(ActionName.DROP_ATTEMPT)


def _trial(record: Record, facts: Facts, *, waits: bool) -> Action:
    assert record.attempt is not None
    there = record.attempt.folder in facts.trees
    may_try = record.attempt.tries_left > 0 and record.recoveries < MAX_RECOVERIES
    if there and (waits or may_try):
        return Action(ActionName.CONTINUE_TRIAL, record.attempt.folder)
    return Action(ActionName.ROLL_BACK, _way_back(record, facts))


def _committed(record: Record, facts: Facts) -> Action:
    assert record.attempt is not None
    if record.attempt.folder in facts.trees:
        return Action(ActionName.FINISH_COMMIT, record.attempt.folder)
    return Action(ActionName.ROLL_BACK, _way_back(record, facts))


def _way_back(record: Record, facts: Facts) -> str:
    """Return the tree the attempt came from; where that is gone, the best good one, or ""."""
    assert record.attempt is not None
    if record.attempt.back_to in facts.trees:
        return record.attempt.back_to
    return facts.best_good(but=record.attempt.folder)
