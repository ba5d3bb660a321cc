"""What every object store must do: copy, list and delete."""

import pytest

from lockgate_release.errors import UsageError
from lockgate_server.ports import Always, IfAbsent, LostRaceError, ObjectStore
from tests.contracts.stored import KEY, content, keys


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
