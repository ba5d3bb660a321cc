"""What somebody can do with Sigstore bundles who is not whom the policy names: nothing.

A Sigstore instance of our own signs, by unmodified sigstore-python; each attack ends in a judgement
that the rule is not met, with the reason.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat import asn1

from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    SignerRule,
)
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.bundles import MAX_BUNDLE_BYTES
from lockgate_release.provenance.judging import judge_attestations
from tests.attacks.bundle_claims import DATA, DEMAND, RELEASE, RULE, SHA256, assert_unproven, judge
from tests.simulators.sigstore import (
    ANN,
    BOB,
    SLSA,
    WORKFLOW,
    SigstoreSimulator,
    person,
    serve_sigstore,
    workflow,
)

OTHER = Sha256Hex(hashlib.sha256(b"another").hexdigest())


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as simulator:
        yield simulator


@pytest.fixture
def own() -> Iterator[SigstoreSimulator]:
    """One whose knobs a test may turn."""
    with serve_sigstore() as simulator:
        yield simulator


# -- What is right is taken -----------------------------------------------------------------


def test_a_signature_of_the_workflow_that_the_rule_names_is_taken(
    sigstore: SigstoreSimulator,
) -> None:
    judgement = judge(sigstore, sigstore.sign(DATA))
    assert judgement.is_met
    (proof,) = judgement.found
    assert (proof.identity, proof.issuer) == (WORKFLOW.identity, WORKFLOW.issuer)
    assert (proof.source_repository, proof.source_ref) == (
        "https://github.com/o/r",
        "refs/tags/v1.0.0",
    )
    assert proof.predicate_type == ""
    assert abs(proof.logged_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_statement_about_several_files_proves_each_of_them(sigstore: SigstoreSimulator) -> None:
    bundle = sigstore.attest({"a": OTHER, "b": SHA256})
    demand = replace(
        DEMAND,
        predicate_types=(SLSA,),
        source_repository="https://github.com/o/r",
        workflow=RELEASE.identity,
    )
    for sha256 in (SHA256, OTHER):
        assert judge(sigstore, bundle, demand=demand, sha256=sha256).is_met


def test_no_more_bundles_are_asked_for_than_the_rule_needs(sigstore: SigstoreSimulator) -> None:
    def bundles() -> Iterator[bytes]:
        yield b"rubbish"
        yield sigstore.sign(DATA)
        pytest.fail("one too many")

    judgement = judge_attestations(RULE, bundles(), SHA256, sigstore.trusted_root)
    assert judgement.is_met
    assert len(judgement.refused) == 1


def test_two_people_reach_a_threshold_of_two(sigstore: SigstoreSimulator) -> None:
    assert judge(sigstore, sigstore.sign(DATA, ANN), sigstore.sign(DATA, BOB), demand=_TWO).is_met


# -- Who signs ------------------------------------------------------------------------------

_TWO = AttestationDemand(
    threshold=2,
    signers=tuple(SignerRule(identity=one.identity, issuer=one.issuer) for one in (ANN, BOB)),
)


def test_no_bundle_at_all_proves_nothing(sigstore: SigstoreSimulator) -> None:
    assert_unproven(judge(sigstore), "no proof of its origin", RELEASE.identity)


@pytest.mark.parametrize(
    "who",
    [
        workflow(repository="o/rr"),
        workflow(repository="evil/r"),
        workflow(file="other.yml"),
        workflow(ref="refs/heads/main"),
        workflow(ref="refs/tags/v1@refs/heads/evil"),
        ANN,
        replace(WORKFLOW, issuer="https://accounts.example"),
    ],
    ids=lambda who: who.identity,
)
def test_another_identity_or_issuer_is_nobody_here(sigstore: SigstoreSimulator, who: Any) -> None:
    assert_unproven(judge(sigstore, sigstore.sign(DATA, who)), "none of its signers", who.identity)


def test_one_person_does_not_reach_a_threshold_of_two_by_signing_twice(
    sigstore: SigstoreSimulator,
) -> None:
    twice = (sigstore.sign(DATA, ANN), sigstore.attest({"a": SHA256}, ANN))
    assert_unproven(judge(sigstore, *twice, demand=_TWO), "who counts once")
    elsewhere = person(ANN.identity, "https://other.example")
    assert not judge(sigstore, *twice, sigstore.sign(DATA, elsewhere), demand=_TWO).is_met


def test_a_certificate_that_names_two_is_nobodys(own: SigstoreSimulator) -> None:
    own.authority.names = [
        x509.UniformResourceIdentifier(name) for name in (WORKFLOW.identity, "https://evil.example")
    ]
    assert_unproven(judge(own, own.sign(DATA)), "does not name one identity")


def test_a_certificate_that_names_two_issuers_is_nobodys(own: SigstoreSimulator) -> None:
    own.authority.further = {8: asn1.encode_der("https://other.example")}
    assert_unproven(judge(own, own.sign(DATA)), "does not name one issuer")


def test_what_the_issuer_did_not_certify_of_the_build_is_not_taken_from_the_statement(
    own: SigstoreSimulator,
) -> None:
    """The statement says where it was built; the certificate says nothing of it."""
    told = {"buildDefinition": {"externalParameters": {"workflow": {"repository": "o/r"}}}}
    silent = replace(WORKFLOW, claims={"job_workflow_ref": WORKFLOW.claims["job_workflow_ref"]})
    bundle = own.attest({"a": SHA256}, silent, predicate=told)
    demand = replace(DEMAND, source_repository="https://github.com/o/r")
    assert_unproven(judge(own, bundle, demand=demand), "built from what nobody certified")
    assert judge(own, bundle).is_met


@pytest.mark.parametrize("escape", ["\x1b[2J", "\n"])
def test_what_moves_a_terminals_cursor_is_in_no_certificate(
    own: SigstoreSimulator, escape: str
) -> None:
    own.authority.further = {1: f"{WORKFLOW.issuer}{escape}".encode()}
    refused = judge(own, own.sign(DATA))
    assert_unproven(refused, "does not name one issuer")
    assert refused.why_not().isprintable()
    own.authority.further = {12: asn1.encode_der(f"https://github.com/o/r{escape}")}
    assert_unproven(judge(own, own.sign(DATA)), "cannot be printed")
    own.authority.names = [x509.UniformResourceIdentifier(f"https://evil.example/{escape}")]
    own.authority.further = {}
    refused = judge(own, own.sign(DATA))
    assert_unproven(refused, "does not name one identity")
    assert refused.why_not().isprintable()


def test_another_repository_calls_the_same_reusable_workflow_in_vain(
    sigstore: SigstoreSimulator,
) -> None:
    caller = {
        **WORKFLOW.claims,
        "repository": "evil/r",
        "workflow_ref": "evil/r/x.yml@refs/tags/v1",
    }
    bundle = sigstore.sign(DATA, replace(WORKFLOW, claims=caller))
    demand = replace(DEMAND, source_repository="https://github.com/o/r")
    assert_unproven(judge(sigstore, bundle, demand=demand), "built from https://github.com/evil/r")
    demand = replace(DEMAND, workflow=RELEASE.identity)
    assert_unproven(judge(sigstore, bundle, demand=demand), "by the workflow https://github.com/e")


# -- What is signed -------------------------------------------------------------------------


def test_a_bundle_of_another_artifact_proves_nothing_of_this_one(
    sigstore: SigstoreSimulator,
) -> None:
    assert_unproven(judge(sigstore, sigstore.sign(b"another")), "digest mismatch")


def test_a_bundle_that_hides_which_artifact_it_is_for_proves_nothing(
    sigstore: SigstoreSimulator,
) -> None:
    bundle = json.loads(sigstore.sign(b"another"))
    del bundle["messageSignature"]["messageDigest"]
    assert not judge(sigstore, json.dumps(bundle).encode()).is_met


def test_a_statement_about_another_file_proves_nothing_of_this_one(
    sigstore: SigstoreSimulator,
) -> None:
    bundle = sigstore.attest({"this-one.tar.gz": OTHER})
    assert_unproven(judge(sigstore, bundle), "about other files", "this-one.tar.gz")


def test_an_envelope_that_holds_no_statement_proves_nothing(sigstore: SigstoreSimulator) -> None:
    """Genuinely signed, and it reads as a statement: but as something else it was signed."""
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": SHA256}}],
        "predicateType": SLSA,
    }
    payload = json.dumps(said).encode()
    genuine = sigstore.envelop(payload, "application/vnd.in-toto+json")
    assert judge(sigstore, genuine).is_met
    other = sigstore.envelop(payload, "application/json")
    assert_unproven(judge(sigstore, other), "not an in-toto statement", "found application/json")
    empty = sigstore.envelop(b"{}", "application/vnd.in-toto+json")
    assert_unproven(judge(sigstore, empty), "not an in-toto statement")


def test_a_statement_of_another_kind_is_not_the_one_that_is_demanded(
    sigstore: SigstoreSimulator,
) -> None:
    demand = replace(DEMAND, predicate_types=(SLSA,))
    bundle = sigstore.attest({"a": SHA256}, predicate_type="https://example.com/lunch/v1")
    assert_unproven(judge(sigstore, bundle, demand=demand), "as https://example.com/lunch/v1")
    plain = sigstore.sign(DATA)
    assert_unproven(judge(sigstore, plain, demand=demand), "as a plain signature")


def test_a_signature_does_not_pose_as_a_statement(sigstore: SigstoreSimulator) -> None:
    """Both in one bundle: the statement is what counts, and it is somebody else's."""
    signed = json.loads(sigstore.sign(DATA))
    said = json.loads(sigstore.attest({"a": SHA256}, ANN))
    both = json.dumps({**signed, "dsseEnvelope": said["dsseEnvelope"]}).encode()
    assert not judge(sigstore, both).is_met


