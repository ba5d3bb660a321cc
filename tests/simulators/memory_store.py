"""An object store that is a dictionary: a fast stand-in, held to the adapters' contract."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from lockgate_release.errors import UsageError
from lockgate_server.ports import (
    Condition,
    Etag,
    IfAbsent,
    IfMatch,
    LostRaceError,
    ObjectInfo,
)
from lockgate_server.stores.keys import check_key, check_prefix, check_range, clip_range
from lockgate_server.stores.streams import pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryObject:
    """What the store holds under one key. Headers are kept so that a test can look at them."""

    info: ObjectInfo
    data: bytes
    content_type: str
    cache_control: str


@dataclass
class MemoryBody:
    info: ObjectInfo
    left: bytes

    def read(self) -> bytes:
        left, self.left = self.left, b""
        return left

    def chunks(self, size_bytes: int = 1 << 18) -> Iterator[bytes]:
        while self.left:
            chunk, self.left = self.left[:size_bytes], self.left[size_bytes:]
            yield chunk

    def local_file(self) -> BinaryIO | None:
        return None

    def __enter__(self) -> "MemoryBody":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.left = b""


def _now() -> datetime:
    return datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


@dataclass
class MemoryStore:
    """All its state is in `objects`: a test may look at it, copy it, or put it back."""

    clock: Callable[[], datetime] = _now
    objects: dict[str, MemoryObject] = field(default_factory=dict)
    _writes: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def head(self, key: str) -> ObjectInfo | None:
        check_key(key)
        found = self.objects.get(key)
        return found.info if found else None

    def open(self, key: str, *, start: int = 0, stop: int | None = None) -> MemoryBody | None:
        check_key(key)
        check_range(start, stop)
        found = self.objects.get(key)
        if found is None:
            return None
        start, stop = clip_range(key, start, stop, found.info.size_bytes)
        return MemoryBody(found.info, found.data[start:stop])

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        condition: Condition,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str = "no-cache",
    ) -> Etag:
        check_key(key)
        data = b"".join(pieces(body, condition))
        with self._lock:
            self._check(key, condition)
            self._writes += 1
            info = ObjectInfo(
                key=key,
                size_bytes=len(data),
                etag=Etag(f"write-{self._writes}"),
                modified_at=self.clock(),
            )
            self.objects[key] = MemoryObject(
                info=info, data=data, content_type=content_type, cache_control=cache_control
            )
        return info.etag

    def _check(self, key: str, condition: Condition) -> None:
        found = self.objects.get(key)
        match condition:
            case IfAbsent() if found is not None:
                raise LostRaceError("somebody else wrote it first", subject=key)
            case IfMatch(etag) if found is None or found.info.etag != etag:
                raise LostRaceError("somebody else wrote it first", subject=key)
            case _:
                return

    def copy(
        self, source: str, target: str, condition: IfAbsent, *, source_etag: Etag | None = None
    ) -> Etag:
        check_key(source)
        with self._lock:
            found = self.objects.get(source)
            if found is None:
                raise UsageError("nothing to copy", subject=source)
            if source_etag not in (None, found.info.etag):
                raise LostRaceError("somebody else wrote it first", subject=source)
            return self.put(
                target,
                found.data,
                condition,
                content_type=found.content_type,
                cache_control=found.cache_control,
            )

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._lock:
            found = [self.objects[key].info for key in sorted(self.objects)]
        return (info for info in found if info.key.startswith(prefix))

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            self.objects.pop(key, None)

    def close(self) -> None:
        """Nothing is open."""
