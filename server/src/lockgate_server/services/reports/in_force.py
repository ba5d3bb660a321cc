"""What is in force, as reports are held against it: read from the store, through the chain.

1. Everything is verified from the pinned root, as a client does it. What the store says otherwise
   is not believed here either.
2. It is kept for a few seconds, and read again only where the pointer has moved since.
3. Where the store cannot be read, what was last seen serves for an hour. After that, or where
   nothing was seen, it is asked once in a few seconds, and nobody else waits for it meanwhile: the
   threads are those that serve files.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from tuf.api.metadata import TargetFile

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ChannelOffer, parse_channel, parse_release
from lockgate_release.errors import DocumentError, LockgateError, TransportError, TrustError
from lockgate_release.gate import Arm
from lockgate_release.layout import target_key, timestamp_key
from lockgate_release.names import AppName, ChannelName, Platform, Sha256Hex
from lockgate_release.rollout.plan import DEFAULT_PLAN, MAX_WINDOW_S, Plan
from lockgate_release.rollout.progress import read_progress
from lockgate_release.trust.chain import Chain, load_chain
from lockgate_server.ports import Etag, ObjectStore
from lockgate_server.services.objects import read_object

__all__ = ["LONGEST_WINDOW", "InForce", "Line", "Roots", "View"]

LONGEST_WINDOW = timedelta(seconds=MAX_WINDOW_S)
"""For how long an hour's reports are taken at most, whatever a plan says."""

_HIGHEST_RATIO = 100.0
_KEPT_S = 5.0
_STALE_S = 3600.0


class Roots(Protocol):
    """The little that must be known of the ledger."""

    def pinned_root(self, app: AppName) -> bytes | None:
        """Return the root an app is trusted by, or None where there is no such app."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One release that a channel offers.

    Attributes:
        epoch: The rollout's, now.
        exposure_bp: The share that is offered it, now.
        control_bp: The share that only reports, now.
        window: For how long a client may be silent.
        platforms: What it is made for.
    """

    epoch: int
    exposure_bp: int
    control_bp: int
    window: timedelta
    platforms: frozenset[Platform]

    def ratio_of(self, arm: Arm) -> float:
        """Return how many times as large as the smaller arm this one is drawn, 1 to 100."""
        mine = self.exposure_bp if arm is Arm.OFFERED else self.control_bp
        smaller = min(self.exposure_bp, self.control_bp)
        return min(_HIGHEST_RATIO, mine / smaller) if smaller else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What an app's clients may speak of.

    Attributes:
        lines: Every release that is offered, by channel and version.
        channels: Every channel.
        versions: Every live release.
    """

    lines: Mapping[tuple[ChannelName, str], Line]
    channels: frozenset[ChannelName]
    versions: frozenset[str]

    @property
    def platforms(self) -> frozenset[Platform]:
        """What any release that is offered is made for."""
        return frozenset().union(*(line.platforms for line in self.lines.values()))


@dataclass(slots=True)
class _Held:
    found: InForce | None = None
    etag: Etag | None = None
    checked_s: float = 0.0
    read_s: float = 0.0
    failed_s: float = -math.inf
    lock: threading.Lock = field(default_factory=threading.Lock)


class View:
    """What is in force for each app, as it is or was a few seconds ago. Threads may share it."""

    def __init__(self, store: ObjectStore, roots: Roots, monotonic_s: Callable[[], float]) -> None:
        """Look at a store.

        Args:
            store: Where the files are.
            roots: By which roots apps are trusted.
            monotonic_s: A clock that only goes forward, in seconds.
        """
        self._store = store
        self._roots = roots
        self._monotonic_s = monotonic_s
        self._held: dict[AppName, _Held] = {}

    def of(self, app: AppName) -> InForce | None:
        """Return what is in force for an app, or None where there is no such app.

        Raises:
            TransportError: It cannot be read, and was not for too long.
            LocalError: The ledger is in the way.
        """
        held = self._held.get(app)
        if held is None:
            if self._roots.pinned_root(app) is None:
                return None
            held = self._held.setdefault(app, _Held())
        now_s = self._monotonic_s()
        if held.found is not None and now_s - held.checked_s < _KEPT_S:
            return held.found
        self._refuse_soon(app, held)
        # Whoever comes while another one reads is served with what was there before.
        if held.lock.acquire(blocking=held.found is None):
            try:
                if held.found is None or now_s - held.checked_s >= _KEPT_S:
                    self._refuse_soon(app, held)
                    self._refresh(app, held, now_s)
            finally:
                held.lock.release()
        return held.found

    def _refresh(self, app: AppName, held: _Held, now_s: float) -> None:
        try:
            info = self._store.head(timestamp_key(app))
            if held.found is None or info is None or info.etag != held.etag:
                held.found, held.etag = self._read(app)
            held.read_s = now_s
        except LockgateError as exc:
            if held.found is None or now_s - held.read_s >= _STALE_S:
                held.failed_s = self._monotonic_s()
                raise TransportError("what is in force cannot be read", subject=app) from exc
        held.checked_s = now_s

    def _refuse_soon(self, app: AppName, held: _Held) -> None:
        """Refuse at once where the store could not be read a moment ago."""
        if self._monotonic_s() - held.failed_s < _KEPT_S:
            raise TransportError("what is in force could not be read just now", subject=app)

    def _read(self, app: AppName) -> tuple[InForce, Etag]:
        pinned = self._roots.pinned_root(app)
        pointer = read_object(self._store, timestamp_key(app))
        if pinned is None or pointer is None:
            raise TrustError("no state in the store", subject=app)

        def read(name: str) -> bytes | None:
            if name == "timestamp.json":
                return pointer.data
            found = read_object(self._store, f"{app}/metadata/{name}")
            return None if found is None else found.data

        return self._describe(app, load_chain(read, pinned, now=None)), pointer.etag

    def _describe(self, app: AppName, chain: Chain) -> InForce:
        documents = [
            parse_channel(self._target(app, path, target), subject=path)
            for path, target in chain.channels.signed.targets.items()
        ]
        return InForce(
            lines={
                (document.channel, offer.version): self._line(app, chain, offer)
                for document in documents
                for offer in document.offers
                if document.revocation_of(offer.version) is None
            },
            channels=frozenset(document.channel for document in documents),
            versions=frozenset(entry.version for entry in chain.entries().values()),
        )

    def _line(self, app: AppName, chain: Chain, offer: ChannelOffer) -> Line:
        target = chain.target(offer.path)
        if target is None:
            raise TrustError("no live release", subject=offer.path)
        release = parse_release(self._target(app, offer.path, target), subject=offer.path)
        return Line(
            epoch=offer.rollout.epoch,
            exposure_bp=offer.rollout.exposure_bp,
            control_bp=offer.rollout.control_bp,
            window=min(LONGEST_WINDOW, timedelta(seconds=_plan_of(offer).window_s)),
            platforms=frozenset(artifact.platform for artifact in release.artifacts),
        )

    def _target(self, app: AppName, path: str, target: TargetFile) -> bytes:
        sha256 = Sha256Hex(target.hashes.get("sha256", ""))
        found = read_object(self._store, target_key(app, path, sha256), limit_bytes=target.length)
        if found is None or digest_bytes(found.data) != sha256:
            raise TrustError("not the bytes that were signed", subject=path, expected=sha256)
        return found.data


def _plan_of(offer: ChannelOffer) -> Plan:
    """Return the plan of a rollout; one that cannot be read keeps nobody from being heard."""
    try:
        progress = read_progress(offer.rollout)
    except DocumentError:
        return DEFAULT_PLAN
    return DEFAULT_PLAN if progress is None else progress.plan
