"""Whoever has the publishers' keys names a tree; who built it is known of an artifact's bytes.

So the tree must come out of those very bytes, where a channel demands a proof of origin, unless
those whose word counts have vouched for the tree as well. Each test ends with what the client has
on its disk and would run.
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
from lockgate_release.documents.attestation_rules import SignerRule
from lockgate_release.errors import LockgateError
from lockgate_release.layout import POLICY_PATH, artifact_key, extras_path, target_key
from lockgate_release.provenance.tree_claims import tree_claim
from lockgate_release.trust.sign import Document
from lockgate_updater.events import Event, Step, StepName
from tests.attacks.claims import assert_artifact_refused
from tests.simulators.archives import Tree, make_archive, tree_digest
from tests.simulators.attested import RELEASE_WORKFLOW, Attested
from tests.simulators.client import SimulatedClient, is_whole
from tests.simulators.faults import Kind
from tests.simulators.patching import add_delta
from tests.simulators.repository import HEALTHY, STABLE, RepositorySimulator
from tests.simulators.signed_files import parse_sha256_of
from tests.simulators.sigstore import ANN, SLSA, workflow

ONE = {"bin/app": b"#!/bin/sh\nexit 0\n", "one": b"1"}
NOISE = random.Random(2).randbytes(40_000)
# Too far apart for an archive to say it once; a delta does.
BUILT = {**HEALTHY, "two": NOISE, "zwei": NOISE}
EVIL = {**HEALTHY, "two": b"evil" * 30_000}


def publish_another_tree(attested: Attested, tree: Tree = EVIL, *bundles: bytes) -> ReleaseDocument:
    """What CI attested is an artifact; the publishers' thief says that it holds another tree."""
    repository, evil = attested.repository, tree_digest(tree)
    document = repository.publish(
        "2.0.0",
        BUILT,
        tree_sha256=evil.sha256,
        tree_size=evil.size_bytes,
        offered=False,
    )
    attested.attach("2.0.0", attested.bundle("2.0.0"), *bundles)
    return document


def publish_honestly(attested: Attested, *bundles: bytes) -> None:
    """What CI built and attested, with a delta to it."""
    attested.repository.publish("2.0.0", BUILT, offered=False)
    attested.attach("2.0.0", *(bundles or (attested.vouch("2.0.0", BUILT),)))
    add_delta_beside(attested, read_extras(attested).attestations, BUILT)


def add_delta_beside(
    attested: Attested, bundles: tuple[Attestation, ...], tree: Tree = EVIL
) -> None:
    """List a delta to the evil tree, and still the bundles."""
    repository = attested.repository
    add_delta(repository, ("1.0.0", ONE), ("2.0.0", tree))
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


def assert_only_unpacked(client: SimulatedClient, *words: str) -> None:
    """No delta may lead to the offered tree, for a reason that is told; the evil one stays out."""
    end = client.updater.explain().sections[-1].lines
    (why,) = [line for line in end if line.startswith("no delta: ")]
    assert "who vouches for the tree of 2.0.0 is not proven" in why
    for word in words:
        assert word in why
    assert_artifact_refused(client, "repository.digest")


def test_a_tree_that_nobody_vouched_for_is_reached_by_no_delta(
    client: SimulatedClient, attested: Attested
) -> None:
    publish_another_tree(attested)
    add_delta_beside(attested, ())
    attested.attach("2.0.0", attested.bundle("2.0.0"), about=[attested.artifact("2.0.0")])
    add_delta_beside(attested, read_extras(attested).attestations)
    assert_only_unpacked(client, "no bundle of its release speaks about it")


def test_a_tree_that_somebody_else_vouched_for_is_reached_by_no_delta(
    client: SimulatedClient, attested: Attested
) -> None:
    """Whoever has the publishers' keys signs for the tree with an identity of their own."""
    publish_another_tree(attested)
    for who in (ANN, workflow("o/other"), workflow(ref="refs/heads/evil")):
        mine = attested.vouch("2.0.0", EVIL, who)
        attested.attach("2.0.0", attested.bundle("2.0.0"), mine)
        add_delta_beside(attested, read_extras(attested).attestations)
        assert_only_unpacked(client, f"signed by {who.identity}", "who is none of its signers")


def test_a_tree_that_fewer_vouched_for_than_the_threshold_is_reached_by_no_delta(
    client: SimulatedClient, attested: Attested
) -> None:
    """Two must have signed; both signed the artifact, and one of them the tree, twice over."""
    ann = SignerRule(identity=ANN.identity, issuer=ANN.issuer)
    attested.demand(signers=(RELEASE_WORKFLOW, ann), threshold=2)
    publish_another_tree(attested)
    tags = ("refs/tags/v2.0.0", "refs/tags/v2.0.1")
    trees = [attested.vouch("2.0.0", EVIL, workflow(ref=ref)) for ref in tags]
    attested.attach("2.0.0", attested.bundle("2.0.0", ANN), *trees)
    add_delta_beside(attested, read_extras(attested).attestations)
    assert_only_unpacked(client, "who counts once")


