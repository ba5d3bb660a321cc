"""From an offer to a proven tree on the disk that nothing points to yet.

1. The artifact's bytes are what was signed, before any of them is unpacked.
2. It is unpacked beside the trees, where nothing can run it, and cannot leave its folder.
3. The tree is the one that was signed, however it came about: unpacked, or made by deltas of one
   that is here. Where builders vouch for the artifact alone, it was unpacked from its bytes.
4. It is on the disk, and so is its receipt, before it gets its name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from lockgate_release.archives.safe_tree import create_folder, remove_tree
from lockgate_release.archives.unpack import ArchiveKind, Limits, unpack
from lockgate_release.decision import Offer
from lockgate_release.digests import digest_bytes, encode_listing, walk_tree
from lockgate_release.documents import Artifact
from lockgate_release.errors import DigestMismatchError, DiskFullError, RepositoryError
from lockgate_updater.events import Observer, Step, StepName
from lockgate_updater.fetch.download import download_artifact
from lockgate_updater.fetch.transport import Transport
from lockgate_updater.install.wheels import (
    build_environment,
    check_python,
    ensure_environment,
    name_environment,
)
from lockgate_updater.state.cache import cached_folders, remove_cache
from lockgate_updater.state.durable import local_errors, sync_folders, sync_tree
from lockgate_updater.state.environments import drop_environments, remove_environment
from lockgate_updater.state.home import Home
from lockgate_updater.state.listing import listing_path, store_listing
from lockgate_updater.state.preflight import check_room
from lockgate_updater.state.proof import prove_tree
from lockgate_updater.state.receipts import Receipt, load_receipts, store_receipt

__all__ = [
    "Rebuild",
    "drop_staging",
    "drop_unfinished",
    "part_of",
    "remove_installed",
    "stage",
    "sweep",
]

_STAGING = ".staging-"
# Folders, links and the rounding of small files up to blocks.
_SLACK_BYTES = 8 << 20


class Rebuild(Protocol):
    """Makes the offered tree of what is here already. `patching` implements it."""

    def __call__(self, staging: Path) -> bytes | None:
        """Leave the tree, proven, in `staging` and return its listing; None where it cannot be."""
        ...


def part_of(home: Home, artifact: Artifact) -> Path:
    """Return where the artifact's bytes are gathered."""
    return home.downloads / f"{artifact.sha256}.part"


def stage(
    home: Home,
    offer: Offer,
    receipt: Receipt,
    *,
    transport: Transport,
    urls: tuple[str, ...],
    observe: Observer,
    rebuild: Rebuild,
    only_unpacked: bool,
) -> None:
    """Leave the offered tree, proven and durable, in its folder.

    A tree that is there already is proven again, not downloaded. What `rebuild` cannot make is
    unpacked from the whole archive. With `only_unpacked`, nothing else counts.

    Raises:
        RepositoryError: Not what was signed; nothing of it is left.
        TransportError: It does not come; the partial download stays.
        LocalError: The disk refuses, or is too full.
    """
    check_python(receipt.install.python, version=offer.version)
    artifact = offer.artifact
    if _is_there_already(home, receipt, artifact.sha256 if only_unpacked else ""):
        ensure_environment(home, receipt)
        observe(_step(StepName.PROVEN, offer, f"{offer.version} is on the disk already"))
        return
    staging = home.versions / f"{_STAGING}{receipt.folder}"
    part = part_of(home, artifact)
    listing = rebuild(staging)
    if listing is None:
        _check_space(home, receipt, artifact, part)
        observe(_step(StepName.DOWNLOADING, offer, f"downloading {offer.version}"))
        download_artifact(transport, urls, artifact, part, version=offer.version, observe=observe)
    try:
        if listing is None:
            observe(_step(StepName.UNPACKING, offer, f"unpacking {offer.version}"))
            listing = _unpack(part, artifact, staging)
            if only_unpacked:
                receipt = replace(receipt, unpacked_from=artifact.sha256)
        observe(_step(StepName.PROVEN, offer, f"{offer.version} is the tree that was signed"))
        build_environment(home, receipt, staging)
        _name(home, staging, receipt, listing)
        _drop_downloads(home)
        # Both at once: the name is there before anybody is told of it, and the download stays away.
        sync_folders(home.versions, home.downloads)
    except BaseException as exc:
        # Wrong, or too big for this disk, or interrupted: nothing half is left behind. If even that
        # fails, the next start removes it; what went wrong first is what people must hear.
        with suppress(OSError):
            remove_tree(staging)
            drop_environments(home)
            if isinstance(exc, RepositoryError):
                # Every byte came as signed, and is no such tree: nor would it be the next time.
                part.unlink(missing_ok=True)
        raise


def _step(name: StepName, offer: Offer, text: str) -> Step:
    return Step(name=name, version=offer.version, text=text)


def _is_there_already(home: Home, receipt: Receipt, unpacked_from: str) -> bool:
    known = load_receipts(home).get(receipt.folder)
    if known is None or known.tree_sha256 != receipt.tree_sha256:
        return False
    if unpacked_from and known.unpacked_from != unpacked_from:
        return False
    try:
        prove_tree(home, known)
    except DigestMismatchError:
        return False
    return True


