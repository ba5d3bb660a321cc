"""A copy brought up to date, so that its readers see the state before or the state after.

1. The state is read through the TUF chain, from the pinned root; what the folder holds already is
   read there, and proven in the same way.
2. A state with a lower number, in any role, than the folder holds is refused: a copy never goes
   back. What the folder holds counts only as far as the newest root vouches for it.
3. Large files, then documents and numbered metadata, each put in place whole; then the folders are
   synced; then the pointer, by one rename; then the copies at the channels' stable addresses.
4. Killed anywhere, the next run goes on: what is whole is not fetched again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Root

from lockgate_cli.mirroring.contents import Blob, Contents, gather
from lockgate_cli.mirroring.fetching import Fetching, fetch_all
from lockgate_cli.mirroring.folder import MirrorFolder
from lockgate_cli.mirroring.pruning import unreached
from lockgate_cli.mirroring.sources import POINTER, CheapReader, FolderSource, Source
from lockgate_cli.output import warn
from lockgate_cli.progress import Progress
from lockgate_cli.repository import Base, load_base
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import RepositoryError, StaleMirrorError, TrustError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, ChannelName
from lockgate_release.trust.chain import Chain, Verified, follow_roots, load_chain, numbers_in_force
from lockgate_release.trust.roles import Role

__all__ = ["MirrorPlan", "Wanted", "copy_state", "count", "plan_copy", "prune"]

_ROLES = ("timestamp", "snapshot", "targets", "releases", "channels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be copied.

    Attributes:
        app: The app.
        pinned: The root that trust begins with.
        channels: What these channels need; none: everything.
        overlay: Files that the server signed for this copy alone, by path.
        now: The present.
    """

    app: AppName
    pinned: bytes
    channels: tuple[ChannelName, ...]
    overlay: Mapping[str, bytes]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPlan:
    """What it takes to bring a copy up to date.

    Attributes:
        base: The state.
        contents: All that belongs into the copy.
        files: Small files to write, without the pointer.
        blobs: Large files to fetch.
        moves: Whether the pointer is another one.
        expires_at: When the first of the state's signatures runs out.
    """

    base: Base
    contents: Contents
    files: Mapping[str, bytes]
    blobs: tuple[Blob, ...]
    moves: bool
    expires_at: datetime

    @property
    def blob_bytes(self) -> int:
        """How much is to be fetched in large files."""
        return sum(blob.size_bytes for blob in self.blobs)


def plan_copy(source: Source, folder: MirrorFolder, wanted: Wanted) -> MirrorPlan:
    """Read the state and the folder, and return what is to be done; writes nothing.

    Raises:
        UsageError: There is no such channel.
        StaleMirrorError: The state is older than what the folder holds.
        RepositoryError: It cannot be verified.
        TransportError: It could not be fetched.
        LocalError: The folder cannot be read.
    """
    base, contents = _read_state(source, folder, wanted)
    expires_at = _end_of(base.chain)
    known = check_not_older(folder, base)
    if known is not None and _end_of(known) > expires_at:
        warn(
            f"the folder's state is good until {format_instant(_end_of(known))}, this one only "
            f"until {format_instant(expires_at)}: say --valid-for again"
        )
    for number in contents.roots_missing:
        warn(f"root {number} is missing from the repository: clients that trust it cannot follow")
    files = {path: data for path, data in contents.files.items() if folder.read(path) != data}
    return MirrorPlan(
        base=base,
        contents=contents,
        files=files,
        blobs=tuple(blob for blob in contents.blobs if not folder.holds(blob)),
        moves=folder.read(POINTER) != contents.pointer,
        expires_at=expires_at,
    )


def _end_of(chain: Chain) -> datetime:
    """Return when the first of a state's signatures runs out."""
    ends: list[datetime] = [getattr(chain, name).signed.expires for name in _ROLES]
    return min(chain.root.signed.expires, *ends)