def test_a_statement_about_a_file_with_the_trees_digest_is_none_about_the_tree(
    client: SimulatedClient, attested: Attested
) -> None:
    """A file with that digest can be made, the tree's listing; a builder may come to sign it."""
    publish_another_tree(attested)
    sha256 = tree_digest(EVIL).sha256
    plain = attested.sigstore.attest({"app": sha256})
    both = attested.sigstore.attest({"app": attested.artifact("2.0.0"), "app.tree-claim": sha256})
    attested.attach("2.0.0", both, plain)
    add_delta_beside(attested, read_extras(attested).attestations)
    assert_only_unpacked(client, "its statement is about other files")


def test_the_vouched_tree_of_an_older_release_is_none_of_a_newer(
    client: SimulatedClient, attested: Attested
) -> None:
    """An old tree with a known hole, under a new number: genuine, and of another artifact."""
    old = {**HEALTHY, "two": b"hole" * 30_000}
    attested.repository.publish("1.1.0", old, offered=False)
    genuine = attested.vouch("1.1.0", old)
    attested.attach("1.1.0", genuine)
    publish_another_tree(attested, old, genuine)
    add_delta_beside(attested, read_extras(attested).attestations, old)
    assert_only_unpacked(client, "its statement is about other files")


def test_a_tree_is_vouched_for_by_what_counts_for_its_artifact_and_by_nothing_less(
    client: SimulatedClient, attested: Attested
) -> None:
    """Each demand must be met of the tree too: here by provenance, and not by a plain signature."""
    attested.demand(predicate_types=(SLSA,))
    publish_another_tree(attested)
    claim = tree_claim(attested.artifact("2.0.0"), tree_digest(EVIL).sha256)
    attested.attach("2.0.0", attested.bundle("2.0.0"), attested.sigstore.sign(claim))
    add_delta_beside(attested, read_extras(attested).attestations)
    assert_only_unpacked(client, "as a plain signature")


def test_a_tree_that_was_vouched_for_is_made_by_a_delta(
    client: SimulatedClient, attested: Attested
) -> None:
    publish_honestly(attested)
    attested.repository.requests.clear()
    result = client.updater.update()
    assert result.plan is not None
    assert (result.plan.kind, result.plan.no_deltas) == ("delta", "")
    assert is_whole(client, "2.0.0", BUILT)
    asked = [key.rpartition("/")[2] for key in attested.repository.requests]
    assert attested.artifact("2.0.0") not in asked


def test_what_was_proven_of_a_tree_costs_the_next_look_nothing(
    client: SimulatedClient, attested: Attested
) -> None:
    publish_honestly(attested)
    asked = []
    for _ in range(2):
        attested.repository.requests.clear()
        plan = client.updater.update(dry_run=True).plan
        assert plan is not None
        assert plan.kind == "delta"
        asked.append([key for key in attested.repository.requests if "/artifacts/" in key])
    bundle = artifact_key(attested.repository.app, read_extras(attested).attestations[0].sha256)
    assert (set(asked[0]), asked[1]) == ({bundle}, [])


def test_an_evil_delta_to_a_tree_that_was_vouched_for_brings_no_other_tree(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.repository.publish("2.0.0", BUILT, offered=False)
    attested.attach("2.0.0", attested.vouch("2.0.0", BUILT))
    other = {**BUILT, "zwei": b"evil" + NOISE[4:]}
    add_delta_beside(attested, read_extras(attested).attestations, other)
    seen: list[Event] = []
    assert client.update(events=seen) == "updated"
    assert any("it makes another tree than was signed" in str(event) for event in seen)
    assert is_whole(client, "2.0.0", BUILT)


def test_without_the_word_on_its_tree_an_honest_release_comes_whole(
    client: SimulatedClient, attested: Attested
) -> None:
    """A server that strips that word, or a builder that gives none, costs bytes, no more."""
    attested.repository.publish("2.0.0", BUILT, offered=False)
    word = attested.vouch("2.0.0", BUILT)
    publish_honestly(attested, attested.bundle("2.0.0"), word)
    attested.strip(word)
    result = client.updater.update()
    assert result.plan is not None
    assert result.plan.kind == "full"
    assert "not on the server" in result.plan.no_deltas
    assert is_whole(client, "2.0.0", BUILT)


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


def test_a_tree_that_is_vouched_for_no_more_is_made_again_of_the_artifact(
    client: SimulatedClient, attested: Attested
) -> None:
    """Two are demanded while it is being made by a delta: both attested the artifact alone."""
    ann = SignerRule(identity=ANN.identity, issuer=ANN.issuer)
    repository = attested.repository
    repository.publish("2.0.0", BUILT, offered=False)
    words = attested.vouch("2.0.0", BUILT), attested.bundle("2.0.0", ANN)
    attested.attach("2.0.0", *words)
    add_delta_beside(attested, read_extras(attested).attestations, BUILT)
    made: list[StepName] = []

    def raise_the_bar(event: Event) -> None:
        if isinstance(event, Step):
            made.append(event.name)
            if event.name is StepName.PATCHING:
                attested.demand(signers=(RELEASE_WORKFLOW, ann), threshold=2)

    assert client.updater.update(progress=raise_the_bar).outcome == "updated"
    assert is_whole(client, "2.0.0", BUILT)
    assert made.index(StepName.PATCHING) < made.index(StepName.UNPACKING)
