"""One tree of errors, branched by who must act.

* `RepositoryError`: the server, or somebody between, is wrong. Do not install.
* `TransportError`: the network failed. Try again.
* `LocalError`: this machine (disk, permissions, another process) is in the way.
* `DeniedError`: you may not do this.
* `ConflictError`: somebody else moved it first. Read the new state and decide again.
* `UsageError`: the request makes no sense. Say it differently.

Every error has a stable `code`, and one sentence built in one place from what was expected, what
was found and what to do. A bug of ours is none of these: it stays a `ValueError` or `RuntimeError`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

__all__ = [
    "ArchiveError",
    "ClockError",
    "ConflictError",
    "DeniedError",
    "DigestMismatchError",
    "DiskFullError",
    "DocumentError",
    "ExitCode",
    "ExpiredError",
    "FrozenError",
    "LocalError",
    "LockgateError",
    "PendingError",
    "ProvenanceError",
    "RefusedOfferError",
    "RepositoryError",
    "StaleMirrorError",
    "TransportError",
    "TrustError",
    "UsageError",
    "VersionError",
]


class ExitCode(IntEnum):
    """What every Lockgate command exits with. 10 to 12 come only from `check`."""

    OK = 0
    BUG = 1
    USAGE = 2
    OFFER = 10
    HELD = 11
    UNKNOWN = 12
    REFUSED = 20
    TRANSPORT = 21
    LOCAL = 22
    DENIED = 23
    CONFLICT = 24
    ROLLED_BACK = 30
    LAUNCHER = 125


class LockgateError(Exception):
    """The root of the tree: something a person can read and act on.

    Attributes:
        code: Stable, dotted name of the kind of error, for programs.
        exit_code: What a command that ends with this error exits with.
        subject: The file, document, field or address the error is about, or "".
        expected: What should have been there, or "".
        found: What was there instead, or "".
        hint: What to do next, as a sentence, or "".
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(
        self, what: str, *, subject: str = "", expected: str = "", found: str = "", hint: str = ""
    ) -> None:
        """Build the sentence once, so that every error reads alike."""
        self.what = what
        self.subject = subject
        self.expected = expected
        self.found = found
        self.hint = hint
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        text = f"{self.subject}: {self.what}" if self.subject else self.what
        if self.expected:
            text += f"; expected {self.expected}"
        if self.found:
            text += f"; found {self.found}"
        return f"{text}. {self.hint}" if self.hint else text


class RepositoryError(LockgateError):
    """The repository, or somebody between it and us, is wrong: install nothing from it."""

    code = "repository"
    exit_code = ExitCode.REFUSED


class TrustError(RepositoryError):
    """Metadata is not signed by the keys that must sign it, or contradicts itself."""

    code = "repository.trust"


class ExpiredError(RepositoryError):
    """Metadata has passed its expiry, or this machine's clock is wrong."""

    code = "repository.expired"


class FrozenError(ExpiredError):
    """Metadata has passed its expiry, and this machine's clock is not to blame."""

    code = "repository.expired.frozen"


class StaleMirrorError(RepositoryError):
    """An older state than one already seen was served: not news, and not to be acted on."""

    code = "repository.stale"


class DocumentError(RepositoryError):
    """A document does not have the shape its type demands."""

    code = "repository.document"


class DigestMismatchError(RepositoryError):
    """Bytes do not have the digest or the size that was signed for them."""

    code = "repository.digest"


class ArchiveError(RepositoryError):
    """An archive is damaged, or contains what must not be unpacked."""

    code = "repository.archive"


class RefusedOfferError(RepositoryError):
    """The server offers what the publishers did not allow in this channel."""

    code = "repository.offer"


class ProvenanceError(RepositoryError):
    """A proof of origin proves nothing of the artifact in hand, or there is none."""

    code = "repository.provenance"


class TransportError(LockgateError):
    """The network, or the server as a machine, failed: trying again may help.

    Attributes:
        retry_after_s: How long the server asks to be left alone, in seconds as it said them, or
            None if it said nothing. Unsigned: whoever obeys it sets the bounds.
    """

    code = "transport"
    exit_code = ExitCode.TRANSPORT
    retry_after_s: int | None = None


class LocalError(LockgateError):
    """This machine is in the way: disk, permissions, or another process."""

    code = "local"
    exit_code = ExitCode.LOCAL


class ClockError(LocalError):
    """This machine's clock is wrong, so that nothing can be said of what is fresh."""

    code = "local.clock"


class DiskFullError(LocalError):
    """This machine's disk, or the caller's share of it, is full."""

    code = "local.disk-full"


class DeniedError(LockgateError):
    """The caller is not allowed to do this."""

    code = "denied"
    exit_code = ExitCode.DENIED


class ConflictError(LockgateError):
    """Somebody else changed the state first: nothing was done."""

    code = "conflict"
    exit_code = ExitCode.CONFLICT


class PendingError(ConflictError):
    """Another change of the same role waits for signatures: nothing was done."""

    code = "conflict.pending"


class UsageError(LockgateError):
    """The request makes no sense as it was said: nothing was done."""

    code = "usage"
    exit_code = ExitCode.USAGE


class VersionError(UsageError):
    """A text is not a version of the scheme the app has chosen."""

    code = "usage.version"
