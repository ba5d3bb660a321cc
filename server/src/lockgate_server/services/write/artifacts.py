"""Artifacts: received where nobody looks, hashed, and only then put at their content address."""

from __future__ import annotations

import hashlib
from io import RawIOBase
from typing import BinaryIO, Protocol, cast

from lockgate_release.errors import DigestMismatchError, RepositoryError, UsageError
from lockgate_release.layout import artifact_key, upload_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import Always, IfAbsent, LostRaceError, ObjectInfo
from lockgate_server.services.read.files import describe_key
from lockgate_server.services.write.deps import WriteDeps

__all__ = ["find_artifact", "receive_artifact"]

_UPLOAD_ID_BYTES = 16


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Hashing(RawIOBase):
    """A stream that hashes what passes through it, and ends where the request said it would."""

    def __init__(self, source: _Source, size_bytes: int) -> None:
        super().__init__()
        self._source = source
        self._left = size_bytes
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._left)
        if wanted == 0:
            return 0
        data = self._source.read(wanted)
        if not data:
            raise UsageError(
                "the body broke off", expected="as many bytes as announced", found="fewer"
            )
        self._left -= len(data)
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = self._left
        buffer = bytearray(min(size, self._left))
        count = self.readinto(buffer)
        return bytes(buffer[:count])

    def sha256(self) -> Sha256Hex:
        return Sha256Hex(self._digest.hexdigest())


def find_artifact(deps: WriteDeps, app: AppName, sha256: Sha256Hex) -> ObjectInfo:
    """Return what is known of an artifact.

    Raises:
        NotFoundError: There is none, or no such app.
        TransportError: The store cannot be reached.
    """
    _check_app(deps, app)
    info = deps.store.head(artifact_key(app, sha256))
    if info is None:
        raise NotFoundError("no such artifact", subject=sha256)
    return info


def receive_artifact(
    deps: WriteDeps, app: AppName, sha256: Sha256Hex, body: _Source, size_bytes: int
) -> bool:
    """Put an artifact at its content address; return False where it is already.

    Args:
        deps: What a change needs.
        app: The app.
        sha256: What the bytes must hash to.
        body: The bytes, read once and in bounded memory.
        size_bytes: How many there are.

    Raises:
        NotFoundError: There is no such app.
        DigestMismatchError: The bytes hash to something else. Nothing is kept.
        UsageError: The body broke off. Nothing is kept.
        RepositoryError: The address holds something else already.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    _check_app(deps, app)
    present = deps.store.head(artifact_key(app, sha256))
    if present is not None and present.size_bytes == size_bytes:
        return False
    kind = describe_key(artifact_key(app, sha256))
    staged = upload_key(app, deps.random_hex(_UPLOAD_ID_BYTES))
    stream = _Hashing(body, size_bytes)
    try:
        deps.store.put(
            staged,
            cast("BinaryIO", stream),
            Always(),
            content_type=kind.content_type,
            cache_control=kind.cache_control,
        )
        if stream.sha256() != sha256:
            raise DigestMismatchError(
                "not the announced content",
                subject="upload",
                expected=sha256,
                found=stream.sha256(),
            )
        deps.store.copy(staged, artifact_key(app, sha256), IfAbsent())
    except LostRaceError:
        _check_present(deps, app, sha256, size_bytes)
        return False
    finally:
        deps.store.delete(staged)
    return True


def _check_present(deps: WriteDeps, app: AppName, sha256: Sha256Hex, size_bytes: int) -> None:
    """Refuse to call an artifact present whose length shows that it is something else."""
    key = artifact_key(app, sha256)
    present = deps.store.head(key)
    if present is None or present.size_bytes != size_bytes:
        raise RepositoryError(
            "a content address holds other content",
            subject=key,
            expected=f"{size_bytes} bytes",
            found="nothing" if present is None else f"{present.size_bytes} bytes",
            hint="The store was tampered with or damaged. Remove this object and try again.",
        )


def _check_app(deps: WriteDeps, app: AppName) -> None:
    if deps.ledger.pinned_root(app) is None:
        raise NotFoundError("no such app", subject=app)
