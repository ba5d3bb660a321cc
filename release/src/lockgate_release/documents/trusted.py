"""A release with everything that vouches for it: what decisions and installers take."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.documents.entry import ReleaseEntry
from lockgate_release.documents.release import ReleaseDocument
from lockgate_release.names import Sha256Hex

__all__ = ["Count", "Standing", "TrustedRelease"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Signatures against a threshold, as python-tuf has judged them.

    Attributes:
        found: The ids of the keys whose signatures count.
        is_enough: Whether they reach the threshold.
    """

    found: tuple[str, ...]
    is_enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What was verified of a release against the bar of one channel. `trust.standing` makes it.

    Attributes:
        signatures: Of publishers, on the list that holds it; None where none were looked for.
        approvals: Of the release for that channel; None where none were looked for.
    """

    signatures: Count | None = None
    approvals: Count | None = None
