"""The signed artifact of an installed release, as a source of single files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lockgate_release.archives.unpack import ArchiveKind, Limits, unpack_some, unpack_stream
from lockgate_release.digests import digest_tree
from lockgate_release.documents import Artifact
from lockgate_release.errors import (
    DigestMismatchError,
    LocalError,
    LockgateError,
    RepositoryError,
    TransportError,
)
from lockgate_updater.fetch.chunks import open_chunked
from lockgate_updater.session import Session
from lockgate_updater.state.receipts import Receipt

__all__ = ["SignedSource", "find_source"]

_BUFFER_BYTES = 1 << 16


class SignedSource:
    """Where the files of an installed release come from, if its artifact can be had.

    Attributes:
        fetched_bytes: How many bytes of the artifact have come so far.
    """

    def __init__(self, session: Session, receipt: Receipt, found: Artifact | LockgateError) -> None:
        """Take files from the artifact `found`, or fail with that error when one is asked for."""
        self._session = session
        self._receipt = receipt
        self._found = found
        self.fetched_bytes = 0

    @property
    def size_bytes(self) -> int:
        """The size of the whole artifact, 0 if it cannot be had."""
        return self._found.size if isinstance(self._found, Artifact) else 0

    def unpack(self, target: Path, only: frozenset[str]) -> None:
        """Leave those files in the empty folder `target`, and fetch no more than it takes.

        Raises:
            TransportError: The artifact cannot be had.
            RepositoryError: It is not what was signed.
            LocalError: The disk refuses.
        """
        artifact = self._need()
        with self._open(artifact) as stream:
            unpack_some(
                stream,
                ArchiveKind(artifact.kind),
                target,
                name=artifact.name,
                only=only,
                limits=Limits(size_bytes=artifact.tree_size),
            )

    def unpack_all(self, target: Path) -> None:
        """Leave the whole tree in the empty folder `target`, proven.

        Raises:
            TransportError: The artifact cannot be had.
            RepositoryError: It is not what was signed.
            LocalError: The disk refuses.
        """
        artifact = self._need()
        with self._open(artifact) as stream:
            unpack_stream(
                stream,
                ArchiveKind(artifact.kind),
                target,
                name=artifact.name,
                limits=Limits(size_bytes=artifact.tree_size),
            )
        found = digest_tree(target).sha256
        if found != self._receipt.tree_sha256:
            raise DigestMismatchError(
                "not the tree that was signed",
                subject=artifact.name,
                expected=self._receipt.tree_sha256,
                found=found,
            )

    def _need(self) -> Artifact:
        if isinstance(self._found, LockgateError):
            raise self._found
        return self._found

    @contextmanager
    def _open(self, artifact: Artifact) -> Iterator[BinaryIO]:
        urls = self._session.client.configuration.addresses_of(artifact.path)
        with open_chunked(self._session.transport, urls, artifact) as raw:
            try:
                yield io.BufferedReader(raw, _BUFFER_BYTES)
            finally:
                self.fetched_bytes += raw.fetched_bytes


def find_source(session: Session, receipt: Receipt) -> SignedSource:
    """Return the source of an installed release, by the newest documents that can be had.

    What keeps the artifact from being had is no failure yet: perhaps nothing of it is needed.

    Raises:
        LocalError: This machine is in the way.
    """
    return SignedSource(session, receipt, _find_artifact(session, receipt))


def _find_artifact(session: Session, receipt: Receipt) -> Artifact | LockgateError:
    try:
        findings = session.look()
    except (RepositoryError, TransportError) as exc:
        try:
            findings = session.look(offline=True)
        except (RepositoryError, TransportError, LocalError):
            return exc
    for release in findings.releases.values():
        artifact = release.document.artifact_for(session.client.configuration.platform)
        if artifact is not None and artifact.tree_sha256 == receipt.tree_sha256:
            return artifact
    return RepositoryError(
        "the installed release is no longer in the repository",
        subject=receipt.version,
        hint="Go to one that is with: lockgate-updater update.",
    )
