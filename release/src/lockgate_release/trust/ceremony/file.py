"""The ceremony file: what is carried from person to person until enough of them have signed.

One JSON object: the next metadata of one or more roles with the signatures so far, the documents
they name, and the state they follow. Nothing in it is trusted: `examine` compares it with the state
in force, and its title is what somebody wrote, and no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tuf.api.metadata import Metadata, Root, Targets

from lockgate_release.errors import DocumentError
from lockgate_release.instants import format_instant
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.names import AppName, is_app_name
from lockgate_release.strict_json import Fields, dump_json, parse_json
from lockgate_release.trust.chain import parse_metadata
from lockgate_release.trust.roles import Role
from lockgate_release.trust.sign import to_bytes

__all__ = [
    "MAX_CEREMONY_BYTES",
    "PARTS",
    "Base",
    "Ceremony",
    "parse_ceremony",
    "read_releases",
    "read_root",
    "read_targets",
]

MAX_CEREMONY_BYTES = 32 << 20
"""A list of fifty releases has less than 100 kB: this is for whoever never retires one."""

PARTS = (Role.ROOT.value, Role.TARGETS.value, Role.RELEASES.value)
"""The roles whose next metadata a ceremony can hold, in the order in which they are told of."""

_TYPE = "lockgate.ceremony"
_TITLE = r"[^\n\r]*"
_SHA256 = "[0-9a-f]{64}|"
_DOCUMENTS = (POLICY_PATH, TRUSTED_ROOT_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The state that a ceremony follows: numbers in force, all 0 before an app's first.

    Attributes:
        root: The number of root.
        targets: The number of targets.
        releases: The number of the list of releases.
        root_sha256: Of root's file; "" before the first.
    """

    root: int = 0
    targets: int = 0
    releases: int = 0
    root_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """One change that several people sign.

    Attributes:
        app: The app.
        title: What somebody called it. Nobody checks that it is so.
        made_at: When it was begun: what it signs lasts from then.
        base: What it follows.
        parts: The next metadata by role, as they will be stored, with the signatures so far.
        documents: The bytes of targets that are new, by path.
    """

    app: AppName
    title: str
    made_at: datetime
    base: Base
    parts: Mapping[str, bytes]
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def is_first(self) -> bool:
        """Whether it registers an app."""
        return self.base.root == 0

    def to_bytes(self) -> bytes:
        """Return the file."""
        body = {
            "_type": _TYPE,
            "app": self.app,
            "title": self.title,
            "made_at": format_instant(self.made_at),
            "base": {
                "root": self.base.root,
                "targets": self.base.targets,
                "releases": self.base.releases,
                "root_sha256": self.base.root_sha256,
            },
            "parts": {role: json.loads(data) for role, data in self.parts.items()},
            "documents": {path: data.decode() for path, data in self.documents.items()},
        }
        return json.dumps(body, indent=1, ensure_ascii=False).encode() + b"\n"


def parse_ceremony(data: bytes, *, subject: str) -> Ceremony:
    """Return the ceremony in a file; nothing in it is verified.

    Raises:
        DocumentError: It is none.
    """
    if len(data) > MAX_CEREMONY_BYTES:
        raise DocumentError(
            "too large",
            subject=subject,
            expected=f"at most {MAX_CEREMONY_BYTES} bytes",
            found=str(len(data)),
        )
    fields = parse_json(data, subject=subject)
    fields.text("_type", pattern=_TYPE)
    base = fields.object("base")
    return Ceremony(
        app=AppName(fields.checked("app", is_app_name, "an app name")),
        title=fields.text("title", pattern=_TITLE, max_length=200),
        made_at=fields.instant("made_at"),
        base=Base(
            root=base.integer("root"),
            targets=base.integer("targets"),
            releases=base.integer("releases"),
            root_sha256=base.text("root_sha256", pattern=_SHA256),
        ),
        parts=_read_parts(fields),
        documents=_read_documents(fields),
    )


def _read_parts(fields: Fields) -> dict[str, bytes]:
    inner = fields.object("parts")
    if not inner.names() or not set(inner.names()) <= set(PARTS):
        fields.fail("parts", "wrong", expected=f"of {', '.join(PARTS)}, at least one")
    found = {}
    for role in PARTS:
        if inner.has(role):
            raw, name = dump_json(inner.object(role).raw()), f"{fields.subject}: {role}"
            # Written again by TUF's own serializer, as it will be sent.
            found[role] = (
                to_bytes(parse_metadata(Root, raw, name))
                if role == Role.ROOT
                else to_bytes(parse_metadata(Targets, raw, name))
            )
    return found


def _read_documents(fields: Fields) -> dict[str, bytes]:
    inner = fields.object("documents", optional=True)
    if not set(inner.names()) <= set(_DOCUMENTS):
        fields.fail("documents", "wrong", expected=f"nothing but {', '.join(_DOCUMENTS)}")
    return {path: inner.text(path, max_length=1 << 20).encode() for path in inner.names()}


def read_root(ceremony: Ceremony) -> Metadata[Root] | None:
    """Return the next root of a ceremony, unverified."""
    data = ceremony.parts.get(Role.ROOT.value)
    return None if data is None else parse_metadata(Root, data, "root")


def read_targets(ceremony: Ceremony) -> Metadata[Targets] | None:
    """Return the next targets of a ceremony, unverified."""
    return _read_list(ceremony, Role.TARGETS)


def read_releases(ceremony: Ceremony) -> Metadata[Targets] | None:
    """Return the next list of releases of a ceremony, unverified."""
    return _read_list(ceremony, Role.RELEASES)


def _read_list(ceremony: Ceremony, role: Role) -> Metadata[Targets] | None:
    data = ceremony.parts.get(role.value)
    return None if data is None else parse_metadata(Targets, data, role.value)
