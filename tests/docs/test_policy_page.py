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
