"""`lockgate verify`: who signed a file or a release; everything else refused, with the reason."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_cli.context import Call
from lockgate_cli.extras import join_extras
from lockgate_cli.reissuing import reissue
from lockgate_cli.uploading.session import Outgoing
from lockgate_release.digests import digest_bytes, digest_file
from lockgate_release.documents import ExtrasDocument
from lockgate_release.layout import artifact_key
from lockgate_release.settings import load_settings
from tests.simulators.command_line import CommandLine
from tests.simulators.extras import an_attestation
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.sigstore import ANN, SLSA, WORKFLOW, SigstoreSimulator, serve_sigstore

BOTS = "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v*"
WHO = ("--identity", BOTS, "--issuer", WORKFLOW.issuer)
OTHERS = ("--identity", BOTS.replace("/r/", "/rr/"), "--issuer", WORKFLOW.issuer)


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as simulator:
        yield simulator


# -- A file ---------------------------------------------------------------------------------


@pytest.fixture
def person(tmp_path: Path, sigstore: SigstoreSimulator) -> CommandLine:
    """Somebody with a file, its bundle, and no server and no settings at all."""
    (tmp_path / "app.tar.gz").write_bytes(b"an artifact")
    (tmp_path / "app.tar.gz.sigstore.json").write_bytes(sigstore.sign(b"an artifact"))
    (tmp_path / "root.json").write_bytes(sigstore.trusted_root)
    return CommandLine(folder=tmp_path)


ROOT = ("--trusted-root", "root.json")
FILE = ("verify", "app.tar.gz", *ROOT)


def test_a_file_is_proven_by_the_bundle_beside_it(person: CommandLine) -> None:
    ended = person.must(*FILE, *WHO)
    assert ended.out.startswith(
        f"app.tar.gz: proven\n  signed by {WORKFLOW.identity} (by {WORKFLOW.issuer}), "
        "built from https://github.com/o/r at refs/tags/v1.0.0"
    )
    said = person.must(*FILE, *WHO, "--json").json()
    (artifact,) = said["artifacts"]
    assert artifact["proven"] is True
    assert artifact["sha256"] == digest_bytes(b"an artifact")
    assert artifact["proofs"][0]["source_repository"] == "https://github.com/o/r"


def test_a_named_bundle_counts_instead_and_each_thing_asked_is_asked(
    person: CommandLine, sigstore: SigstoreSimulator
) -> None:
    sha256 = digest_bytes(b"an artifact")
    (person.folder / "said.jsonl").write_bytes(
        sigstore.attest({"a": sha256}, ANN) + b"\n" + sigstore.attest({"a": sha256}) + b"\n"
    )
    asked = (*FILE, *WHO, "--predicate-type", SLSA, "--workflow", BOTS)
    repository = ("--source-repository", "https://github.com/o/*")
    person.must(*asked, *repository, "--bundle", "said.jsonl")
    person.must_end(20, (*asked, *repository), "its origin is not proven")
    other = ("--source-repository", "https://github.com/x/*")
    person.must_end(20, (*asked, *other, "--bundle", "said.jsonl"), "not proven")


@pytest.mark.parametrize("who", [OTHERS, (*WHO[:3], "https://accounts.example")])
def test_a_file_that_somebody_else_signed_is_refused(
    person: CommandLine, who: tuple[str, ...]
) -> None:
    ended = person.must_end(20, (*FILE, *who), "its origin is not proven", "0 of 1 proven")
    assert "app.tar.gz: not proven" in ended.out
    assert "none of its signers" in ended.out
    told = person.run(*FILE, *who, "--json")
    assert told.code == 20
    assert told.json()["artifacts"][0]["proven"] is False


def test_a_file_that_was_changed_is_refused(person: CommandLine) -> None:
    (person.folder / "app.tar.gz").write_bytes(b"another artifact")
    ended = person.must_end(20, (*FILE, *WHO), "its origin is not proven")
    assert "digest mismatch" in ended.out


def test_another_instances_word_counts_for_nothing(person: CommandLine) -> None:
    ended = person.must_end(20, ("verify", "app.tar.gz", *WHO, "--sigstore-public-good"))
    assert "CertValidationError" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (FILE, "whom do you expect?"),
        ((*FILE, "--identity", BOTS), "half of whom you expect"),
        ((*FILE, "--issuer", WORKFLOW.issuer), "half of whom you expect"),
        ((*FILE, "--identity", "*", "--issuer", WORKFLOW.issuer), "--identity: not a pattern"),
        ((*FILE, *WHO, "--workflow", "*"), "--workflow: not a pattern"),
        ((*FILE, *WHO, "--channel", "stable"), "a file is in no channel"),
        ((*FILE, *WHO, "--sigstore-public-good"), "one trusted root or the other"),
        ((*FILE, *WHO, "--bundle", "gone"), "gone: no such file"),
        ((*FILE, *WHO, "--bundle", "root.json"), "holds no attestation"),
        (("verify", "app.tar.gz", *WHO, "--trusted-root", "gone"), "gone: no such file"),
        (("verify", "app.tar.gz", *WHO), "who vouches for bundles?"),
        (("verify", "root.json", *WHO, *ROOT), "no bundle beside it"),
        (("verify", "1.0.0", *WHO, *ROOT), "1.0.0: no such file"),
        (("verify", "1.0.0", *WHO, *ROOT, "--bundle", "x"), "--bundle is for a file"),
    ],
)
def test_what_makes_no_sense_is_said_in_words(
    person: CommandLine, arguments: tuple[str, ...], words: str
) -> None:
    person.must_end(2, arguments, words)


def test_a_root_that_is_none_proves_nothing(person: CommandLine) -> None:
    (person.folder / "root.json").write_text("{}")
    person.must_end(20, (*FILE, *WHO), "not a Sigstore trusted root")


# -- A release ------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path, sigstore: SigstoreSimulator) -> Iterator[ReleaseDesk]:
    """One release, whose extras name a bundle of the workflow's, and one without."""
    with open_desk(tmp_path) as desk:
        desk.init()
        (desk.folder / "ours.json").write_bytes(sigstore.trusted_root)
        desk.publish("1.0.0")
        desk.publish("1.1.0")
        path = desk.folder / f"{APP}-1.0.0.tar.gz"
        _attach(desk, "1.0.0", sigstore.attest({path.name: digest_file(path)}))
        yield desk


