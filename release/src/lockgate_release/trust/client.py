"""python-tuf's client workflow behind our port and our errors. The only user of `tuf.ngclient`.

It adds nothing to what python-tuf verifies, and takes nothing away. It keeps four promises that
python-tuf leaves open: a body that breaks off in its middle is a transport error and nothing else;
every failure comes out as one of our errors, by who must act; the newest verified state can be read
again without a network, under all the same rules; and only maintainers delegate: what a list of
releases or of channels hands on to others is followed by nobody.

Source: TUF specification 1.0.33, section 5 (client workflow).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import quote

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from lockgate_release.documents.common import MAX_DOCUMENT_BYTES
from lockgate_release.errors import (
    DigestMismatchError,
    DocumentError,
    ExpiredError,
    LocalError,
    LockgateError,
    StaleMirrorError,
    TransportError,
    TrustError,
)

__all__ = ["Fetch", "NotFoundError", "TufClient"]

_MAX_ROOTS = 1024
"""As many as `chain` follows: a client that slept must not stop where its server went on."""

_MAX_DELEGATIONS = 1
"""From targets to the one role that speaks for a path, and no further."""

_POINTER = "/timestamp.json"


class NotFoundError(TransportError):
    """The server answered that there is no such file."""

    code = "transport.not-found"


class Fetch(Protocol):
    """How bytes are brought from an address. The port that transports implement."""

    def __call__(self, url: str) -> Iterator[bytes]:
        """Yield the body at `url`.

        Raises:
            NotFoundError: The server has no such file. Raised before the first chunk.
            TransportError: Anything else that keeps the body from coming, also in its middle.
        """
        ...


class _TufFetcher(FetcherInterface):
    """Our port in the shape that python-tuf asks for, and our errors in the shape it expects.

    python-tuf promises `DownloadError` only for the call, not for the iteration; here both are
    inside one generator, so a body that breaks off is translated too.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch_bytes = fetch
        self.asked = ""

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.asked = url
        try:
            yield from self._fetch_bytes(url)
        except NotFoundError as exc:
            raise tuf_errors.DownloadHTTPError(str(exc), 404) from exc
        except TransportError as exc:
            raise tuf_errors.DownloadError(str(exc)) from exc


def _cached_only(metadata: Path, metadata_url: str) -> Fetch:
    """Answer from the cache what python-tuf asks the server for.

    It always asks for a newer root and for the timestamp, and it asks again for what it refuses to
    take from its cache, so that the reason comes out: its expiry, say. Offline, there is no newer
    root, and the rest is what was verified before; signatures and expiry are checked as ever.
    """

    def fetch(url: str) -> Iterator[bytes]:
        name = url.rpartition("/")[2].split(".", 1)[-1]
        name = "timestamp.json" if name == "json" else name
        if name == "root.json" or not url.startswith(metadata_url):
            raise NotFoundError("never fetched here", subject=url)
        try:
            yield (metadata / name).read_bytes()
        except OSError as exc:
            raise TransportError("nothing was ever verified here", subject=url) from exc

    return fetch


