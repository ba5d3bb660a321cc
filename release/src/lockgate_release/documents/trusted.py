"""A release with everything that vouches for it: what decisions and installers take."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.documents.entry import ReleaseEntry
from lockgate_release.documents.release import ReleaseDocument
from lockgate_release.names import Sha256Hex

__all__ = ["TrustedRelease"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedRelease:
    """A live release that came through the TUF chain. Only `trust` makes one outside of tests.

    Attributes:
        path: The TUF target path of its document; it tells which role signed.
        sha256: The digest of the document.
        entry: The publishers' mark.
        document: The release.
    """

    path: str
    sha256: Sha256Hex
    entry: ReleaseEntry
    document: ReleaseDocument
