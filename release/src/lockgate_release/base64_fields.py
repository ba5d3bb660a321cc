"""Bytes in JSON: base64 in a text, one or many by their paths, read strictly."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from lockgate_release.strict_json import Fields, JsonObject

__all__ = ["decode_all", "decode_bytes", "encode_all", "encode_bytes"]

_MAX_DOCUMENTS = 1000
_MAX_BASE64 = 16 << 20


def encode_bytes(data: bytes) -> str:
    """Return bytes as they stand in JSON."""
    return base64.b64encode(data).decode("ascii")


def encode_all(documents: Mapping[str, bytes]) -> JsonObject:
    """Return bytes by their paths as they stand in JSON."""
    return {path: encode_bytes(data) for path, data in documents.items()}


def decode_bytes(fields: Fields, name: str) -> bytes:
    """Return the bytes of a field.

    Raises:
        DocumentError: It is missing, no base64, or longer than 16 MiB of text.
    """
    text = fields.text(name, max_length=_MAX_BASE64)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii's own, or that the text is not ASCII
        fields.fail(name, "wrong value", expected="base64", found=f"{text[:20]!r}…")


def decode_all(fields: Fields, name: str) -> dict[str, bytes]:
    """Return the bytes of a field by their paths; nothing where it is missing.

    Raises:
        DocumentError: One is no base64, or there are more than 1000.
    """
    inner = fields.object(name, optional=True)
    if len(inner.names()) > _MAX_DOCUMENTS:
        fields.fail(name, "too many", expected=f"at most {_MAX_DOCUMENTS}")
    return {path: decode_bytes(inner, path) for path in inner.names()}
