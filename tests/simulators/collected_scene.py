"""A server with a past: what was retired long ago, and what a collection says of it."""

from datetime import timedelta
from pathlib import Path

from lockgate_server.services.collect.collecting import (
    DEFAULT_GRACE,
    Collected,
    collect,
)
from lockgate_server.services.collect.reachability import Why
from lockgate_server.services.write.renewing import resign
from tests.simulators.faulty_store import (
    FaultyStore,
)
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, CALLER, Scene

__all__ = [
    "LATER",
    "artifact_of",
    "clocked",
    "forked",
    "gc",
    "going",
    "keys_of",
    "old_enough",
    "reasons",
    "with_a_past",
]

LATER = NOW + timedelta(days=40)
"""When every snapshot that was signed at NOW has expired."""


def clocked(folder: Path) -> Scene:
    """A scene whose store dates what it is given by the scene's own time."""
    scene = Scene(folder=folder)
    scene.store = MemoryStore(clock=lambda: scene.now)
    return scene


def with_a_past(folder: Path) -> Scene:
    """1.0.0 was published and retired long ago; 1.1.0 and 1.2.0 are live."""
    scene = clocked(folder)
    scene.register()
    scene.publish("1.0.0")
    scene.publish("1.1.0")
    scene.send(scene.publisher.retire(scene.look().chain, "1.0.0"))
    scene.pass_time(LATER)
    resign(scene.deps(), APP, CALLER)
    scene.publish("1.2.0")
    return scene


def forked(scene: Scene) -> tuple[Scene, FaultyStore, MemoryStore]:
    """The same state, with the same ages, in a store that can be told to fail."""
    assert isinstance(scene.store, MemoryStore)
    fork = scene.fork()
    inner = MemoryStore(clock=lambda: fork.now, objects=dict(scene.store.objects))
    inner._writes = scene.store._writes
    faulty = FaultyStore(inner)
    fork.store = faulty
    return fork, faulty, inner


def gc(scene: Scene, grace: timedelta = DEFAULT_GRACE) -> Collected:
    return collect(scene.deps(), APP, CALLER, grace=grace)


def keys_of(scene: Scene) -> set[str]:
    return {info.key for info in scene.store.list("")}


def reasons(found: Collected) -> dict[str, Why]:
    return {verdict.info.key.removeprefix(f"{APP}/"): verdict.why for verdict in found.verdicts}


def going(found: Collected) -> set[str]:
    return {verdict.info.key for verdict in found.verdicts if verdict.goes}


def artifact_of(scene: Scene, version: str) -> str:
    (sha256,) = scene.publisher.build(version).artifacts
    return f"{APP}/artifacts/{sha256[:2]}/{sha256}"


def old_enough(folder: Path) -> Scene:
    """The same a day later, so that nothing is as young as this moment."""
    scene = with_a_past(folder)
    scene.pass_time(LATER + timedelta(days=1))
    return scene
