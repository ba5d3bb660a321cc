"""Reading an upload once, ahead of the hashing: in order, and never more than a few pieces."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

import pytest

from lockgate_release.errors import ConflictError, DigestMismatchError, TransportError
from lockgate_release.names import Sha256Hex
from lockgate_server.ports import Always, Etag, ObjectInfo
from lockgate_server.ports.uploads import UploadGoneError
from lockgate_server.services.write.reading import (
    READ_BYTES,
    READERS,
    ReadObject,
    hash_object,
    read_upload,
)
from tests.simulators.faulty_store import Call, FaultyStore, Moment, meanwhile, time_out
from tests.simulators.memory_store import MemoryStore

TWO_GB = 2 << 30
ZEROS_SHA256 = "68bdfcb656af3067b8110b5cc839b4e12b180ef11e86011b8df4a709fe2c2f67"
"""Of as many zeros and five more."""

PIECE = bytes(READ_BYTES)


@dataclass
class Zeros:
    """An object of zeros, of any size, and what was asked of it at once."""

    info: ObjectInfo
    asked: list[tuple[int, int]] = field(default_factory=list)
    open_at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, key: str, *, start: int = 0, stop: int | None = None) -> "_Range":
        assert key == self.info.key
        assert stop is not None
        with self.lock:
            self.asked.append((start, stop))
            self.open_at_once += 1
            self.most_at_once = max(self.most_at_once, self.open_at_once)
        return _Range(self, stop - start)


@dataclass
class _Range:
    of: Zeros
    size: int

    @property
    def info(self) -> ObjectInfo:
        return self.of.info

    def read(self) -> bytes:
        return PIECE[: self.size]

    def chunks(self, size_bytes: int = 1 << 18) -> Iterator[bytes]:
        raise NotImplementedError

    def local_file(self) -> BinaryIO | None:
        return None

    def __enter__(self) -> "_Range":
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self.of.lock:
            self.of.open_at_once -= 1


def an_object(size_bytes: int) -> ObjectInfo:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return ObjectInfo(key="app/x", size_bytes=size_bytes, etag=Etag("e"), modified_at=at)


def test_each_byte_of_two_gigabytes_is_asked_for_once_and_a_few_pieces_at_a_time() -> None:
    store: Any = Zeros(an_object(TWO_GB + 5))
    found = hash_object(store, store.info)
    assert sorted(store.asked) == [
        (start, min(start + READ_BYTES, TWO_GB + 5)) for start in range(0, TWO_GB + 5, READ_BYTES)
    ]
    assert store.most_at_once <= READERS
    assert found == ZEROS_SHA256


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


def put(store: FaultyStore, data: bytes) -> ObjectInfo:
    store.put("app/x", data, Always())
    info = store.head("app/x")
    assert info is not None
    return info


DATA = bytes(range(256)) * (READ_BYTES // 256) * 2 + b"end"


def test_pieces_are_hashed_in_their_order_though_the_first_comes_last(store: FaultyStore) -> None:
    info = put(store, DATA)
    others = threading.Barrier(READERS)  # the first piece waits for the others
    store.plan(meanwhile("open", "app/x", others.wait, times=READERS))
    assert hash_object(store, info) == hashlib.sha256(DATA).hexdigest()


def test_an_empty_object_is_read(store: FaultyStore) -> None:
    assert hash_object(store, put(store, b"")) == hashlib.sha256(b"").hexdigest()


def test_an_object_that_is_written_while_it_is_read_is_noticed(store: FaultyStore) -> None:
    info = put(store, DATA)
    store.plan(meanwhile("open", "app/x", lambda: put(store, DATA), skip=2))
    with pytest.raises(ConflictError, match="written while it was read"):
        hash_object(store, info)


def test_an_object_that_goes_while_it_is_read_is_gone(store: FaultyStore) -> None:
    info = put(store, DATA)
    store.plan(meanwhile("open", "app/x", lambda: store.delete("app/x"), skip=2))
    with pytest.raises(UploadGoneError):
        hash_object(store, info)


def test_a_piece_that_breaks_off_is_no_end(store: FaultyStore) -> None:
    info = put(store, DATA)
    store.break_off("app/x", after_bytes=100)
    with pytest.raises(TransportError):
        hash_object(store, info)
    store.heal()
    store.plan(time_out(Moment.BEFORE, "open", skip=1))
    with pytest.raises(TransportError):
        hash_object(store, info)


def test_a_small_upload_is_read_by_one_request(store: FaultyStore) -> None:
    put(store, b"small")
    store.calls.clear()
    read = read_upload(store, "app/x", 5)
    assert read is not None
    assert (read.sha256, read.info.size_bytes) == (hashlib.sha256(b"small").hexdigest(), 5)
    assert store.calls == [Call("open", "app/x")]
    assert read_upload(store, "app/nothing", 5) is None


@pytest.mark.parametrize("announced", [4, 6, READ_BYTES + 1])
def test_an_upload_of_another_size_is_refused_unread(store: FaultyStore, announced: int) -> None:
    put(store, b"small")
    store.break_off("app/x", after_bytes=0)
    with pytest.raises(DigestMismatchError, match="announced size"):
        read_upload(store, "app/x", announced)


def test_a_large_upload_is_read_in_pieces(store: FaultyStore) -> None:
    info = put(store, DATA)
    read = read_upload(store, "app/x", len(DATA))
    assert read == ReadObject(info=info, sha256=Sha256Hex(hashlib.sha256(DATA).hexdigest()))
    assert read_upload(store, "app/nothing", len(DATA)) is None
