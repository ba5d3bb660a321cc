"""Public key files: read back as they were given, and refused when they are not what they say."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from securesystemslib.signer import SSlibKey

from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.trust.key_names import key_name, with_name
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.public_keys import (
    check_public_key,
    key_label,
    parse_key_file,
    same_content,
    to_key_file,
)

KEYS = [
    generate_signer().public_key,
    SSlibKey.from_crypto(ec.generate_private_key(ec.SECP256R1()).public_key()),
    SSlibKey.from_crypto(rsa.generate_private_key(65537, 2048).public_key()),
]


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "ecdsa", "rsa"])
def test_a_public_key_is_read_back_with_its_name(key: SSlibKey) -> None:
    named = with_name(key, "anna")
    found = parse_key_file(to_key_file(named), subject="anna.pub")
    assert found == named
    assert key_name(found) == "anna"
    assert key_label(found) == f"anna ({key.keyid[:8]})"
    assert key_label(with_name(named, "")) == key.keyid[:8]


def test_a_plain_pem_is_read() -> None:
    pem = KEYS[1].keyval["public"].encode()
    assert parse_key_file(pem, subject="key.pem") == KEYS[1]


def _changed(**changes: Any) -> bytes:
    body = json.loads(to_key_file(KEYS[0]))
    body["key"].update(changes)
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"{}", "missing field"),
        (generate_signer().private_bytes, "a private key"),
        (b"-----BEGIN PUBLIC KEY-----\nrubbish", "not a public key"),
        (_changed(scheme="rsassa-pss-sha256"), "not a public key"),
        (_changed(keytype="ecdsa"), "not a public key"),
        (_changed(keytype="gpg"), "not a public key"),
        (_changed(keyval={"public": KEYS[0].keyval["public"], "private": "x"}), "says more"),
        (_changed(keyval={"public": "00"}), "cannot be read"),
        (_changed(keyval={"public": "00" * 32}), "under an id that is not its own"),
        (_changed(**{"x-more": 1}), "says more"),
    ],
)
def test_what_is_no_public_key_file_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        parse_key_file(data, subject="a file")


@pytest.mark.parametrize("name", ["a b", "-a", "a" * 65, "\u202eanna", "a\nb"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a name for a key"):
        with_name(KEYS[0], name)


def test_one_key_under_two_schemes_is_one_key() -> None:
    public = KEYS[2].keyval
    twin = SSlibKey("ab" * 32, "rsa", "rsa-pkcs1v15-sha256", dict(public))
    assert same_content([*KEYS, twin]) == (KEYS[2], twin)
    assert same_content(KEYS) is None


def test_a_key_whose_id_is_not_its_content_s_is_refused() -> None:
    key = SSlibKey("ab" * 32, "ed25519", "ed25519", dict(KEYS[0].keyval))
    with pytest.raises(DocumentError, match="under an id that is not its own"):
        check_public_key(key, subject="a file")
