"""What proofs of origin are verified with, as people are told of it before they sign it."""

import json
from typing import Any

import pytest

from lockgate_cli.public_good import read_public_good
from lockgate_release.documents.trusted_root import parse_trusted_root
from lockgate_release.errors import DocumentError
from tests.simulators.trusted_roots import trusted_root


def test_every_service_whose_word_counts_is_told() -> None:
    authority, log = parse_trusted_root(trusted_root(), subject="x").in_words()
    span = "from 2026-01-01 until 2036-01-01"
    assert authority.startswith(f"certificate authority https://ca.example.test {span}, key ")
    assert log.startswith("transparency log https://log.example.test from 2026-01-01, key ")


def test_another_key_at_the_same_address_is_told_apart() -> None:
    (before, _), (after, _) = (
        parse_trusted_root(data, subject="x").services
        for data in (trusted_root(), trusted_root(certificateAuthorities=[_authority("b3RoZXI=")]))
    )
    assert before.address == after.address
    assert before.in_words() != after.in_words()


def test_the_public_one_that_sigstore_brings_is_read() -> None:
    data, source = read_public_good()
    words = parse_trusted_root(data, subject=source).in_words()
    assert any("certificate authority https://fulcio.sigstore.dev" in line for line in words)
    assert any("transparency log https://rekor.sigstore.dev" in line for line in words)
    assert source.startswith("the public Sigstore, as in sigstore 4.")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"mediaType": "application/json"}, "mediaType"),
        ({"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.3"}, "mediaType"),
        ({"certificateAuthorities": []}, "certificateAuthorities: empty"),
        ({"tlogs": []}, "tlogs: empty"),
        ({"tlogs": None}, "tlogs: wrong type"),
        ({"tlogs": [{}]}, "publicKey: missing"),
    ],
)
def test_what_could_vouch_for_nothing_is_no_trusted_root(changes: Any, what: str) -> None:
    with pytest.raises(DocumentError, match=what):
        parse_trusted_root(trusted_root(**changes), subject="x")


@pytest.mark.parametrize(
    ("authority", "what"),
    [
        ({"uri": "https://ca.test\n+ a line of its own"}, "uri: wrong value"),
        ({"uri": "https://ca.t\u202est"}, "uri: wrong value"),
        ({"validFor": {"start": "now\x1b[2J"}}, "validFor.start: wrong value"),
        ({"certChain": {"certificates": []}}, "certificates: empty"),
        ({"certChain": {"certificates": [{"rawBytes": "%%"}]}}, "rawBytes: not base64"),
    ],
)
def test_words_that_would_forge_what_signers_see_are_refused(authority: Any, what: str) -> None:
    changed = _authority() | authority
    with pytest.raises(DocumentError, match=what):
        parse_trusted_root(trusted_root(certificateAuthorities=[changed]), subject="x")


def _authority(key: str = "a2V5") -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(trusted_root())["certificateAuthorities"][0]
    return plain | {"certChain": {"certificates": [{"rawBytes": key}]}}
