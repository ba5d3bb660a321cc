"""`releases/<version>/extras.json`: what may be added to a release later. Same role, re-issued."""

from __future__ import annotations

from dataclasses import dataclass, field

from lockgate_release.documents.attestation import (
    MAX_ATTESTATIONS,
    Attestation,
    read_attestation,
)
from lockgate_release.documents.common import (
    open_document,
    rest_of,
    with_unknown,
)
from lockgate_release.documents.delta import MAX_DELTAS, Delta, read_delta
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
        deltas: Patches from earlier trees.
        attestations: Proofs of origin, and other files about the artifacts.
    """

    app: AppName
    version: str
    notes: str = ""
    deltas: tuple[Delta, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    unknown: JsonObject = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the document's bytes."""
        known = {
            "_type": TYPE,
            "app": self.app,
            "version": self.version,
            "notes": self.notes,
            "deltas": [delta.to_json() for delta in self.deltas],
            "attestations": [item.to_json() for item in self.attestations],
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
    deltas = fields.objects("deltas", most=MAX_DELTAS, optional=True)
    attestations = fields.objects("attestations", most=MAX_ATTESTATIONS, optional=True)
    return ExtrasDocument(
        app=app,
        version=version,
        notes=notes,
        deltas=tuple(read_delta(item) for item in deltas),
        attestations=tuple(read_attestation(item) for item in attestations),
        unknown=rest_of(fields),
    )
