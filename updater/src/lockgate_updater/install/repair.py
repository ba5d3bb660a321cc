"""The installed tree, brought back to exactly what was signed; only what differs is fetched.

1. What a file must hold is known from the tree's listing, which is proven by the signed digest.
2. A file that is right stays. The content of one that is not is taken from a file on this disk
   that has it, else from the signed artifact; either way its digest is checked.
3. Everything that is needed is on the disk beside the trees before the tree is touched.
4. Then each entry is put right by one rename, folders first, and what was not signed goes last: at
   each moment no entry is worse than before.
5. In the end the whole tree is proven. Whatever cuts a repair off, the next one goes on.

A release on trial is not repaired, nor one that may not run any more.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.archives.safe_tree import create_folder, remove_tree
from lockgate_release.digests import (
    CHUNK_BYTES,
    EntryKind,
    TreeEntry,
    digest_file,
    encode_listing,
    walk_tree,
)
from lockgate_release.errors import (
    DigestMismatchError,
    LocalError,
    UsageError,
)
from lockgate_updater.events import StepName
from lockgate_updater.install.signed_source import SignedSource, find_source
from lockgate_updater.install.stage import drop_staging
from lockgate_updater.install.transaction import Transaction
from lockgate_updater.install.wheels import ensure_environment
from lockgate_updater.session import Session
from lockgate_updater.state.durable import local_errors, sync_tree
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import State
from lockgate_updater.state.listing import (
    Difference,
    DifferenceKind,
    compare_tree,
    load_listing,
    store_listing,
)
from lockgate_updater.state.proof import prove_tree
from lockgate_updater.state.receipts import Receipt, load_receipts

__all__ = ["RepairResult", "repair"]

_FOLDER_MODE = 0o755
_MODES = {True: 0o755, False: 0o644}
_NEEDS_CONTENT = frozenset({DifferenceKind.MISSING, DifferenceKind.CHANGED, DifferenceKind.KIND})


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairResult:
    """What a repair did, or, of a dry run, would do.

    Attributes:
        version: The installed release.
        differences: What was not as it was signed; () for a whole tree.
        fetched_bytes: Bytes that came from the artifact; of a dry run, 0.
        artifact_bytes: The size of the whole artifact, or 0 if it was not asked for.
        from_disk: Files whose content another file on this disk has.
        from_artifact: Files whose content only the artifact has.
        planned: Nothing was done: a dry run.
    """

    version: str
    differences: tuple[Difference, ...]
    fetched_bytes: int = 0
    artifact_bytes: int = 0
    from_disk: int = 0
    from_artifact: int = 0
    planned: bool = False

    def __str__(self) -> str:
        """Return it for people."""
        if not self.differences:
            return f"{self.version} is exactly the tree that was signed; nothing to repair"
        count = len(self.differences)
        if self.planned:
            return (
                f"{self.version}: {count} entries differ; of the files {self.from_disk} would be "
                f"copied on this disk and {self.from_artifact} fetched"
            )
        return (
            f"{self.version} is repaired: {count} entries differed; "
            f"{self.fetched_bytes} of the artifact's {self.artifact_bytes} bytes were fetched"
        )


def repair(session: Session, *, dry_run: bool) -> RepairResult:
    """Bring the installed tree to exactly what was signed, and return what that took.

    Raises:
        UsageError: A release is on trial, or the installed one may not run any more.
        RepositoryError: The artifact is not what was signed.
        TransportError: What is needed cannot be fetched; the tree is as it was.
        LocalError: Nothing is installed, or the disk refuses.
    """
    _refuse_trial(session)
    if not dry_run:
        Transaction(session).recover()
    receipt = session.receipt(session.record.installed)
    if receipt is None:
        raise LocalError(
            "nothing is installed",
            subject=str(session.home.root),
            hint="Install the newest release with: lockgate-updater update.",
        )
    source = find_source(session, receipt)
    _refuse_what_may_not_run(session, receipt)
    work = _Repair(session, receipt, source)
    if dry_run:
        return work.plan()
    result = work.carry_out()
    if ensure_environment(session.home, receipt):
        text = f"the Python environment of {receipt.version} was made again from its wheels"
        session.say(StepName.REPAIRED, receipt.version, text)
    return result


def _refuse_trial(session: Session) -> None:
    record = session.record
    if record.state is State.TRIAL and record.attempt is not None:
        raise UsageError(
            "a release on trial is not repaired",
            subject=record.attempt.version,
            hint="Go back with: lockgate-updater rollback.",
        )


def _refuse_what_may_not_run(session: Session, receipt: Receipt) -> None:
    channel = session.client.configuration.channel
    if not session.memory.may_run(channel, receipt.version):
        raise UsageError(
            "a release that is revoked or below the floor is not repaired",
            subject=receipt.version,
            hint="Leave it with: lockgate-updater update.",
        )


class _Repair:
    """One repair of one tree."""

    def __init__(self, session: Session, receipt: Receipt, source: SignedSource) -> None:
        self._session = session
        self._home: Home = session.home
        self._receipt = receipt
        self._source = source
        self._tree = session.home.tree(receipt.folder)
        self._staging = session.home.versions / f".staging-repair-{receipt.folder}"
        self._moved = 0

    # -- What differs ---------------------------------------------------------------------------

    def plan(self) -> RepairResult:
        """Return what would be done."""
        entries = load_listing(self._home, self._receipt)
        if entries is None:
            prove_tree(self._home, self._receipt)
            return RepairResult(version=self._receipt.version, differences=(), planned=True)
        differences = compare_tree(self._tree, entries)
        needed = _needed(entries, differences)
        donors = self._donors(entries, differences, {entry.value for entry in needed})
        copied = sum(1 for entry in needed if _has_good(donors, entry.value))
        return RepairResult(
            version=self._receipt.version,
            differences=differences,
            artifact_bytes=self._source.size_bytes,
            from_disk=copied,
            from_artifact=len(needed) - copied,
            planned=True,
        )

    def carry_out(self) -> RepairResult:
        """Do it."""
        try:
            with local_errors("cannot be repaired", self._tree):
                return self._carry_out()
        finally:
            # If even that fails, the next start removes it; what went wrong is what people hear.
            with suppress(LocalError, OSError):
                drop_staging(self._home)

    def _carry_out(self) -> RepairResult:
        self._start_staging()
        entries = self._known_entries()
        _open_folders(self._tree, entries)
        differences = compare_tree(self._tree, entries)
        needed = _needed(entries, differences)
        copied = self._gather(entries, differences, needed)
        if differences:
            sync_tree(self._staging)
            self._put_right(entries, differences)
            sync_tree(self._tree)
        prove_tree(self._home, self._receipt)
        if load_listing(self._home, self._receipt) is None:
            store_listing(self._home, self._receipt.folder, encode_listing(entries))
        result = RepairResult(
            version=self._receipt.version,
            differences=differences,
            fetched_bytes=self._source.fetched_bytes,
            artifact_bytes=self._source.size_bytes,
            from_disk=copied,
            from_artifact=len(needed) - copied,
        )
        if differences:
            self._session.say(StepName.REPAIRED, self._receipt.version, str(result))
        return result

    def _start_staging(self) -> None:
        remove_tree(self._staging)
        for name in ("content", "unpacked", "old"):
            (self._staging / name).mkdir(mode=0o700, parents=True)

    def _known_entries(self) -> tuple[TreeEntry, ...]:
        """Return what the tree must hold: from its listing, itself, or the artifact."""
        entries = load_listing(self._home, self._receipt)
        if entries is not None:
            return entries
        with suppress(DigestMismatchError):
            prove_tree(self._home, self._receipt)
            return tuple(walk_tree(self._tree))
        unpacked = self._staging / "unpacked"
        self._source.unpack_all(unpacked)
        return tuple(walk_tree(unpacked))

    # -- What is needed -------------------------------------------------------------------------

    def _gather(
        self,
        entries: tuple[TreeEntry, ...],
        differences: tuple[Difference, ...],
        needed: list[TreeEntry],
    ) -> int:
        """Leave the content of every needed file in staging; return how many this disk had."""
        donors = self._donors(entries, differences, {entry.value for entry in needed})
        lacking = [
            entry
            for entry in needed
            if not _copy_good(donors.get(entry.value, ()), self._content(entry), entry.value)
        ]
        if lacking:
            self._fetch(entries, lacking)
        for entry in needed:
            self._content(entry).chmod(_MODES[entry.executable])
        return len(needed) - len(lacking)

    def _content(self, entry: TreeEntry) -> Path:
        name = hashlib.sha256(entry.path.encode("utf-8", "surrogateescape")).hexdigest()
        return self._staging / "content" / name

    def _fetch(self, entries: tuple[TreeEntry, ...], lacking: list[TreeEntry]) -> None:
        version = self._receipt.version
        text = f"fetching {len(lacking)} files of {version}"
        self._session.say(StepName.DOWNLOADING, version, text)
        unpacked = self._staging / "unpacked"
        values = {entry.value for entry in lacking}
        # With all that have the same content: of a hard link the original is needed too.
        files = [entry for entry in entries if entry.kind is EntryKind.FILE]
        self._source.unpack(
            unpacked, frozenset(entry.path for entry in files if entry.value in values)
        )
        for entry in lacking:
            found = unpacked / entry.path
            if not found.is_file() or digest_file(found) != entry.value:
                raise DigestMismatchError(
                    "the artifact does not hold what was signed for this file",
                    subject=entry.path,
                    expected=entry.value,
                )
            found.rename(self._content(entry))

    def _donors(
        self,
        entries: Iterable[TreeEntry],
        differences: Iterable[Difference],
        values: set[str],
    ) -> dict[str, list[Path]]:
        """Return files on this disk that should have the contents, by digest. Not yet checked."""
        wrong = {difference.path for difference in differences}
        own = [entry for entry in entries if entry.path not in wrong]
        trees: list[tuple[Path, Iterable[TreeEntry]]] = [(self._tree, own)]
        unpacked = self._staging / "unpacked"
        if unpacked.is_dir():
            trees.append((unpacked, entries))
        for receipt in load_receipts(self._home).values():
            if receipt.folder != self._receipt.folder:
                tree = self._home.tree(receipt.folder)
                trees.append((tree, load_listing(self._home, receipt) or ()))
        found: dict[str, list[Path]] = {}
        for tree, listed in trees:
            for entry in listed:
                if entry.kind is EntryKind.FILE and entry.value in values:
                    found.setdefault(entry.value, []).append(tree / entry.path)
        return found

    # -- The tree -------------------------------------------------------------------------------

    def _put_right(
        self, entries: tuple[TreeEntry, ...], differences: tuple[Difference, ...]
    ) -> None:
        kinds = {difference.path: difference.kind for difference in differences}
        for entry in entries:  # In the order of paths: each folder before what is in it.
            kind = kinds.get(entry.path)
            if kind is DifferenceKind.MODE:
                (self._tree / entry.path).chmod(_MODES[entry.executable])
            elif kind is not None:
                self._replace(entry)
        for path, kind in kinds.items():
            if kind is DifferenceKind.EXTRA:
                self._move_away(self._tree / path)

    def _replace(self, entry: TreeEntry) -> None:
        path = self._tree / entry.path
        if entry.kind is EntryKind.DIRECTORY:
            self._move_away(path)
            create_folder(path)
            return
        new = self._content(entry)
        if entry.kind is EntryKind.LINK:
            new.symlink_to(entry.value)
        if path.is_dir() and not path.is_symlink():
            self._move_away(path)
        new.rename(path)

    def _move_away(self, path: Path) -> None:
        """Move what is in the way out of the tree; it goes with the staging folder."""
        if os.path.lexists(path):
            self._moved += 1
            path.rename(self._staging / "old" / str(self._moved))


def _needed(entries: Iterable[TreeEntry], differences: Iterable[Difference]) -> list[TreeEntry]:
    """Return the files whose content is needed."""
    lacking = {item.path for item in differences if item.kind in _NEEDS_CONTENT}
    return [entry for entry in entries if entry.kind is EntryKind.FILE and entry.path in lacking]


def _open_folders(tree: Path, entries: Iterable[TreeEntry]) -> None:
    """Let us into every folder that must be there: their modes are no part of what was signed."""
    folders = [entry.path for entry in entries if entry.kind is EntryKind.DIRECTORY]
    for folder in (tree, *(tree / path for path in folders)):
        with suppress(OSError):
            mode = folder.lstat().st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
                folder.chmod(_FOLDER_MODE)


def _has_good(donors: Mapping[str, list[Path]], sha256: str) -> bool:
    return any(True for _ in _good(donors.get(sha256, ()), sha256))


def _good(paths: Iterable[Path], sha256: str) -> Iterator[Path]:
    for path in paths:
        with suppress(OSError):
            if not path.is_symlink() and digest_file(path) == sha256:
                yield path


def _copy_good(paths: Iterable[Path], target: Path, sha256: str) -> bool:
    """Copy the first file that has this very content; whether there was one."""
    return any(_copy(path, target) == sha256 for path in paths)


def _copy(source: Path, target: Path) -> str:
    """Copy a file, following no link; return the digest of what was copied, "" for none."""
    digest = hashlib.sha256()
    with target.open("wb") as copy:
        for chunk in _read(source):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _read(source: Path) -> Iterator[bytes]:
    """Yield a file's content; what cannot be read is left out, and its digest tells."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with suppress(OSError), os.fdopen(os.open(source, flags), "rb") as stream:
        chunk = stream.read(CHUNK_BYTES)
        while chunk:
            yield chunk
            chunk = stream.read(CHUNK_BYTES)
