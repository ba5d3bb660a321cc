"""What a client knows of a repository, and only what came through the TUF chain.

The rules, each held by the code that carries its number:

1. Trust begins with the root built into what was shipped, never with a file in the cache.
2. Roots are followed one by one, each signed by the keys before it; then timestamp, snapshot and
   targets, by python-tuf's client workflow, expiry included.
3. A document is a TUF target: its path decides which role must have signed it.
4. A document's own words agree with its path, its app and its entry; where they do not, nothing
   of it is used.
5. A release is offered only as its publishers bound it: version and channel stand in the signed
   entry, and the policy's patterns allow its path.
6. A mirror that shows an older state than the one already verified is stale, not news.
7. Offline, the newest state verified before is read again from the cache under all the same rules.

What the caller must still do: hold the lock on the cache folder, keep the highest floor and the
revocations it has seen (they must outlive the cache), and prove artifacts by their signed digests.

Source: TUF specification 1.0.33, section 5 (client workflow).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import quote

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Metadata, Root, TargetFile, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from lockgate_release.documents import (
    ChannelDocument,
    ExtrasDocument,
    PolicyDocument,
    TrustedRelease,
    parse_channel,
    parse_entry,
    parse_extras,
    parse_policy,
    parse_release,
)
from lockgate_release.documents.common import MAX_DOCUMENT_BYTES
from lockgate_release.errors import (
    DigestMismatchError,
    DocumentError,
    ExpiredError,
    LocalError,
    StaleMirrorError,
    TransportError,
    TrustError,
)
from lockgate_release.layout import POLICY_PATH, channel_path, extras_path, release_path
from lockgate_release.names import AppName, ChannelName, Sha256Hex

__all__ = ["Fetch", "NotFoundError", "TrustedView"]

_TARGETS_FOLDER = "documents"
_METADATA_FOLDER = "metadata"


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
        self.failure: TransportError | None = None

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield from self._fetch_bytes(url)
        except NotFoundError as exc:
            raise tuf_errors.DownloadHTTPError(str(exc), 404) from exc
        except TransportError as exc:
            self.failure = exc
            raise tuf_errors.DownloadError(str(exc)) from exc


def _cached_only(metadata: Path) -> Fetch:
    """Answer the one question that cannot be answered from the cache alone, from the cache.

    python-tuf always asks for a newer root and for the timestamp. Offline, there is no newer root,
    and the timestamp is the one verified before; signatures and expiry are checked as ever.
    """

    def fetch(url: str) -> Iterator[bytes]:
        if not url.endswith("/timestamp.json"):
            raise NotFoundError("not in the cache", subject=url)
        try:
            yield (metadata / "timestamp.json").read_bytes()
        except OSError as exc:
            raise TransportError("nothing was ever verified here", subject=url) from exc

    return fetch


class TrustedView:
    """The newest verified state of one app's repository.

    Make one for each check: it is refreshed once and then stays what it is.
    """

    def __init__(
        self, *, app: AppName, repository: str, cache: Path, bootstrap: bytes, fetch: Fetch | None
    ) -> None:
        """Prepare a view; nothing is fetched yet.

        Args:
            app: The app whose repository it is.
            repository: The address that the app's folder lies below, without the app's name.
            cache: An existing folder for verified metadata and documents.
            bootstrap: The root that was shipped with the client (rule 1).
            fetch: How to bring bytes; None reads the newest state in the cache (rule 7).

        Raises:
            TrustError: `bootstrap` is no valid root.
            LocalError: The cache cannot be written.
        """
        self.app = app
        self._base = f"{repository.rstrip('/')}/{app}/"
        self._metadata = cache / _METADATA_FOLDER
        self._documents = cache / _TARGETS_FOLDER
        self._fetcher = _TufFetcher(fetch or _cached_only(self._metadata))
        try:
            self._metadata.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._documents.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._updater = Updater(
                str(self._metadata),
                self._base + "metadata/",
                str(self._documents),
                self._base + "targets/",
                fetcher=self._fetcher,
                config=UpdaterConfig(),
                bootstrap=bootstrap,
            )
        except tuf_errors.RepositoryError as exc:
            raise TrustError("not a valid root", subject="root.json", found=str(exc)) from exc
        except OSError as exc:
            raise LocalError(
                "the cache cannot be used", subject=str(cache), found=str(exc)
            ) from exc

    def refresh(self) -> None:
        """Bring the top-level metadata up to date and verify it (rule 2).

        Raises:
            TransportError: It could not be fetched.
            ExpiredError: It is past its expiry.
            StaleMirrorError: It is older than what was verified before (rule 6).
            TrustError: It is not what it must be.
            LocalError: The cache cannot be written.
        """
        try:
            self._updater.refresh()
        except Exception as exc:  # noqa: BLE001 (translated, never swallowed)
            self._translate(exc, "metadata")

    def address_of(self, path: str) -> str:
        """Return the URL of a file below the app's address."""
        return self._base + path

    def policy(self) -> PolicyDocument:
        """Return the maintainers' policy.

        Raises:
            TrustError: There is none.
            RepositoryError: It cannot be verified or read.
            TransportError: It could not be fetched.
        """
        _, data = self._need(POLICY_PATH)
        policy = parse_policy(data)
        self._check_app(policy.app, POLICY_PATH)
        return policy

    def channel(self, channel: ChannelName) -> ChannelDocument | None:
        """Return what the channel offers now, or None if there is no such channel.

        Raises:
            RepositoryError: It cannot be verified or read.
            TransportError: It could not be fetched.
        """
        path = channel_path(channel)
        found = self._find(path)
        if found is None:
            return None
        document = parse_channel(found[1], subject=path)
        self._check_app(document.app, path)
        if document.channel != channel:
            raise DocumentError(
                "wrong channel", subject=path, expected=channel, found=document.channel
            )
        return document

    def release(self, path: str) -> TrustedRelease | None:
        """Return the live release whose document lies at `path`, or None if there is none.

        Raises:
            RepositoryError: It cannot be verified or read, or contradicts its entry (rule 4).
            TransportError: It could not be fetched.
        """
        found = self._find(path)
        if found is None:
            return None
        target, data = found
        entry = parse_entry(target.custom, subject=path)
        document = parse_release(data, subject=path)
        self._check_app(document.app, path)
        folder = path.split("/", 1)[0]
        if not (
            document.version == entry.version
            and path == release_path(document.version, folder=folder)
        ):
            raise DocumentError(
                "path, entry and document disagree",
                subject=path,
                expected=f"version {entry.version}",
                found=f"version {document.version}",
            )
        return TrustedRelease(
            path=path, sha256=_sha256_of(target, path), entry=entry, document=document
        )

    def extras(self, release: TrustedRelease) -> ExtrasDocument | None:
        """Return the release's notes, deltas and attestations, or None if there are none.

        Raises:
            RepositoryError: They cannot be verified or read.
            TransportError: They could not be fetched.
        """
        folder = release.path.split("/", 1)[0]
        path = extras_path(release.document.version, folder=folder)
        found = self._find(path)
        if found is None:
            return None
        extras = parse_extras(found[1], subject=path)
        self._check_app(extras.app, path)
        if extras.version != release.document.version:
            raise DocumentError(
                "wrong version",
                subject=path,
                expected=release.document.version,
                found=extras.version,
            )
        return extras

    def online_key_ids(self) -> tuple[str, ...]:
        """Return the ids of the keys that root now trusts with the timestamp.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        return tuple(sorted(self._cached_root().roles["timestamp"].keyids))

    def timestamp_version(self) -> int:
        """Return the version of the verified timestamp.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        data = self._read_cached("timestamp.json")
        return Metadata[Timestamp].from_bytes(data).signed.version

    def expiries(self) -> dict[str, str]:
        """Return when each verified role expires, for people.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        found = {}
        for role in ("root", "timestamp", "snapshot", "targets", "releases", "channels"):
            if (self._metadata / f"{role}.json").exists():
                signed = Metadata.from_bytes(self._read_cached(f"{role}.json")).signed
                found[role] = f"{signed.expires:%Y-%m-%dT%H:%M:%SZ}"
        return found

    def forget_documents(self, *, keep: frozenset[str]) -> None:
        """Remove cached documents whose target paths are not in `keep`."""
        kept = {quote(path, "") for path in keep}
        for cached in self._documents.iterdir():
            if cached.name not in kept:
                cached.unlink(missing_ok=True)

    def _cached_root(self) -> Root:
        return Metadata[Root].from_bytes(self._read_cached("root.json")).signed

    def _read_cached(self, name: str) -> bytes:
        try:
            return (self._metadata / name).read_bytes()
        except OSError as exc:
            raise LocalError(
                "verified metadata is gone", subject=str(self._metadata / name), found=str(exc)
            ) from exc

    def _need(self, path: str) -> tuple[TargetFile, bytes]:
        found = self._find(path)
        if found is None:
            raise TrustError("missing from the repository", subject=path)
        return found

    def _find(self, path: str) -> tuple[TargetFile, bytes] | None:
        """Return a verified document by its path (rule 3), from the cache where it is there."""
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
            local = self._updater.find_cached_target(target)
            return target, Path(local or self._updater.download_target(target)).read_bytes()
        except (DocumentError, LocalError):
            raise
        except Exception as exc:  # noqa: BLE001 (translated, never swallowed)
            self._translate(exc, path)

    def _check_app(self, app: AppName, path: str) -> None:
        if app != self.app:
            raise DocumentError(
                "another app's document", subject=path, expected=self.app, found=app
            )

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
            case tuf_errors.BadVersionNumberError():
                raise StaleMirrorError(
                    "an older state than one already verified", subject=subject, found=str(exc)
                ) from exc
            case tuf_errors.LengthOrHashMismatchError() | tuf_errors.DownloadLengthMismatchError():
                raise DigestMismatchError(
                    "not the bytes that were signed", subject=subject, found=str(exc)
                ) from exc
            case tuf_errors.DownloadHTTPError():
                # Metadata names it, and the server has it not: the same as a failed transfer.
                raise TransportError(
                    "missing on the server", subject=subject, found=str(exc)
                ) from exc
            case tuf_errors.DownloadError():
                raise self._fetcher.failure or TransportError(
                    "could not be fetched", subject=subject, found=str(exc)
                ) from exc
            case tuf_errors.RepositoryError() | ValueError():
                raise TrustError("cannot be verified", subject=subject, found=str(exc)) from exc
            case OSError():
                raise LocalError(
                    "the cache cannot be used", subject=str(self._metadata), found=str(exc)
                ) from exc
            case _:
                raise exc


def _sha256_of(target: TargetFile, path: str) -> Sha256Hex:
    try:
        return Sha256Hex(target.hashes["sha256"])
    except KeyError as exc:
        raise TrustError("no SHA-256", subject=path, found=", ".join(target.hashes)) from exc