def count(things: Sized, name: str) -> str:
    """Return how many there are, as people say it."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _read_state(source: Source, folder: MirrorFolder, wanted: Wanted) -> tuple[Base, Contents]:
    held = FolderSource(folder=folder.folder)

    def read(local: Source | None) -> tuple[Base, Contents]:
        reader = CheapReader(source=source, local=local, overlay=wanted.overlay)
        base = load_base(reader, wanted.app, wanted.pinned, now=wanted.now)
        return base, gather(reader, base, wanted.channels)

    _check_is_there(source, wanted)
    try:
        return read(held)
    except RepositoryError:
        # It may be a file in the folder that is damaged: then the repository's own is right.
        return read(None)


def _check_is_there(source: Source, wanted: Wanted) -> None:
    if POINTER in wanted.overlay or source.read_file(wanted.app, POINTER) is not None:
        return
    raise TrustError(
        "no repository of this app is there",
        subject=f"{wanted.app}/{POINTER}",
        hint=f"--from names what the folder {wanted.app} is in, as clients' `repository` does; "
        "else look at the app's name.",
    )


def check_not_older(folder: MirrorFolder, base: Base) -> Chain | None:
    """Refuse a state that lies before the folder's, and return the folder's (rule 2).

    Raises:
        StaleMirrorError: It does.
        TrustError: Another state has the same number.
    """
    known = _held_chain(folder, base.chain.root)
    if known is None:
        return None
    found, newest = numbers_in_force(base.chain), numbers_in_force(known)
    for name, number in newest.items():
        # A role that maintainers have dropped since has no number any more.
        if name != Role.ROOT and found.get(name, number) < number:
            raise _stale(name, number, found[name])
    if (
        base.chain.timestamp.version == known.timestamp.version
        and base.chain.timestamp.data != known.timestamp.data
    ):
        raise TrustError(
            "two states with one number",
            subject=POINTER,
            expected="the bytes that the folder holds",
            found=f"other bytes for number {known.timestamp.version}",
            hint="The server was put back, or its key is in other hands too.",
        )
    return known


def _held_chain(folder: MirrorFolder, newest: Verified[Root]) -> Chain | None:
    """Return the folder's state as far as the newest root vouches for it."""

    def read(name: str) -> bytes | None:
        return folder.read(f"metadata/{name}")

    if folder.read(POINTER) is None:
        return None
    try:
        root = follow_roots(read, newest.data)
        if root.version > newest.version:
            raise _stale("root", root.version, newest.version)
        return load_chain(read, newest.data, now=None)
    except StaleMirrorError:
        raise
    except RepositoryError as exc:
        warn(f"what the folder holds counts for nothing, and is written anew: {exc}")
        return None


def _stale(name: str, newest: int, found: int) -> StaleMirrorError:
    return StaleMirrorError(
        "an older state than the folder holds",
        subject=name,
        expected=f"at least {newest}",
        found=str(found),
        hint="A copy does not go back. A cache on the way may be old, or the server was put back.",
    )


def copy_state(
    plan: MirrorPlan,
    source: Source,
    folder: MirrorFolder,
    *,
    waits: WaitRules,
    parallel: int,
    progress: Progress,
) -> None:
    """Do what the plan says (rule 3).

    Raises:
        DigestMismatchError: The repository holds other bytes than were signed.
        TransportError: Something does not come.
        LocalError: The disk is in the way.
    """
    if plan.blobs:
        label = f"{plan.base.app}: {count(plan.blobs, 'artifact')}"
        with progress.bar(label, plan.blob_bytes) as advance:
            fetching = Fetching(
                app=plan.base.app,
                source=source,
                folder=folder,
                waits=waits,
                parallel=parallel,
                advance=_one_at_a_time(advance),
            )
            fetch_all(fetching, plan.blobs)
    for path, data in plan.files.items():
        folder.write(path, data)
    folder.seal()
    if plan.moves:
        folder.write(POINTER, plan.contents.pointer)
    for path, data in plan.contents.copies.items():
        if folder.read(path) != data:
            folder.write(path, data)
    folder.seal()
    folder.remember()


def _one_at_a_time(advance: Callable[[int], None]) -> Callable[[int], None]:
    lock = threading.Lock()

    def tell(size_bytes: int) -> None:
        with lock:
            advance(size_bytes)

    return tell


def prune(
    folder: MirrorFolder, plan: MirrorPlan, now: datetime, *, dry_run: bool
) -> tuple[str, ...]:
    """Remove what no state needs any more, and return what that is.

    Raises:
        LocalError: The disk is in the way.
    """
    found = unreached(folder, plan.base.app, plan.contents, now)
    if not dry_run:
        for path in found:
            folder.remove(path)
    return found
