"""What a file of attestations says of itself, and what is refused before anything is sent."""

import json

import pytest

from lockgate_cli.attesting.attaching import AttestWish, attach
from lockgate_cli.attesting.matching import find_subjects
from lockgate_cli.attesting.reading import CYCLONEDX, SPDX, read_attestations
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact
from lockgate_release.documents.attestation import SIGSTORE
from lockgate_release.errors import UsageError
from lockgate_release.layout import artifact_path
from lockgate_release.names import Platform, Sha256Hex
from lockgate_release.provenance.tree_claims import digest_tree_claim
from tests.simulators.attestations import BUNDLE, SLSA, as_bytes, signature, statement

ONE = digest_bytes(b"one")
OTHER = digest_bytes(b"other")


def artifact(name: str, sha256: Sha256Hex) -> Artifact:
    return Artifact(
        platform=Platform("linux-x86_64"),
        name=name,
        kind="tar.gz",
        size=3,
        sha256=sha256,
        tree_sha256=digest_bytes(b"tree"),
        tree_size=3,
        path=artifact_path(sha256),
    )


ARTIFACTS = (artifact("app-1.tar.gz", ONE), artifact("app-1-arm.tar.gz", digest_bytes(b"arm")))


def test_a_signature_says_which_bytes_it_is_over() -> None:
    data = as_bytes(signature(ONE))
    (said,) = read_attestations(data, subject="one.sigstore.json")
    assert (said.kind, said.predicate_type, said.digests) == (SIGSTORE, "", frozenset({ONE}))
    assert said.data == data
    assert said.is_signature


def test_a_statement_says_its_type_and_each_subject() -> None:
    (said,) = read_attestations(as_bytes(statement(ONE, OTHER.upper())), subject="x")
    assert (said.kind, said.predicate_type, said.digests) == (
        SIGSTORE,
        SLSA,
        frozenset({ONE, OTHER}),
    )
    assert not said.is_signature


def test_each_line_of_github_s_downloads_is_published_by_itself() -> None:
    lines = [json.dumps(statement(ONE)), "", json.dumps(signature(OTHER))]
    found = read_attestations("\r\n".join(lines).encode(), subject="sha256.jsonl")
    assert [said.digests for said in found] == [{ONE}, {OTHER}]
    assert found[0].data == lines[0].encode()
    assert "line 2" in found[1].subject


@pytest.mark.parametrize("form", ["list", "object"])
def test_only_the_bundle_of_github_s_answers_is_published(form: str) -> None:
    wrapped = {"bundle": statement(ONE), "repository_id": 7, "bundle_url": "https://example.com"}
    value = {"attestations": [wrapped]} if form == "list" else wrapped
    (said,) = read_attestations(as_bytes(value), subject="answer.json")
    assert said.digests == {ONE}
    assert json.loads(said.data) == statement(ONE)


