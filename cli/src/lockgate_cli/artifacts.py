"""From a file to what a release says of it: size, digest, kind, and the digest of its tree.

Reads files, and unpacks them below a temporary folder that is removed again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from lockgate_cli.api import Api
from lockgate_cli.fields import parse_field
from lockgate_cli.output import say
from lockgate_cli.progress import Progress
from lockgate_cli.scratch import scratch_folder
from lockgate_cli.uploading.session import Outgoing, Uploads
from lockgate_release.archives import ArchiveKind, guess_kind, unpack
from lockgate_release.digests import CHUNK_BYTES, EntryKind, TreeEntry, digest_entries, walk_tree
from lockgate_release.documents import Artifact, ChunkHasher, Chunks
from lockgate_release.errors import DigestMismatchError, LocalError, UsageError
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, Platform, Sha256Hex, parse_platform, parse_sha256
from lockgate_release.platforms import ANY_PLATFORM
from lockgate_release.trust.verify import NotFoundError

__all__ = [
    "ArtifactFacts",
    "ArtifactSource",
    "check_platforms",
    "describe",
    "describe_file",
    "parse_source",
    "send",
]

_BY_DIGEST = "sha256:"
_MAGIC = (
    (b"\x1f\x8b", ArchiveKind.TAR_GZ),
    (b"\xfd7zXZ\x00", ArchiveKind.TAR_XZ),
    (b"\x28\xb5\x2f\xfd", ArchiveKind.TAR_ZST),
    (b"PK\x03\x04", ArchiveKind.ZIP),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSource:
    """Where an artifact comes from, as `--artifact` says it.

    Attributes:
        platform: Which machines it is for.
        path: The file, or None where `sha256` names one that the server holds already.
        sha256: The digest of a file that was uploaded before, or "".
        name: What such a file is called, or "" to go by its content.
    """

    platform: Platform
    path: Path | None = None
    sha256: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFacts:
    """What was found by reading an artifact.

    Attributes:
        artifact: What the release will say of it.
        path: The file on this machine, or None where the server holds it already.
        programs: The paths in its tree that can be started.
        wheels: The paths in its tree of Python wheels.
    """

    artifact: Artifact
    path: Path | None
    programs: frozenset[str] = field(default_factory=frozenset)
    wheels: frozenset[str] = field(default_factory=frozenset)


def parse_source(text: str, folder: Path) -> ArtifactSource:
    """Return the artifact that `PLATFORM=PATH` or `PLATFORM=sha256:HEX[@NAME]` names.

    Args:
        text: As it was said.
        folder: What a relative path is below.

    Raises:
        UsageError: It has another form.
    """
    platform, sign, source = text.partition("=")
    if not sign or not source:
        raise UsageError(
            "not an artifact",
            subject="--artifact",
            expected="PLATFORM=PATH or PLATFORM=sha256:HEX, such as linux-x86_64=build/app.tar.gz",
            found=repr(text),
        )
    tag = parse_field(f"--artifact {text}", parse_platform, platform)
    if not source.startswith(_BY_DIGEST):
        return ArtifactSource(platform=tag, path=folder / source)
    sha256, _, name = source.removeprefix(_BY_DIGEST).partition("@")
    return ArtifactSource(
        platform=tag, sha256=parse_field(f"--artifact {text}", parse_sha256, sha256), name=name
    )


def check_platforms(sources: Iterable[ArtifactSource]) -> None:
    """Refuse two artifacts for one platform.

    Raises:
        UsageError: There are.
    """
    for platform, count in Counter(source.platform for source in sources).items():
        if count > 1:
            raise UsageError(
                "two artifacts for one platform",
                subject="--artifact",
                expected="one for each platform",
                found=platform,
            )


def describe(
    source: ArtifactSource, api: Api, app: AppName, *, stem: str, progress: Progress
) -> ArtifactFacts:
    """Return what a release says of an artifact.

    Args:
        source: Where it comes from.
        api: Where to get what is on the server already.
        app: The app.
        stem: What an uploaded archive is called that was given no name, without its ending.
        progress: How to show how far it has got.

    Raises:
        UsageError: There is no such file, or it needs a name.
        ArchiveError: It is damaged, or contains what must not be unpacked.
        LocalError: It cannot be read, or unpacking it fails.
        TransportError: It could not be fetched.
        DigestMismatchError: The server answered with other bytes.
    """
    if source.path is not None:
        return describe_file(
            source.path, name=source.path.name, platform=source.platform, progress=progress
        )
    with scratch_folder("fetching") as folder:
        path = folder / "download"
        _download(api, app, Sha256Hex(source.sha256), path)
        name = source.name or _name_by_content(path, f"{stem}-{source.platform}")
        facts = describe_file(path, name=name, platform=source.platform, progress=progress)
        return replace(facts, path=None)


def _check_plain(path: Path, status: os.stat_result) -> None:
    """Refuse what cannot be read twice, or never ends.

    Raises:
        UsageError: It is no plain file.
    """
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a plain file"
        raise UsageError(what, subject=str(path), expected="a file: an archive or a program")


def describe_file(
    path: Path, *, name: str, platform: Platform = ANY_PLATFORM, progress: Progress
) -> ArtifactFacts:
    """Return what a release says of the file at `path`.

    Raises:
        UsageError: There is no such file.
        ArchiveError: It is damaged, or contains what must not be unpacked.
        LocalError: It cannot be read, or unpacking it fails.
    """
    kind = guess_kind(name)
    try:
        before = path.stat()
        _check_plain(path, before)
        with path.open("rb") as stream, progress.bar(f"reading {name}", before.st_size) as advance:
            sha256, chunks = _digest(stream, before.st_size, advance)
        entries = _unpacked(path, kind, name)
        if kind is ArchiveKind.FILE:
            entries = [replace(entries[0], value=sha256, size_bytes=before.st_size)]
        after = path.stat()
    except FileNotFoundError as exc:
        raise UsageError("no such file", subject=str(path)) from exc
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(path), found=str(exc)) from exc
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise LocalError("changed while it was being read", subject=str(path))
    tree = digest_entries(entries)
    artifact = Artifact(
        platform=platform,
        name=name,
        kind=kind.value,
        size=before.st_size,
        sha256=sha256,
        tree_sha256=tree.sha256,
        tree_size=tree.size_bytes,
        path=artifact_path(sha256),
        chunks=chunks,
    )
    wheels = frozenset(entry.path for entry in entries if entry.path.endswith(".whl"))
    return ArtifactFacts(artifact=artifact, path=path, programs=_programs(entries), wheels=wheels)


def send(
    api: Api,
    app: AppName,
    uploads: Uploads,
    found: Sequence[ArtifactFacts],
    beside: Sequence[Outgoing] = (),
) -> dict[Sha256Hex, bool]:
    """Leave the artifacts on the server; return for each digest whether it was not there yet.

    Args:
        api: The server.
        app: The app.
        uploads: The way for files to the server.
        found: The artifacts.
        beside: Files that go up with them: deltas and attestations.

    Raises:
        UsageError: The server should hold one already, and does not.
        LockgateError: A file cannot be read any more, or the server did not take it.
    """
    outgoing = []
    for facts in found:
        artifact = facts.artifact
        if facts.path is not None:
            outgoing.append(
                Outgoing(
                    path=facts.path,
                    name=artifact.name,
                    sha256=artifact.sha256,
                    size_bytes=artifact.size,
                )
            )
        elif not api.has_artifact(app, artifact.sha256):
            raise UsageError("not on the server", subject=f"sha256:{artifact.sha256}")
    outgoing += beside
    sent = uploads.complete(outgoing)
    for file in outgoing:
        say(f"{file.name}: {'uploaded' if sent[file.sha256] else 'already on the server'}")
    return sent


def _programs(entries: list[TreeEntry]) -> frozenset[str]:
    return frozenset(
        entry.path for entry in entries if entry.executable or entry.kind is EntryKind.LINK
    )


def _unpacked(path: Path, kind: ArchiveKind, name: str) -> list[TreeEntry]:
    """Return the listing of what the archive unpacks to.

    Of a single file only the name is looked at, by unpacking an empty one: what it holds is known.
    """
    with scratch_folder("unpacking") as tree:
        source = Path(os.devnull) if kind is ArchiveKind.FILE else path
        unpack(source, kind, tree, name=name)
        return list(walk_tree(tree))


def _digest(
    stream: BinaryIO, size_bytes: int, advance: Callable[[int], None]
) -> tuple[Sha256Hex, Chunks | None]:
    """Return the digest of the file and those of its chunks, read once."""
    hasher = ChunkHasher(size_bytes)
    while data := stream.read(CHUNK_BYTES):
        hasher.update(data)
        advance(len(data))
    return hasher.sha256, hasher.finish()


def _download(api: Api, app: AppName, sha256: Sha256Hex, path: Path) -> None:
    digest = hashlib.sha256()
    say(f"fetching sha256:{sha256} to describe it")
    try:
        with path.open("wb") as target:
            for chunk in api.stream_artifact(app, sha256):
                digest.update(chunk)
                target.write(chunk)
    except NotFoundError as exc:
        raise UsageError(
            "not on the server",
            subject=f"sha256:{sha256}",
            hint="Send it first: lockgate upload FILE.",
        ) from exc
    if digest.hexdigest() != sha256:
        raise DigestMismatchError(
            "not the bytes that were uploaded",
            subject=f"sha256:{sha256}",
            expected=sha256,
            found=digest.hexdigest(),
        )


def _name_by_content(path: Path, stem: str) -> str:
    with path.open("rb") as stream:
        start = stream.read(8)
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return f"{stem}.{kind.value}"
    raise UsageError(
        "an upload that is no archive needs its file name",
        subject=stem,
        expected="sha256:HEX@NAME",
        hint="The name is what the program is called once it is installed.",
    )