def _change_payload(bundle: dict[str, Any]) -> None:
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"]).replace(OTHER.encode(), SHA256.encode())
    envelope["payload"] = base64.b64encode(payload).decode()


def _change_type(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"


def _drop_log_entry(bundle: dict[str, Any]) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


def _take_time_of_another_day(bundle: dict[str, Any]) -> None:
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)


def _drop_promise(bundle: dict[str, Any]) -> None:
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    del entry["inclusionPromise"]


def _drop_proof(bundle: dict[str, Any]) -> None:
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    del entry["inclusionProof"]


@pytest.mark.parametrize(
    "spoil",
    [
        _change_payload,
        _change_type,
        _drop_log_entry,
        _drop_promise,
        _drop_proof,
        _take_time_of_another_day,
    ],
)
def test_a_bundle_that_was_changed_proves_nothing(
    sigstore: SigstoreSimulator, spoil: Callable[[dict[str, Any]], None]
) -> None:
    bundle = json.loads(sigstore.attest({"a": SHA256, "b": OTHER}))
    assert judge(sigstore, json.dumps(bundle).encode()).is_met
    spoil(bundle)
    assert_unproven(judge(sigstore, json.dumps(bundle).encode()), "no proof of its origin")


def test_the_log_entry_of_another_signature_is_not_this_ones(sigstore: SigstoreSimulator) -> None:
    mine, others = (json.loads(sigstore.sign(data)) for data in (DATA, b"another"))
    mine["verificationMaterial"]["tlogEntries"] = others["verificationMaterial"]["tlogEntries"]
    assert_unproven(judge(sigstore, json.dumps(mine).encode()), "inconsistent")


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"<html>not here</html>",
        b"[" * 200_000,
        b'{"mediaType": "\x1b[2J"}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}',
    ],
    ids=lambda data: data[:12],
)
def test_rubbish_proves_nothing_and_stops_nobody(
    sigstore: SigstoreSimulator, rubbish: bytes
) -> None:
    judgement = judge(sigstore, rubbish)
    assert_unproven(judgement, "no proof of its origin")
    assert judgement.why_not().isprintable()
    assert judge(sigstore, rubbish, sigstore.sign(DATA)).is_met


def test_a_bundle_beyond_all_measure_is_not_read(sigstore: SigstoreSimulator) -> None:
    genuine = sigstore.sign(DATA)
    room = MAX_BUNDLE_BYTES - len(genuine)
    assert_unproven(judge(sigstore, genuine + b" " * (room + 1)), "too large")