def _check_space(home: Home, receipt: Receipt, artifact: Artifact, part: Path) -> None:
    with local_errors("cannot be read", part):
        here = part.stat().st_size if part.is_file() else 0
    install = receipt.install
    needed_bytes = max(artifact.size - here, 0) + artifact.tree_size + _SLACK_BYTES
    starts_programs = bool(install.entrypoint or install.health.command)
    try:
        check_room(home.root, needed_bytes, starts_programs=starts_programs)
    except DiskFullError:
        # What is left of other ways, such as a delta that failed, stands in nobody's way.
        if not _drop_downloads(home, but=part):
            raise
        check_room(home.root, needed_bytes, starts_programs=starts_programs)


def _unpack(part: Path, artifact: Artifact, staging: Path) -> bytes:
    """Unpack the tree, prove it, and return its canonical listing."""
    with local_errors("cannot be unpacked", staging):
        remove_tree(staging)
        create_folder(staging)
        limits = Limits(size_bytes=artifact.tree_size)
        unpack(part, ArchiveKind(artifact.kind), staging, name=artifact.name, limits=limits)
        listing = encode_listing(walk_tree(staging))
    found = digest_bytes(listing)
    if found != artifact.tree_sha256:
        raise DigestMismatchError(
            "not the tree that was signed",
            subject=artifact.name,
            expected=artifact.tree_sha256,
            found=found,
        )
    return listing


def _drop_downloads(home: Home, *, but: Path | None = None) -> bool:
    """Remove the archive or the deltas that the tree came of, and what is left of other ways.

    Returns whether there was any, beside `but`.
    """
    with local_errors("cannot be removed", home.downloads):
        found = [path for path in home.downloads.iterdir() if path != but]
        for path in found:
            remove_tree(path)
    return bool(found)


def _name(home: Home, staging: Path, receipt: Receipt, listing: bytes) -> None:
    """Give a proven tree its name, once its content and its receipt are on the disk.

    Without its tree a receipt says nothing, so one sync is enough for both.
    """
    tree = home.tree(receipt.folder)
    with local_errors("cannot be installed", tree):
        remove_tree(tree)
        store_listing(home, receipt.folder, listing)
        store_receipt(home, receipt, with_name=False)
        sync_tree(staging, home.receipts)
        name_environment(home, receipt)
        staging.rename(tree)


def remove_installed(home: Home, *folders: str, after: Path | None = None) -> None:
    """Remove trees that nothing points to, and what is known of them: from sight, then for good.

    They are out of sight, on the disk, before any of their content goes, so that half a tree never
    comes back under its name. A tree without its receipt, or a receipt without its tree, is none.

    Args:
        home: Whose.
        folders: The trees; one that is gone already is no fault.
        after: A folder whose entries must be on the disk by then as well.

    Raises:
        LocalError: One cannot be removed.
    """
    changed = [after] if after is not None else []
    with local_errors("cannot be removed", home.versions):
        for folder in folders:
            _hide(home, folder)
        if folders:
            changed += [home.versions, home.receipts]
        if changed:
            sync_folders(*changed)
        for folder in folders:
            remove_tree(home.versions / f"{_STAGING}{folder}")


def _hide(home: Home, folder: str) -> None:
    tree = home.tree(folder)
    if os.path.lexists(tree):
        doomed = home.versions / f"{_STAGING}{folder}"
        remove_tree(doomed)
        tree.rename(doomed)
    remove_environment(home, folder)
    listing_path(home, folder).unlink(missing_ok=True)
    remove_cache(home, folder)
    (home.receipts / f"{folder}.json").unlink(missing_ok=True)


def drop_unfinished(home: Home) -> None:
    """Remove everything that was being written, unpacked or removed when a process was ended.

    Raises:
        LocalError: It cannot be removed.
    """
    drop_staging(home)
    with local_errors("cannot be removed", home.root):
        for folder in (home.root, home.state, home.receipts):
            for path in folder.glob(".*.new"):
                path.unlink()
        for path in home.receipts.glob("*.tree"):
            if not path.with_suffix(".json").exists():
                path.unlink()
        drop_environments(home)
        # python-tuf's.
        for path in (home.state / "metadata").glob("tmp*"):
            path.unlink()


def drop_staging(home: Home) -> None:
    """Remove everything that was being unpacked or removed.

    Raises:
        LocalError: It cannot be removed.
    """
    with local_errors("cannot be removed", home.versions):
        for path in home.versions.glob(f"{_STAGING}*"):
            remove_tree(path)


def sweep(home: Home, *, keep: frozenset[str], after: Path | None = None) -> None:
    """Remove every tree but those in `keep`, their receipts, and all downloads.

    Args:
        home: Whose.
        keep: The folders of the trees that stay.
        after: A folder whose entries must be on the disk before anything of a tree is removed.

    Raises:
        LocalError: Something cannot be removed.
    """
    drop_staging(home)
    with local_errors("cannot be removed", home.root):
        folders = {path.name for path in home.versions.iterdir()}
        folders |= {path.stem for path in home.receipts.glob("*.json")}
        remove_installed(home, *sorted(folders - keep), after=after)
        for folder in sorted(cached_folders(home) - keep):
            remove_cache(home, folder)
        for path in home.downloads.iterdir():
            remove_tree(path)
