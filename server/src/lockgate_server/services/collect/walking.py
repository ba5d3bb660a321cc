"""What is needed, found by following names from the state in force and from those before it.

The store is read as a hostile mirror: a name counts only where it is signed, or stands under a
hash that is. Bytes are kept only while they are read; what was read once is not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tuf.api.metadata import MetaFile, Snapshot, TargetFile, Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Attestation, Delta, parse_extras, parse_release
from lockgate_release.documents.common import MAX_DOCUMENT_BYTES
from lockgate_release.documents.references import references_in
from lockgate_release.errors import RepositoryError
from lockgate_release.layout import (
    artifact_key,
    channel_copy_key,
    channel_path,
    metadata_key,
    target_key,
    timestamp_key,
)
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.strict_json import parse_json
from lockgate_release.trust.chain import (
    named_in,
    numbers_in_force,
    verify_next_releases,
    verify_next_targets,
)
from lockgate_release.trust.older import find_role, read_older_snapshot
from lockgate_release.trust.roles import Role
from lockgate_server.ports import ObjectStore, PendingChange
from lockgate_server.services.collect.reachability import Claim, Why
from lockgate_server.services.objects import read_held
from lockgate_server.services.write.base import Base, read_target

__all__ = ["Fault", "Walker", "claims_of_waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is needed and is not what it must be."""

    key: str
    what: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class _Named:
    """An artifact that a document names."""

    sha256: Sha256Hex
    size_bytes: int | None


@dataclass(kw_only=True)
class Walker:
    """Follows names through one app's files, as often as it is asked to; remembers documents.

    Attributes:
        store: Where the files are.
        app: The app.
        strict: Whether to raise where a document in force cannot be read; else it is a fault.
        tell: Told of each step, for people who wait.
        faults: Documents in force that could not be read.
    """

    store: ObjectStore
    app: AppName
    strict: bool = True
    tell: Callable[[str], None] = lambda _: None
    faults: list[Fault] = field(default_factory=list)
    _artifacts: dict[str, tuple[_Named, ...]] = field(default_factory=dict)
    _older: dict[str, Claim] = field(default_factory=dict)
    _walked: set[int] = field(default_factory=set)
    _followed: set[tuple[str, str]] = field(default_factory=set)

    def walk(self, base: Base, snapshots: Iterable[int], now: datetime) -> dict[str, Claim]:
        """Return everything that is needed, by key, with why.

        Args:
            base: The state in force, verified.
            snapshots: The numbers of all snapshots in the store.
            now: The present, aware.

        Raises:
            RepositoryError: A document in force is missing or not what was signed, if strict.
            TransportError: The store cannot be reached.
            LocalError: The disk is in the way.
        """
        claims = dict(self._walk_in_force(base))
        for key, claim in self._walk_pending(base):
            claims.setdefault(key, claim)
        newest = base.chain.snapshot.version
        lowest = min(snapshots, default=newest)
        # Every number in between is asked for, in case a list of objects is behind the objects.
        for number in range(newest - 1, lowest - 1, -1):
            if number not in self._walked:
                self._walked.add(number)
                for key, claim in self._walk_older(base, number, now):
                    self._older.setdefault(key, claim)
        return {**self._older, **claims}

    def _walk_in_force(self, base: Base) -> Iterator[tuple[str, Claim]]:
        chain, app = base.chain, self.app
        by = f"state {base.timestamp_version}"
        yield timestamp_key(app), _claim(Why.IN_FORCE, by, chain.timestamp.data)
        for number in range(1, chain.root.version + 1):
            data = chain.root.data if number == chain.root.version else None
            yield metadata_key(app, Role.ROOT, number), _claim(Why.ROOT, "", data)
        snapshot, named = chain.snapshot, named_in(chain)
        key = metadata_key(app, Role.SNAPSHOT, snapshot.version)
        yield key, _claim(Why.IN_FORCE, by, snapshot.data)
        for role, verified in named.items():
            key = metadata_key(app, role, verified.version)
            yield key, _claim(Why.IN_FORCE, by, verified.data)
        self.tell(f"{app}: {by}")
        for channel in base.channels:
            target = chain.channels.signed.targets[channel_path(channel)]
            sha256 = target.hashes["sha256"]
            yield channel_copy_key(app, channel), Claim(why=Why.IN_FORCE, by=by, sha256=sha256)
        for verified in named.values():
            yield from self._walk_targets(verified.signed, Why.IN_FORCE, by, strict=self.strict)

    def _walk_pending(self, base: Base) -> Iterator[tuple[str, Claim]]:
        chain = base.chain
        in_force = numbers_in_force(chain)
        for role in (Role.TARGETS.value, *chain.release_roles):
            number = in_force[role] + 1
            key = metadata_key(self.app, role, number)
            found = read_held(self.store, key)
            if found is None:
                continue
            try:
                if role == Role.TARGETS:
                    verified = verify_next_targets(chain.root.signed, chain.targets, found.data)
                else:
                    verified = verify_next_releases(chain, found.data, role=role)
            except RepositoryError:
                continue  # not signed: whatever it names, it cannot come into force
            by = f"{number}.{role}"
            yield key, _claim(Why.PENDING, by, found.data)
            yield from self._walk_targets(verified.signed, Why.PENDING, by, strict=False)

    def _walk_older(self, base: Base, number: int, now: datetime) -> Iterator[tuple[str, Claim]]:
        self.tell(f"{self.app}: snapshot {number}")
        key = metadata_key(self.app, Role.SNAPSHOT, number)
        found = read_held(self.store, key)
        root = base.chain.root.signed
        snapshot = read_older_snapshot(root, number, found.data, now) if found else None
        if snapshot is None:
            return
        by = f"snapshot {number}, until {snapshot.expires:%Y-%m-%d}"
        yield key, Claim(why=Why.OLDER, by=by)
        for name, meta in snapshot.meta.items():
            yield from self._walk_role(snapshot, name.removesuffix(".json"), meta, by)

    def _walk_role(
        self, snapshot: Snapshot, role: str, meta: MetaFile, by: str
    ) -> Iterator[tuple[str, Claim]]:
        """Follow the metadata of a role, unless a newer snapshot has named the same."""
        key = metadata_key(self.app, role, meta.version)
        sha256 = (meta.hashes or {}).get("sha256", "")
        if (key, sha256) in self._followed:
            return
        self._followed.add((key, sha256))
        yield key, Claim(why=Why.OLDER, by=by, sha256=sha256, size_bytes=meta.length)
        found = read_held(self.store, key)
        signed = find_role(snapshot, role, found.data) if found else None
        if signed is not None:
            yield from self._walk_targets(signed, Why.OLDER, by, strict=False)

    def _walk_targets(
        self, signed: Targets, why: Why, by: str, *, strict: bool
    ) -> Iterator[tuple[str, Claim]]:
        for path, target in signed.targets.items():
            sha256 = Sha256Hex(target.hashes.get("sha256", ""))
            key = target_key(self.app, path, sha256)
            yield key, Claim(why=why, by=by, sha256=sha256, size_bytes=target.length)
            if not path.endswith(("/release.json", "/extras.json")):
                continue
            for named in self._read_artifacts(key, path, target, strict=strict):
                yield (
                    artifact_key(self.app, named.sha256),
                    Claim(
                        why=why,
                        by=f"{by}: {path}",
                        sha256=named.sha256,
                        size_bytes=named.size_bytes,
                    ),
                )

    def _read_artifacts(
        self, key: str, path: str, target: TargetFile, *, strict: bool
    ) -> tuple[_Named, ...]:
        if key in self._artifacts:
            return self._artifacts[key]
        if target.length > MAX_DOCUMENT_BYTES:
            return ()
        try:
            data = read_target(self.store, self.app, path, target)
            self._artifacts[key] = tuple(_artifacts_in(path, data))
        except RepositoryError as exc:
            if strict:
                raise
            # Nobody who follows the chain can use it, so what it named is needed by nobody.
            self._artifacts[key] = ()
            self.faults.append(Fault(key=key, what=exc.what, by=path))
        return self._artifacts[key]


