"""Whoever has the publishers' keys names a tree; who built it is known of an artifact's bytes.

So the tree must come out of those very bytes, where a channel demands a proof of origin. Each test
ends with what the client has on its disk and would run.
"""

import random
from dataclasses import replace

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Attestation,
    Chunks,
    ExtrasDocument,
    PolicyDocument,
    ReleaseDocument,
    parse_extras,
    parse_policy,
)
from lockgate_release.errors import LockgateError
from lockgate_release.layout import POLICY_PATH, artifact_key, extras_path, target_key
from lockgate_release.trust.sign import Document
from lockgate_updater.events import Event, Step, StepName
from tests.attacks.claims import assert_artifact_refused
from tests.simulators.archives import make_archive, tree_digest
from tests.simulators.attested import Attested
from tests.simulators.client import SimulatedClient, is_whole
from tests.simulators.faults import Kind
from tests.simulators.patching import add_delta
from tests.simulators.repository import HEALTHY, STABLE, RepositorySimulator
from tests.simulators.signed_repository import parse_sha256_of

ONE = {"bin/app": b"#!/bin/sh\nexit 0\n", "one": b"1"}
BUILT = {**HEALTHY, "two": random.Random(2).randbytes(20_000)}
EVIL = {**HEALTHY, "two": b"evil" * 6000}


def publish_another_tree(attested: Attested) -> ReleaseDocument:
    """What CI attested is an artifact; the publishers' thief says that it holds another tree."""
    repository, evil = attested.repository, tree_digest(EVIL)
    document = repository.publish(
        "2.0.0",
        BUILT,
        tree_sha256=evil.sha256,
        tree_size=evil.size_bytes,
        offered=False,
    )
    attested.attach("2.0.0", attested.bundle("2.0.0"))
    return document


def add_delta_beside(attested: Attested, bundles: tuple[Attestation, ...]) -> None:
    """List a delta to the evil tree, and still the bundles."""
    repository = attested.repository
    add_delta(repository, ("1.0.0", ONE), ("2.0.0", EVIL))
    extras = replace(read_extras(attested), attestations=bundles)
    document = Document(path=extras_path("2.0.0"), data=extras.to_bytes())
    repository._store_document(document)
    entries = {**repository.releases.targets, document.path: document.to_target()}
    repository._write_releases(entries, repository.publishers)
    repository.offer(STABLE, "2.0.0")


def read_extras(attested: Attested) -> ExtrasDocument:
    """What the extras in force say."""
    repository = attested.repository
    path = extras_path("2.0.0")
    sha256 = parse_sha256_of(repository.releases.targets[path])
    return parse_extras(repository.files[target_key(repository.app, path, sha256)])


def policy_in_force(repository: RepositorySimulator) -> PolicyDocument:
    """What the maintainers demand."""
    sha256 = parse_sha256_of(repository.targets.signed.targets[POLICY_PATH])
    return parse_policy(repository.files[target_key(repository.app, POLICY_PATH, sha256)])


def test_publisher_keys_cannot_bring_another_tree_by_a_delta(
    client: SimulatedClient, attested: Attested
) -> None:
    publish_another_tree(attested)
    add_delta_beside(attested, read_extras(attested).attestations)
    assert_artifact_refused(client, "repository.digest")


def test_without_a_demand_that_delta_is_as_good_as_its_publishers(
    client: SimulatedClient, attested: Attested
) -> None:
    """So the test before tries what would work."""
    publish_another_tree(attested)
    add_delta_beside(attested, read_extras(attested).attestations)
    attested.repository.set_policy(PolicyDocument(app=attested.repository.app))
    assert client.update() == "updated"
    assert is_whole(client, "2.0.0", EVIL)


def test_publisher_keys_and_a_mirror_cannot_bring_other_bytes_by_their_chunks(
    client: SimulatedClient, attested: Attested
) -> None:
    repository, evil = attested.repository, tree_digest(EVIL)
    data = make_archive(EVIL)
    document = repository.publish("2.0.0", BUILT, offered=False)
    built = document.artifacts[0]
    claimed = replace(
        built,
        size=len(data),
        tree_sha256=evil.sha256,
        tree_size=evil.size_bytes,
        chunks=Chunks(size_bytes=1 << 20, sha256=(digest_bytes(data),)),
    )
    repository.add_release(replace(document, artifacts=(claimed,)), channels=[STABLE])
    attested.attach("2.0.0", attested.bundle("2.0.0"))
    repository.files[artifact_key(repository.app, built.sha256)] = data
    repository.offer(STABLE, "2.0.0")
    assert_artifact_refused(client, "repository.digest")


def test_a_tree_that_lies_there_from_a_delta_is_made_again_of_the_artifact(
    client: SimulatedClient, attested: Attested
) -> None:
    """It is downloaded before the demand is in force, and is to be switched to afterwards."""
    repository = attested.repository
    rule = policy_in_force(repository)
    publish_another_tree(attested)
    add_delta_beside(attested, read_extras(attested).attestations)
    repository.set_policy(PolicyDocument(app=repository.app))
    seen: list[Event] = []

    def raise_the_bar(event: Event) -> None:
        seen.append(event)
        if isinstance(event, Step) and event.name is StepName.PATCHING:
            repository.set_policy(rule)

    with pytest.raises(LockgateError, match="not the tree that was signed"):
        client.updater.update(progress=raise_the_bar)
    assert any("making 2.0.0 of 1.0.0" in str(event) for event in seen)
    assert client.runs() == "1.0.0"
    assert client.versions() == {"1.0.0"}


def test_a_tree_that_was_unpacked_of_the_artifact_is_not_fetched_again(
    client: SimulatedClient, attested: Attested
) -> None:
    document = attested.repository.publish("2.0.0", BUILT, offered=False)
    attested.attach("2.0.0", attested.bundle("2.0.0"))
    attested.repository.offer(STABLE, "2.0.0")

    def cut_off(event: Event) -> None:
        if isinstance(event, Step) and event.name is StepName.PROVEN:
            attested.repository.spoil("timestamp.json", Kind.CORRUPT)

    with pytest.raises(LockgateError):
        client.updater.update(progress=cut_off)
    assert client.runs() == "1.0.0"
    attested.repository.faults.clear()
    attested.repository.requests.clear()
    assert client.update() == "updated"
    asked = [key.rpartition("/")[2] for key in attested.repository.requests]
    assert document.artifacts[0].sha256 not in asked
