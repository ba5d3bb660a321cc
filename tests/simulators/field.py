"""Clients in the field, behind caches that are as stale as they may be, while keys are replaced.

The server's use cases, its public app, the signatures and the clients are real; only time is not.
Each client has a cache of its own, which hands out an old `timestamp.json`, or says that there is
no newer root, or both, for exactly as long as the server reckons with.

    field = open_field(tmp_path)
    field.join()                                # a few clients at this root; one goes to sleep
    field.hold(rotate_maintainers(field))       # as the runbook says; everybody checks all along
    assert field.refused == []
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.instants import utc_now
from lockgate_server.patience import Patience
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.online_keys import make_next_key
from lockgate_server.worker import run_round
from lockgate_updater import Offer, Unknown, Updater, UpToDate, init
from tests.simulators.ceremonies import Ceremonies
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene
from tests.simulators.stale_cache import SITE, History, ManyNodes, StaleCache

__all__ = [
    "CACHES",
    "PATIENCE",
    "Begin",
    "Field",
    "FieldClient",
    "open_field",
    "rotate_maintainers",
    "rotate_online",
    "rotate_publishers",
    "rotate_stolen_publishers",
]

PATIENCE = Patience()
_NEVER = timedelta(0)
CACHES = (
    (PATIENCE.cached, PATIENCE.overlap),
    (PATIENCE.cached, _NEVER),
    (_NEVER, PATIENCE.overlap),
)
"""For how long each kind of cache keeps the pointer, and that there is no such file."""


@dataclass
class FieldClient:
    """A real client behind a cache of its own; it knows what it was offered last."""

    home: Path
    cache: StaleCache | ManyNodes
    offered: str = ""

    @property
    def updater(self) -> Updater:
        return Updater.open(
            self.home, environ={}, clock=self.cache.now, transport=lambda: self.cache
        )

    def check(self) -> str:
        """The version it is offered or has, or the code and the words of why nobody knows."""
        found = self.updater.check()
        if isinstance(found, Unknown):
            return f"unknown: {found.code}: {found.reason}"
        if isinstance(found, UpToDate):
            return found.version
        if isinstance(found, Offer):
            return found.release.document.version
        return f"{type(found).__name__.lower()}: {found.reason}"

    def installed(self) -> str:
        """The version that would be started, or ""."""
        link = self.home / "current"
        return link.readlink().name.rpartition("-")[0] if link.is_symlink() else ""

    def root(self) -> bytes:
        """The newest root that it has verified."""
        return (self.home / "state" / "metadata" / "root.json").read_bytes()


@dataclass
class Field:
    """A server, its maintainers and publishers, and the clients that have ever begun.

    Attributes:
        folder: Where the clients live.
        scene: The server and the people.
        history: What the server has ever held.
        patience: How long the server waits for caches.
        awake: They check at every step.
        asleep: They have checked once, each at another root, and not since.
        versions: What was published, oldest first.
        refused: What a client said that named no release at least as new as before.
    """

    folder: Path
    scene: Scene
    history: History
    patience: Patience = PATIENCE
    awake: list[FieldClient] = field(default_factory=list)
    asleep: list[FieldClient] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def publish(self) -> str:
        """Publish the next version; everybody checks."""
        version = f"1.{len(self.versions)}.0"
        self.scene.publish(version)
        self.versions.append(version)
        self.sweep()
        return version

    def join(self) -> None:
        """New clients at the newest root of this moment, one for each cache; one more sleeps."""
        for group, kind in (*((self.awake, kind) for kind in CACHES), (self.asleep, CACHES[0])):
            client = self.new_client(kind)
            client.offered = client.check()
            assert client.offered == self.versions[-1], client.offered
            group.append(client)

    def new_client(self, kind: tuple[timedelta, timedelta] = CACHES[0]) -> FieldClient:
        """A client that was shipped with the first root, and has checked nothing yet."""
        number = len(list(self.folder.glob("client-*")))
        home = self.folder / f"client-{number}"
        init(
            home,
            app=APP,
            repository=SITE,
            channel=STABLE,
            root=self.scene.publisher.root,
            client_id=f"00000000-0000-4000-8000-{number:012d}",
        )
        return FieldClient(home, self.new_cache(kind))

    def new_cache(self, kind: tuple[timedelta, timedelta] = CACHES[0]) -> StaleCache:
        """A cache that holds nothing yet."""
        pointer, missing = kind
        public, scene = self.scene.public(), self.scene

        def ask(path: str) -> tuple[int, bytes]:
            response = public.get(path)
            return response.status_code, response.data

        return StaleCache(ask=ask, now=lambda: scene.now, pointer=pointer, missing=missing)

    def join_many_nodes(self, chance: random.Random) -> None:
        """A client each of whose requests meets another cache."""
        scene = self.scene
        client = self.new_client()
        client.cache = ManyNodes(
            history=self.history,
            now=lambda: scene.now,
            pointer=PATIENCE.cached,
            missing=PATIENCE.overlap,
            chance=chance,
        )
        client.offered = self.versions[0]
        self.awake.append(client)

    def sweep(self) -> None:
        """Everybody who is awake checks, and acts on a state at least as new as before."""
        for client in self.awake:
            found = client.check()
            if found not in self.versions:
                self.refused.append(found)
            elif self.versions.index(found) < self.versions.index(client.offered):
                self.refused.append(f"back to {found}")
            else:
                client.offered = found

    def wait(self, **span: float) -> None:
        """Let time pass; the worker does its round, and everybody checks."""
        self.scene.pass_time(self.scene.now + timedelta(**span))
        run_round(self.deps(), "worker")
        self.sweep()

    def deps(self) -> WriteDeps:
        return replace(self.scene.deps(), patience=self.patience)

    def hold(self, request: CeremonyRequest) -> None:
        """Hold a ceremony as the runbook says: send it, and again when the server says so."""
        outcome = hold_ceremony(self.deps(), APP, request, CALLER)
        self.sweep()
        while outcome.wait_s:
            self.wait(seconds=1)
            self.wait(seconds=outcome.wait_s - 1)
            outcome = hold_ceremony(self.deps(), APP, request, CALLER)
            self.sweep()

    def rotate(self, begin: "Begin") -> None:
        """One rotation with everything around it: publishing goes on, and everybody checks."""
        self.join()
        self.hold(begin(self))
        self.publish()
        self.wait(seconds=60)
        self.wait(hours=23)
        self.publish()
        self.wait(hours=2)

    def everybody(self) -> Iterator[FieldClient]:
        """Every client; who has slept finds a cache that holds nothing."""
        yield from self.awake
        for client in self.asleep:
            client.cache = self.new_cache()
            yield client


Begin = Callable[[Field], CeremonyRequest]


def rotate_maintainers(field: Field) -> CeremonyRequest:
    """Every maintainer's key is replaced."""
    return Ceremonies(field.scene.publisher).rotate_maintainers(field.scene.look().chain)


