"""Trees from end to end: CI vouches for them, a client takes deltas, and it is said where not."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_cli.api import Api
from lockgate_cli.attesting.trees import prove_trees
from lockgate_cli.http import Http
from lockgate_cli.progress import Progress
from lockgate_cli.waits import WaitRules
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact, parse_release
from lockgate_release.errors import DigestMismatchError
from lockgate_release.layout import artifact_key, release_path, target_key
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.tree_claims import tree_claim
from lockgate_updater.install.patching.plan import FetchPlan
from tests.simulators.archives import tree_digest
from tests.simulators.demanding_desk import KEYLESS, client_of, open_demanding_desk
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk
from tests.simulators.sigstore import SigstoreSimulator, serve_sigstore

NOISE = random.Random(5).randbytes(100_000)
USELESS = f"2.0.0 {PLATFORM}: clients can use none of its deltas. stable: nobody has vouched"


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as served:
        yield served


@pytest.fixture
def desk(tmp_path: Path, sigstore: SigstoreSimulator) -> Iterator[ReleaseDesk]:
    trees = {version: tree(version) for version in ("1.0.0", "2.0.0")}
    with open_demanding_desk(tmp_path, sigstore, trees) as desk:
        yield desk


def tree(version: str) -> dict[str, bytes]:
    return {"bin/app": b"#!/bin/sh\nexit 0\n", "data": NOISE, "version": version.encode()}


def archive(desk: ReleaseDesk, version: str) -> Path:
    return desk.folder / f"{APP}-{version}.tar.gz"


def attested(desk: ReleaseDesk, sigstore: SigstoreSimulator, *, trees: bool = False) -> Path:
    """What a builder says of 2.0.0, in a file: of the artifact, and of the claim beside it."""
    built = archive(desk, "2.0.0")
    subjects = {built.name: digest_bytes(built.read_bytes())}
    if trees:
        claim = built.with_name(f"{built.name}.tree-claim")
        subjects[claim.name] = digest_bytes(claim.read_bytes())
    path = desk.folder / "provenance.json"
    path.write_bytes(sigstore.attest(subjects))
    return path


def taken(desk: ReleaseDesk) -> FetchPlan:
    """How a client gets to the newest."""
    result = client_of(desk).update()
    assert result.version == "2.0.0"
    assert result.plan is not None
    return result.plan


def test_what_ci_signs_while_it_publishes_is_reached_by_a_delta(desk: ReleaseDesk) -> None:
    client_of(desk).update()
    said = desk.publish("2.0.0", *KEYLESS, "--json")
    assert len(said.json()["deltas"]) == 1
    assert said.json()["warnings"] == []
    assert "the tree in it: proven" in desk.person.must("verify", "2.0.0").out
    plan = taken(desk)
    assert (plan.kind, plan.no_deltas) == ("delta", "")
    sections = {section.title: section.lines for section in client_of(desk).explain().sections}
    assert [line.partition(" by ")[0] for line in sections["The origin"]] == [
        "2.0.0 was signed",
        "its tree was signed",
    ]


def test_of_what_is_attested_of_an_artifact_alone_clients_take_the_whole_and_it_is_said(
    desk: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    client_of(desk).update()
    said = desk.publish("2.0.0", "--attestation", attested(desk, sigstore).name, "--json")
    assert [text.startswith(USELESS) for text in said.json()["warnings"]] == [True]
    assert USELESS in said.err
    assert "not proven, so clients take no deltas" in desk.person.must("verify", "2.0.0").out
    end = client_of(desk).explain().sections[-1].lines
    assert any("no delta: who vouches for the tree of 2.0.0 is not proven" in one for one in end)
    assert taken(desk).kind == "full"


def test_deltas_that_no_client_may_use_are_told_where_a_release_is_promoted_to_a_demand(
    desk: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    provenance = attested(desk, sigstore).name
    desk.publish("1.0.0", "--channel", "beta")
    said = desk.publish("2.0.0", "--channel", "beta", "--attestation", provenance, "--json")
    assert said.json()["warnings"] == []
    promote = ("promote", APP, "2.0.0", "--from", "beta", "--to", "stable", "--yes", "--json")
    assert [text[: len(USELESS)] for text in desk.person.must(*promote).json()["warnings"]] == [
        USELESS
    ]


def test_deltas_that_no_client_may_use_are_told_before_they_are_made(
    desk: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    desk.publish("2.0.0", "--attestation", attested(desk, sigstore).name, "--deltas", "0")
    add = ("deltas", "add", "2.0.0", "--app", APP, "--from", "1.0.0", "--json")
    for more in (["--dry-run"], []):
        (told,) = desk.person.must(*add, *more).json()["warnings"]
        assert told.startswith(USELESS)


def test_deltas_for_a_channel_that_demands_more_than_those_of_the_release_are_told_of(
    desk: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    provenance = attested(desk, sigstore).name
    desk.publish("2.0.0", "--channel", "beta", "--attestation", provenance, "--deltas", "0")
    add = ("deltas", "add", "2.0.0", "--app", APP, "--for", "stable", "--dry-run", "--json")
    (told,) = desk.person.must(*add).json()["warnings"]
    assert told.startswith(USELESS)


def test_a_builder_vouches_for_trees_by_the_claims_that_the_command_writes(
    desk: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    client_of(desk).update()
    built = archive(desk, "2.0.0")
    dry = desk.person.must("attest", "claim", built.name, "--dry-run", "--json").json()
    claim = desk.folder / f"{built.name}.tree-claim"
    assert not claim.exists()
    (one,) = desk.person.must("attest", "claim", built.name, "--json").json()["claims"]
    assert dry == {"claims": [one], "dry_run": True}
    artifact, digest = digest_bytes(built.read_bytes()), tree_digest(tree("2.0.0")).sha256
    assert claim.read_bytes() == tree_claim(artifact, digest)
    assert one["claim_sha256"] == digest_bytes(claim.read_bytes())
    provenance = attested(desk, sigstore, trees=True)
    said = desk.publish("2.0.0", "--attestation", provenance.name, "--json").json()
    assert said["attestations"][0]["artifacts"] == [artifact, one["claim_sha256"]]
    assert said["warnings"] == []
    assert taken(desk).kind == "delta"


def test_a_live_release_gets_the_word_on_its_trees_later(
    desk: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    client_of(desk).update()
    desk.publish("2.0.0", "--attestation", attested(desk, sigstore).name)
    listed = desk.person.must("attest", "list", "2.0.0", "--app", APP)
    assert "0 of 1 artifacts" not in listed.err
    assert f"No client takes deltas to 2.0.0 {PLATFORM}" in listed.err
    desk.person.must("attest", "add", "2.0.0", *KEYLESS)
    listed = desk.person.must("attest", "list", "2.0.0", "--app", APP, "--json")
    assert listed.json()["artifacts"][0]["tree_lacks"] == []
    assert taken(desk).kind == "delta"


def test_nobody_vouches_for_a_tree_that_the_artifact_does_not_hold(desk: ReleaseDesk) -> None:
    """A release's word on its tree is its publishers'; it is held to the artifact's bytes first."""
    artifact = live(desk, "1.0.0")
    lying = replace(artifact, tree_sha256=tree_digest({"evil": b"evil"}).sha256)
    progress = Progress(clock=time.monotonic, watched=False, quiet=True)
    waits = WaitRules(sleep=lambda _: None, jitter=lambda: 1.0, attempts=1)
    with Http(token=desk.person.environ["LOCKGATE_TOKEN"], waits=waits) as http:
        api = Api(http=http, base=desk.api)
        prove_trees(api, APP, [artifact], progress)
        with pytest.raises(DigestMismatchError, match="holds another tree"):
            prove_trees(api, APP, [artifact, lying], progress)


def test_nothing_of_a_live_tree_is_signed_before_its_artifact_was_unpacked(
    desk: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    desk.publish("2.0.0", "--allow-unattested")
    del desk.server.store.objects[artifact_key(APP, live(desk, "2.0.0").sha256)]
    entries = len(sigstore.log.entries)
    desk.person.must_end(2, ("attest", "add", "2.0.0", *KEYLESS), "not on the server")
    assert len(sigstore.log.entries) == entries


def live(desk: ReleaseDesk, version: str) -> Artifact:
    path = release_path(version)
    target = desk.chain().target(path)
    assert target is not None
    key = target_key(APP, path, Sha256Hex(target.hashes["sha256"]))
    return parse_release(desk.files()[key]).artifacts[0]
