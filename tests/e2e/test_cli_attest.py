"""`lockgate publish --sigstore` and its kin, and `lockgate attest`, against the real api app."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Attestation, parse_extras
from lockgate_release.errors import ExitCode
from lockgate_release.layout import artifact_key, extras_path, target_key
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.bundles import BundleVerifier
from tests.simulators.attestations import as_bytes, signature, statement
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk, open_desk
from tests.simulators.sigstore import SLSA, WORKFLOW, SigstoreSimulator, serve_sigstore, workflow

ELSEWHERE = digest_bytes(b"bytes of somebody else")


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as served:
        yield served


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


@pytest.fixture
def job(desk: ReleaseDesk, sigstore: SigstoreSimulator) -> ReleaseDesk:
    """The desk as a CI job that has an identity, and a private instance to sign with."""
    (desk.folder / "sigstore.json").write_text(sigstore.trust_config)
    desk.person.environ["SIGSTORE_ID_TOKEN"] = sigstore.token()
    return desk


KEYLESS = ("--sigstore", "--trust-config", "sigstore.json")


def digest_of(desk: ReleaseDesk, version: str) -> Sha256Hex:
    path = desk.folder / f"{APP}-{version}.tar.gz"
    return digest_bytes((path if path.exists() else desk.build(version)).read_bytes())


def listed(desk: ReleaseDesk, version: str) -> tuple[Attestation, ...]:
    """What the extras in force list."""
    path = extras_path(version)
    target = desk.chain().target(path)
    assert target is not None
    data = desk.files()[target_key(APP, path, Sha256Hex(target.hashes["sha256"]))]
    return parse_extras(data).attestations


def content(desk: ReleaseDesk, item: Attestation) -> bytes:
    return desk.files()[artifact_key(APP, item.sha256)]


# Signing.


def test_a_release_is_signed_by_the_job_that_publishes_it(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    ended = job.publish("1.0.0", *KEYLESS, "--json")
    item, tree = listed(job, "1.0.0")
    sha256 = digest_of(job, "1.0.0")
    assert (item.kind, item.artifacts, item.predicate_type) == ("sigstore", (sha256,), "")
    proven = BundleVerifier(sigstore.trusted_root).verify(content(job, item), sha256)
    assert (proven.identity, proven.issuer) == (WORKFLOW.identity, WORKFLOW.issuer)
    assert f"signed by {WORKFLOW.identity} (by {WORKFLOW.issuer})" in ended.err
    said = ended.json()
    assert [one["sha256"] for one in said["attestations"]] == [item.sha256, tree.sha256]
    assert said["signs"] == [f"{APP}-1.0.0.tar.gz", f"{APP}-1.0.0.tar.gz.tree-claim"]


def test_the_same_publish_again_signs_nothing_again(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    job.publish("1.0.0", *KEYLESS)
    before, entries = job.files(), len(sigstore.log.entries)
    ended = job.publish("1.0.0", *KEYLESS)
    assert "Nothing to do" in ended.err
    assert (job.files(), len(sigstore.log.entries)) == (before, entries)


def test_a_live_release_is_signed_by_publishing_it_again(job: ReleaseDesk) -> None:
    job.publish("1.0.0")
    assert listed(job, "1.0.0") == ()
    job.publish("1.0.0", *KEYLESS)
    assert len(listed(job, "1.0.0")) == 2


def test_a_dry_run_leaves_no_trace_in_the_log(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    before, entries = job.files(), len(sigstore.log.entries)
    ended = job.publish("1.0.0", *KEYLESS, "--dry-run")
    assert f"> {APP}-1.0.0.tar.gz is signed by Sigstore" in ended.out
    assert (job.files(), len(sigstore.log.entries)) == (before, entries)


def test_what_waits_for_signatures_is_not_signed_again(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    job.publish("1.0.0", *KEYLESS, "--unsigned")
    entries = len(sigstore.log.entries)
    ended = job.publish("1.0.0", *KEYLESS, "--unsigned")
    assert "waits for signatures already, just so" in ended.err
    assert len(sigstore.log.entries) == entries
    job.person.must("sign", APP, "1.0.0", "--yes")
    assert len(listed(job, "1.0.0")) == 2


def test_nothing_is_signed_by_sigstore_that_no_publisher_s_key_could_follow(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    job.publish("1.0.0")
    entries = len(sigstore.log.entries)
    stranger = job.elsewhere("stranger", **job.person.environ)
    for name in ("sigstore.json", f"{APP}-1.0.0.tar.gz"):
        (stranger.folder / name).write_bytes((job.folder / name).read_bytes())
    arguments = [*job.publish_arguments("1.0.0", *KEYLESS), "--server", job.api]
    arguments += ["--root", str(job.folder / "keys" / "root.json")]
    stranger.must_end(ExitCode.USAGE, arguments, "not enough signatures")
    assert len(sigstore.log.entries) == entries


def test_an_identity_can_come_from_a_file(job: ReleaseDesk, sigstore: SigstoreSimulator) -> None:
    other = workflow("other/repo")
    (job.folder / "token").write_text(sigstore.token(other) + "\n")
    ended = job.publish("1.0.0", *KEYLESS, "--identity-token-file", "token")
    assert other.identity in ended.err


def test_settings_can_ask_for_signatures_and_an_option_can_do_without(job: ReleaseDesk) -> None:
    settings = job.folder / "lockgate.toml"
    settings.write_text(
        f'{settings.read_text()}\n[publish]\nsigstore = true\ntrust_config = "sigstore.json"\n'
    )
    job.publish("1.0.0")
    job.publish("1.1.0", "--no-sigstore")
    assert (len(listed(job, "1.0.0")), len(listed(job, "1.1.0"))) == (2, 0)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "no identity to sign with"),
        ("no.token.at-all", "not a token to sign with"),
    ],
)
def test_without_an_identity_nothing_is_published_and_the_way_is_named(
    job: ReleaseDesk, token: str, words: str
) -> None:
    (job.folder / "token").write_text(token)
    arguments = (*KEYLESS, "--identity-token-file", "token")
    job.refuse(ExitCode.USAGE, "1.0.0", *arguments, words=words)


def test_how_to_sign_is_said_only_with_the_wish_to_sign(job: ReleaseDesk) -> None:
    job.refuse(ExitCode.USAGE, "1.0.0", *KEYLESS[1:], words="--trust-config")


def test_an_instance_that_cannot_be_reached_publishes_nothing(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    gone = sigstore.trust_config.replace(sigstore.address, "http://127.0.0.1:9")
    (job.folder / "sigstore.json").write_text(gone)
    arguments = job.publish_arguments("1.0.0", *KEYLESS)
    job.person.must_end(ExitCode.TRANSPORT, arguments, "Sigstore: certificate: cannot be reached")
    assert job.versions() == set()


def test_an_instance_other_than_the_trust_config_describes_is_refused(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    with serve_sigstore() as other:
        config = json.loads(sigstore.trust_config)
        config["signingConfig"] = json.loads(other.trust_config)["signingConfig"]
        (job.folder / "sigstore.json").write_text(json.dumps(config))
        job.refuse(ExitCode.REFUSED, "1.0.0", *KEYLESS, words="Sigstore: certificate")


# Attaching.


def test_attestations_that_were_made_elsewhere_are_published_as_they_are(
    desk: ReleaseDesk,
) -> None:
    sha256 = digest_of(desk, "1.0.0")
    files = {
        "provenance.jsonl": json.dumps(statement(sha256, ELSEWHERE)).encode() + b"\n",
        "bom.cdx.json": as_bytes({"bomFormat": "CycloneDX", "score": 0.5}),
        "bom.spdx.json": as_bytes({"spdxVersion": "SPDX-2.3"}),
    }
    more = []
    for name, data in files.items():
        (desk.folder / name).write_bytes(data)
        more += ["--attestation", name]
    desk.publish("1.0.0", *more)
    found = {item.kind: item for item in listed(desk, "1.0.0")}
    assert set(found) == {"sigstore", "cyclonedx", "spdx"}
    assert found["sigstore"].predicate_type == SLSA
    assert found["sigstore"].artifacts == (sha256,)
    assert found["cyclonedx"].artifacts == ()
    assert content(desk, found["spdx"]) == files["bom.spdx.json"]
    assert all(len(content(desk, item)) == item.size for item in found.values())


def test_a_bundle_of_other_bytes_is_refused_before_anything_is_sent(desk: ReleaseDesk) -> None:
    (desk.folder / "one.json").write_bytes(as_bytes(signature(ELSEWHERE)))
    desk.refuse(
        ExitCode.USAGE,
        "1.0.0",
        "--attestation",
        "one.json",
        words="speaks about none of the release's artifacts",
    )


def test_bundles_beside_the_artifacts_are_found_and_others_there_passed_over(
    desk: ReleaseDesk,
) -> None:
    sha256 = digest_of(desk, "1.0.0")
    own = f"{APP}-1.0.0.tar.gz.sigstore.json"
    (desk.folder / own).write_bytes(as_bytes(signature(sha256)))
    (desk.folder / "other.whl.sigstore.json").write_bytes(as_bytes(signature(ELSEWHERE)))
    desk.publish("1.0.0", "--bundle-dir", ".")
    assert [item.artifacts for item in listed(desk, "1.0.0")] == [(sha256,)]


def test_an_artifact_whose_own_bundle_is_of_other_bytes_is_not_published(
    desk: ReleaseDesk,
) -> None:
    own = f"{APP}-1.0.0.tar.gz.sigstore.json"
    (desk.folder / own).write_bytes(as_bytes(signature(ELSEWHERE)))
    desk.refuse(ExitCode.USAGE, "1.0.0", "--bundle-dir", ".", words=own)


def test_what_is_attached_to_a_live_release_joins_what_it_has(desk: ReleaseDesk) -> None:
    sha256 = digest_of(desk, "1.0.0")
    for number, value in enumerate((signature(sha256), statement(sha256))):
        (desk.folder / f"{number}.json").write_bytes(as_bytes(value))
        desk.publish("1.0.0", "--attestation", f"{number}.json")
    assert [item.predicate_type for item in listed(desk, "1.0.0")] == ["", SLSA]


# Adding to what is live.


def test_add_signs_a_live_release_and_once_only(job: ReleaseDesk) -> None:
    job.publish("1.0.0")
    job.person.must("attest", "add", "1.0.0", *KEYLESS)
    artifact, tree = [item.artifacts for item in listed(job, "1.0.0")]
    assert artifact == (digest_of(job, "1.0.0"),) != tree
    ended = job.person.must("attest", "add", "1.0.0", *KEYLESS)
    assert "Nothing to do" in ended.err


def test_add_warns_before_a_job_vouches_for_a_release_that_it_has_not_built(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    trust(job, sigstore)
    job.publish("1.0.0")
    quiet = job.person.must("attest", "add", "1.0.0", *KEYLESS, "--json")
    assert quiet.json()["warnings"] == []
    job.person.must("policy", "edit", "rule.json", *RULE)
    hold(job, "rule.json")
    job.publish("1.1.0", "--allow-unattested")
    add = ("attest", "add", "1.1.0", *KEYLESS, "--json")
    assert job.person.must(*add, "--dry-run").json()["warnings"] == []
    said = job.person.must(*add)
    words = f"stable takes a signature of {WORKFLOW.identity} (by {WORKFLOW.issuer})"
    (warning,) = said.json()["warnings"]
    assert words in warning
    assert said.err.index(f"warning: {words}") < said.err.index(": signed by ")
    assert job.person.must(*add).json()["warnings"] == []


def test_add_takes_files_and_refuses_those_of_others(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    sha256 = digest_of(desk, "1.0.0")
    (desk.folder / "good.json").write_bytes(as_bytes(statement(sha256)))
    (desk.folder / "bad.json").write_bytes(as_bytes(statement(ELSEWHERE)))
    add = ["attest", "add", "1.0.0"]
    before = desk.files()
    desk.person.must_end(ExitCode.USAGE, [*add, "good.json", "bad.json"], "bad.json")
    desk.person.must_end(ExitCode.USAGE, add, "nothing to add")
    desk.person.must_end(
        ExitCode.USAGE, ["attest", "add", "9.9.9", "good.json"], "not a live release"
    )
    desk.person.must(*add, "good.json", "--dry-run")
    assert desk.files() == before
    said = desk.person.must(*add, "good.json", "--json").json()
    assert [item["predicate_type"] for item in said["added"]["1.0.0"]] == [SLSA]
    assert len(listed(desk, "1.0.0")) == 1
    before = desk.files()
    assert desk.person.must(*add, "good.json", "--json").json()["added"] == {}
    assert desk.files() == before


# Backfill.


@pytest.fixture
def history(job: ReleaseDesk, sigstore: SigstoreSimulator) -> ReleaseDesk:
    """Three releases that nobody has attested, and a folder with bundles of two of them."""
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        job.publish(version)
    folder = job.folder / "bundles" / "old"
    folder.mkdir(parents=True)
    for version in ("1.0.0", "1.1.0"):
        data = (job.folder / f"{APP}-{version}.tar.gz").read_bytes()
        (folder / f"{version}.sigstore.json").write_bytes(sigstore.sign(data))
    (folder / "stranger.sigstore.json").write_bytes(as_bytes(signature(ELSEWHERE)))
    (folder / "broken.sigstore.json").write_bytes(b"{}")
    return job


BACKFILL = ("attest", "backfill", "--app", APP, "--from-dir", "bundles")
RULE = ("--channel", "stable", "--attest", "https://github.com/o/r/.github/workflows/*@refs/tags/*")


def trust(desk: ReleaseDesk, sigstore: SigstoreSimulator) -> None:
    """Let the maintainers sign what verifies this instance's bundles."""
    (desk.folder / "trusted.json").write_bytes(sigstore.trusted_root)
    desk.person.must("policy", "trusted-root", "root.json", "--from-file", "trusted.json")
    hold(desk, "root.json")