def _attach(desk: ReleaseDesk, version: str, bundle: bytes) -> None:
    path = desk.folder / "bundle"
    path.write_bytes(bundle)
    sha256 = digest_bytes(bundle)
    proof = an_attestation(sha256, size=len(bundle))
    beside = Outgoing(path=path, name=path.name, sha256=sha256, size_bytes=len(bundle))

    def add(live: ExtrasDocument) -> ExtrasDocument:
        return join_extras(live, [], [proof])

    person = desk.person
    call = Call(around=person.surroundings(), settings=load_settings(person.folder, person.environ))
    with call.api() as api:
        reissue(call, api, APP, {version: add}, title="attest", beside=[beside])


def _bundle_key(desk: ReleaseDesk) -> str:
    return artifact_key(APP, digest_file(desk.folder / "bundle"))


def test_a_release_is_proven_without_its_artifacts(desk: ReleaseDesk) -> None:
    release = ("verify", "1.0.0", *WHO, "--predicate-type", SLSA)
    ended = desk.person.must(*release, "--trusted-root", "ours.json")
    assert f"{APP}-1.0.0.tar.gz (linux-x86_64): proven" in ended.out
    assert f"as {SLSA}" in ended.out
    (artifact,) = desk.person.must(*release, "--trusted-root", "ours.json", "--json").json()[
        "artifacts"
    ]
    assert artifact["sha256"] == digest_file(desk.folder / f"{APP}-1.0.0.tar.gz")
    bare = ("verify", "1.1.0", *WHO, "--trusted-root", "ours.json")
    assert "no proof of its origin" in desk.person.must_end(20, bare).out
    desk.person.must_end(2, (*release,), "signed no trusted root of Sigstore")
    desk.person.must_end(2, ("verify", "9.9.9", *WHO), "neither a file here nor a live release")
    desk.person.must_end(2, ("verify", "1.0.0"), "the policy demands no proof of its origin")


def test_a_release_is_held_to_its_policy_with_the_root_that_maintainers_signed(
    desk: ReleaseDesk,
) -> None:
    desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
    demand = ("policy", "edit", "c.json", "--channel", "beta", "--attest")
    desk.person.must(*demand, BOTS, "--attest-type", SLSA)
    desk.person.must("root", "sign", "c.json", "--key", "keys/root/maintainer-1.pem", "--yes")
    desk.person.must("root", "submit", "c.json")
    told = desk.person.must("verify", "1.0.0", "--channel", "beta")
    assert "proven for beta" in told.out
    desk.person.must_end(20, ("verify", "1.1.0", "--channel", "beta"), "not proven")
    desk.person.must_end(2, ("verify", "1.0.0", "--channel", "beta", *WHO), "one rule or the other")
    # A file is verified with the signed root too.
    file = ("verify", f"{APP}-1.0.0.tar.gz", *WHO, "--bundle", "bundle")
    desk.person.must(*file)
    # One without a bundle is looked up by its digest, and held to the policy.
    alone = f"{APP}-1.0.0.tar.gz"
    assert "proven for beta" in desk.person.must("verify", alone, "--channel", "beta").out
    desk.person.must("verify", alone, *WHO)
    other = (f"{APP}-1.1.0.tar.gz", "--channel", "beta")
    assert "1.1.0.tar.gz (linux-x86_64): not proven" in desk.person.run("verify", *other).out
    desk.person.must_end(2, ("verify", "ours.json", *WHO), "no live release has it")
    wide = BOTS.replace("/o/", "/*/")
    doubted = ("policy", "edit", "d.json", "--channel", "nightly", "--attest", wide, "--dry-run")
    assert f"next to anybody can be {wide}" in desk.person.must(*doubted).err
    # A copy of it all on a disk needs no server.
    desk.person.must("mirror", "copy")
    desk.person.must("verify", "1.0.0", "--channel", "beta", "--from", "copy")


def test_a_bundle_that_the_server_strips_or_spoils_is_missed(desk: ReleaseDesk) -> None:
    release = ("verify", "1.0.0", *WHO, "--trusted-root", "ours.json")
    key = _bundle_key(desk)
    good = desk.server.store.objects[key]
    desk.server.store.objects[key] = replace(good, data=b"{" * len(good.data))
    desk.person.must_end(20, release, "not the bytes that were signed")
    del desk.server.store.objects[key]
    assert "no proof of its origin" in desk.person.must_end(20, release).out
