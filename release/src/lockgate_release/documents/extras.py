"""`releases/<version>/extras.json`: what may be added to a release later. Same role, re-issued.

Deltas and attestations are read by the parts that make and check them; here they survive a round
trip untouched, and only the notes are words for people.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lockgate_release.documents.common import (
    open_document,
    rest_of,
    with_unknown,
)
from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject, dump_json, parse_json
from lockgate_release.versions import is_version_text

__all__ = ["MAX_NOTES_CHARACTERS", "TYPE", "ExtrasDocument", "parse_extras"]

TYPE = "lockgate.extras"
MAX_NOTES_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtrasDocument:
    """Notes, deltas and attestations of one release.

    Attributes:
        app: The app.
        version: The release.
        notes: What changed, in Markdown, at most 100,000 characters.
        deltas: Patches from earlier artifacts, each an object as design section 4 lists it.
        attestations: Proofs of origin, each an object as design section 4 lists it.
    """

    app: AppName
    version: str
    notes: str = ""
    deltas: tuple[JsonObject, ...] = ()
    attestations: tuple[JsonObject, ...] = ()
    unknown: JsonObject = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the document's bytes."""
        known = {
            "_type": TYPE,
            "app": self.app,
            "version": self.version,
            "notes": self.notes,
            "deltas": list(self.deltas),
            "attestations": list(self.attestations),
        }
        return dump_json(with_unknown(known, self.unknown))


def parse_extras(data: bytes, *, subject: str = "extras.json") -> ExtrasDocument:
    """Return the extras in `data`.

    Raises:
        DocumentError: It is no such document; the message names the field.
    """
    fields = parse_json(data, subject=subject)
    app = open_document(fields, TYPE)
    version = fields.checked("version", is_version_text, "a version")
    notes = fields.text("notes", max_length=MAX_NOTES_CHARACTERS, default="")
    deltas = tuple(item.raw() for item in fields.objects("deltas", optional=True))
    attestations = tuple(item.raw() for item in fields.objects("attestations", optional=True))
    return ExtrasDocument(
        app=app,
        version=version,
        notes=notes,
        deltas=deltas,
        attestations=attestations,
        unknown=rest_of(fields),
    )