def test_sboms_of_both_kinds_are_known_by_their_content() -> None:
    cyclonedx = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"hashes": [{"alg": "SHA-256", "content": ONE}]}},
        "vulnerabilities": [{"ratings": [{"score": 9.8}]}],
    }
    spdx = {
        "spdxVersion": "SPDX-2.3",
        "files": [{"checksums": [{"algorithm": "SHA256", "checksumValue": OTHER}]}],
    }
    files = {
        CYCLONEDX: [
            as_bytes(cyclonedx),
            b'<?xml version="1.0"?>\n<bom xmlns="http://cyclonedx.org/schema/bom/1.6"></bom>',
        ],
        SPDX: [
            as_bytes(spdx),
            b"SPDXVersion: SPDX-2.3\n",
            as_bytes({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}),
        ],
    }
    for kind, contents in files.items():
        for data in contents:
            (said,) = read_attestations(data, subject="any.json")
            assert (said.kind, said.predicate_type, said.data) == (kind, "", data)
    assert read_attestations(files[CYCLONEDX][0], subject="x")[0].digests == {ONE}
    assert read_attestations(files[SPDX][0], subject="x")[0].digests == {OTHER}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"{", "holds no attestation"),
        (b"[]", "holds no attestation"),
        (b"\xff\xfe", "holds no attestation"),
        (b"[" * 100_000, "holds no attestation"),
        (b"{}", "an object with nothing"),
        (as_bytes({"attestations": []}), "holds no attestation"),
        (as_bytes({"attestations": ["x"]}), "holds no attestation"),
        (as_bytes({"base64Signature": "x", "rekorBundle": {}}), "--new-bundle-format"),
        (as_bytes({"attestation_bundles": []}), "PyPI"),
        (as_bytes({"mediaType": BUNDLE}), "a messageSignature or a dsseEnvelope"),
        (as_bytes(signature(ONE, algorithm="SHA2_512")), "SHA2_256"),
        (as_bytes(signature(ONE, digest="AAAA")), "3 bytes"),
        (as_bytes(signature(ONE, digest="%")), "base64"),
        (as_bytes(signature(ONE, digest=None)), "base64"),
        (as_bytes(statement()), "subjects with a SHA-256"),
        (as_bytes(statement("short")), "subjects with a SHA-256"),
        (as_bytes(statement(ONE, predicateType="")), "predicateType"),
        (as_bytes(statement(ONE, predicateType="x" * 2000)), "predicateType"),
        (as_bytes(statement(ONE, subject={"digest": ONE})), "subjects"),
        (
            as_bytes({"mediaType": BUNDLE, "dsseEnvelope": {"payloadType": "text/plain"}}),
            "payload type",
        ),
    ],
)
def test_what_is_none_is_refused_with_what_was_found(data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match="any") as raised:
        read_attestations(data, subject="any.json")
    assert words in str(raised.value)


def test_one_broken_line_spoils_the_file() -> None:
    data = json.dumps(statement(ONE)).encode() + b"\n{}\n"
    with pytest.raises(UsageError, match=r"any.jsonl, line 2"):
        read_attestations(data, subject="any.jsonl")


def test_a_bundle_of_another_s_artifact_is_about_none_whatever_it_is_called() -> None:
    (said,) = read_attestations(as_bytes(signature(OTHER)), subject="app-1.tar.gz.sigstore.json")
    assert find_subjects(said, ARTIFACTS, attached=True) is None


def test_a_statement_is_about_those_of_its_subjects_that_the_release_has() -> None:
    (said,) = read_attestations(as_bytes(statement(OTHER, ONE)), subject="x")
    assert find_subjects(said, ARTIFACTS, attached=False) == (ONE,)


def test_a_bundle_can_be_about_the_claim_of_a_tree_and_then_about_no_other_artifact_s() -> None:
    tree = ARTIFACTS[0].tree_sha256
    claims = [digest_tree_claim(item.sha256, tree) for item in ARTIFACTS]
    (said,) = read_attestations(as_bytes(statement(OTHER, ONE, claims[0])), subject="x")
    assert find_subjects(said, ARTIFACTS, attached=True) == (ONE, claims[0])
    (said,) = read_attestations(as_bytes(signature(claims[1])), subject="x")
    assert find_subjects(said, ARTIFACTS, attached=False) == (claims[1],)
    assert find_subjects(said, ARTIFACTS[:1], attached=True) is None
    (said,) = read_attestations(as_bytes(signature(tree)), subject="x")
    assert find_subjects(said, ARTIFACTS, attached=True) is None


def test_the_bundle_of_a_claim_of_other_bytes_is_refused_by_its_name() -> None:
    name = "dist/app-1.tar.gz.tree-claim.sigstore.json"
    beside = read_attestations(as_bytes(signature(OTHER)), subject=name)
    with pytest.raises(UsageError, match="speaks about none"):
        attach(AttestWish(beside=beside), ARTIFACTS, "1.0.0")


def test_an_sbom_is_about_the_file_it_is_named_after_or_about_all_that_it_was_attached_to() -> None:
    data = as_bytes({"bomFormat": "CycloneDX"})
    (beside,) = read_attestations(data, subject="dist/app-1.tar.gz.cdx.json")
    (loose,) = read_attestations(data, subject="dist/bom.json")
    assert find_subjects(beside, ARTIFACTS, attached=False) == (ONE,)
    assert find_subjects(loose, ARTIFACTS, attached=True) == ()
    assert find_subjects(loose, ARTIFACTS, attached=False) is None
