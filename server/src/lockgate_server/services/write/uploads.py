"""Uploads: where a client sends the parts of a file, and what has arrived of it.

1. All state is in the store: a record, made if there is none, and the parts. So any server can go
   on, and the same request twice is the same as once.
2. In direct mode parts go straight to the store, at addresses that are good for one part of one
   attempt; in server mode they come here, and are kept under their own digest.
3. What is here is unverified. Only `finishing` puts anything where clients look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from lockgate_release.errors import ConflictError, TransportError, UsageError
from lockgate_release.layout import artifact_key, upload_part_key
from lockgate_release.names import AppName, Sha256Hex, is_sha256
from lockgate_release.strict_json import JsonObject
from lockgate_release.uploads import ArrivedPart, BeginRequest, UploadId, UploadMode
from lockgate_server.errors import NotFoundError, TooLargeError
from lockgate_server.ports import IfAbsent, LostRaceError
from lockgate_server.ports.uploads import DirectUploads, UploadGoneError
from lockgate_server.services.read.files import describe_key
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.streams import Source, VerifiedStream
from lockgate_server.services.write.upload_limits import (
    check_open_uploads,
    check_room,
    thin_out,
)
from lockgate_server.services.write.upload_records import (
    UploadRecord,
    forget_upload,
    load_record,
    store_record,
    upload_prefix,
)

__all__ = [
    "URL_LIFE_S",
    "UploadState",
    "arrived_parts",
    "begin_upload",
    "check_app",
    "describe_urls",
    "find_upload",
    "give_up_upload",
    "make_urls",
    "receive_part",
]

URL_LIFE_S = 900
"""For how long the address of a part is good, in seconds."""

_FIRST_URLS = 16
_ATTEMPT_BYTES = 16
_TRIES = 3
_ARTIFACT = "artifacts/00/" + "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """How far an upload is.

    Attributes:
        record: The upload.
        parts: What has arrived, as far as the store can tell.
        is_complete: Whether everything has: it only remains to finish.
        is_present: Whether the artifact is at its address already: nothing remains.
        urls: The addresses of the first parts, so that a small file need not ask again.
    """

    record: UploadRecord
    parts: Sequence[ArrivedPart] = ()
    is_complete: bool = False
    is_present: bool = False
    urls: Mapping[int, str]

    def to_json(self) -> JsonObject:
        """Return the state as an answer."""
        return {
            "upload_id": self.record.upload_id,
            "size": self.record.size_bytes,
            "part_bytes": self.record.part_bytes,
            "mode": self.record.mode.value,
            "complete": self.is_complete,
            "present": self.is_present,
            "parts": [part.to_json() for part in self.parts],
            **describe_urls(self.urls),
        }


def describe_urls(urls: Mapping[int, str]) -> JsonObject:
    """Return the addresses of parts as they stand in an answer."""
    given: list[JsonObject] = [{"number": number, "url": url} for number, url in urls.items()]
    return {"urls": given, "expires_s": URL_LIFE_S}


def begin_upload(
    deps: WriteDeps, app: AppName, request: BeginRequest, *, limit_bytes: int
) -> UploadState:
    """Begin an upload, or join the one of this id, unless what it would bring is there already.

    Raises:
        NotFoundError: There is no such app.
        TooLargeError: The file is larger than `limit_bytes`.
        ConflictError: There is an upload of this id and another size, or too many are open.
        DiskFullError: There is no room for it.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    check_app(deps, app)
    if request.size_bytes > limit_bytes:
        raise TooLargeError(
            "the file is too large",
            expected=f"at most {limit_bytes} bytes",
            found=str(request.size_bytes),
        )
    if _is_present(deps, app, request):
        return UploadState(record=_record(deps, app, request), is_present=True, urls={})
    for _ in range(_TRIES):
        record = load_record(deps.store, app, request.upload_id)
        if record is not None:
            state = _join(deps, record, request.size_bytes)
        else:
            state = _create(deps, app, request)
        if state is not None:
            return state
        # Its parts are gone from the store, or nobody can send any more: begin from scratch.
        forget_upload(deps, app, request.upload_id, record)
    raise TransportError("the upload comes and goes", subject=request.upload_id)


