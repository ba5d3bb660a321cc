"""That the store that fails by plan fails by plan: tests of crashes and retries stand on it."""

import io

import pytest

from lockgate_release.errors import TransportError
from lockgate_server.ports import Always, IfAbsent, LostRaceError
from tests.simulators.faulty_store import (
    WRITE,
    Call,
    FaultyStore,
    KilledError,
    Moment,
    kill,
    lose,
    meanwhile,
    time_out,
)
from tests.simulators.memory_store import MemoryStore


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(inner: MemoryStore) -> FaultyStore:
    return FaultyStore(inner)


def test_a_time_out_before_a_write_wrote_nothing(store: FaultyStore, inner: MemoryStore) -> None:
    store.plan(time_out(Moment.BEFORE, "put", "a/*"))
    store.put("b/x", b"", Always())
    with pytest.raises(TransportError, match="a/x"):
        store.put("a/x", b"", Always())
    assert list(inner.objects) == ["b/x"]
    store.put("a/x", b"", Always())


def test_a_time_out_after_a_write_wrote_everything(store: FaultyStore, inner: MemoryStore) -> None:
    store.plan(time_out(Moment.AFTER, "put", times=2))
    for key in ("a/x", "a/y"):
        with pytest.raises(TransportError):
            store.put(key, io.BytesIO(b"bytes"), IfAbsent())
    assert [found.data for found in inner.objects.values()] == [b"bytes", b"bytes"]


def test_a_lost_race_wrote_nothing(store: FaultyStore, inner: MemoryStore) -> None:
    store.plan(lose("put"), lose("copy"))
    with pytest.raises(LostRaceError):
        store.put("a/x", b"", IfAbsent())
    store.put("a/x", b"", IfAbsent())
    with pytest.raises(LostRaceError):
        store.copy("a/x", "a/y", IfAbsent())
    assert list(inner.objects) == ["a/x"]


def test_a_kill_comes_at_the_write_it_is_planned_for(
    store: FaultyStore, inner: MemoryStore
) -> None:
    store.plan(kill(Moment.BEFORE, WRITE, skip=2))
    store.put("a/1", b"", Always())
    store.copy("a/1", "a/2", IfAbsent())
    store.head("a/1")
    with pytest.raises(KilledError):
        store.delete("a/1")
    assert list(inner.objects) == ["a/1", "a/2"]
    assert store.writes() == [Call("put", "a/1"), Call("copy", "a/2"), Call("delete", "a/1")]


def test_another_writer_gets_in_between(store: FaultyStore, inner: MemoryStore) -> None:
    store.plan(meanwhile("put", "a/x", lambda: inner.put("a/x", b"theirs", Always())))
    with pytest.raises(LostRaceError):
        store.put("a/x", b"mine", IfAbsent())
    assert inner.objects["a/x"].data == b"theirs"


def test_two_faults_count_the_same_calls(store: FaultyStore) -> None:
    calls: list[int] = []
    store.plan(
        meanwhile("head", "*", lambda: calls.append(1), times=2),
        time_out(Moment.BEFORE, "head", skip=1),
    )
    store.head("x")
    with pytest.raises(TransportError):
        store.head("x")
    store.head("x")
    assert calls == [1, 1]


def test_a_body_breaks_off_where_it_is_planned(store: FaultyStore) -> None:
    store.put("a/x", b"0123456789", Always())
    store.break_off("a/*", after_bytes=4)
    found = store.open("a/x")
    assert found is not None
    with found:
        chunks = found.chunks(3)
        assert [next(chunks), next(chunks)] == [b"012", b"3"]
        with pytest.raises(TransportError, match="broke off"):
            next(chunks)
    store.heal()
    found = store.open("a/x")
    assert found is not None
    with found:
        assert found.read() == b"0123456789"
