"""In-toto statements: read strictly, and about these files and no other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.errors import ProvenanceError
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.statements import parse_statement

ONE, TWO = Sha256Hex("ab" * 32), Sha256Hex("cd" * 32)
WHOLE: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [
        {"name": "a", "digest": {"sha256": ONE, "sha512": "ef" * 64}},
        {"digest": {"gitCommit": "ab" * 20}},
    ],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {"x": 0.5},
}


def _parse(**changes: object) -> Any:
    return parse_statement(json.dumps({**WHOLE, **changes}).encode(), subject="it")


def test_a_statement_is_about_its_subjects_and_nothing_else() -> None:
    statement = _parse()
    assert statement.is_about(ONE)
    assert not statement.is_about(TWO)
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    assert statement.predicate == {"x": 0.5}


def test_a_subject_without_the_digest_is_no_file_at_all() -> None:
    assert not _parse(subject=WHOLE["subject"][1:]).is_about(Sha256Hex(""))


def test_the_older_statement_is_read_too() -> None:
    assert _parse(_type="https://in-toto.io/Statement/v0.1").is_about(ONE)


def test_a_statement_may_have_nothing_to_say() -> None:
    assert _parse(predicate=None).predicate == {}


BAD: list[dict[str, object]] = [
    {"_type": "https://in-toto.io/Statement/v2"},
    {"_type": ["https://in-toto.io/Statement/v1"]},
    {"subject": []},
    {"subject": {}},
    {"subject": [1]},
    {"subject": [{"name": "a"}]},
    {"subject": [{"digest": {"sha256": ONE.upper()}}]},
    {"subject": [{"digest": {"sha256": 1}}]},
    {"subject": [{"digest": {}}] * 10_001},
    {"predicateType": None},
    {"predicate": [1]},
]


@pytest.mark.parametrize("changes", BAD)
def test_what_is_no_statement_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProvenanceError, match="it: not an in-toto statement"):
        _parse(**changes)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps(WHOLE).replace('"subject"', '"subject": [], "subject"').encode(),
    ],
)
def test_other_bytes_are_no_statement(payload: bytes) -> None:
    with pytest.raises(ProvenanceError, match="not an in-toto statement"):
        parse_statement(payload, subject="it")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["_type", "subject", "predicateType", "predicate"]), JSON)
def test_whatever_stands_there_it_is_read_or_refused(name: str, value: object) -> None:
    said = ""
    try:
        _parse(**{name: value})
    except ProvenanceError as exc:
        said = str(exc)
    assert said.isprintable()
