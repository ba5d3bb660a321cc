"""What belongs into a copy: every file of a verified state, or those of some channels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuf.api.metadata import Root

from lockgate_cli.mirroring.sources import POINTER, CheapReader
from lockgate_cli.repository import Base, Stored, load_stored, read_document
from lockgate_release.documents import ExtrasDocument, ReleaseDocument
from lockgate_release.documents.references import Reference, references_in
from lockgate_release.errors import LockgateError, TrustError, UsageError
from lockgate_release.layout import artifact_path, channel_path, target_key
from lockgate_release.names import ChannelName, Sha256Hex
from lockgate_release.trust.chain import follow_roots, parse_metadata

__all__ = ["Blob", "Contents", "blobs_of", "gather", "others_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One large file.

    Attributes:
        sha256: Its digest, of which its address is made.
        size_bytes: Its size.
        label: What it is, for people.
    """

    sha256: Sha256Hex
    size_bytes: int
    label: str

    @property
    def path(self) -> str:
        """Where it lies below the app's address."""
        return artifact_path(self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that a copy of one state holds.

    Attributes:
        pointer: The bytes of `timestamp.json`.
        files: Metadata and documents but the pointer, by their path below the app's address.
        copies: The channels' documents, by the path of their stable address.
        blobs: The large files, each once.
        kept: Where further files lie that are named by what this version has no word for: where
            they are in a folder, they stay.
        roots_missing: Numbers of older roots that the repository has lost.
    """

    pointer: bytes
    files: Mapping[str, bytes]
    copies: Mapping[str, bytes]
    blobs: tuple[Blob, ...]
    kept: frozenset[str]
    roots_missing: tuple[int, ...]


def gather(reader: CheapReader, base: Base, channels: tuple[ChannelName, ...]) -> Contents:
    """Return what belongs into a copy.

    Args:
        reader: How the state was read; all it has read was verified.
        base: The state.
        channels: Copy what these need; none: everything.

    Raises:
        UsageError: There is no such channel.
        RepositoryError: A document cannot be verified.
        TransportError: One could not be fetched.
    """
    for channel in channels:
        if channel not in base.channels:
            raise UsageError(
                "no such channel",
                subject=channel,
                expected=", ".join(sorted(base.channels)) or "a channel that offers something",
            )
    missing = _read_older_roots(reader, base)
    for path in base.chain.targets.signed.targets:
        # Beside the policy, what proofs of origin are verified with: the reader keeps it.
        read_document(reader, base.app, base.chain, path)
    blobs: dict[str, Blob] = {}
    kept: set[str] = set()
    for version in _wanted_versions(base, channels):
        stored = load_stored(reader, base, version)
        if stored is not None:
            blobs.update({blob.path: blob for blob in blobs_of_stored(stored)})
            named = others_in(stored.document, stored.extras)
            kept.update(artifact_path(one.sha256) for one in named)
    files = dict(reader.files)
    pointer = files.pop(POINTER)
    copies = {}
    for name in base.channels:
        key = _document_key(base, channel_path(name))
        if channels and name not in channels:
            files.pop(key, None)
        else:
            copies[f"channels/{name}/version.json"] = files[key]
    return Contents(
        pointer=pointer,
        files=files,
        copies=copies,
        blobs=tuple(blobs.values()),
        kept=frozenset(kept),
        roots_missing=missing,
    )


def _document_key(base: Base, path: str) -> str:
    target = base.chain.target(path)
    if target is None:
        raise TrustError("another channel's document", subject="channels", expected=path)
    key = target_key(base.app, path, Sha256Hex(target.hashes["sha256"]))
    return key.removeprefix(f"{base.app}/")


def _wanted_versions(base: Base, channels: tuple[ChannelName, ...]) -> tuple[str, ...]:
    """Return the releases of a copy: those that its channels may offer, or do."""
    if not channels:
        return tuple(entry.version for entry in base.entries.values())
    offered = {offer.version for name in channels for offer in base.channels[name].offers}
    return tuple(
        entry.version
        for entry in base.entries.values()
        if entry.version in offered or not set(channels).isdisjoint(entry.channels)
    )


def _read_older_roots(reader: CheapReader, base: Base) -> tuple[int, ...]:
    """Read the roots before the pinned one too: a client may have been shipped with any of them.

    Each must sign itself, and the next by its keys.
    """
    missing = []
    newest = base.chain.root
    reader.files[f"metadata/{newest.version}.root.json"] = newest.data
    for number in range(newest.version - 1, 0, -1):
        path = f"metadata/{number}.root.json"
        following = reader.files.get(f"metadata/{number + 1}.root.json")
        data = reader.read_file(base.app, path)
        if data is None or following is None or not _leads_to(data, number, following):
            reader.files.pop(path, None)
            missing.append(number)
    return tuple(sorted(missing))


def _leads_to(data: bytes, number: int, following: bytes) -> bool:
    def read(name: str) -> bytes | None:
        return following if name == f"{number + 1}.root.json" else None

    try:
        if parse_metadata(Root, data, "root").signed.version != number:
            return False
        return follow_roots(read, data).data == following
    except LockgateError:
        return False


def blobs_of_stored(stored: Stored) -> Iterator[Blob]:
    """Yield the large files of a release."""
    return blobs_of(stored.document, stored.extras)


def blobs_of(document: ReleaseDocument, extras: ExtrasDocument | None) -> Iterator[Blob]:
    """Yield the large files that a release names, each once.

    Also those that only a newer version has a word for, where their size is said. Every one lies
    at the address of its content: the documents were refused else.
    """
    known = {blob.sha256: blob for blob in _known_blobs(document, extras)}
    yield from known.values()
    for one in others_in(document, extras):
        if one.sha256 not in known and one.size_bytes is not None:
            label = f"{document.version} file that this version has no word for"
            yield Blob(sha256=one.sha256, size_bytes=one.size_bytes, label=label)


def others_in(document: ReleaseDocument, extras: ExtrasDocument | None) -> Iterator[Reference]:
    """Yield every file that the documents of a release name, whatever for."""
    for data in (document.to_json(), None if extras is None else json.loads(extras.to_bytes())):
        yield from references_in(data or {}).values()


def _known_blobs(document: ReleaseDocument, extras: ExtrasDocument | None) -> Iterator[Blob]:
    for artifact in document.artifacts:
        yield Blob(
            sha256=artifact.sha256,
            size_bytes=artifact.size,
            label=f"{document.version} {artifact.name}",
        )
    for delta in () if extras is None else extras.deltas:
        label = f"{document.version} delta from {delta.from_version}"
        yield Blob(sha256=delta.sha256, size_bytes=delta.size, label=label)
    for proof in () if extras is None else extras.attestations:
        label = f"{document.version} attestation"
        yield Blob(sha256=proof.sha256, size_bytes=proof.size, label=label)
