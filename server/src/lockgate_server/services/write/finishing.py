"""The end of an upload: what arrived is read once, hashed, and put where clients look.

1. Parts that went straight to the store become one object there. From then on no address that was
   given out can change it: it lies at a key that one attempt alone has, and that attempt is over.
   That is asked for first and nothing before it, for most uploads are small and each request
   costs; what is there already is looked for only where it fails.
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
)
from lockgate_release.layout import artifact_key, upload_part_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.uploads import FinishRequest, UploadId, UploadMode
from lockgate_server.ports import IfAbsent, LostRaceError, ObjectStore
from lockgate_server.ports.uploads import PartsRefusedError, UploadGoneError
from lockgate_server.services.read.files import describe_key
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.reading import read_upload
from lockgate_server.services.write.streams import ChunkSource, VerifiedStream
from lockgate_server.services.write.upload_limits import check_room
from lockgate_server.services.write.upload_records import (
    UploadRecord,
    forget_finished,
    forget_upload,
    load_record,
)
from lockgate_server.services.write.uploads import arrived_parts, check_app

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
    record = load_record(deps.store, app, upload_id)
    is_direct = record is not None and record.mode is UploadMode.DIRECT
    if not is_direct and _is_present(deps, app, request):
        forget_upload(deps, app, upload_id, record)
        return False
    if record is None:
        raise UploadGoneError("no such upload", subject=upload_id, hint="Begin it again.")
    is_new = _finish(deps, record, request)
    if is_new and is_direct:
        forget_finished(deps, record)
    else:
        forget_upload(deps, app, upload_id, record)
    return is_new


def _finish(deps: WriteDeps, record: UploadRecord, request: FinishRequest) -> bool:
    """Put an upload at its address; return False where the artifact is already."""
    try:
        return _put_in_place(deps, record, request)
    except DigestMismatchError:
        forget_upload(deps, record.app, record.upload_id, record)
        raise
    except LostRaceError:
        _check_present(deps, record.app, request)
        return False
    except LockgateError:
        # Somebody else may have finished it meanwhile, or the copy was made and nobody said so.
        if not _is_present(deps, record.app, request):
            raise
        return False


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


def _put_in_place(deps: WriteDeps, record: UploadRecord, request: FinishRequest) -> bool:
    if record.size_bytes != request.size_bytes:
        raise ConflictError(
            "the upload was begun with another size",
            subject=record.upload_id,
            expected=f"{record.size_bytes} bytes",
            found=f"{request.size_bytes} bytes",
        )
    if record.mode is UploadMode.DIRECT:
        return _finish_direct(deps, record, request)
    _finish_served(deps, record, request)
    return True


def _finish_direct(deps: WriteDeps, record: UploadRecord, request: FinishRequest) -> bool:
    failed = _complete(deps, record, request)
    if failed is not None and _is_present(deps, record.app, request):
        return False
    read = read_upload(deps.store, record.data_key, request.size_bytes)
    if read is None:
        if failed is not None and not isinstance(failed, UploadGoneError):
            raise failed
        if load_record(deps.store, record.app, record.upload_id) == record:
            forget_upload(deps, record.app, record.upload_id, record)
        raise _gone(record)
    if read.sha256 != request.sha256:
        raise DigestMismatchError(
            "not the announced content",
            subject="upload",
            expected=request.sha256,
            found=read.sha256,
        )
    target = artifact_key(record.app, request.sha256)
    deps.store.copy(record.data_key, target, IfAbsent(), source_etag=read.info.etag)
    return True


def _complete(
    deps: WriteDeps, record: UploadRecord, request: FinishRequest
) -> LockgateError | None:
    """Make the parts an object, once, and return what was in the way.

    The object may be there all the same: somebody else has made it, or an answer got lost.
    """
    try:
        etags = _names(record, {part.number: part.etag for part in request.parts})
        if deps.uploads is None:
            return _gone(record)
        try:
            deps.uploads.complete(record.data_key, record.store_id, etags)
        except PartsRefusedError as exc:
            raise _refuse_parts(deps, record, etags) from exc
    except LockgateError as exc:
        return exc
    return None


def _gone(record: UploadRecord) -> UploadGoneError:
    return UploadGoneError(
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
