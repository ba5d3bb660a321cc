"""Experiments, what they find, and when a store is refused.

1. An experiment returns what it found, or raises `LackingError`.
2. A store that does not answer is neither able nor unable: the answer is unknown.
3. A store that lacks what Lockgate needs is refused, with every lack named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lockgate_release.errors import LocalError, LockgateError, TransportError

__all__ = [
    "Answer",
    "Experiment",
    "Finding",
    "LackingError",
    "WeakStoreError",
    "carry_out",
    "expect",
    "refuse_weak",
]

_MAX_FOUND = 160


class Answer(StrEnum):
    """Whether a store can do something."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class LackingError(Exception):
    """The store does not do what the experiment is about; the text says what it did."""


def expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001 (reads as an assertion does)
    """Return when something is so.

    Raises:
        LackingError: It is not; the text says what is.
    """
    if not is_so:
        raise LackingError(otherwise)


class WeakStoreError(LocalError):
    """The store lacks something without which releases would not be safe in it."""

    code = "local.weak-store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One question to a store.

    Attributes:
        code: A short name for programs, which never changes.
        name: What the store should do, for people.
        is_needed: Whether Lockgate works without.
        run: Asks, and returns what was found.
    """

    code: str
    name: str
    is_needed: bool
    run: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of an experiment.

    Attributes:
        code: The experiment's short name.
        name: What the store should do.
        is_needed: Whether Lockgate works without.
        answer: Whether the store does it.
        found: What was seen.
    """

    code: str
    name: str
    is_needed: bool
    answer: Answer
    found: str


def carry_out(experiments: Iterable[Experiment]) -> Iterator[Finding]:
    """Yield what each experiment finds, as it ends."""
    for experiment in experiments:
        answer, found = _carry_out(experiment)
        yield Finding(
            code=experiment.code,
            name=experiment.name,
            is_needed=experiment.is_needed,
            answer=answer,
            found=found[:_MAX_FOUND],
        )


def _carry_out(experiment: Experiment) -> tuple[Answer, str]:
    try:
        return Answer.YES, experiment.run()
    except LackingError as exc:
        return Answer.NO, str(exc)
    except TransportError as exc:
        return Answer.UNKNOWN, exc.found or exc.what
    except LockgateError as exc:
        return Answer.NO, exc.found or exc.what


def refuse_weak(findings: Sequence[Finding], subject: str) -> None:
    """Return when a store has what is needed.

    Args:
        findings: What is known of it.
        subject: Its address.

    Raises:
        WeakStoreError: It lacks something.
        TransportError: Something could not be found out.
    """
    lacking = [one for one in findings if one.is_needed and one.answer is Answer.NO]
    if lacking:
        raise WeakStoreError(
            "the object store is not fit for releases",
            subject=subject,
            expected=", ".join(one.name for one in lacking),
            found="; ".join(one.found for one in lacking),
            hint="lockgate-server storage check shows all that it can and cannot do.",
        )
    unknown = [one for one in findings if one.is_needed and one.answer is Answer.UNKNOWN]
    if unknown:
        raise TransportError(
            "the object store did not answer well enough to be judged",
            subject=subject,
            expected=", ".join(one.name for one in unknown),
            found="; ".join(one.found for one in unknown),
        )
