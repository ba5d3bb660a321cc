"""What is known of an upload: a record beside its bytes, so that any server can go on with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lockgate_release.errors import DocumentError
from lockgate_release.instants import format_instant
from lockgate_release.layout import upload_data_key, upload_key, upload_record_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import dump_json, parse_json
from lockgate_release.uploads import UploadId, UploadMode, part_bytes_of, part_sizes
from lockgate_server.ports import IfAbsent, LostRaceError, ObjectStore
from lockgate_server.ports.uploads import StoreUploadId
from lockgate_server.services.write.deps import WriteDeps

__all__ = [
    "UploadRecord",
    "forget_finished",
    "forget_upload",
    "load_record",
    "store_record",
    "upload_prefix",
]

_MAX_RECORD_BYTES = 1 << 16
_NONE = StoreUploadId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """One upload. It is written once, and never changed.

    Attributes:
        app: The app.
        upload_id: The upload.
        size_bytes: What its file's size is said to be.
        mode: Where the parts go.
        begun_at: When it was begun.
        attempt: Random, in direct mode: no two beginnings share a key in the store. Else "".
        store_id: What the store calls it, in direct mode. Else "".
    """

    app: AppName
    upload_id: UploadId
    size_bytes: int
    mode: UploadMode
    begun_at: datetime
    attempt: str = ""
    store_id: StoreUploadId = _NONE

    @property
    def part_bytes(self) -> int:
        """The size of each part but the last."""
        return part_bytes_of(self.size_bytes)

    def part_sizes(self) -> list[int]:
        """Return the size of every part."""
        return part_sizes(self.size_bytes, self.part_bytes)

    @property
    def data_key(self) -> str:
        """Where the parts become an object, in direct mode."""
        return upload_data_key(self.app, self.upload_id, self.attempt)

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return dump_json(
            {
                "size": self.size_bytes,
                "part_bytes": self.part_bytes,
                "mode": self.mode.value,
                "attempt": self.attempt,
                "multipart_id": self.store_id,
                "begun_at": format_instant(self.begun_at),
            }
        )


def load_record(store: ObjectStore, app: AppName, upload_id: UploadId) -> UploadRecord | None:
    """Return the record of an upload, or None where there is none that can be read.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    key = upload_record_key(app, upload_id)
    found = store.open(key)
    if found is None:
        return None
    with found:
        if found.info.size_bytes > _MAX_RECORD_BYTES:
            return None
        data = found.read()
    try:
        fields = parse_json(data, subject=key)
        return UploadRecord(
            app=app,
            upload_id=upload_id,
            size_bytes=fields.integer("size"),
            mode=fields.choice("mode", UploadMode),
            begun_at=fields.instant("begun_at"),
            attempt=fields.text("attempt", pattern="[0-9a-f]*", max_length=64),
            store_id=StoreUploadId(fields.text("multipart_id", max_length=4096)),
        )
    except DocumentError:
        return None


def store_record(store: ObjectStore, record: UploadRecord) -> bool:
    """Write a record where none is; False where somebody else's is.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    key = upload_record_key(record.app, record.upload_id)
    try:
        store.put(key, record.to_bytes(), IfAbsent(), content_type="application/json")
    except LostRaceError:
        return False
    return True


def upload_prefix(app: AppName, upload_id: str) -> str:
    """Return what the keys of all that belongs to an upload begin with."""
    return upload_key(app, upload_id) + "."


def forget_upload(
    deps: WriteDeps, app: AppName, upload_id: UploadId, record: UploadRecord | None
) -> None:
    """Remove an upload and all that has arrived of it.

    The record goes first: whoever comes in between begins anew.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    deps.store.delete(upload_record_key(app, upload_id))
    if record is not None and record.store_id and deps.parts is not None:
        deps.parts.abort(record.data_key, record.store_id)
    for info in list(deps.store.list(upload_prefix(app, upload_id))):
        deps.store.delete(info.key)


def forget_finished(deps: WriteDeps, record: UploadRecord) -> None:
    """Remove an upload whose parts have become an object, and that object.

    Nothing else is looked for: what a broken attempt has left goes with the old uploads.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    deps.store.delete(upload_record_key(record.app, record.upload_id))
    deps.store.delete(record.data_key)
