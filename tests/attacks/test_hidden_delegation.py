"""A list of releases that hands its word on to a stranger: nobody follows, nobody signs.

One publisher of two writes a delegation into the list, of which no version speaks, and waits for
the other's signature. Had it counted, the stranger alone would publish from then on.
"""

import pytest
from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Targets

from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import DocumentError
from lockgate_release.layout import metadata_key, release_path
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.roles import Role
from lockgate_release.trust.sign import next_releases
from lockgate_server.services.write.publishing import check_list, read_list
from tests.attacks.claims import assert_refused
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import HEALTHY, RepositorySimulator

NEXT = {**HEALTHY, "two": b"2"}


def hand_on(signed: Targets, role: str, key: Key) -> None:
    """Let a stranger's key speak for whatever the list does not name."""
    delegated = DelegatedRole(role, [key.keyid], 1, terminating=True, paths=["releases/*/*.json"])
    signed.delegations = Delegations({key.keyid: key}, {role: delegated})


def test_a_delegation_hidden_in_the_list_of_releases_is_followed_by_no_client(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    thief = generate_signer()
    before = dict(repository.releases.targets)
    repository.publish("2.0.0", NEXT)
    path = release_path("2.0.0")
    loot = {path: repository.releases.targets[path]}
    # Both publishers sign a list without 2.0.0, and with the delegation in it.
    signed = next_releases(repository.releases, before, (), repository.now).signed
    hand_on(signed, "more", thief.public_key)
    repository.put_list(signed, repository.publishers)
    # The thief of the server brings the stranger's list into its snapshot.
    more = next_releases(None, loot, [thief], repository.now)
    repository.serve_more("more", more)
    assert metadata_key(repository.app, "more", 1) in repository.files
    assert_refused(client, "repository.offer")


def test_a_list_that_delegates_is_put_in_force_by_no_server(
    repository: RepositorySimulator,
) -> None:
    before = repository.releases
    signed = next_releases(before, before.targets, (), repository.now).signed
    hand_on(signed, "more", generate_signer().public_key)
    policy = PolicyDocument(app=repository.app)
    with pytest.raises(DocumentError, match="a list that delegates"):
        check_list(read_list(signed), read_list(before), policy, (), repository.now)


def test_the_servers_own_list_is_no_list_of_releases_whatever_publishers_delegate(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    before = dict(repository.releases.targets)
    repository.publish("2.0.0", NEXT)
    path = release_path("2.0.0")
    target = repository.releases.targets[path]
    signed = next_releases(repository.releases, before, (), repository.now).signed
    hand_on(signed, Role.CHANNELS.value, repository.online.public_key)
    repository.put_list(signed, repository.publishers)
    repository.list_as_a_channel(path, target)
    assert_refused(client, "repository.offer")