def _is_present(deps: WriteDeps, app: AppName, request: BeginRequest) -> bool:
    if request.sha256 is None:
        return False
    info = deps.store.head(artifact_key(app, request.sha256))
    return info is not None and info.size_bytes == request.size_bytes


def _record(deps: WriteDeps, app: AppName, request: BeginRequest) -> UploadRecord:
    """Return the record of an upload that is begun now."""
    # Not every store takes an upload in parts of nothing at all.
    is_direct = deps.uploads is not None and request.size_bytes > 0
    return UploadRecord(
        app=app,
        upload_id=request.upload_id,
        size_bytes=request.size_bytes,
        mode=UploadMode.DIRECT if is_direct else UploadMode.SERVER,
        begun_at=deps.now(),
        attempt=deps.random_hex(_ATTEMPT_BYTES) if is_direct else "",
    )


def _create(deps: WriteDeps, app: AppName, request: BeginRequest) -> UploadState | None:
    check_open_uploads(deps, app)
    record = _record(deps, app, request)
    uploads = deps.uploads if record.mode is UploadMode.DIRECT else None
    if uploads is None:
        # Once in parts, and once as a whole, until the parts are removed.
        check_room(deps, 2 * request.size_bytes)
    else:
        record = _begin_direct(uploads, record)
    if store_record(deps.store, record):
        return _state(deps, record, ())
    if uploads is not None:
        uploads.abort(record.data_key, record.store_id)
    theirs = load_record(deps.store, app, request.upload_id)
    return None if theirs is None else _join(deps, theirs, request.size_bytes)


def _begin_direct(uploads: DirectUploads, record: UploadRecord) -> UploadRecord:
    kind = describe_key(f"{record.app}/{_ARTIFACT}")
    store_id = uploads.begin(
        record.data_key, content_type=kind.content_type, cache_control=kind.cache_control
    )
    return replace(record, store_id=store_id)


def _join(deps: WriteDeps, record: UploadRecord, size_bytes: int) -> UploadState | None:
    """Return how far an upload is, or None where it cannot be gone on with."""
    if record.size_bytes != size_bytes:
        raise ConflictError(
            "an upload of another size has this id",
            subject=record.upload_id,
            expected=f"{record.size_bytes} bytes",
            found=f"{size_bytes} bytes",
            hint="Give it up, or use the id that the file's own bytes make.",
        )
    if record.mode is UploadMode.DIRECT:
        if deps.uploads is None:
            return None
        data = deps.store.head(record.data_key)
        if data is not None:
            return UploadState(record=record, is_complete=True, urls={})
    try:
        return _state(deps, record, arrived_parts(deps, record))
    except UploadGoneError:
        return None


def _state(deps: WriteDeps, record: UploadRecord, parts: Sequence[ArrivedPart]) -> UploadState:
    urls: Mapping[int, str] = {}
    if record.mode is UploadMode.DIRECT:
        there = {part.number for part in parts}
        numbers = range(1, len(record.part_sizes()) + 1)
        urls = _urls(deps, record, [n for n in numbers if n not in there][:_FIRST_URLS])
    return UploadState(record=record, parts=parts, urls=urls)


