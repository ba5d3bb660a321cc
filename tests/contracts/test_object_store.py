"""What every object store must do, whoever made it."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate_release.errors import UsageError
from lockgate_server.ports import (
    MAX_REPLACED_BYTES,
    Always,
    Condition,
    Etag,
    IfAbsent,
    IfMatch,
    LostRaceError,
    ObjectStore,
)

KEY = "app/metadata/timestamp.json"


def content(store: ObjectStore, key: str = KEY) -> bytes | None:
    found = store.open(key)
    if found is None:
        return None
    with found:
        return found.read()


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


class Trickle(io.RawIOBase):
    """A stream that gives less than it is asked for, as sockets do, and can break."""

    def __init__(self, data: bytes, *, breaks_after: int | None = None) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._left = len(data) + 1 if breaks_after is None else breaks_after

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left <= 0:
            raise ConnectionResetError("the client went away")
        data = self._data.read(min(len(buffer), 70_001, self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def trickle(data: bytes, *, breaks_after: int | None = None) -> BinaryIO:
    return Trickle(data, breaks_after=breaks_after)  # type: ignore[return-value]


# --- reading ---------------------------------------------------------------------------------


def test_nothing_is_where_nothing_was_written(store: ObjectStore) -> None:
    assert store.head(KEY) is None
    assert store.open(KEY) is None
    assert keys(store) == []


@pytest.mark.parametrize("data", [b"", b"x", b"two\nlines", bytes(range(256)) * 2000])
def test_what_was_written_is_read(store: ObjectStore, data: bytes) -> None:
    etag = store.put(KEY, data, Always())
    info = store.head(KEY)
    assert content(store) == data
    assert info is not None
    assert (info.key, info.size_bytes, info.etag) == (KEY, len(data), etag)
    assert info.modified_at.utcoffset() == timedelta(0)
    assert info.modified_at.tzinfo is UTC


def test_an_open_object_knows_the_same_as_head_and_list(store: ObjectStore) -> None:
    store.put(KEY, b"some bytes", Always())
    with store.open(KEY, start=2, stop=5) as found:  # type: ignore[union-attr]
        opened = found.info
    head = store.head(KEY)
    listed = next(iter(store.list(KEY)))
    assert head is not None
    # S3 tells whole seconds in a header and fractions in a list.
    for info in (opened, listed):
        assert (info.key, info.size_bytes, info.etag) == (head.key, head.size_bytes, head.etag)
        assert abs(info.modified_at - head.modified_at) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (0, 1), (0, 10), (0, 99), (3, None), (3, 7), (9, 10), (9, 99)]
)
def test_a_range_is_that_part_and_no_more(store: ObjectStore, start: int, stop: int | None) -> None:
    store.put(KEY, b"0123456789", Always())
    found = store.open(KEY, start=start, stop=stop)
    assert found is not None
    with found:
        assert found.info.size_bytes == 10
        assert found.read() == b"0123456789"[start:stop]


@pytest.mark.parametrize("start", [10, 11, 10**9])
def test_a_range_beyond_the_end_is_refused(store: ObjectStore, start: int) -> None:
    store.put(KEY, b"0123456789", Always())
    with pytest.raises(UsageError, match="beyond the end"):
        store.open(KEY, start=start)


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 5)])
def test_an_empty_object_is_read_as_empty(store: ObjectStore, start: int, stop: int | None) -> None:
    store.put(KEY, b"", Always())
    found = store.open(KEY, start=start, stop=stop)
    assert found is not None
    with found:
        assert found.read() == b""


def test_a_range_of_an_empty_object_that_begins_after_it_is_refused(store: ObjectStore) -> None:
    store.put(KEY, b"", Always())
    with pytest.raises(UsageError, match="beyond the end"):
        store.open(KEY, start=1)


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (0, 0), (5, 5), (5, 3)])
def test_what_is_no_range_is_a_bug(store: ObjectStore, start: int, stop: int | None) -> None:
    store.put(KEY, b"0123456789", Always())
    with pytest.raises(ValueError, match="range"):
        store.open(KEY, start=start, stop=stop)


def test_a_range_of_nothing_is_nothing(store: ObjectStore) -> None:
    assert store.open(KEY, start=5, stop=6) is None


def test_chunks_are_no_larger_than_asked_for_and_together_are_the_range(
    store: ObjectStore,
) -> None:
    data = bytes(range(256)) * 400
    store.put(KEY, data, Always())
    found = store.open(KEY, start=5, stop=90_000)
    assert found is not None
    with found:
        chunks = list(found.chunks(1000))
    assert b"".join(chunks) == data[5:90_000]
    assert all(0 < len(chunk) <= 1000 for chunk in chunks)


def test_a_local_file_begins_where_the_range_begins(store: ObjectStore) -> None:
    store.put(KEY, b"0123456789", Always())
    found = store.open(KEY, start=4, stop=6)
    assert found is not None
    with found:
        file = found.local_file()
        assert file is None or file.read() == b"456789"


def test_a_reader_keeps_the_object_it_has_opened(store: ObjectStore) -> None:
    old = b"old" * 100_000
    store.put(KEY, old, Always())
    found = store.open(KEY)
    assert found is not None
    with found:
        chunks = found.chunks(1000)
        first = next(chunks)
        store.put(KEY, b"new", Always())
        assert first + b"".join(chunks) == old
    assert content(store) == b"new"


# --- conditions ------------------------------------------------------------------------------


def test_if_absent_writes_only_where_nothing_is(store: ObjectStore) -> None:
    store.put(KEY, b"first", IfAbsent())
    with pytest.raises(LostRaceError, match=KEY):
        store.put(KEY, b"second", IfAbsent())
    with pytest.raises(LostRaceError):
        store.put(KEY, b"first", IfAbsent())
    assert content(store) == b"first"


def test_if_match_writes_only_over_the_state_that_was_read(store: ObjectStore) -> None:
    first = store.put(KEY, b"first", IfAbsent())
    second = store.put(KEY, b"other", IfMatch(first))
    with pytest.raises(LostRaceError):
        store.put(KEY, b"third", IfMatch(first))
    assert content(store) == b"other"
    store.put(KEY, b"third", IfMatch(second))
    assert content(store) == b"third"


def test_if_match_writes_nothing_where_nothing_is(store: ObjectStore) -> None:
    etag = store.put(KEY, b"first", Always())
    store.delete(KEY)
    for key in (KEY, "other/folder/key"):
        with pytest.raises(LostRaceError):
            store.put(key, b"second", IfMatch(etag))
    assert keys(store) == []


def test_if_match_of_an_etag_nobody_gave_writes_nothing(store: ObjectStore) -> None:
    store.put(KEY, b"first", Always())
    with pytest.raises(LostRaceError):
        store.put(KEY, b"second", IfMatch(Etag("0123456789abcdef")))
    assert content(store) == b"first"


def test_always_writes_over_what_is_there(store: ObjectStore) -> None:
    first = store.put(KEY, b"first", Always())
    second = store.put(KEY, b"second, longer", Always())
    assert first != second
    assert content(store) == b"second, longer"


def test_other_bytes_of_the_same_length_have_another_etag(store: ObjectStore) -> None:
    etags = [store.put(KEY, f"{number:08}".encode(), Always()) for number in range(50)]
    assert len(set(etags)) == 50


def test_an_etag_fits_between_the_quotes_of_a_header(store: ObjectStore) -> None:
    etag = store.put(KEY, b"x", Always())
    assert etag.isascii()
    assert etag.isprintable()
    assert not set(etag) & set('"\\, ')


def test_if_match_is_for_pointers(store: ObjectStore) -> None:
    etag = store.put(KEY, b"first", Always())
    large = bytes(MAX_REPLACED_BYTES + 1)
    for body in (large, io.BytesIO(large), trickle(large + large)):
        with pytest.raises(ValueError, match="IfMatch writes at most"):
            store.put(KEY, body, IfMatch(etag))
    assert content(store) == b"first"
    store.put(KEY, io.BytesIO(bytes(MAX_REPLACED_BYTES)), IfMatch(etag))
    assert content(store) == bytes(MAX_REPLACED_BYTES)


@pytest.mark.parametrize("body", [b"", b"small", bytes(range(256)) * 5000])
@pytest.mark.parametrize("condition", [Always(), IfAbsent()])
def test_a_stream_is_written_to_its_end(
    store: ObjectStore, body: bytes, condition: Condition
) -> None:
    store.put(KEY, trickle(body), condition)
    assert content(store) == body


LARGE = 12 << 20
"""More than two parts of an upload to S3."""


@pytest.mark.parametrize("condition", [Always(), IfAbsent()])
def test_a_large_stream_is_written_whole_or_not_at_all(
    store: ObjectStore, condition: Condition
) -> None:
    data = bytes(range(256)) * (LARGE // 256) + b"end"
    etag = store.put(KEY, trickle(data), condition)
    info = store.head(KEY)
    assert info is not None
    assert (info.size_bytes, info.etag) == (len(data), etag)
    assert content(store) == data
    with pytest.raises(LostRaceError):
        store.put(KEY, trickle(bytes(LARGE)), IfAbsent())
    with pytest.raises(ConnectionResetError):
        store.put("app/new", trickle(data, breaks_after=LARGE - 1), condition)
    with pytest.raises(ConnectionResetError):
        store.put(KEY, trickle(bytes(LARGE), breaks_after=LARGE - 1), Always())
    assert content(store) == data
    assert keys(store) == [KEY]


def test_a_stream_that_breaks_leaves_nothing(store: ObjectStore) -> None:
    with pytest.raises(ConnectionResetError, match="went away"):
        store.put("app/new", trickle(bytes(500_000), breaks_after=200_000), IfAbsent())
    store.put(KEY, b"old", Always())
    with pytest.raises(ConnectionResetError):
        store.put(KEY, trickle(bytes(500_000), breaks_after=200_000), Always())
    assert content(store) == b"old"
    assert keys(store) == [KEY]


# --- races -----------------------------------------------------------------------------------


def run_at_once(count: int, work: Callable[[int], bool]) -> int:
    """How many of `count` threads, let loose at the same moment, came back with True."""
    start = threading.Barrier(count)

    def run(number: int) -> bool:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(run, range(count)))


def test_if_absent_has_exactly_one_winner(store: ObjectStore) -> None:
    for turn in range(4):
        key = f"app/metadata/{turn}.snapshot.json"

        def create(number: int, key: str = key) -> bool:
            try:
                store.put(key, f"writer {number}".encode(), IfAbsent())
            except LostRaceError:
                return False
            return content(store, key) == f"writer {number}".encode()

        assert run_at_once(6, create) == 1


def test_counting_with_if_match_loses_no_count(store: ObjectStore) -> None:
    store.put(KEY, b"0", IfAbsent())

    def count_up(_: int) -> bool:
        done = 0
        while done < 5:
            found = store.open(KEY)
            assert found is not None
            with found:
                value = int(found.read())
            try:
                store.put(KEY, b"%d" % (value + 1), IfMatch(found.info.etag))
            except LostRaceError:
                continue
            done += 1
        return True

    run_at_once(4, count_up)
    assert content(store) == b"20"


def test_a_reader_sees_old_or_new_and_never_a_mixture(store: ObjectStore) -> None:
    bodies = [bytes([letter]) * 50_000 for letter in b"ab"]
    store.put(KEY, bodies[0], Always())

    def work(number: int) -> bool:
        for turn in range(8):
            if number == 0:
                store.put(KEY, bodies[turn % 2], Always())
            elif content(store) not in bodies:
                return False
        return True

    assert run_at_once(3, work) == 3


# --- copy, list, delete ----------------------------------------------------------------------


def test_a_copy_has_the_bytes_of_its_source_which_stays(store: ObjectStore) -> None:
    store.put("app/uploads/1", b"artifact", Always())
    etag = store.copy("app/uploads/1", "app/artifacts/ab/abcd", IfAbsent())
    info = store.head("app/artifacts/ab/abcd")
    assert info is not None
    assert (info.etag, info.size_bytes) == (etag, 8)
    assert content(store, "app/artifacts/ab/abcd") == b"artifact"
    assert content(store, "app/uploads/1") == b"artifact"


def test_a_copy_lives_on_when_its_source_is_replaced_or_gone(store: ObjectStore) -> None:
    store.put("app/uploads/1", b"artifact", Always())
    store.copy("app/uploads/1", "app/copy", IfAbsent())
    store.put("app/uploads/1", b"something else", Always())
    store.delete("app/uploads/1")
    assert content(store, "app/copy") == b"artifact"


def test_a_copy_is_made_only_where_nothing_is(store: ObjectStore) -> None:
    store.put("app/uploads/1", b"new", Always())
    store.put("app/there", b"old", Always())
    with pytest.raises(LostRaceError, match="app/there"):
        store.copy("app/uploads/1", "app/there", IfAbsent())
    assert content(store, "app/there") == b"old"


def test_only_the_state_that_was_named_is_copied(store: ObjectStore) -> None:
    read = store.put("app/uploads/1", b"verified", Always())
    store.copy("app/uploads/1", "app/first", IfAbsent(), source_etag=read)
    assert content(store, "app/first") == b"verified"
    store.put("app/uploads/1", b"exchanged", Always())
    with pytest.raises(LostRaceError, match="app/uploads/1"):
        store.copy("app/uploads/1", "app/second", IfAbsent(), source_etag=read)
    assert store.head("app/second") is None


def test_nothing_cannot_be_copied(store: ObjectStore) -> None:
    for source in ("app/uploads/1", "no/such/folder"):
        with pytest.raises(UsageError, match=source):
            store.copy(source, "app/copy", IfAbsent())
    assert keys(store) == []


def test_a_list_is_in_the_order_of_the_keys(store: ObjectStore) -> None:
    names = ["a/b", "a-b", "a.b", "a/b.c/d", "a/b-c", "a0", "B", "a!/x", "a/B", "a/b_", "a+/x"]
    for name in names:
        store.put(name, name.encode(), Always())
    assert keys(store) == sorted(names)


def test_a_list_holds_what_begins_with_the_prefix(store: ObjectStore) -> None:
    for key in ("app/uploads/1", "app/uploads/2", "app/up", "app/u/x", "apple/uploads/3"):
        store.put(key, b"", Always())
    assert keys(store, "app/up") == ["app/up", "app/uploads/1", "app/uploads/2"]
    assert keys(store, "app/uploads/") == ["app/uploads/1", "app/uploads/2"]
    assert keys(store, "app/uploads/2") == ["app/uploads/2"]
    assert keys(store, "app") == sorted(keys(store))
    assert keys(store, "app/uploads/1/") == []
    assert keys(store, "nobody/") == []


def test_what_is_deleted_is_gone_and_may_be_written_anew(store: ObjectStore) -> None:
    first = store.put(KEY, b"first", Always())
    store.delete(KEY)
    assert store.head(KEY) is None
    assert content(store) is None
    assert keys(store) == []
    second = store.put(KEY, b"second", IfAbsent())
    assert second != first


def test_deleting_nothing_is_no_error(store: ObjectStore) -> None:
    store.delete(KEY)
    store.put(KEY, b"x", Always())
    store.delete("app/metadata/other.json")
    assert keys(store) == [KEY]


# --- keys ------------------------------------------------------------------------------------

NOT_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "app/",
    "app//x",
    ".",
    "..",
    "../x",
    "app/../../x",
    "app/./x",
    "app/..",
    "app\\x",
    "app/\0",
    "app/x\n",
    "~tmp/x",
    "app/ä",
    "app/%2e%2e/x",
    "app/x y",
    "a" * 256,
    "/".join(["a" * 200] * 5),
]


@pytest.mark.parametrize("key", NOT_KEYS)
def test_what_is_no_key_is_refused_by_every_verb(store: ObjectStore, key: str) -> None:
    store.put(KEY, b"x", Always())
    asks: list[Callable[[], object]] = [
        lambda: store.head(key),
        lambda: store.open(key),
        lambda: store.put(key, b"", Always()),
        lambda: store.put(key, b"", IfMatch(Etag("x"))),
        lambda: store.copy(KEY, key, IfAbsent()),
        lambda: store.copy(key, "other", IfAbsent()),
        lambda: store.delete(key),
    ]
    for ask in asks:
        with pytest.raises(ValueError, match="not a key"):
            ask()
    assert keys(store) == [KEY]


@pytest.mark.parametrize("prefix", ["/", "../", "app/../", "./", "app//", "app/ä", "~", "a\0"])
def test_what_no_key_begins_with_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError, match="beginning of a key"):
        list(store.list(prefix))


KEY_PART = st.text("aZ09._+!-", min_size=1, max_size=5).filter(lambda part: part not in {".", ".."})


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(KEY_PART, min_size=1, max_size=3), data=st.binary(max_size=50))
def test_every_key_is_held_apart(store: ObjectStore, parts: list[str], data: bytes) -> None:
    # No part can be "end", so no key is another one and more.
    key = "/".join(["k", *parts, "end"])
    store.put(key, data, Always())
    assert content(store, key) == data
    assert key in keys(store, "k/")
    store.delete(key)
    assert store.head(key) is None
