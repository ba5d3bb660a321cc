"""One attestation of a release: where a proof of origin lies, and what it is said to prove.

What stands here is a hint that spares clients from fetching what does not concern them. Nothing of
it is believed before the file has been verified. `kind` is an open name: a client that does not
know it passes the attestation over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lockgate_release.documents.common import read_content_path, read_sha256, rest_of, with_unknown
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import Fields, JsonObject

__all__ = ["MAX_ATTESTATIONS", "SIGSTORE", "Attestation", "read_attestation"]

SIGSTORE = "sigstore"
"""The kind of a Sigstore bundle: over a message, or a DSSE envelope with an in-toto statement."""

MAX_ATTESTATIONS = 1000
"""Of one release."""

_MAX_ARTIFACTS = 1000
_MAX_PREDICATE_TYPE = 1000
_KIND = r"[a-z0-9.-]{1,32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A proof of origin, or another file about the release's artifacts.

    Attributes:
        kind: `sigstore`, a plain list of parts (`cyclonedx`, `spdx`), or a name this version does
            not know.
        path: Where the file lies below the app's address: the address of its content.
        sha256: SHA-256 of the file.
        size: Size of the file in bytes.
        artifacts: Digests of the release's artifacts that it speaks about; empty: of all.
        predicate_type: What a statement says, as a URI; "" for a plain signature or file.
    """

    kind: str
    path: str
    sha256: Sha256Hex
    size: int
    artifacts: tuple[Sha256Hex, ...] = ()
    predicate_type: str = ""
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the attestation as it stands in the document."""
        known: dict[str, object] = {
            "kind": self.kind,
            "path": self.path,
            "sha256": self.sha256,
            "size": self.size,
            "artifacts": list(self.artifacts),
            "predicate_type": self.predicate_type,
        }
        return with_unknown(known, self.unknown)


def read_attestation(fields: Fields) -> Attestation:
    """Return the attestation in `fields`.

    Raises:
        DocumentError: It is none; the message names the field.
    """
    sha256 = read_sha256(fields, "sha256")
    return Attestation(
        kind=fields.text("kind", pattern=_KIND),
        path=read_content_path(fields, sha256),
        sha256=sha256,
        size=fields.integer("size", minimum=1),
        artifacts=_read_artifacts(fields),
        predicate_type=fields.text("predicate_type", max_length=_MAX_PREDICATE_TYPE, default=""),
        unknown=rest_of(fields),
    )


def _read_artifacts(fields: Fields) -> tuple[Sha256Hex, ...]:
    found = fields.texts("artifacts", most=_MAX_ARTIFACTS, optional=True)
    for index, text in enumerate(found):
        if not is_sha256(text):
            fields.fail(
                f"artifacts[{index}]",
                "wrong value",
                expected="64 lower-case hexadecimal digits",
                found=repr(text[:80]),
            )
    return tuple(Sha256Hex(text) for text in found)
