"""Public halves of keys: small files that can be mailed, and what is demanded of a stranger's key.

A public key file is JSON, `{"_type": "lockgate.public-key", "keyid": …, "name": …, "key": {…}}`,
with `key` as TUF metadata has it; the PEM that `openssl pkey -pubout` writes is read as well.

1. An id is what the key's content says it is. A file that claims another key's id could put its own
   content in that key's place.
2. A key says its kind and its content, and nothing else: what nobody is shown, nobody should sign.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import Key, SSlibKey

from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.strict_json import parse_json
from lockgate_release.trust.key_names import KEY_NAME, key_name, with_name

__all__ = [
    "check_public_key",
    "key_content",
    "key_label",
    "parse_key_file",
    "same_content",
    "short_id",
    "to_key_file",
]

KEY_FILE_TYPE = "lockgate.public-key"
_PEM_MARK = b"-----BEGIN PUBLIC KEY-----"
_SHORT = 8


def short_id(keyid: str) -> str:
    """Return the beginning of an id, enough for a person to tell keys apart."""
    return keyid[:_SHORT]


def key_label(key: Key) -> str:
    """Return a key as sentences name it, such as `laptop (1a2b3c4d)`."""
    name = key_name(key)
    return f"{name} ({short_id(key.keyid)})" if name else short_id(key.keyid)


def to_key_file(key: Key) -> bytes:
    """Return the file that gives a public key to other people."""
    body = {"_type": KEY_FILE_TYPE, "keyid": key.keyid, "key": with_name(key, "").to_dict()}
    if key_name(key):
        body["name"] = key_name(key)
    return json.dumps(body, indent=2, sort_keys=True).encode() + b"\n"


def parse_key_file(data: bytes, *, subject: str) -> Key:
    """Return the public key in a file that somebody gave us.

    Raises:
        DocumentError: It is none, or breaks a rule of this module.
    """
    is_json = data.lstrip().startswith(b"{")
    if _PEM_MARK in data and not is_json:
        return _parse_pem(data, subject)
    if b"PRIVATE KEY-----" in data and not is_json:
        raise DocumentError(
            "a private key, which nobody else should have",
            subject=subject,
            expected="a public key file",
            hint="Its owner makes the public half by: lockgate keys inspect KEY.pem --out KEY.pub",
        )
    fields = parse_json(data, subject=subject)
    fields.text("_type", pattern=re.escape(KEY_FILE_TYPE))
    keyid, body = fields.text("keyid", max_length=64), fields.object("key")
    name = fields.text("name", max_length=64, default="")
    try:
        key = Key.from_dict(keyid, copy.deepcopy(dict(body.raw())))
    except (KeyError, TypeError, ValueError) as exc:
        raise DocumentError("not a public key", subject=subject, found=str(exc)[:80]) from exc
    check_public_key(key, subject=subject)
    try:
        return with_name(key, name)
    except UsageError as exc:
        raise DocumentError(exc.what, subject=subject, expected=exc.expected) from exc


def _parse_pem(data: bytes, subject: str) -> Key:
    try:
        return SSlibKey.from_crypto(load_pem_public_key(data))
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise DocumentError("not a public key", subject=subject, found=str(exc)[:80]) from exc


def check_public_key(key: Key, *, subject: str) -> None:
    """Refuse a key whose id is not its content's, or that says more than a key does.

    Raises:
        DocumentError: It breaks rule 1 or 2.
    """
    content = key_content(key, subject=subject)
    if content.keyid != key.keyid:
        raise DocumentError(
            "a key under an id that is not its own",
            subject=subject,
            expected=content.keyid,
            found=key.keyid,
        )
    strange = set(key.unrecognized_fields) - ({KEY_NAME} if key_name(key) else set())
    if strange or set(key.keyval) != {"public"}:
        names = sorted({*map(str, strange), *(set(key.keyval) - {"public"})})
        raise DocumentError(
            "a key that says more than a key does",
            subject=subject,
            expected="kind and content",
            found=", ".join(name[:40] for name in names),
        )


def key_content(key: Key, *, subject: str) -> SSlibKey:
    """Return a key with the same content, under the id that its content has.

    Raises:
        DocumentError: It is a kind of key that cannot be read.
    """
    try:
        public = key.keyval["public"]
        if key.keytype == "ed25519":
            found = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
            same = (found.keytype, found.scheme) == (key.keytype, key.scheme)
        else:
            loaded = load_pem_public_key(public.encode())
            found = SSlibKey.from_crypto(loaded, scheme=key.scheme)
            same = found.keytype == key.keytype
    except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm) as exc:
        raise DocumentError(
            "a kind of key that cannot be read",
            subject=subject,
            expected="Ed25519, ECDSA or RSA",
            found=f"{key.keytype}/{key.scheme}: {exc}"[:120],
        ) from exc
    if not same:
        raise DocumentError(
            "a key that is not of the kind it says",
            subject=subject,
            expected=f"{found.keytype}/{found.scheme}",
            found=f"{key.keytype}/{key.scheme}"[:80],
        )
    return found


def same_content(keys: Iterable[Key]) -> tuple[Key, Key] | None:
    """Return two of these keys that are one key under two ids, if there are two.

    However it is written: a PEM has many forms, and an RSA key has an id for each of its schemes.
    """
    seen: dict[str, Key] = {}
    for key in keys:
        public = _content_of(key)
        if public in seen and seen[public].keyid != key.keyid:
            return seen[public], key
        seen[public] = key
    return None


def _content_of(key: Key) -> str:
    """Return what the key is, whatever its id, its scheme and its form of writing."""
    try:
        return str(key_content(key, subject="key").keyval["public"]).strip()
    except DocumentError:  # of a kind that this version cannot read: as it is written
        return "".join(str(key.keyval.get("public")).split()).lower()
