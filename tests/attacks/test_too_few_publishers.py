"""Fewer than k publisher keys publish nothing, whatever a server does with what waits on it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from securesystemslib.signer import Signature

from lockgate_release.layout import artifact_key
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


# A list that waits lies on the server with one signature. Whoever has stolen the server, its online
# key, and every earlier signature there is, arranges them as he likes.

Signatures = dict[str, Signature]


@dataclass(frozen=True)
class Loot:
    """What a thief of the server has: its key, the list as it waits, and what was signed before."""

    repository: RepositorySimulator
    now: Signatures
    earlier: Signatures

    def put(self, keyid: str, signature: str) -> None:
        self.now[keyid] = Signature(keyid, signature)

    @property
    def first(self) -> str:
        return self.repository.publishers[0].public_key.keyid

    @property
    def second(self) -> str:
        return self.repository.publishers[1].public_key.keyid


Trick = Callable[[Loot], None]


def as_it_waits(_: Loot) -> None:
    """Served before its time."""


def under_the_other_key_s_name(loot: Loot) -> None:
    loot.put(loot.second, loot.now[loot.first].signature)


def with_what_the_other_signed_before(loot: Loot) -> None:
    loot.put(loot.second, loot.earlier[loot.second].signature)


def with_an_empty_signature(loot: Loot) -> None:
    loot.put(loot.second, "")


def with_the_server_s_own_signature(loot: Loot) -> None:
    signed = loot.repository.online.sign(b"the list, says the server")
    loot.put(loot.second, signed.signature)
    loot.put(signed.keyid, signed.signature)


def with_the_first_signature_twice(loot: Loot) -> None:
    loot.put(f"{loot.first} ", loot.now[loot.first].signature)


def with_earlier_signatures_alone(loot: Loot) -> None:
    loot.now.clear()
    loot.now.update(loot.earlier)


TRICKS = [
    as_it_waits,
    under_the_other_key_s_name,
    with_what_the_other_signed_before,
    with_an_empty_signature,
    with_the_server_s_own_signature,
    with_the_first_signature_twice,
    with_earlier_signatures_alone,
]


@pytest.mark.parametrize("trick", TRICKS)
def test_what_one_of_two_has_signed_is_taken_by_no_client_whatever_the_server_does(
    client: SimulatedClient, repository: RepositorySimulator, trick: Trick
) -> None:
    earlier: Signatures = {}
    repository.change_signatures(earlier.update)
    assert len(earlier) == 2
    document = repository.publish("2.0.0", NEXT, signers=repository.publishers[:1])
    repository.change_signatures(lambda now: trick(Loot(repository, now, earlier)))
    # All else is at hand: the list in force, the document, the artifact, an offer to everybody.
    assert artifact_key(repository.app, document.artifacts[0].sha256) in repository.files
    assert_refused(client, "repository.trust")


def test_the_same_list_with_the_second_signature_is_taken(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """The control: nothing but the second signature was missing."""
    repository.publish("2.0.0", NEXT, signers=repository.publishers[:1])
    assert_refused(client, "repository.trust")
    second = repository.publishers[1]
    repository.sign_list(second)
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


@pytest.mark.parametrize("channel", ["beta", "stable"])
def test_both_keys_publish(
    client: SimulatedClient, repository: RepositorySimulator, channel: str
) -> None:
    """The control: the same steps with enough keys do install."""
    repository.publish("2.0.0", NEXT, channel=channel, channels=["beta", "stable"])
    assert client.update() == ("updated" if channel == "stable" else "up-to-date")