def arrived_parts(deps: WriteDeps, record: UploadRecord) -> tuple[ArrivedPart, ...]:
    """Return what has arrived of an upload, as far as the store can tell.

    Raises:
        UploadGoneError: The store knows of no such upload.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    if record.mode is UploadMode.DIRECT:
        uploads = _need_direct(deps)
        return uploads.parts(record.data_key, record.store_id)
    prefix = upload_prefix(record.app, record.upload_id)
    found = (
        _part_at(info.key.removeprefix(prefix), info.size_bytes) for info in deps.store.list(prefix)
    )
    parts = [part for part in found if part is not None]
    return tuple(sorted(parts, key=lambda part: part.number))


def _part_at(name: str, size_bytes: int) -> ArrivedPart | None:
    number, _, sha256 = name.partition(".")
    if not number.isascii() or not number.isdecimal() or not is_sha256(sha256):
        return None
    return ArrivedPart(number=int(number[:6]), size_bytes=size_bytes, sha256=sha256)


def make_urls(
    deps: WriteDeps, app: AppName, upload_id: UploadId, numbers: Sequence[int]
) -> Mapping[int, str]:
    """Return the addresses of some parts of an upload in direct mode.

    Raises:
        NotFoundError: There is no such app or upload.
        UsageError: It has no such parts, or they are to be sent to the server.
        TransportError: The store cannot be reached.
    """
    check_app(deps, app)
    record = find_upload(deps, app, upload_id)
    if record.mode is not UploadMode.DIRECT:
        raise UsageError(
            "this upload goes through the server", subject=upload_id, hint="Send the parts there."
        )
    return _urls(deps, record, numbers)


def _urls(deps: WriteDeps, record: UploadRecord, numbers: Sequence[int]) -> Mapping[int, str]:
    uploads, sizes = _need_direct(deps), record.part_sizes()
    for number in numbers:
        _check_number(record, number)
    return {
        number: uploads.part_url(
            record.data_key, record.store_id, number, sizes[number - 1], expires_s=URL_LIFE_S
        )
        for number in numbers
    }


def receive_part(
    deps: WriteDeps, record: UploadRecord, part: ArrivedPart, body: Source
) -> ArrivedPart:
    """Keep one part of an upload in server mode, under its digest.

    Args:
        deps: What a change needs.
        record: The upload.
        part: Which part, of what size and digest.
        body: Its bytes, read once and in bounded memory.

    Raises:
        UsageError: The upload has no such part, or of another size, or the body broke off.
        DigestMismatchError: The bytes hash to something else. Nothing is kept.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    if record.mode is not UploadMode.SERVER:
        raise UsageError("this upload goes straight to the store", subject=record.upload_id)
    _check_number(record, part.number)
    size_bytes = record.part_sizes()[part.number - 1]
    if part.size_bytes != size_bytes:
        raise UsageError(
            "not the size of this part",
            subject=f"part {part.number}",
            expected=f"{size_bytes} bytes",
            found=f"{part.size_bytes} bytes",
        )
    digest = Sha256Hex(part.sha256)
    key = upload_part_key(record.app, record.upload_id, part.number, digest)
    check_room(deps, size_bytes)
    stream = VerifiedStream(body, size_bytes, digest)
    # Only what was verified ever stands there: who is told that it is there has sent the same part.
    with suppress(LostRaceError):
        deps.store.put(key, cast("BinaryIO", stream), IfAbsent())
        thin_out(deps, key)
    return part


def _check_number(record: UploadRecord, number: int) -> None:
    count = len(record.part_sizes())
    if not 1 <= number <= count:
        raise UsageError(
            "no such part", subject=record.upload_id, expected=f"1 to {count}", found=str(number)
        )


def give_up_upload(deps: WriteDeps, app: AppName, upload_id: UploadId) -> None:
    """Remove an upload and all that has arrived of it; that there is none is no error.

    Raises:
        NotFoundError: There is no such app.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    check_app(deps, app)
    forget_upload(deps, app, upload_id, load_record(deps.store, app, upload_id))


def find_upload(deps: WriteDeps, app: AppName, upload_id: UploadId) -> UploadRecord:
    """Return the record of an upload.

    Raises:
        UploadGoneError: There is none.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    record = load_record(deps.store, app, upload_id)
    if record is None:
        raise UploadGoneError("no such upload", subject=upload_id, hint="Begin it again.")
    return record


def check_app(deps: WriteDeps, app: AppName) -> None:
    """Return when the app is registered, or about to be.

    Raises:
        NotFoundError: It is not.
    """
    if deps.ledger.pinned_root(app) is None:
        raise NotFoundError("no such app", subject=app)


def _need_direct(deps: WriteDeps) -> DirectUploads:
    if deps.uploads is None:
        raise UploadGoneError(
            "no upload goes straight to the store any more", hint="Begin it again."
        )
    return deps.uploads
