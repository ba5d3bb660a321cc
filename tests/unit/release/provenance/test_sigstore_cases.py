"""Real bundles and damaged copies of them, each with the verdict that it must get from us.

The cases are no part of the project: they are run where their folder is, which
`LOCKGATE_SIGSTORE_CASES` names, or which is `shared/sigstore` beside the checkout.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
)
from lockgate_release.errors import ProvenanceError
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.judging import judge_attestations

FOLDER = Path(
    os.environ.get("LOCKGATE_SIGSTORE_CASES")
    or Path(__file__).resolve().parents[4].parent / "shared" / "sigstore"
)


def _cases() -> list[dict[str, Any]]:
    manifest = FOLDER / "manifest.json"
    if not manifest.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(manifest.read_bytes())
    return found


CASES = _cases()
needs_cases = pytest.mark.skipif(not CASES, reason="the folder of Sigstore cases is not here")


def _is_accepted(case: dict[str, Any]) -> bool:
    signer = SignerRule(identity=case["identity"], issuer=case["issuer"])
    rule = AttestationRule(demands=(AttestationDemand(signers=(signer,)),))
    artifact = hashlib.sha256((FOLDER / case["artifact"]).read_bytes()).hexdigest()
    bundle = (FOLDER / case["bundle"]).read_bytes()
    root = (FOLDER / case["trusted_root"]).read_bytes()
    try:
        return judge_attestations(rule, [bundle], Sha256Hex(artifact), root).is_met
    except ProvenanceError:
        return False


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_known_bundle_gets_its_verdict(case: dict[str, Any]) -> None:
    assert _is_accepted(case) is (case["expect"] == "pass"), case["why"]


@needs_cases
def test_the_cases_are_both_good_and_bad() -> None:
    verdicts = [case["expect"] for case in CASES]
    assert verdicts.count("pass") >= 5
    assert verdicts.count("fail") >= 40
