"""What is known of the newest backup: a small file beside the database, for health and jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lockgate_release.errors import DocumentError
from lockgate_release.instants import format_instant
from lockgate_release.strict_json import Json, dump_json, parse_json
from lockgate_server.stores.disk import disk_errors

__all__ = ["BackupRecord", "read_record", "write_record"]

_TYPE = "lockgate.backup-record"
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRecord:
    """How the newest backup went, and the newest try.

    Attributes:
        to: Where backups go.
        name: The newest one that is whole, or "".
        made_at: When that was begun.
        verified_at: When it was restored to prove it, or None.
        size_bytes: How large it is.
        apps: How many apps it holds.
        failed_at: When the newest try failed; None where it did not.
        why: Why it failed, or "".
    """

    to: str = ""
    name: str = ""
    made_at: datetime | None = None
    verified_at: datetime | None = None
    size_bytes: int = 0
    apps: int = 0
    failed_at: datetime | None = None
    why: str = ""

    def failed(self, to: str, at: datetime, why: str) -> BackupRecord:
        """Return what is known after a try that failed."""
        base = self if self.to == to else BackupRecord(to=to)
        return replace(base, failed_at=at, why=why[:_MOST_WORDS])


def read_record(path: Path) -> BackupRecord:
    """Return what is known; nothing, where nobody wrote it down, or it cannot be read."""
    try:
        fields = parse_json(path.read_bytes(), subject=path.name)
        fields.checked("_type", _TYPE.__eq__, _TYPE)
        return BackupRecord(
            to=fields.text("to"),
            name=fields.text("name"),
            made_at=fields.instant("made_at") if fields.has("made_at") else None,
            verified_at=fields.instant("verified_at") if fields.has("verified_at") else None,
            size_bytes=fields.integer("size_bytes"),
            apps=fields.integer("apps"),
            failed_at=fields.instant("failed_at") if fields.has("failed_at") else None,
            why=fields.text("why"),
        )
    except (OSError, DocumentError):
        return BackupRecord()


def write_record(path: Path, record: BackupRecord) -> None:
    """Write it down, all or nothing.

    Raises:
        LocalError: The disk is in the way.
    """
    new = path.with_name(f"{path.name}.new")
    with disk_errors(str(path)):
        new.write_bytes(
            dump_json(
                {
                    "_type": _TYPE,
                    "to": record.to,
                    "name": record.name,
                    "made_at": _instant(record.made_at),
                    "verified_at": _instant(record.verified_at),
                    "size_bytes": record.size_bytes,
                    "apps": record.apps,
                    "failed_at": _instant(record.failed_at),
                    "why": record.why,
                }
            )
        )
        new.chmod(0o600)
        new.replace(path)


def _instant(at: datetime | None) -> Json:
    return None if at is None else format_instant(at)