def rotate_publishers(field: Field) -> CeremonyRequest:
    """Every publisher's key is replaced, and the old ones still sign."""
    return Ceremonies(field.scene.publisher).rotate_publishers(field.scene.look().chain)


def rotate_stolen_publishers(field: Field) -> CeremonyRequest:
    """Every publisher's key was stolen: only the new ones sign."""
    chain = field.scene.look().chain
    return Ceremonies(field.scene.publisher).rotate_publishers(chain, stolen=True)


def rotate_online(field: Field) -> CeremonyRequest:
    """The server's own key is replaced: both sign first."""
    key = make_next_key(field.deps(), APP, CALLER)
    field.sweep()
    field.wait(seconds=1)
    return Ceremonies(field.scene.publisher).rotate_online(field.scene.look().chain, key)


def open_field(folder: Path, patience: Patience = PATIENCE, *, maintainers: int = 2) -> Field:
    """A server that has published once, and the first two clients."""
    now = utc_now()  # python-tuf judges expiry by the real clock, so time only goes on from here
    people = PublisherSimulator(maintainers=maintainers, threshold=maintainers, now=now)
    scene = Scene(folder=folder, now=now, publisher=people)
    history = History(lambda: scene.now)
    scene.store = MemoryStore(clock=lambda: scene.now, objects=history)
    scene.register()
    opened = Field(folder=folder, scene=scene, history=history, patience=patience)
    opened.publish()
    opened.join()
    return opened
