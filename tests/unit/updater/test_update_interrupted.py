"""An update that is cut off goes on from what is proven, also where the repository changes."""

import random

import pytest

from lockgate_release.errors import DigestMismatchError
from lockgate_updater import Event, Step
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.repository import HEALTHY, RepositorySimulator, checked_by

NEXT = {**HEALTHY, "lib/two": b"2" * 100}


def test_the_decision_is_taken_again_right_before_the_trial(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """The release is revoked while it is being downloaded: it is never switched to."""
    client.update()
    repository.publish("2.0.0", NEXT)
    events: list[Event] = []

    def revoke_when_proven(event: Event) -> None:
        events.append(event)
        if isinstance(event, Step) and event.name == "proven":
            repository.revoke("2.0.0")

    result = client.updater.update(progress=revoke_when_proven)
    assert result.outcome == "held"
    assert "switched" not in [event.name for event in events if isinstance(event, Step)]
    assert client.runs() == "1.0.0"
    assert client.versions() == {"1.0.0"}
    assert client.leftovers() == []


def test_a_server_that_dies_after_the_download_does_not_stop_the_trial(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)

    def die_when_proven(event: Event) -> None:
        if isinstance(event, Step) and event.name == "proven":
            repository.spoil("", Kind.STATUS, 503)

    assert client.updater.update(progress=die_when_proven).outcome == "updated"
    assert client.runs() == "2.0.0"


def test_a_repository_that_changes_its_mind_for_ever_is_given_up(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    numbers = iter(range(2, 100))

    def publish_another(event: Event) -> None:
        if isinstance(event, Step) and event.name == "proven":
            number = next(numbers)
            repository.publish(f"{number}.0.0", {**HEALTHY, "n": str(number).encode()})

    with pytest.raises(Exception, match="changes its mind"):
        client.updater.update(progress=publish_another)
    assert client.runs() == ""
    assert client.versions() == set()


def test_an_interrupted_update_goes_on_with_what_was_staged(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)

    def interrupt(event: Event) -> None:
        if isinstance(event, Step) and event.name == "switched":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.updater.update(progress=interrupt)
    assert client.updater.status().state == "trial"
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_what_was_verified_before_a_bad_byte_is_not_fetched_again(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    big = {**NEXT, "data": random.Random(1).randbytes(3 << 20)}
    repository.publish("2.0.0", big)
    repository.spoil("artifacts/", Kind.CORRUPT, 2 << 20)
    with pytest.raises(DigestMismatchError):
        client.update()
    assert client.updater.status().state == "idle"
    repository.faults.clear()
    before = repository.body_bytes
    assert client.update() == "updated"
    assert repository.body_bytes - before < (2 << 20)
    assert client.leftovers() == []


def test_ctrl_c_during_the_trial_burns_no_try(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, install=checked_by("bin/app", tries=1))

    def interrupt(event: Event) -> None:
        if isinstance(event, Step) and event.name == "on-trial":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.updater.update(progress=interrupt)
    assert client.updater.status().tries_left == 1
    assert client.update() == "updated"
