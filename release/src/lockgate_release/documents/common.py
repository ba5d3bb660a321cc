"""What every document has in common: a type, an app, and how unknown fields are treated."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, Sha256Hex, is_app_name, is_sha256
from lockgate_release.strict_json import Fields, JsonObject

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "open_document",
    "read_content_path",
    "read_sha256",
    "rest_of",
    "with_unknown",
]

MAX_DOCUMENT_BYTES = 1 << 20
"""No document is larger: parsing one may not cost a client more memory than its program."""


def open_document(fields: Fields, type_name: str) -> AppName:
    """Check a document's type and critical fields, and return the app it belongs to.

    Raises:
        DocumentError: It is of another type, or of a newer kind this version may not read.
    """
    found = fields.text("_type")
    if found != type_name:
        fields.fail("_type", "wrong type of document", expected=type_name, found=repr(found))
    return AppName(fields.checked("app", is_app_name, "an app name"))


def rest_of(fields: Fields) -> JsonObject:
    """Return the fields that this version does not know. Call it once all known are read.

    Raises:
        DocumentError: A field that this version does not know is called critical: whoever wrote
            it says that the rest must not be acted on without it.
    """
    rest = fields.unknown()
    # Read through another view, so that the list itself stays among the unknown and survives.
    view = Fields(fields.raw(), subject=fields.subject, path=fields.path)
    for name in view.texts("critical", optional=True):
        if not fields.knows(name):
            fields.fail(
                name,
                "critical field that this version does not know",
                expected="a newer Lockgate",
            )
    return rest


def read_sha256(fields: Fields, name: str) -> Sha256Hex:
    """Return the SHA-256 in the field `name`."""
    return Sha256Hex(fields.checked(name, is_sha256, "64 lower-case hexadecimal digits"))


def read_content_path(fields: Fields, sha256: Sha256Hex) -> str:
    """Return the address in the field `path`, which follows from the content's digest.

    One that does not could name somebody else's file.
    """
    path = fields.text("path")
    expected = artifact_path(sha256)
    if path != expected:
        fields.fail("path", "wrong value", expected=expected, found=repr(path[:200]))
    return path


def with_unknown(known: Mapping[str, object], unknown: JsonObject) -> JsonObject:
    """Return a document's fields with those this version did not know put back."""
    return {**unknown, **known}  # type: ignore[dict-item]
