"""The sizes of many files: asked for side by side, in bounds, each once."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import DocumentError, TransportError
from lockgate_release.layout import artifact_key, artifact_path
from lockgate_release.names import Sha256Hex
from lockgate_server.ports import IfAbsent, ObjectInfo
from lockgate_server.services.write.named_files import MAX_OTHERS, files_of_others
from lockgate_server.services.write.sizes import AT_ONCE, sizes_in_store
from tests.simulators.faulty_store import FaultyStore, Moment, time_out
from tests.simulators.memory_store import MemoryStore
from tests.simulators.server_scene import APP, Scene


@dataclass
class TogetherStore(MemoryStore):
    """Answers when as many ask as may at once; nobody is answered where fewer do."""

    asked: list[str] = field(default_factory=list)
    inside: int = 0
    most: int = 0
    met: threading.Barrier = field(default_factory=lambda: threading.Barrier(AT_ONCE, timeout=10))
    counting: threading.Lock = field(default_factory=threading.Lock)

    def head(self, key: str) -> ObjectInfo | None:
        with self.counting:
            self.asked.append(key)
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.met.wait()
        with self.counting:
            self.inside -= 1
        return super().head(key)


def _digests(count: int) -> list[Sha256Hex]:
    return [digest_bytes(str(number).encode()) for number in range(count)]


def test_they_are_asked_for_side_by_side_and_never_more_than_may_be() -> None:
    store, wanted = TogetherStore(), _digests(3 * AT_ONCE)
    for place, sha256 in enumerate(wanted[1:], 1):
        store.put(artifact_key(APP, sha256), b"x" * place, IfAbsent())
    sizes = sizes_in_store(store, APP, [*wanted, *wanted])
    assert sizes == {wanted[0]: None} | {one: place for place, one in enumerate(wanted[1:], 1)}
    assert sorted(store.asked) == sorted(artifact_key(APP, one) for one in wanted)
    assert store.most == AT_ONCE
    assert [one for one in threading.enumerate() if one.name.startswith("sizes")] == []


def test_one_alone_needs_no_thread_and_none_asks_nothing() -> None:
    store = MemoryStore()
    (one,) = _digests(1)
    store.put(artifact_key(APP, one), b"abc", IfAbsent())
    assert sizes_in_store(store, APP, [one, one]) == {one: 3}
    assert sizes_in_store(store, APP, []) == {}


def test_a_document_cannot_have_the_store_asked_without_end() -> None:
    paths = [artifact_path(sha256) for sha256 in _digests(MAX_OTHERS + 1)]
    assert len(list(files_of_others({"new": paths[1:]}, (), "x"))) == MAX_OTHERS
    with pytest.raises(DocumentError, match="too many files"):
        list(files_of_others({"new": paths}, (), "x"))


def test_a_store_that_fails_for_one_fails_the_publish(tmp_path: Path) -> None:
    scene = Scene(folder=tmp_path)
    scene.register()
    request = scene.prepare("1.0.0")
    store = FaultyStore(scene.store)
    store.plan(time_out(Moment.BEFORE, "head", f"{APP}/artifacts/*"))
    scene.store = store
    with pytest.raises(TransportError):
        scene.send(request)
    assert scene.look().live() == set()
