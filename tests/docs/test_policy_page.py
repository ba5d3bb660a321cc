"""The page about bars: its examples are read, its table names the fields that are written."""

import copy
import json
from typing import Any

import pytest

from lockgate_release.documents import parse_policy
from lockgate_release.documents.approval import parse_approval
from lockgate_release.documents.channel import MAX_APPROVALS
from lockgate_release.errors import DocumentError
from tests.docs.tables import examples, page, rows, section

PAGE = page("policy.md")
EXAMPLES: dict[str, Any] = {name: json.loads(text) for name, text in examples(PAGE).items()}
TABLE = {field: without for field, _, without in rows(section(PAGE, "## A rule"), "field")}


def _written(rule: dict[str, Any]) -> dict[str, Any]:
    whole = {
        "_type": "lockgate.policy",
        "app": "myapp",
        "versions": "semver",
        "channels": {"stable": rule},
    }
    found: dict[str, Any] = json.loads(parse_policy(json.dumps(whole).encode()).to_bytes())
    return found["channels"]["stable"]  # type: ignore[no-any-return]


def test_the_rule_of_the_page_is_read_and_written_back() -> None:
    rule = EXAMPLES["bar"]
    assert _written(rule) == {name: value for name, value in rule.items() if value != {}}


def test_the_table_names_the_fields_of_the_rule() -> None:
    rule = EXAMPLES["bar"]
    inner = [f"{name}.{key}" for name in ("signatures", "approvals") for key in rule[name]]
    assert set(TABLE) == {*rule, *inner}


@pytest.mark.parametrize("field", TABLE)
def test_what_a_missing_field_means_is_what_the_table_says(field: str) -> None:
    rule = copy.deepcopy(EXAMPLES["bar"])
    first, _, rest = field.partition(".")
    holder, key = (rule[first], rest) if rest else (rule, first)
    del holder[key]
    if TABLE[field] == "refused":
        with pytest.raises(DocumentError, match="missing field"):
            _written(rule)
    else:
        _written(rule)


def test_the_approval_of_the_page_is_one() -> None:
    approval = EXAMPLES["approval"]
    assert json.loads(parse_approval(json.dumps(approval).encode()).to_bytes()) == approval
    assert f"at most {MAX_APPROVALS}" in PAGE


# -- Attestations ---------------------------------------------------------------------------

PROOFS = {field: without for field, _, without in rows(section(PAGE, "## Attestations"), "field")}


def _proven(attestations: dict[str, Any]) -> dict[str, Any]:
    rule = {"paths": [], "attestations": attestations}
    return _written(rule)["attestations"]  # type: ignore[no-any-return]


def test_the_attestations_of_the_page_are_read_and_written_back() -> None:
    assert _proven(EXAMPLES["attestations"]) == EXAMPLES["attestations"]


def test_their_table_names_their_fields() -> None:
    (demand,) = EXAMPLES["attestations"]["demands"]
    inner = [f"demands.{name}" for name in demand]
    signer = [f"demands.signers.{name}" for name in demand["signers"][0]]
    assert set(PROOFS) == {"demands", *inner, *signer}


@pytest.mark.parametrize("field", PROOFS)
def test_what_is_missing_of_them_means_what_their_table_says(field: str) -> None:
    proofs: Any = copy.deepcopy(EXAMPLES["attestations"])
    *path, key = field.split(".")
    holder = proofs
    for part in path:
        holder = holder[part][0]
    del holder[key]
    # An empty object demands nothing: something else stands beside what is missing.
    if PROOFS[field] == "refused":
        with pytest.raises(DocumentError, match="missing field"):
            _proven({"x": 1, **proofs})
    else:
        _proven(proofs)
