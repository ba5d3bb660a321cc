"""Which proofs of origin a channel demands: read strictly, matched exactly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.documents.attestation_rules import (
    AttestationRule,
    is_name_pattern,
    matches_name,
    read_attestation_rule,
    wide_signers,
)
from lockgate_release.errors import DocumentError
from lockgate_release.strict_json import parse_json

WORKFLOW = "https://forge.example/o/r/.forge/workflows/release.yml@refs/tags/v*"
ISSUER = "https://tokens.forge.example"
SIGNER = {"identity": WORKFLOW, "issuer": ISSUER}


def _read(rule: object) -> AttestationRule:
    return read_attestation_rule(parse_json(json.dumps(rule).encode(), subject="rule"))


def _demand(**fields: object) -> dict[str, Any]:
    return {"demands": [{"signers": [SIGNER], **fields}]}


def test_one_signer_is_enough_where_no_threshold_is_named() -> None:
    rule = _read(_demand())
    assert rule.demands[0].threshold == 1


def test_a_rule_is_written_back_whole() -> None:
    whole = {
        "demands": [
            {
                "threshold": 2,
                "signers": [{**SIGNER, "x": 1}, {"identity": "*@example.com", "issuer": ISSUER}],
                "predicate_types": ["https://slsa.dev/provenance/v1"],
                "source_repository": "https://forge.example/o/*",
                "workflow": WORKFLOW,
                "x": 2,
            },
            {"threshold": 1, "signers": [SIGNER]},
        ],
        "x": 3,
    }
    rule = _read(whole)
    assert rule.to_json() == whole


BAD: list[tuple[object, str]] = [
    ({}, "demands: missing field"),
    ({"x": 1}, "demands: missing field"),
    ({"demands": []}, "demands: empty"),
    ({"demands": [{}]}, "signers: missing field"),
    (_demand(signers=[]), "signers: empty"),
    (_demand(signers=[SIGNER, SIGNER]), "a signer named twice"),
    (_demand(signers=[{"identity": WORKFLOW}]), "issuer: missing field"),
    (_demand(signers=[{**SIGNER, "issuer": "https://*.example"}]), "issuer: wrong value"),
    (_demand(signers=[{**SIGNER, "issuer": ""}]), "issuer: wrong value"),
    (_demand(signers=[{**SIGNER, "identity": "*"}]), "identity: wrong value"),
    (_demand(signers=[{**SIGNER, "critical": ["y"], "y": 1}]), "critical field"),
    (_demand(threshold=0), "threshold: out of range"),
    (_demand(threshold=2), "threshold: out of range"),
    (_demand(predicate_types=[]), "predicate_types: empty"),
    (_demand(predicate_types=["https://slsa.dev/*"]), r"predicate_types\[0\]: wrong value"),
    (_demand(predicate_types=None), "predicate_types: wrong type"),
    (_demand(source_repository=""), "source_repository: wrong value"),
    (_demand(source_repository=None), "source_repository: wrong type"),
    (_demand(workflow="*"), "workflow: wrong value"),
    (_demand(critical=["runner"], runner="own"), "critical field"),
    ({**_demand(), "critical": ["y"]}, "critical field"),
]


@pytest.mark.parametrize(("rule", "words"), BAD)
def test_a_rule_that_makes_no_sense_is_refused(rule: object, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        _read(rule)


def test_a_rule_may_call_critical_what_it_does_not_narrow() -> None:
    _read(_demand(critical=["workflow", "source_repository", "predicate_types"]))


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [
        ("a", "a", True),
        ("a", "A", False),
        ("a", "ab", False),
        ("b", "ab", False),
        ("", "", True),
        ("v*", "v1.0", True),
        ("v*", "v", True),
        ("v*", "v1/0", False),
        ("v*/0", "v1/0", True),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c", False),
        ("*a*", "bab", True),
        ("a*bc*c", "abc", False),
        ("*a*a*", "a", False),
        ("**", "x", True),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("a?", "ab", False),
        ("refs/tags/*", "refs/tags/v1\n", True),
        (WORKFLOW, WORKFLOW.replace("v*", "v1.2.3"), True),
        # A branch's name holds a slash at least, so a file name cannot pose as a tag.
        (WORKFLOW, WORKFLOW.replace("v*", "v1@refs/heads/evil"), False),
        (WORKFLOW, WORKFLOW.replace("tags/v*", "heads/v1"), False),
        (WORKFLOW, WORKFLOW.replace("/o/r/", "/o/rr/").replace("v*", "v1"), False),
    ],
)
def test_a_star_stands_for_what_has_no_slash(pattern: str, name: str, is_match: bool) -> None:
    assert matches_name(pattern, name) is is_match


@given(st.text("ab/", max_size=8))
def test_a_name_without_a_star_matches_itself_alone(name: str) -> None:
    assert matches_name(name, name)
    assert not matches_name(name, name + "a")
    assert not matches_name(name + "b", name)


@given(st.text("ab/*", max_size=6), st.text("ab/", max_size=8))
def test_matching_is_what_the_words_say(pattern: str, name: str) -> None:
    """Held against the definition, tried out: each `*` gives way to every run it may stand for."""
    assert matches_name(pattern, name) is _by_definition(pattern, name)


def _by_definition(pattern: str, name: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == name
    if not name.startswith(before):
        return False
    rest = name[len(before) :]
    runs = range(len(rest.split("/", 1)[0]) + 1)
    return any(_by_definition(after, rest[taken:]) for taken in runs)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (WORKFLOW, True),
        ("ann@example.com", True),
        ("*@example.com", True),
        ("https://forge.example", True),
        ("https://forge.example/*", True),
        ("https://*.example/o", False),
        ("https://*/o", False),
        ("*://forge.example/o", False),
        ("http*://forge.example/o@x", False),
        ("ann@*", False),
        ("ann@*.com", False),
        ("ann@", False),
        ("*", False),
        ("", False),
        ("аnn@example.com", False),  # noqa: RUF001 (the first letter is Cyrillic: that is the point)
        ("ann@example.com\n", False),
        ("a" * 2049, False),
    ],
)
def test_who_owns_a_name_is_written_out(text: str, is_one: bool) -> None:
    assert is_name_pattern(text) is is_one


@pytest.mark.parametrize(
    ("identity", "source", "is_wide"),
    [
        (WORKFLOW, "", False),
        ("https://forge.example/*/r/release.yml@refs/tags/v*", "", True),
        ("https://forge.example/o*/r/release.yml", "", True),
        ("https://forge.example/*/r/release.yml", "https://forge.example/o/r", False),
        ("https://forge.example/*/r/release.yml", "https://forge.example/*/r", True),
        ("https://forge.example", "", True),
        ("https://forge.example/o", "", False),
        ("*@example.com", "", True),
        ("ann*@example.com", "", False),
        ("ann@example.com", "", False),
    ],
)
def test_a_signer_whom_anybody_can_be_is_doubted(
    identity: str, source: str, *, is_wide: bool
) -> None:
    more = {"source_repository": source} if source else {}
    rule = _read(_demand(signers=[{"identity": identity, "issuer": ISSUER}], **more))
    assert wide_signers(rule) == ((identity,) if is_wide else ())