class TufClient:
    """One refresh of one TUF repository, and the small targets found through it."""

    def __init__(
        self,
        *,
        metadata_url: str,
        targets_url: str,
        metadata: Path,
        targets: Path,
        bootstrap: bytes,
        fetch: Fetch | None,
    ) -> None:
        """Prepare the refresh; nothing is fetched yet.

        Args:
            metadata_url: The folder of the metadata, over HTTP.
            targets_url: The folder of the targets, over HTTP.
            metadata: A folder for verified metadata; made if there is none.
            targets: A folder for verified targets; made if there is none.
            bootstrap: The root that trust begins with.
            fetch: How to bring bytes; None reads the newest state in the cache.

        Raises:
            TrustError: `bootstrap` is no valid root.
            LocalError: A folder cannot be used.
        """
        self._metadata = metadata
        self._targets = targets
        self._is_offline = fetch is None
        self._fetcher = _TufFetcher(fetch or _cached_only(metadata, metadata_url))
        try:
            metadata.mkdir(mode=0o700, parents=True, exist_ok=True)
            targets.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._updater = Updater(
                str(metadata),
                metadata_url,
                str(targets),
                targets_url,
                fetcher=self._fetcher,
                config=UpdaterConfig(
                    max_root_rotations=_MAX_ROOTS, max_delegations=_MAX_DELEGATIONS
                ),
                bootstrap=bootstrap,
            )
        except (tuf_errors.RepositoryError, ValueError) as exc:
            raise TrustError("not a valid root", subject="root.json", found=str(exc)) from exc
        except OSError as exc:
            raise LocalError(
                "the cache cannot be used", subject=str(metadata), found=str(exc)
            ) from exc

    def refresh(self) -> None:
        """Bring the top-level metadata up to date and verify it.

        Raises:
            TransportError: It could not be fetched.
            ExpiredError: It is past its expiry.
            StaleMirrorError: It is older than what was verified before.
            TrustError: It is not what it must be.
            LocalError: The cache cannot be written, or, offline, not be verified any more.
        """
        try:
            self._updater.refresh()
        except Exception as exc:  # noqa: BLE001 (translated, never swallowed)
            self._translate(exc, "metadata")

    def find(self, path: str) -> tuple[TargetFile, bytes] | None:
        """Return a verified target by its path, from the cache where it is there.

        Raises:
            RepositoryError: It cannot be verified, or is larger than a document may be.
            TransportError: It could not be fetched.
            LocalError: The cache cannot be used.
        """
        try:
            target = self._updater.get_targetinfo(path)
            if target is None:
                return None
            if target.length > MAX_DOCUMENT_BYTES:
                raise DocumentError(
                    "too large",
                    subject=path,
                    expected=f"at most {MAX_DOCUMENT_BYTES} bytes",
                    found=str(target.length),
                )
            local = self._targets / quote(path, safe="")
            if self._updater.find_cached_target(target, str(local)) is None:
                # It is written in place: never through a second name that it may have elsewhere.
                local.unlink(missing_ok=True)
                self._updater.download_target(target, str(local))
            return target, local.read_bytes()
        except LockgateError:
            raise
        except Exception as exc:  # noqa: BLE001 (translated, never swallowed)
            self._translate(exc, path)

    def _translate(self, exc: Exception, subject: str) -> NoReturn:
        """Raise our error for python-tuf's, by who must act."""
        match exc:
            case tuf_errors.ExpiredMetadataError():
                raise ExpiredError(
                    "expired metadata",
                    subject=subject,
                    found=str(exc),
                    hint="Either the repository is frozen, or this machine's clock is wrong.",
                ) from exc
            case tuf_errors.DownloadLengthMismatchError():
                raise DigestMismatchError(
                    "not the bytes that were signed", subject=subject, found=str(exc)
                ) from exc
            case tuf_errors.DownloadHTTPError():
                # Metadata names it, and the server has it not: the same as a failed transfer.
                raise TransportError(
                    "missing on the server", subject=subject, found=str(exc)
                ) from exc
            case tuf_errors.DownloadError(__cause__=TransportError() as failure):
                # It is the cause already; being the effect too would make a ring.
                raise failure from failure.__cause__
            case tuf_errors.RepositoryError() | ValueError():
                self._translate_refusal(exc, subject)
            case OSError():
                raise LocalError(
                    "the cache cannot be used", subject=str(self._metadata), found=str(exc)
                ) from exc
            case _:
                raise exc

    def _translate_refusal(self, exc: Exception, subject: str) -> NoReturn:
        """Raise the error for bytes that python-tuf has refused."""
        if self._is_offline:
            raise LocalError(
                "what was verified before is damaged",
                subject=str(self._metadata),
                found=f"{subject}: {exc}",
                hint="Check again with a network.",
            ) from exc
        match exc:
            # Only an older timestamp is an older state. Any other wrong number was signed so.
            case tuf_errors.BadVersionNumberError() if self._fetcher.asked.endswith(_POINTER):
                raise StaleMirrorError(
                    "an older state than one already verified", subject=subject, found=str(exc)
                ) from exc
            case tuf_errors.LengthOrHashMismatchError():
                raise DigestMismatchError(
                    "not the bytes that were signed", subject=subject, found=str(exc)
                ) from exc
            case _:
                raise TrustError("cannot be verified", subject=subject, found=str(exc)) from exc
