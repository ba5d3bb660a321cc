"""In-toto statements: what was said about which files. Standard library alone.

A DSSE envelope's signature covers the statement's bytes, and sigstore proves it. What the statement
is about is for its reader to find out, and forgetting that accepts any file: so it is read here.

Source: in-toto Attestation Framework, Statement v1 and v0.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lockgate_release.errors import ProvenanceError
from lockgate_release.names import Sha256Hex, is_sha256

__all__ = ["PAYLOAD_TYPE", "Statement", "Subject", "parse_statement"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
"""What a DSSE envelope calls a statement."""

_TYPES = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_MOST_SUBJECTS = 10_000


@dataclass(frozen=True, slots=True)
class Subject:
    """One file that a statement is about.

    Attributes:
        name: What the statement calls it; anything.
        sha256: Its digest; "" where the statement names it by another digest alone.
    """

    name: str
    sha256: Sha256Hex


@dataclass(frozen=True, slots=True)
class Statement:
    """What was said about which files.

    Attributes:
        predicate_type: What kind of thing was said.
        subjects: About which files, at least one.
        predicate: What was said; nothing of it is verified.
    """

    predicate_type: str
    subjects: tuple[Subject, ...]
    predicate: Mapping[str, object]

    def is_about(self, sha256: Sha256Hex) -> bool:
        """Whether one of its subjects is the file with this digest."""
        return sha256 != "" and any(subject.sha256 == sha256 for subject in self.subjects)


def parse_statement(payload: bytes, *, subject: str) -> Statement:
    """Return the statement in a payload.

    Args:
        payload: As an envelope holds it.
        subject: What the bytes are, for messages.

    Raises:
        ProvenanceError: It is no statement that names what it is about.
    """
    try:
        raw = json.loads(payload, object_pairs_hook=_unique)
        return _read(raw)
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise ProvenanceError(
            "not an in-toto statement", subject=subject, found=f"{type(exc).__name__}: {exc}"[:200]
        ) from exc


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Two readers of one name twice may see two files.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _read(raw: object) -> Statement:
    fields = _object(raw)
    if fields["_type"] not in _TYPES:
        raise ValueError(f"the type {str(fields['_type'])[:80]!r}")
    listed = fields["subject"]
    if not isinstance(listed, list) or not 0 < len(listed) <= _MOST_SUBJECTS:
        raise ValueError("no list of subjects")
    return Statement(
        predicate_type=_text(fields["predicateType"]),
        subjects=tuple(map(_read_subject, listed)),
        predicate=_object(fields.get("predicate") or {}),
    )


def _read_subject(raw: object) -> Subject:
    fields = _object(raw)
    sha256 = _text(_object(fields["digest"]).get("sha256", ""))
    if sha256 and not is_sha256(sha256):
        raise ValueError(f"the digest {sha256[:80]!r}")
    return Subject(name=_text(fields.get("name") or ""), sha256=Sha256Hex(sha256))


def _object(raw: object) -> Mapping[str, object]:
    if not isinstance(raw, dict):
        raise TypeError("not an object")
    return raw


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError("not a text")
    return raw
