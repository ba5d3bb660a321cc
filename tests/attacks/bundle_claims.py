"""What tests of attacks by bundles share: an artifact, a rule, and a judgement that must refuse."""

import hashlib

from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
)
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.facts import Judgement
from lockgate_release.provenance.judging import judge_attestations
from tests.simulators.sigstore import WORKFLOW, SigstoreSimulator

DATA = b"an artifact"
SHA256 = Sha256Hex(hashlib.sha256(DATA).hexdigest())
RELEASE = SignerRule(
    identity="https://github.com/o/r/.github/workflows/release.yml@refs/tags/v*",
    issuer=WORKFLOW.issuer,
)
DEMAND = AttestationDemand(signers=(RELEASE,))
RULE = AttestationRule(demands=(DEMAND,))


def judge(
    sigstore: SigstoreSimulator,
    *bundles: bytes,
    demand: AttestationDemand = DEMAND,
    sha256: Sha256Hex = SHA256,
) -> Judgement:
    rule = AttestationRule(demands=(demand,))
    return judge_attestations(rule, bundles, sha256, sigstore.trusted_root)


def assert_unproven(judgement: Judgement, *words: str) -> None:
    assert not judgement.is_met
    for one in words:
        assert one in judgement.why_not()
