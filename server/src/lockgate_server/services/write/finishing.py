"""The end of an upload: what arrived is read once, hashed, and put where clients look.

1. Parts that went straight to the store become one object there. From then on no address that was
   given out can change it: it lies at a key that one attempt alone has, and that attempt is over.
2. Each of its bytes is read once; the digest and the size must be those that were announced, or
   the upload is removed.
3. What was read is copied to its content address, only if nothing is there, inside the store, and
   only while it is what was read. Parts that came through the server are read and written in one
   pass, which fails before its last byte if the digest differs.
4. The same again, after an answer that was lost or a server that was killed at any point, ends the
   same: the artifact is there, or the client is told what to send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

from lockgate_release.errors import (
    ConflictError,
    DigestMismatchError,
    LockgateError,
    RepositoryError,
    TransportError,
)
from lockgate_release.layout import artifact_key, upload_part_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.uploads import FinishRequest, UploadId, UploadMode
from lockgate_server.ports import IfAbsent, LostRaceError, ObjectInfo, ObjectStore
from lockgate_server.ports.uploads import PartsRefusedError, UploadGoneError
from lockgate_server.services.read.files import describe_key
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.reading import hash_object
from lockgate_server.services.write.streams import ChunkSource, VerifiedStream
from lockgate_server.services.write.upload_limits import check_room
from lockgate_server.services.write.upload_records import (
    UploadRecord,
    forget_upload,
    load_record,
)
from lockgate_server.services.write.uploads import arrived_parts, check_app, find_upload

__all__ = ["finish_upload"]

_NAMED_PARTS = 20


def finish_upload(
    deps: WriteDeps, app: AppName, upload_id: UploadId, request: FinishRequest
) -> bool:
    """Put an upload at its content address; return False where the artifact is already.

    Raises:
        NotFoundError: There is no such app, or neither the upload nor the artifact.
        PartsRefusedError: Parts are missing or are not what arrived. The upload goes on.
        ConflictError: The upload was begun with another size.
        DigestMismatchError: The bytes hash to something else. The upload is removed.
        RepositoryError: The address holds something else already.
        TransportError: The store cannot be reached; finish again.
        LocalError: The disk is in the way.
    """
    check_app(deps, app)
    if _is_present(deps, app, request):
        forget_upload(deps, app, upload_id, load_record(deps.store, app, upload_id))
        return False
    record = find_upload(deps, app, upload_id)
    try:
        _put_in_place(deps, record, request)
    except DigestMismatchError:
        forget_upload(deps, app, upload_id, record)
        raise
    except LostRaceError:
        is_new = False
        _check_present(deps, app, request)
    except LockgateError:
        # Somebody else may have finished it meanwhile, or the copy was made and nobody said so.
        if not _is_present(deps, app, request):
            raise
        is_new = False
    else:
        is_new = True
    forget_upload(deps, app, upload_id, record)
    return is_new


def _is_present(deps: WriteDeps, app: AppName, request: FinishRequest) -> bool:
    info = deps.store.head(artifact_key(app, request.sha256))
    return info is not None and info.size_bytes == request.size_bytes


def _check_present(deps: WriteDeps, app: AppName, request: FinishRequest) -> None:
    """Refuse to call an artifact present whose length shows that it is something else."""
    key = artifact_key(app, request.sha256)
    info = deps.store.head(key)
    if info is None:
        raise ConflictError("written while it was read", subject="upload", hint="Finish it again.")
    if info.size_bytes != request.size_bytes:
        raise RepositoryError(
            "a content address holds other content",
            subject=key,
            expected=f"{request.size_bytes} bytes",
            found=f"{info.size_bytes} bytes",
            hint="The store was tampered with or damaged. Remove this object and try again.",
        )


def _put_in_place(deps: WriteDeps, record: UploadRecord, request: FinishRequest) -> None:
    if record.size_bytes != request.size_bytes:
        raise ConflictError(
            "the upload was begun with another size",
            subject=record.upload_id,
            expected=f"{record.size_bytes} bytes",
            found=f"{request.size_bytes} bytes",
        )
    if record.mode is UploadMode.DIRECT:
        _finish_direct(deps, record, request)
    else:
        _finish_served(deps, record, request)


def _finish_direct(deps: WriteDeps, record: UploadRecord, request: FinishRequest) -> None:
    info = deps.store.head(record.data_key)
    if info is None:
        info = _complete(deps, record, request)
    if info.size_bytes != request.size_bytes:
        raise DigestMismatchError(
            "not the announced size",
            subject="upload",
            expected=f"{request.size_bytes} bytes",
            found=f"{info.size_bytes} bytes",
        )
    found = hash_object(deps.store, info)
    if found != request.sha256:
        raise DigestMismatchError(
            "not the announced content", subject="upload", expected=request.sha256, found=found
        )
    target = artifact_key(record.app, request.sha256)
    deps.store.copy(info.key, target, IfAbsent(), source_etag=info.etag)


def _complete(deps: WriteDeps, record: UploadRecord, request: FinishRequest) -> ObjectInfo:
    """Make the parts an object, once; somebody else may have done it, or an answer got lost."""
    etags = _names(record, {part.number: part.etag for part in request.parts})
    if deps.uploads is None:
        raise UploadGoneError("no such upload", subject=record.upload_id, hint="Begin it again.")
    failed: LockgateError | None = None
    try:
        deps.uploads.complete(record.data_key, record.store_id, etags)
    except PartsRefusedError as exc:
        raise _refuse_parts(deps, record, etags) from exc
    except (UploadGoneError, TransportError) as exc:
        failed = exc
    info = deps.store.head(record.data_key)
    if info is not None:
        return info
    if isinstance(failed, TransportError):
        raise failed
    if load_record(deps.store, record.app, record.upload_id) == record:
        forget_upload(deps, record.app, record.upload_id, record)
    raise UploadGoneError(
        "no such upload in the store any more", subject=record.upload_id, hint="Begin it again."
    )


def _names(record: UploadRecord, said: Mapping[int, str]) -> Mapping[int, str]:
    """Return what every part is called, of all that the upload has.

    Raises:
        PartsRefusedError: Some are missing.
    """
    numbers = range(1, len(record.part_sizes()) + 1)
    missing = [number for number in numbers if not said.get(number)]
    if missing:
        raise _missing(record, missing)
    return {number: said[number] for number in numbers}


def _missing(record: UploadRecord, numbers: list[int]) -> PartsRefusedError:
    named = ", ".join(map(str, numbers[:_NAMED_PARTS]))
    more = ", …" if len(numbers) > _NAMED_PARTS else ""
    return PartsRefusedError(
        "parts are missing",
        subject=record.upload_id,
        expected=f"parts 1 to {len(record.part_sizes())}",
        found=f"not there: {named}{more}",
        hint="Send these parts, and finish again.",
    )


def _refuse_parts(
    deps: WriteDeps, record: UploadRecord, etags: Mapping[int, str]
) -> PartsRefusedError:
    """Return the error that names the parts, where the store can tell which they are."""
    there = {part.number: part.etag for part in arrived_parts(deps, record)}
    wrong = [number for number, etag in etags.items() if there and there.get(number) != etag]
    if wrong:
        return _missing(record, wrong)
    return PartsRefusedError(
        "the store does not have these parts",
        subject=record.upload_id,
        hint="Send all parts again, and finish again.",
    )


def _finish_served(deps: WriteDeps, record: UploadRecord, request: FinishRequest) -> None:
    digests = _names(record, {part.number: part.sha256 for part in request.parts})
    there = {(part.number, part.sha256): part.size_bytes for part in arrived_parts(deps, record)}
    sizes = record.part_sizes()
    missing = [n for n, sha256 in digests.items() if there.get((n, sha256)) != sizes[n - 1]]
    if missing:
        raise _missing(record, missing)
    check_room(deps, record.size_bytes)
    keys = [
        upload_part_key(record.app, record.upload_id, number, Sha256Hex(sha256))
        for number, sha256 in digests.items()
    ]
    target = artifact_key(record.app, request.sha256)
    kind = describe_key(target)
    source = ChunkSource(_read_all(deps.store, keys))
    stream = VerifiedStream(source, record.size_bytes, request.sha256)
    deps.store.put(
        target,
        cast("BinaryIO", stream),
        IfAbsent(),
        content_type=kind.content_type,
        cache_control=kind.cache_control,
    )


def _read_all(store: ObjectStore, keys: list[str]) -> Iterator[bytes]:
    for key in keys:
        found = store.open(key)
        if found is None:
            raise UploadGoneError("a part is gone", subject=key, hint="Begin it again.")
        with found:
            yield from found.chunks(1 << 20)
