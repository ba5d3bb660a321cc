"""What publishing the 1,000th release costs beside the 60th, with the newest 50 kept.

The command's own planning and signing, and the server's own services over a directory and SQLite,
in one process, so that every request to the store can be counted with its bytes. Time is processor
time, the lowest of several publishes from each place on, in turns. A client that learns that there
is nothing new fetches the timestamp, and asks in vain for the next root: its bytes are compared.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from securesystemslib.signer import CryptoSigner

from bench.table import Table
from lockgate_cli.api import Api
from lockgate_cli.http import Http
from lockgate_cli.listing import listing_of
from lockgate_cli.plan import plan_offers, plan_release
from lockgate_cli.repository import load_base
from lockgate_cli.signing import sign_next_list
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Artifact,
    ExtrasDocument,
    Install,
    PolicyDocument,
    ReleaseDocument,
)
from lockgate_release.layout import (
    POLICY_PATH,
    artifact_key,
    artifact_path,
    extras_path,
    metadata_key,
    release_path,
    timestamp_key,
)
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.requests import PublishRequest, RegisterRequest
from lockgate_release.strict_json import dump_json
from lockgate_release.trust import sign
from lockgate_release.trust.keys import generate_signer, public_keys_of
from lockgate_server.keys import KeyRing
from lockgate_server.ports import Condition, Etag, IfAbsent, ObjectInfo, ObjectStore, StoredObject
from lockgate_server.services.write.apps import make_online_key, register
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.publish import publish
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.stores.sqlite_reports import SqliteReportLedger

KEPT = 50
EARLY, LATE = 60, 1000
TURNS = 20
"""So many publishes are measured from each place on, in turns, as the machine is shared."""
BAR = 1.1
MOST_MORE_BYTES = 16
"""Numbers have more digits in the 1,000th state than in the 60th; nothing else may differ."""
APP, STABLE = AppName("demo"), ChannelName("stable")
_MEMORY = Path("/dev/shm")


def run() -> Table:
    """Publish 1,000 releases, and compare."""
    heads = ("publish", "requests to the store", "bytes", "processor time in ms", "nothing new")
    table = Table(heads=heads)
    place = str(_MEMORY) if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        early, late = _measure(Path(folder))
    table.add(f"{EARLY}th", early.requests, early.size_bytes, f"{early.cpu_ms:.1f}", early.check)
    table.add(
        f"{LATE}th",
        table.judge(late.requests, at_most=round(early.requests * BAR, 1)),
        table.judge(late.size_bytes, at_most=round(early.size_bytes * BAR)),
        table.judge(round(late.cpu_ms, 1), at_most=round(early.cpu_ms * BAR, 1)),
        table.judge(late.check, at_most=early.check + MOST_MORE_BYTES),
    )
    return table


@dataclass(frozen=True, kw_only=True)
class _Cost:
    """What a publish costs: requests to the store, their bytes, processor time; and a check."""

    requests: int
    size_bytes: int
    cpu_ms: float
    check: int = 0


def _measure(folder: Path) -> tuple[_Cost, _Cost]:
    desks = {place: _Desk(folder / str(place)) for place in (EARLY, LATE)}
    costs: dict[int, list[_Cost]] = {EARLY: [], LATE: []}
    checks: dict[int, int] = {}
    try:
        for place, desk in desks.items():
            for number in range(1, place):
                desk.publish(f"1.0.{number}")
        for turn in range(TURNS):
            for place, desk in desks.items():
                costs[place].append(desk.publish(f"1.0.{place + turn}"))
                checks.setdefault(place, desk.check_bytes())
    finally:
        for desk in desks.values():
            desk.close()
    early, late = (_summarise(costs[place], checks[place]) for place in (EARLY, LATE))
    return early, late


def _summarise(costs: list[_Cost], check: int) -> _Cost:
    return _Cost(
        requests=round(statistics.median(cost.requests for cost in costs)),
        size_bytes=round(statistics.median(cost.size_bytes for cost in costs)),
        cpu_ms=min(cost.cpu_ms for cost in costs),
        check=check,
    )


class _Desk:
    """A server, and a release job, in one process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._store = _CountingStore(DirectoryStore(folder / "objects"))
        self._ledger = SqliteLedger(folder / "ledger.sqlite3")
        self._deps = WriteDeps(
            store=self._store,
            ledger=self._ledger,
            keys=KeyRing(folder / "keys", {}),
            now=_now,
            random_hex=secrets.token_hex,
            sleep=time.sleep,
            reports=SqliteReportLedger(folder / "reports.sqlite3"),
        )
        self._signer = generate_signer()
        self._root = self._register()

    def close(self) -> None:
        """Let go of every file."""
        self._ledger.close()
        self._store.close()

    def _register(self) -> bytes:
        maintainer: CryptoSigner = generate_signer()
        online, now = make_online_key(self._deps, APP), _now()
        policy = PolicyDocument(app=APP)
        root = sign.first_root([maintainer], 1, online, now)
        publishers = public_keys_of([self._signer])
        targets = sign.first_targets(policy, [maintainer], publishers, 1, online, now)
        releases = sign.next_releases(None, {}, [self._signer], now)
        request = RegisterRequest(
            root=sign.to_bytes(root),
            targets=sign.to_bytes(targets),
            releases=sign.to_bytes(releases),
            documents={POLICY_PATH: policy.to_bytes()},
        )
        register(self._deps, APP, request, Caller(actor="bench"))
        return request.root

    def publish(self, version: str) -> _Cost:
        """Publish a small release to everybody, and return what that took."""
        data = f"#!/bin/sh\necho {version}\n".encode().ljust(64)
        sha256 = digest_bytes(data)
        self._store.inner.put(artifact_key(APP, sha256), data, IfAbsent())
        documents = _documents(version, data)
        self._store.forget()
        begun_s = time.process_time()
        files = _Files(http=cast("Http", None), base="", store=self._store)
        base = load_base(files, APP, self._root, now=_now())
        following = plan_release(
            listing_of(base), version=version, channels=(STABLE,), floors={}, keep=KEPT
        )
        (offer,) = plan_offers(base, version, (STABLE,), None, {})
        releases = sign_next_list(base.chain, following, documents, [self._signer], _now())
        sent = PublishRequest(releases=releases, documents=documents, offer=offer)
        body = dump_json(sent.to_json())
        publish(self._deps, APP, PublishRequest.parse(body), Caller(actor="bench"))
        return _Cost(
            requests=self._store.requests,
            size_bytes=self._store.size_bytes + len(body),
            cpu_ms=(time.process_time() - begun_s) * 1000,
        )

    def check_bytes(self) -> int:
        """Return what a client fetches to learn that there is nothing new."""
        assert self._store.inner.head(metadata_key(APP, "root", 2)) is None
        info = self._store.inner.head(timestamp_key(APP))
        assert info is not None
        return info.size_bytes


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _documents(version: str, data: bytes) -> dict[str, bytes]:
    sha256 = digest_bytes(data)
    artifact = Artifact(
        platform=Platform("any"),
        name="program",
        kind="file",
        size=len(data),
        sha256=sha256,
        tree_sha256=sha256,
        tree_size=len(data),
        path=artifact_path(sha256),
    )
    release = ReleaseDocument(
        app=APP,
        version=version,
        released_at=_now(),
        artifacts=(artifact,),
        install=Install(entrypoint="program"),
    )
    extras = ExtrasDocument(app=APP, version=version, notes="What changed.")
    return {release_path(version): release.to_bytes(), extras_path(version): extras.to_bytes()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files(Api):
    """Reads the public files as the command does, past HTTP."""

    store: ObjectStore

    def read_file(self, app: AppName, path: str) -> bytes | None:
        stored = self.store.open(f"{app}/{path}")
        if stored is None:
            return None
        with stored:
            return stored.read()


@dataclass
class _CountingStore:
    """Counts the requests to a store, and the bytes of what is asked for and written."""

    inner: ObjectStore
    requests: int = field(default=0, init=False)
    size_bytes: int = field(default=0, init=False)

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests = self.size_bytes = 0

    def head(self, key: str) -> ObjectInfo | None:
        self.requests += 1
        return self.inner.head(key)

    def open(self, key: str, *, start: int = 0, stop: int | None = None) -> StoredObject | None:
        self.requests += 1
        found = self.inner.open(key, start=start, stop=stop)
        self.size_bytes += 0 if found is None else found.info.size_bytes
        return found

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        condition: Condition,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str = "no-cache",
    ) -> Etag:
        self.requests += 1
        self.size_bytes += len(body) if isinstance(body, bytes) else 0
        return self.inner.put(
            key, body, condition, content_type=content_type, cache_control=cache_control
        )

    def copy(
        self, source: str, target: str, condition: IfAbsent, *, source_etag: Etag | None = None
    ) -> Etag:
        self.requests += 1
        return self.inner.copy(source, target, condition, source_etag=source_etag)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.requests += 1
        for info in self.inner.list(prefix):
            self.size_bytes += len(info.key)
            yield info

    def delete(self, key: str) -> None:
        self.requests += 1
        self.inner.delete(key)

    def close(self) -> None:
        self.inner.close()
