"""A machine that restarts in the middle of a try: did the program fail, or was it in the way?

Nobody can tell a person who switches off from a program that brings the machine down. So a restart
is forgiven, but not for ever: a release gets as many forgiven restarts as it has tries.
"""

from __future__ import annotations

from dataclasses import replace

from lockgate_updater.state.journal import Attempt

__all__ = ["begun", "forgiven", "settled"]


def begun(attempt: Attempt, boot: str) -> Attempt:
    """Return the attempt with one try taken off, in flight since this boot of the machine."""
    return replace(attempt, tries_left=attempt.tries_left - 1, boot=boot)


def settled(attempt: Attempt, *, given_back: bool) -> Attempt:
    """Return the attempt with no try in flight; one that ended without a verdict is given back."""
    return replace(attempt, tries_left=attempt.tries_left + given_back, boot="")


def forgiven(attempt: Attempt, boot: str, *, tries: int) -> Attempt | None:
    """Return the attempt with its try given back, if a restart of the machine has cut it off.

    Args:
        attempt: What is on trial.
        boot: This boot's id, or "" where it cannot be known: then nothing is forgiven.
        tries: How many tries the release began with: so many restarts are forgiven, no more.
    """
    was_cut_off = attempt.boot and boot and attempt.boot != boot
    if not was_cut_off or attempt.forgiven >= tries:
        return None
    return replace(settled(attempt, given_back=True), forgiven=attempt.forgiven + 1)