def _claim(why: Why, by: str, data: bytes | None) -> Claim:
    if data is None:
        return Claim(why=why, by=by)
    return Claim(why=why, by=by, sha256=digest_bytes(data), size_bytes=len(data))


def claims_of_waiting(changes: Iterable[PendingChange]) -> dict[str, Claim]:
    """Return what changes name that wait for signatures, by key.

    Their documents lie in the ledger; what of them is in the store already need not be there.
    """
    claims = {}
    for change in changes:
        by = f"change {change.change_id[:12]}"
        for path, data in change.documents.items():
            key = target_key(change.app, path, digest_bytes(data))
            claims[key] = _claim(Why.WAITING, by, data)
            for named in _artifacts_in(path, data):
                key = artifact_key(change.app, named.sha256)
                claims[key] = Claim(
                    why=Why.WAITING,
                    by=f"{by}: {path}",
                    sha256=named.sha256,
                    size_bytes=named.size_bytes,
                )
    return claims


def _artifacts_in(path: str, data: bytes) -> Iterator[_Named]:
    """Yield what a document of a release names, also what this version has no word for.

    Raises:
        DocumentError: It is no such document.
    """
    known: dict[Sha256Hex, int] = {}
    if path.endswith("/release.json"):
        known = {one.sha256: one.size for one in parse_release(data, subject=path).artifacts}
    else:
        extras = parse_extras(data, subject=path)
        listed: tuple[Delta | Attestation, ...] = (*extras.deltas, *extras.attestations)
        known = {item.sha256: item.size for item in listed}
    for sha256, size in known.items():
        yield _Named(sha256, size)
    # What a newer publisher lists is not held to a size that may mean something else there.
    for sha256 in references_in(parse_json(data, subject=path).raw()):
        if sha256 not in known:
            yield _Named(sha256, None)
