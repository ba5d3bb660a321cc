"""What lies in a copy and no state needs any more. Decides; removes nothing.

A reader may have taken the pointer before it was moved, and go on from there for as long as what it
names has not expired. So a file stays when the newest state needs it, or any snapshot in the folder
that has not expired does. Every root stays. A file that no copy ever wrote is nobody's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from tuf.api.metadata import Snapshot, Targets

from lockgate_cli.mirroring.addresses import is_address
from lockgate_cli.mirroring.contents import Contents, blobs_of, others_in
from lockgate_cli.mirroring.folder import MirrorFolder
from lockgate_cli.mirroring.sources import POINTER
from lockgate_release.documents import parse_extras, parse_release
from lockgate_release.errors import DocumentError
from lockgate_release.layout import artifact_path, target_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.trust.chain import parse_metadata

__all__ = ["unreached"]

_ROOT = re.compile(r"metadata/[0-9]+\.root\.json")
_SNAPSHOT = re.compile(r"metadata/[0-9]+\.snapshot\.json")


def unreached(
    folder: MirrorFolder, app: AppName, contents: Contents, now: datetime
) -> tuple[str, ...]:
    """Return the files that may go, by their path below the app's folder.

    Raises:
        LocalError: One cannot be read.
    """
    there = tuple(folder.paths())
    kept = {POINTER, *contents.files, *contents.copies, *contents.kept}
    kept.update(blob.path for blob in contents.blobs)
    for path in there:
        if _SNAPSHOT.fullmatch(path) and path not in kept:
            kept.update(_reached_from(folder, app, path, now))
    return tuple(
        path
        for path in there
        if path not in kept and is_address(path) and not _ROOT.fullmatch(path)
    )


def _reached_from(folder: MirrorFolder, app: AppName, path: str, now: datetime) -> Iterator[str]:
    """Yield what an older snapshot needs, itself included; nothing if it has expired."""
    try:
        snapshot = parse_metadata(Snapshot, folder.read(path) or b"", path).signed
    except DocumentError:
        return
    if snapshot.is_expired(now):
        return
    yield path
    for name, meta in snapshot.meta.items():
        role_path = f"metadata/{meta.version}.{name}"
        yield role_path
        yield from _reached_from_role(folder, app, role_path)


def _reached_from_role(folder: MirrorFolder, app: AppName, path: str) -> Iterator[str]:
    try:
        role = parse_metadata(Targets, folder.read(path) or b"", path).signed
    except DocumentError:
        return
    documents = {
        target: target_key(app, target, Sha256Hex(entry.hashes.get("sha256", ""))).removeprefix(
            f"{app}/"
        )
        for target, entry in role.targets.items()
    }
    yield from documents.values()
    yield from _blob_paths(folder, documents)


def _blob_paths(folder: MirrorFolder, documents: Mapping[str, str]) -> Iterable[str]:
    for target, place in documents.items():
        if not target.endswith("/release.json"):
            continue
        beside = documents.get(target.removesuffix("release.json") + "extras.json")
        extras = folder.read(beside) if beside else None
        try:
            release = parse_release(folder.read(place) or b"")
            found = None if extras is None else parse_extras(extras)
            yield from [blob.path for blob in blobs_of(release, found)]
            yield from [artifact_path(one.sha256) for one in others_in(release, found)]
        except DocumentError:
            continue
