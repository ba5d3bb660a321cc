"""What a channel demands: read strictly, written so that older clients refuse, and judged."""

import json
from typing import Any

import pytest

from lockgate_release.documents import (
    ApprovalRule,
    ChannelPolicy,
    Count,
    SignatureRule,
    Standing,
    parse_policy,
)
from lockgate_release.documents.approval import parse_approval
from lockgate_release.errors import DocumentError
from lockgate_release.trust.approving import key_to_json
from tests.unit.release.builders import ATTESTED, signers

PATH = "releases/1.0.0/release.json"
(ANN, BOB) = signers(2)
ANN_ID, BOB_ID = ANN.public_key.keyid, BOB.public_key.keyid


def _read(rule: dict[str, Any]) -> ChannelPolicy:
    return parse_policy(_policy(rule)).channels["stable"]


def _policy(rule: dict[str, Any]) -> bytes:
    whole = {
        "_type": "lockgate.policy",
        "app": "demo",
        "versions": "semver",
        "channels": {"stable": {"paths": ["releases/*/release.json"], **rule}},
    }
    return json.dumps(whole).encode()


def _keys(*chosen: Any) -> dict[str, Any]:
    return {one.public_key.keyid: dict(key_to_json(one.public_key)) for one in chosen}


WHOLE: dict[str, Any] = {
    "manual_check": "pass",
    "signatures": {"threshold": 2, "keys": ["a", "b", "c"], "x": 1},
    "approvals": {"threshold": 1, "keys": _keys(ANN, BOB), "x": 2},
    "attestations": {
        "demands": [
            {
                "threshold": 1,
                "signers": [{"identity": "ann@example.com", "issuer": "https://i.example", "x": 4}],
                "predicate_types": ["https://slsa.dev/provenance/v1"],
                "source_repository": "https://forge.example/o/r",
                "workflow": "https://forge.example/o/r/release.yml@refs/tags/v*",
                "x": 5,
            }
        ],
        "x": 6,
    },
    "critical": ["approvals", "attestations", "signatures"],
    "x": 3,
}


def test_a_rule_is_written_back_whole() -> None:
    written = json.loads(parse_policy(_policy(WHOLE)).to_bytes())
    assert written["channels"]["stable"] == {"paths": ["releases/*/release.json"], **WHOLE}


def test_a_rule_that_demands_nothing_more_names_nothing_critical() -> None:
    written = json.loads(parse_policy(_policy({})).to_bytes())["channels"]["stable"]
    assert written == {"paths": ["releases/*/release.json"], "manual_check": "pass"}


def test_a_rule_with_empty_attestations_demands_none() -> None:
    assert _read({"attestations": {}}).attestations is None


def test_what_is_demanded_is_named_critical_whether_or_not_somebody_wrote_so() -> None:
    rule = {"signatures": {"threshold": 1}, "critical": ["paths"]}
    written = json.loads(parse_policy(_policy(rule)).to_bytes())["channels"]["stable"]
    assert written["critical"] == ["paths", "signatures"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"signatures": {}}, "signatures.threshold: missing field"),
    ({"signatures": {"threshold": 0}}, "signatures.threshold: out of range"),
    ({"signatures": {"threshold": 3, "keys": ["a", "b"]}}, "signatures.threshold: out of range"),
    ({"signatures": {"threshold": 1, "keys": ["a", "a"]}}, "signatures.keys: a key named twice"),
    ({"signatures": {"threshold": 1, "keys": ["a b"]}}, r"signatures.keys\[0\]: wrong value"),
    ({"signatures": None}, "signatures: wrong type"),
    ({"signatures": {"threshold": 1, "critical": ["y"]}}, "signatures.y: critical field"),
    ({"approvals": {"threshold": 0}}, "approvals.keys: missing field"),
    ({"approvals": {"threshold": 1, "keys": {}}}, "approvals.threshold: out of range"),
    ({"approvals": {"threshold": 1, "keys": {"a": {}}}}, "approvals.keys.a.keytype: missing"),
    ({"attestations": []}, "attestations: wrong type"),
    ({"attestations": None}, "attestations: wrong type"),
    ({"attestations": {"x": 1}}, "attestations.demands: missing field"),
    ({"critical": ["witnesses"]}, "witnesses: critical field that this version does not know"),
]


@pytest.mark.parametrize(("rule", "words"), BAD)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(DocumentError, match=f"channels.stable.{words}"):
        _read(rule)


