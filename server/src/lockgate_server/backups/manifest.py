"""What a backup says of itself: `manifest.json`, written last.

1. A backup without its manifest is none: whatever was killed while it was made is passed over.
2. It names every other file with its length and its digest, and how far each app had got.
3. It is not signed. It finds damage; who can write to a backup can also write its manifest. What
   clients trust does not come from it: an app's state is verified from its root, and counts only
   where a person names its number, or takes the store at its word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate_release.digests import digest_bytes
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, Sha256Hex, is_app_name, is_sha256
from lockgate_release.strict_json import Fields, JsonObject, dump_json, parse_json
from lockgate_server.ports import Highest

__all__ = [
    "LEDGER",
    "MANIFEST",
    "OBJECTS",
    "REPORTS",
    "SETTINGS",
    "AppNote",
    "FileNote",
    "KeyNote",
    "Manifest",
    "backup_name",
    "is_backup_name",
    "parse_manifest",
]

MANIFEST = "manifest.json"
LEDGER = "ledger.sqlite3"
REPORTS = "reports.sqlite3"
SETTINGS = "settings.json"
OBJECTS = "objects/"
"""Before the keys of the objects, where a backup holds them."""

_TYPE = "lockgate.backup"
_FORMAT = 1
_MOST = 5_000_000
_NAME = re.compile(r"lockgate-[0-9]{8}T[0-9]{6}Z")
_PATH = re.compile(r"[A-Za-z0-9._+!-]{1,255}(?:/[A-Za-z0-9._+!-]{1,255})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNote:
    """A file of a backup: its path below it, its length and its digest."""

    path: str
    size_bytes: int
    sha256: Sha256Hex


@dataclass(frozen=True, slots=True, kw_only=True)
class AppNote:
    """How far an app had got.

    Attributes:
        app: The app.
        root_sha256: The digest of the root it is trusted by.
        highest: The newest state that was signed, or None before the first.
    """

    app: AppName
    root_sha256: Sha256Hex
    highest: Highest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNote:
    """A key of the server.

    Attributes:
        where: The file below the server's folder, or the variable, it is read from.
        key_id: Its id, or "" where it cannot be told.
        is_included: Whether the backup holds it, encrypted.
    """

    where: str
    key_id: str
    is_included: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is.

    Attributes:
        name: Its name, which holds the moment it was begun.
        made_at: That moment.
        version: The server's.
        storage: The address of the object store, without secrets.
        apps: How far each app had got.
        keys: Which keys the server had.
        files: Every file but the manifest.
        audit_number: The number of the newest entry of the audit log; 0 where it is empty.
        audit_sha256: Its digest, to compare with a log that is found later.
    """

    name: str
    made_at: datetime
    version: str
    storage: str
    apps: tuple[AppNote, ...]
    keys: tuple[KeyNote, ...]
    files: tuple[FileNote, ...]
    audit_number: int
    audit_sha256: str

    @property
    def has_objects(self) -> bool:
        """Whether it holds what clients read."""
        return any(file.path.startswith(OBJECTS) for file in self.files)

    @property
    def size_bytes(self) -> int:
        """How large its files are together."""
        return sum(file.size_bytes for file in self.files)

    def find(self, path: str) -> FileNote | None:
        """Return a file, or None where the backup has none of this path."""
        return next((file for file in self.files if file.path == path), None)

    def to_bytes(self) -> bytes:
        """Return it as it is written."""
        return dump_json(
            {
                "_type": _TYPE,
                "format": _FORMAT,
                "name": self.name,
                "made_at": format_instant(self.made_at),
                "version": self.version,
                "storage": self.storage,
                "apps": [_describe_app(note) for note in self.apps],
                "keys": [
                    {"where": key.where, "key_id": key.key_id, "is_included": key.is_included}
                    for key in self.keys
                ],
                "audit": {"number": self.audit_number, "chain_sha256": self.audit_sha256},
                "files": [
                    {"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256}
                    for file in self.files
                ],
            }
        )

    def summary(self) -> JsonObject:
        """Return what people and programs are told of it."""
        objects = [file for file in self.files if file.path.startswith(OBJECTS)]
        return {
            "name": self.name,
            "made_at": format_instant(self.made_at),
            "version": self.version,
            "storage": self.storage,
            "apps": [_describe_app(note) for note in self.apps],
            "keys": [
                {"where": key.where, "key_id": key.key_id, "is_included": key.is_included}
                for key in self.keys
            ],
            "files": len(self.files),
            "bytes": self.size_bytes,
            "objects": len(objects),
            "audit": {"number": self.audit_number, "chain_sha256": self.audit_sha256},
            "manifest_sha256": digest_bytes(self.to_bytes()),
        }


def backup_name(now: datetime) -> str:
    """Return the name of a backup that begins now."""
    return f"lockgate-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def is_backup_name(text: str) -> bool:
    """Whether `backup_name` gives such names; they sort by time."""
    return _NAME.fullmatch(text) is not None


def parse_manifest(data: bytes, *, subject: str) -> Manifest:
    """Return what a manifest says.

    Raises:
        DocumentError: It is none, or of a later format.
    """
    fields = parse_json(data, subject=subject)
    fields.checked("_type", _TYPE.__eq__, _TYPE)
    fields.integer("format", minimum=_FORMAT, maximum=_FORMAT)
    audit = fields.object("audit")
    return Manifest(
        name=fields.checked("name", is_backup_name, "a backup's name"),
        made_at=fields.instant("made_at"),
        version=fields.text("version"),
        storage=fields.text("storage"),
        apps=tuple(_parse_app(one) for one in fields.objects("apps")),
        keys=tuple(_parse_key(one) for one in fields.objects("keys")),
        files=tuple(_parse_files(fields.objects("files", most=_MOST))),
        audit_number=audit.integer("number"),
        audit_sha256=audit.text("chain_sha256"),
    )


def _describe_app(note: AppNote) -> JsonObject:
    found = note.highest
    highest: JsonObject | None = None
    if found is not None:
        highest = {
            "root": found.root,
            "timestamp": found.timestamp,
            "snapshot": found.snapshot,
            "releases": found.releases,
            "sequences": {str(name): number for name, number in found.sequences.items()},
        }
    return {"app": note.app, "root_sha256": note.root_sha256, "highest": highest}


def _parse_app(fields: Fields) -> AppNote:
    return AppNote(
        app=AppName(fields.checked("app", is_app_name, "an app's name")),
        root_sha256=Sha256Hex(fields.checked("root_sha256", is_sha256, "a SHA-256")),
        highest=_parse_highest(fields.object("highest")) if fields.has("highest") else None,
    )


def _parse_highest(fields: Fields) -> Highest:
    sequences = fields.object("sequences")
    return Highest(
        root=fields.integer("root"),
        timestamp=fields.integer("timestamp"),
        snapshot=fields.integer("snapshot"),
        releases=fields.integer("releases"),
        sequences={name: sequences.integer(name) for name in sequences.names()},
    )


def _parse_key(fields: Fields) -> KeyNote:
    return KeyNote(
        where=fields.text("where"),
        key_id=fields.text("key_id"),
        is_included=fields.boolean("is_included"),
    )


def _parse_files(found: Iterable[Fields]) -> Iterable[FileNote]:
    seen: set[str] = set()
    for fields in found:
        path = fields.checked("path", _is_path, "a path below the backup")
        if path in seen or path == MANIFEST:
            fields.fail("path", "named twice", found=path)
        seen.add(path)
        yield FileNote(
            path=path,
            size_bytes=fields.integer("size_bytes"),
            sha256=Sha256Hex(fields.checked("sha256", is_sha256, "a SHA-256")),
        )


def _is_path(text: str) -> bool:
    return _PATH.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))