def hold(desk: ReleaseDesk, file: str) -> None:
    key = "keys/root/maintainer-1.pem"
    desk.person.must("root", "sign", file, "--key", key, "--yes")
    desk.person.must("root", "submit", file)


def test_backfill_adds_what_it_finds_by_one_list_and_reports_the_rest(
    history: ReleaseDesk,
) -> None:
    lists = history.chain().releases.version
    dry = history.person.must(*BACKFILL, "--dry-run", "--json").json()
    assert history.chain().releases.version == lists
    said = history.person.must(*BACKFILL, "--json").json()
    assert history.chain().releases.version == lists + 1
    assert {**dry, "dry_run": False} == said
    assert sorted(said["added"]) == ["1.0.0", "1.1.0"]
    assert {item["version"]: item["covered"] for item in said["artifacts"]} == {
        "1.2.0": False,
        "1.1.0": True,
        "1.0.0": True,
    }
    assert (said["covered"], said["complete"]) == (2, False)
    assert len(said["strangers"]) == len(said["broken"]) == 1
    again = history.person.must(*BACKFILL, "--json").json()
    assert (again["added"], again["known"]) == ({}, 2)
    assert history.chain().releases.version == lists + 1


def test_enforcement_begins_only_when_coverage_is_complete(
    history: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    trust(history, sigstore)
    require = (*BACKFILL, *RULE, "--require", "rule.json")
    ended = history.person.must_end(
        ExitCode.USAGE, require, "coverage is not complete", f"1.2.0 {PLATFORM}"
    )
    assert "2 of 3 artifacts are covered" in ended.err
    assert not (history.folder / "rule.json").exists()
    history.person.must("attest", "add", "1.2.0", *KEYLESS)
    history.person.must(*require)
    hold(history, "rule.json")
    document = json.loads(history.person.must("policy", "show").out)
    (demand,) = document["channels"]["stable"]["attestations"]["demands"]
    assert demand["signers"][0]["identity"] == RULE[-1]
    listing = history.person.must("attest", "list", "--json").json()
    assert listing["complete"] is True


def test_one_ceremony_can_bring_the_rule_and_what_verifies_it(
    history: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    history.person.must("attest", "add", "1.2.0", *KEYLESS)
    (history.folder / "trusted.json").write_bytes(sigstore.trusted_root)
    history.person.must("policy", "trusted-root", "both.json", "--from-file", "trusted.json")
    history.person.must(*BACKFILL, *RULE, "--require", "both.json")
    hold(history, "both.json")
    assert history.person.must("attest", "list", "--json").json()["complete"] is True


def test_what_is_revoked_in_the_channel_need_not_be_covered(
    history: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    trust(history, sigstore)
    history.person.must("revoke", APP, "1.2.0", "--reason", "bad", "--yes")
    history.person.must(*BACKFILL, *RULE, "--require", "rule.json")
    hold(history, "rule.json")


def test_a_rule_for_all_other_channels_concerns_what_they_may_offer(
    history: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    trust(history, sigstore)
    rule = ("--channel", "*", *RULE[2:])
    history.person.must("policy", "edit", "own.json", "--channel", "stable", "--no-attest")
    hold(history, "own.json")
    # Stable has a rule of its own now, and nothing was published elsewhere.
    said = history.person.must(*BACKFILL, *rule, "--json").json()
    assert said["artifacts"] == []
    history.person.must_end(
        ExitCode.USAGE, [*BACKFILL, *rule, "--require", "rule.json"], "nothing to require it of"
    )
    history.publish("1.2.0", "--channel", "beta")
    said = history.person.must(*BACKFILL, *rule, "--json").json()
    assert [item["version"] for item in said["artifacts"]] == ["1.2.0"]


def test_nothing_is_required_while_what_covers_it_waits_for_signatures(
    history: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    trust(history, sigstore)
    history.person.must("revoke", APP, "1.2.0", "--reason", "bad", "--yes")
    require = (*BACKFILL, *RULE, "--require", "rule.json", "--unsigned")
    history.person.must_end(ExitCode.USAGE, require, "what covers them waits for signatures")
    assert not (history.folder / "rule.json").exists()


def test_what_a_channel_would_not_take_is_refused_before_it_is_sent(
    job: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    job.publish("1.0.0", *KEYLESS)
    trust(job, sigstore)
    job.person.must("policy", "edit", "rule.json", *RULE)
    hold(job, "rule.json")
    words = "1.1.0: demo-1.1.0.tar.gz: lacks proofs of origin that its channel demands"
    job.refuse(ExitCode.USAGE, "1.1.0", words=words)
    (job.folder / "token").write_text(sigstore.token(workflow("some/fork")))
    fork = (*KEYLESS, "--identity-token-file", "token")
    job.refuse(ExitCode.USAGE, "1.1.0", *fork, words="some/fork")
    job.publish("1.1.0", "--channel", "beta")
    assert job.offers() == {"1.0.0": 10_000}
    job.publish("1.1.0", *KEYLESS)
    assert job.offers() == {"1.1.0": 10_000}


def test_bundles_of_another_identity_or_instance_cover_nothing(
    history: ReleaseDesk, sigstore: SigstoreSimulator
) -> None:
    trust(history, sigstore)
    other = history.person.must(
        *BACKFILL, "--channel", "stable", "--attest", "https://github.com/x/y/*", "--json"
    ).json()
    assert other["covered"] == 0
    data = (history.folder / f"{APP}-1.2.0.tar.gz").read_bytes()
    with serve_sigstore() as foreign:
        (history.folder / "bundles" / "f.sigstore.json").write_bytes(foreign.sign(data))
    said = history.person.must(*BACKFILL, *RULE, "--json").json()
    lacks = {item["version"]: item["lacks"] for item in said["artifacts"]}
    assert (lacks["1.0.0"], lacks["1.1.0"]) == ([], [])
    assert lacks["1.2.0"]


def test_nothing_is_required_by_half_a_rule(history: ReleaseDesk) -> None:
    for more, words in (
        (["--require", "rule.json"], "require what?"),
        (["--channel", "stable"], "whose?"),
        (list(RULE[2:]), "of which channel?"),
        ([*RULE, "--require", "rule.json"], "there is no trusted root"),
    ):
        history.person.must_end(ExitCode.USAGE, [*BACKFILL, *more], words)
        assert not (history.folder / "rule.json").exists()
