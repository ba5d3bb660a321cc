"""What every object store must do: who writes where and when, one at a time and at once."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

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
from tests.contracts.stored import KEY, content, keys, trickle

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
