"""The deltas that lead from what is on this disk to one offered release: found, fetched, applied.

1. What a delta begins at is proven right before: a damaged tree leads to no other tree.
2. A delta's bytes are what was signed before any of them is read, and it is applied in a process
   with limits, beside the trees, where nothing can run what it makes.
3. What it makes is held to the signed digest of the whole tree, however it came about.
4. Whatever fails, the next cheapest way is taken in the same run; none is left in the end but the
   whole archive. What cannot have been chance is remembered, and not tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from lockgate_release.archives.safe_tree import Limits, create_folder, remove_tree
from lockgate_release.decision import Decision, Leave, Offer
from lockgate_release.deltas.applying import supported_algorithms
from lockgate_release.deltas.routes import Hop, Node, Route, Search, find_route
from lockgate_release.digests import digest_bytes, encode_listing, walk_tree
from lockgate_release.documents import TrustedRelease
from lockgate_release.documents.delta import Delta
from lockgate_release.errors import ArchiveError, LocalError, LockgateError
from lockgate_release.layout import release_path
from lockgate_release.names import Sha256Hex
from lockgate_updater.events import StepName
from lockgate_updater.fetch.chunks import ChunkPlan
from lockgate_updater.fetch.download import download_file
from lockgate_updater.install.patching.confined import Job, apply_confined
from lockgate_updater.install.patching.memory import free_memory_bytes
from lockgate_updater.install.patching.plan import FetchPlan, PassedOver
from lockgate_updater.origin.binding import why_only_unpacked
from lockgate_updater.session import Session
from lockgate_updater.state.durable import local_errors, remove_file
from lockgate_updater.state.preflight import check_room
from lockgate_updater.state.proof import prove_tree
from lockgate_updater.state.quarantine import with_failed_delta
from lockgate_updater.state.receipts import Receipt, load_receipts, receipt_for

__all__ = ["Patches", "plan_for"]

_MOST_TRIES = 4
"""Ways that are tried before the whole archive is fetched."""
_MOST_PLANS = 16
_MOST_TOLD = 20
"""Deltas of no use here that people are told of: extras may name a thousand for each release."""
_SLACK_BYTES = 8 << 20


def plan_for(session: Session, decision: Decision) -> FetchPlan | None:
    """Return what would be fetched to follow a decision, or None where nothing would.

    Raises:
        LocalError: The home cannot be read.
    """
    offer = decision.target if isinstance(decision, Leave) else decision
    if not isinstance(offer, Offer) or receipt_for(offer).folder in load_receipts(session.home):
        return None
    return Patches(session, offer).plan()


class _FailedError(Exception):
    """A way that did not lead where it should; what was in the way is left out from now on."""


class Patches:
    """The ways to one offer, within one session. One that failed is not taken again."""

    def __init__(self, session: Session, offer: Offer) -> None:
        """Look at nothing yet."""
        self._session = session
        self._home = session.home
        self._offer = offer
        self._algorithms = supported_algorithms()
        self._nodes: dict[str, Node | None] = {}
        self._in_the_way: dict[Sha256Hex, str] = {}
        self._passed_over: dict[Sha256Hex, PassedOver] = {}
        self._damaged: set[Sha256Hex] = set()
        self._free_bytes: int | None = None
        self._why_only_unpacked: str | None = None
        self.taken: FetchPlan | None = None
        """The plan that was carried out, once one was."""

    # -- The plan ---------------------------------------------------------------------------------

    def plan(self) -> FetchPlan:
        """Return what would be fetched now. May read documents of the repository.

        Raises:
            LocalError: The home cannot be read.
        """
        artifact = self._offer.artifact
        full_bytes = self._missing_bytes(artifact.sha256, artifact.size)
        route = self._find_route(full_bytes)
        passed_over = tuple(
            item
            for sha256, item in self._passed_over.items()
            if route is None or sha256 not in {hop.delta.sha256 for hop in route.hops}
        )
        return FetchPlan(
            full_bytes=full_bytes,
            route=route,
            passed_over=passed_over,
            no_deltas=self.why_only_unpacked() if self._has_deltas() else "",
        )

    def why_only_unpacked(self) -> str:
        """Return why nothing but the whole archive leads to the tree, or "" where deltas may.

        Raises:
            LocalError: What was found out cannot be remembered.
        """
        if self._why_only_unpacked is None:
            self._why_only_unpacked = why_only_unpacked(self._session, self._offer)
        return self._why_only_unpacked

    def _has_deltas(self) -> bool:
        """Whether there is a delta for this machine, and it may be looked at."""
        if not self._trees() or not self._session.client.configuration.deltas:
            return False
        target, platform = self._target(), self._offer.artifact.platform
        return target is not None and any(one.platform == platform for one in target.deltas)

    def _find_route(self, full_bytes: int) -> Route | None:
        if not self._has_deltas() or self.why_only_unpacked():
            return None
        trees, target = self._trees(), self._target()
        assert target is not None
        self._free_bytes = free_memory_bytes()
        search = Search(
            trees=trees,
            limit_bytes=full_bytes,
            is_usable=self._is_usable,
            missing_bytes=lambda delta: self._missing_bytes(delta.sha256, delta.size),
            read=self._read,
        )
        for _ in range(_MOST_PLANS):
            route = find_route(target, self._offer.artifact, search)
            if route is None or self._has_room(route):
                return route
            self._leave_out(route.hops[0], "it has no room on this disk")
        return None

    def _target(self) -> Node | None:
        release = self._offer.release
        version = release.document.version
        if version not in self._nodes:
            self._nodes[version] = self._node_of(release)
        return self._nodes[version]

    def _trees(self) -> Mapping[Sha256Hex, Receipt]:
        """Return the trees on this disk by their digests; whether they are whole is seen later."""
        found = load_receipts(self._home).values()
        return {item.tree_sha256: item for item in found if item.tree_sha256 not in self._damaged}

    def _missing_bytes(self, sha256: Sha256Hex, size_bytes: int) -> int:
        part = self._part_of(sha256)
        with local_errors("cannot be read", part):
            here = part.stat().st_size if part.is_file() else 0
        return max(size_bytes - here, 0)

    def _part_of(self, sha256: Sha256Hex) -> Path:
        return self._home.downloads / f"{sha256}.part"

    def _read(self, version: str) -> Node | None:
        view = self._session.view
        if version not in self._nodes and view is not None:
            folder = self._offer.release.path.split("/", 1)[0]
            release: TrustedRelease | None = None
            with suppress(LockgateError):
                release = view.release(release_path(version, folder=folder))
            self._nodes[version] = None if release is None else self._node_of(release)
        return self._nodes.get(version)

    def _node_of(self, release: TrustedRelease) -> Node | None:
        """Return a release with its deltas, or None: without its extras an update goes on too."""
        view, extras = self._session.view, None
        with suppress(LockgateError):
            extras = None if view is None else view.extras(release)
        if extras is None or not extras.deltas:
            return None
        document = release.document
        return Node(version=document.version, artifacts=document.artifacts, deltas=extras.deltas)

    # -- What is left out -------------------------------------------------------------------------

    def _is_usable(self, hop: Hop) -> bool:
        reason = self._why_not(hop.delta)
        if reason and len(self._passed_over) < _MOST_TOLD:
            self._pass_over(hop, reason)
        return not reason

    def _why_not(self, delta: Delta) -> str:
        if delta.algorithm not in self._algorithms:
            return f"this updater cannot read {delta.algorithm}"
        if reason := self._in_the_way.get(delta.sha256):
            return reason
        for item in self._session.memory.failed_deltas:
            if item.sha256 == delta.sha256:
                return f"it has failed here: {item.reason}"
        free_bytes = self._free_bytes
        if free_bytes is not None and delta.memory_bytes > free_bytes:
            return f"it takes {delta.memory_bytes} bytes of memory, and {free_bytes} are free"
        return ""

    def _has_room(self, route: Route) -> bool:
        install = self._offer.release.document.install
        starts = bool(install.entrypoint or install.health.command)
        needed_bytes = route.disk_bytes + _SLACK_BYTES
        try:
            check_room(self._home.root, needed_bytes, starts_programs=starts)
        except LocalError:
            return False  # What else but room may be lacking is said where the archive is fetched.
        return True

    def _leave_out(self, hop: Hop, reason: str) -> None:
        self._in_the_way[hop.delta.sha256] = reason
        self._pass_over(hop, reason)

    def _pass_over(self, hop: Hop, reason: str) -> None:
        self._passed_over[hop.delta.sha256] = PassedOver(
            from_version=hop.delta.from_version,
            version=hop.version,
            size_bytes=hop.delta.size,
            reason=reason,
        )

    # -- The tree ---------------------------------------------------------------------------------

    def rebuild(self, staging: Path) -> bytes | None:
        """Leave the offered tree, proven, in `staging`; return its canonical listing.

        None says that no delta leads there; then nothing of it is left.

        Raises:
            LocalError: The disk refuses.
        """
        self.taken = self.plan()
        for _ in range(_MOST_TRIES):
            if self.taken.route is None:
                break
            self._say(StepName.PLANNED, f"{self._offer.version} by {self.taken}")
            try:
                return self._follow(self.taken.route, staging)
            except _FailedError as exc:
                self._say(StepName.WARNING, str(exc))
            self.taken = self.plan()
        self.taken = replace(self.taken, route=None)
        if self.taken.passed_over or self.taken.no_deltas:
            self._say(StepName.PLANNED, f"{self._offer.version} by {self.taken}")
        return None

    def _say(self, name: StepName, text: str) -> None:
        self._session.say(name, self._offer.version, text)

    def _follow(self, route: Route, staging: Path) -> bytes:
        source = self._trees()[route.source]
        folders = [staging.with_name(f"{staging.name}.{at}") for at in range(1, len(route.hops))]
        try:
            self._prove(source)
            for hop in route.hops:
                self._fetch(hop)
            listing, old = b"", self._home.tree(source.folder)
            for hop, new in zip(route.hops, (*folders, staging), strict=True):
                listing = self._apply(hop, old, new)
                if old in folders:
                    self._remove(old)
                old = new
            return listing
        except BaseException:
            with suppress(OSError):
                remove_tree(staging)
            raise
        finally:
            with suppress(OSError):
                for folder in folders:
                    remove_tree(folder)

    def _remove(self, tree: Path) -> None:
        with local_errors("cannot be removed", tree):
            remove_tree(tree)

    def _prove(self, source: Receipt) -> None:
        try:
            prove_tree(self._home, source)
        except LockgateError as exc:
            self._damaged.add(source.tree_sha256)
            raise _FailedError(f"{source.version} on this disk is damaged: {exc}") from exc

    def _fetch(self, hop: Hop) -> None:
        delta, session = hop.delta, self._session
        self._say(StepName.DOWNLOADING, f"downloading delta {delta.from_version} -> {hop.version}")
        plan = ChunkPlan(size_bytes=delta.size, chunk_bytes=delta.size, digests=(delta.sha256,))
        try:
            download_file(
                session.transport,
                session.client.configuration.addresses_of(delta.path),
                plan,
                self._part_of(delta.sha256),
                version=self._offer.version,
                observe=session.observe,
            )
        except LockgateError as exc:
            self._leave_out(hop, str(exc))
            text = f"delta {delta.from_version} -> {hop.version} does not come: {exc}"
            raise _FailedError(text) from exc

    def _apply(self, hop: Hop, old: Path, new: Path) -> bytes:
        self._say(StepName.PATCHING, f"making {hop.version} of {hop.delta.from_version}")
        part, artifact = self._part_of(hop.delta.sha256), hop.artifact
        with local_errors("cannot be patched", new):
            remove_tree(new)
            create_folder(new)
            ending = apply_confined(
                Job(
                    delta=part,
                    old=old,
                    new=new,
                    limits=Limits(size_bytes=artifact.tree_size),
                    memory_bytes=hop.delta.memory_bytes,
                )
            )
            if ending.reason:
                self._fail(hop, ending.reason, remembered=ending.blames_delta)
            listing = self._listing_of(hop, new)
        if digest_bytes(listing) != artifact.tree_sha256:
            self._fail(hop, "it makes another tree than was signed", remembered=True)
        return listing

    def _listing_of(self, hop: Hop, tree: Path) -> bytes:
        try:
            return encode_listing(walk_tree(tree))
        except ArchiveError as exc:
            self._fail(hop, str(exc), remembered=True)

    def _fail(self, hop: Hop, reason: str, *, remembered: bool) -> NoReturn:
        self._leave_out(hop, reason)
        if remembered:
            source = self._trees().get(hop.delta.from_tree_sha256)
            if source is not None:
                self._prove(source)  # What has changed since is to blame, and not the delta.
            session = self._session
            known = session.memory.failed_deltas
            failed = with_failed_delta(known, hop.delta.sha256, reason)
            session.remember(replace(session.memory, failed_deltas=failed))
            remove_file(self._part_of(hop.delta.sha256))
        raise _FailedError(f"delta {hop.delta.from_version} -> {hop.version} failed: {reason}")
