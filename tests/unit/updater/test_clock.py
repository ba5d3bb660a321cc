"""Clocks that are wrong, and jump between the steps of an update: it ends well all the same."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest

from lockgate_release.errors import LocalError, LockgateError, RepositoryError
from lockgate_updater import Updater
from lockgate_updater.events import Event
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import HEALTHY, SICK, RepositorySimulator

AHEAD = [
    pytest.param(timedelta(days=2), id="two days"),
    pytest.param(timedelta(days=366), id="a year"),
    pytest.param(timedelta(days=40_000), id="after 2100"),
]
BEHIND = [
    pytest.param(timedelta(hours=-5), id="five hours"),
    pytest.param(timedelta(days=-366), id="a year"),
    pytest.param(timedelta(days=-25_000), id="before 1970"),
]
THE_LAST_SECOND = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
NEXT = {"bin/app": b"#!/bin/sh\nexit 0\n", "lib/next": b"next"}


class _EndError(Exception):
    """The updater's process ends here."""


def _fail_under(client: SimulatedClient, repository: RepositorySimulator, wrong: datetime) -> None:
    """Let 2.0.0 fail by itself, and be put into quarantine by a run whose clock is wrong."""
    client.update()
    repository.publish("2.0.0", SICK)

    def stop_on_trial(event: Event) -> None:
        if "is on trial" in getattr(event, "text", ""):
            raise _EndError

    for _ in range(3):
        with pytest.raises(_EndError):
            client.updater.update(progress=stop_on_trial)
    right, client.now = client.now, wrong
    assert client.update() == "rolled-back"
    client.now = right


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_quarantine_that_a_fast_clock_began_ends(
    client: SimulatedClient, repository: RepositorySimulator, ahead: timedelta
) -> None:
    _fail_under(client, repository, client.now + ahead)
    assert client.runs() == "1.0.0"
    assert client.update() == "rolled-back", "it is tried again at once"
    (failed,) = client.updater.status().quarantine
    assert failed.until == client.now + timedelta(hours=4), "and counts as the second failure"
    assert client.update() == "held"


def test_a_clock_that_is_set_back_by_hours_ends_no_quarantine(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", SICK)
    assert client.update() == "rolled-back"
    client.now -= timedelta(hours=5)
    assert client.update() == "held"


@pytest.mark.parametrize("behind", BEHIND)
def test_a_failure_under_a_slow_clock_is_tried_once_more_and_then_left_alone(
    client: SimulatedClient, repository: RepositorySimulator, behind: timedelta
) -> None:
    _fail_under(client, repository, client.now + behind)
    assert client.runs() == "1.0.0"
    assert client.update() == "rolled-back"
    assert client.update() == "held"


def test_a_clock_at_the_end_of_the_calendar_breaks_nothing(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    _fail_under(client, repository, THE_LAST_SECOND)
    assert client.runs() == "1.0.0"
    repository.publish("3.0.0", NEXT)
    client.now, right = THE_LAST_SECOND, client.now
    with pytest.raises(LockgateError):
        client.update()
    assert client.updater.status().quarantine
    client.now = right
    assert client.update() == "updated"


@pytest.mark.parametrize("jump", [*AHEAD, *BEHIND])
def test_a_clock_that_jumps_at_each_look_leads_to_old_or_new_and_the_next_run_converges(
    client: SimulatedClient, repository: RepositorySimulator, jump: timedelta
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    right = client.now
    jumps = cycle([timedelta(0), jump, -jump])
    updater = Updater.open(
        client.home,
        environ={"PATH": "/usr/bin:/bin"},
        clock=lambda: right + next(jumps),
        transport=lambda: repository,
    )
    for _ in range(3):
        with suppress(RepositoryError, LocalError):
            updater.update()
        assert client.runs() in {"1.0.0", "2.0.0"}
    assert client.update() in {"updated", "up-to-date"}
    assert client.runs() == "2.0.0"
    assert client.leftovers() == []


def test_a_revoked_release_is_left_under_a_fast_clock_once_the_revocation_was_seen(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", {**HEALTHY, **NEXT})
    client.update()
    repository.revoke("2.0.0")
    client.updater.check()
    client.now = THE_LAST_SECOND
    client.update()
    assert client.runs() == "1.0.0"
