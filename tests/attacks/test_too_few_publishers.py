"""Fewer than k publisher keys publish nothing."""

import pytest

from lockgate_release.trust.keys import generate_signer
from tests.attacks.claims import assert_refused
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import HEALTHY, RepositorySimulator

NEXT = {**HEALTHY, "two": b"2"}


def test_one_of_two_publisher_keys_publishes_nothing(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, signers=repository.publishers[:1])
    assert_refused(client, "repository.trust")


def test_the_same_publisher_key_twice_counts_once(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, signers=repository.publishers[:1] * 2)
    assert_refused(client, "repository.trust")


def test_a_publisher_key_and_a_strangers_publish_nothing(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, signers=[repository.publishers[0], generate_signer()])
    assert_refused(client, "repository.trust")


@pytest.mark.parametrize("channel", ["beta", "stable"])
def test_both_keys_publish(
    client: SimulatedClient, repository: RepositorySimulator, channel: str
) -> None:
    """The control: the same steps with enough keys do install."""
    repository.publish("2.0.0", NEXT, channel=channel, channels=["beta", "stable"])
    assert client.update() == ("updated" if channel == "stable" else "up-to-date")