def test_one_person_under_two_ids_is_refused() -> None:
    twice = {"a": key_to_json(ANN.public_key), "b": key_to_json(ANN.public_key)}
    rule = json.loads(json.dumps({"approvals": {"threshold": 2, "keys": twice}}))
    with pytest.raises(DocumentError, match="the same key under two ids"):
        _read(rule)


FULL = Count(found=(ANN_ID,), is_enough=True)
SHORT = Count(found=(ANN_ID,), is_enough=False)
SIGNED = ChannelPolicy(signatures=SignatureRule(threshold=2))
APPROVED = ChannelPolicy(approvals=ApprovalRule(threshold=1, keys=_keys(ANN)))
NAMED = ChannelPolicy(approvals=ApprovalRule(threshold=0, keys=_keys(ANN)))


@pytest.mark.parametrize(
    ("rule", "standing", "what"),
    [
        (ChannelPolicy(), Standing(), ""),
        (ChannelPolicy(paths=()), Standing(signatures=FULL, approvals=FULL), "path"),
        (SIGNED, Standing(), "publishers"),
        (SIGNED, Standing(approvals=FULL), "publishers"),
        (SIGNED, Standing(signatures=SHORT), "publishers"),
        (SIGNED, Standing(signatures=FULL), ""),
        (APPROVED, Standing(), "people"),
        (APPROVED, Standing(signatures=FULL), "people"),
        (APPROVED, Standing(approvals=SHORT), "people"),
        (APPROVED, Standing(approvals=FULL), ""),
        (NAMED, Standing(), ""),
    ],
)
def test_what_was_not_verified_is_not_met(
    rule: ChannelPolicy, standing: Standing, what: str
) -> None:
    lack = rule.shortfall(PATH, standing)
    assert (lack is None) == (what == "")
    assert lack is None or what in lack.what


def test_a_shortfall_says_who_could_help() -> None:
    lack = APPROVED.shortfall(PATH, Standing(approvals=SHORT))
    assert lack is not None
    assert (lack.expected, lack.found) == (f"1 of {ANN_ID[:8]}", ANN_ID[:8])


def test_only_a_rule_with_a_bar_costs_a_client_anything() -> None:
    assert not ChannelPolicy().has_bar
    assert not NAMED.has_bar
    assert SIGNED.has_bar
    assert APPROVED.has_bar
    assert not ChannelPolicy(attestations=ATTESTED).has_bar  # it has a price of its own


APPROVAL: dict[str, Any] = {
    "signed": {
        "_type": "lockgate.approval",
        "app": "demo",
        "channel": "stable",
        "version": "1.0.0",
        "release_sha256": "ab" * 32,
        "approved_at": "2026-01-31T08:00:00Z",
        "x": 1,
    },
    "signatures": [{"keyid": "a", "sig": "00"}, {"keyid": "b", "sig": "11"}],
}


def test_an_approval_is_written_back_whole() -> None:
    assert json.loads(parse_approval(json.dumps(APPROVAL).encode()).to_bytes()) == APPROVAL


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("_type", "lockgate.release"),
        ("app", "-"),
        ("channel", "Stable"),
        ("version", "a b"),
        ("release_sha256", "AB" * 32),
        ("approved_at", "yesterday"),
        ("critical", ["y"]),
    ],
)
def test_words_of_another_shape_are_no_approval(field: str, value: object) -> None:
    said = {**APPROVAL, "signed": {**APPROVAL["signed"], field: value}}
    with pytest.raises(DocumentError):
        parse_approval(json.dumps(said).encode())


def test_a_key_that_signed_an_approval_twice_is_refused() -> None:
    said = {**APPROVAL, "signatures": [APPROVAL["signatures"][0]] * 2}
    with pytest.raises(DocumentError, match="signed twice"):
        parse_approval(json.dumps(said).encode())


def test_a_rule_is_told_in_words() -> None:
    said = _read(WHOLE).in_words()
    assert said == (
        "it takes releases/*/release.json",
        "signed by 2 of a, b, c",
        f"approved by 1 of {', '.join(key[:8] for key in _read(WHOLE).approvals.keys)}",  # type: ignore[union-attr]
        "with https://slsa.dev/provenance/v1 of 1 of ann@example.com (by https://i.example), built "
        "from https://forge.example/o/r, by the workflow "
        "https://forge.example/o/r/release.yml@refs/tags/v*",
    )
    assert ChannelPolicy(paths=(), signatures=SignatureRule(threshold=1)).in_words() == (
        "it takes nothing",
        "signed by 1 of any of the role's publishers",
    )
