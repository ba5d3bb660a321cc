"""The published vectors of attestation rules, case by case, against this implementation."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.documents.attestation_rules import (
    is_name_pattern,
    matches_name,
    read_attestation_rule,
)
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.counting import find_lacks
from lockgate_release.provenance.facts import Provenance
from lockgate_release.strict_json import parse_json

VECTORS = Path(__file__).resolve().parents[4] / "docs" / "reference" / "attestation-vectors.json"
TABLE: dict[str, Any] = json.loads(VECTORS.read_text("utf-8"))


def _proof(raw: dict[str, str]) -> Provenance:
    return Provenance(
        artifact_sha256=Sha256Hex("ab" * 32),
        bundle_sha256=Sha256Hex("cd" * 32),
        logged_at=datetime(2026, 1, 31, 8, tzinfo=UTC),
        **raw,
    )


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_a_published_rule_is_met_or_not(case: dict[str, Any]) -> None:
    raw = json.dumps({"demands": case["demands"]}).encode()
    rule = read_attestation_rule(parse_json(raw, subject="rule"))
    assert (not find_lacks(rule, [_proof(one) for one in case["proofs"]])) is case["met"]


@pytest.mark.parametrize("case", TABLE["patterns"], ids=lambda case: case["pattern"])
def test_a_published_pattern_matches_or_not(case: dict[str, Any]) -> None:
    assert matches_name(case["pattern"], case["name"]) is case["matches"]


@pytest.mark.parametrize("case", TABLE["allowed"], ids=lambda case: repr(case["pattern"]))
def test_a_published_pattern_is_allowed_or_not(case: dict[str, Any]) -> None:
    assert is_name_pattern(case["pattern"]) is case["allowed"]
