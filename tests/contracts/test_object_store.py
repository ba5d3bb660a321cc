"""What every object store must do, whoever made it: what it reads, and by which keys."""

from collections.abc import Callable
from datetime import UTC, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate_release.errors import UsageError
from lockgate_server.ports import Always, Etag, IfAbsent, IfMatch, ObjectStore
from tests.contracts.stored import KEY, content, keys

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
