"""What a client knows of a repository, and only what came through the TUF chain.

The rules, each held by the code that carries its number:

1. Trust begins with the root built into what was shipped, never with a file in the cache.
2. Roots are followed one by one, each signed by the keys before it; then timestamp, snapshot and
   targets, by python-tuf's client workflow, expiry included.
3. A document is a TUF target: its path decides which role must have signed it.
4. A document's own words agree with its path, its app and its entry; where they do not, nothing
   of it is used.
5. A release is offered only as its publishers bound it: version and channel stand in the signed
   entry, and it meets the channel's bar in the policy: its path, who signed its list, who approved.
   Targets, and so the policy, are no older than those that its publishers name in the entry.
6. A mirror that shows an older state than the one already verified is stale, not news.
7. Offline, the newest state verified before is read again from the cache under all the same rules.

What the caller must still do: hold the lock on the cache folder, keep the highest floor and the
revocations it has seen (they must outlive the cache), and prove artifacts by their signed digests.

Source: TUF specification 1.0.33, section 5 (client workflow).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tuf.api.metadata import Metadata, Root, Signed, TargetFile, Targets
from tuf.api.metadata import Role as TufRole
from tuf.api.serialization import DeserializationError

from lockgate_release.documents import (
    ChannelDocument,
    ExtrasDocument,
    PolicyDocument,
    Standing,
    TrustedRelease,
    parse_channel,
    parse_entry,
    parse_extras,
    parse_policy,
    parse_release,
)
from lockgate_release.errors import DocumentError, LocalError, TrustError
from lockgate_release.instants import format_instant
from lockgate_release.layout import (
    POLICY_PATH,
    TRUSTED_ROOT_PATH,
    channel_path,
    extras_path,
    release_path,
)
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.trust.client import Fetch, NotFoundError, TufClient

__all__ = ["Fetch", "NotFoundError", "SignedRole", "TrustedView"]

_TARGETS_FOLDER = "documents"
_METADATA_FOLDER = "metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRole:
    """One role of a verified chain: its number, its end, and who must sign it."""

    name: str
    version: int
    expires_at: datetime
    key_ids: tuple[str, ...]
    threshold: int


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
        self._client = TufClient(
            metadata_url=self._base + "metadata/",
            targets_url=self._base + "targets/",
            metadata=self._metadata,
            targets=self._documents,
            bootstrap=bootstrap,
            fetch=fetch,
        )

    def refresh(self) -> None:
        """Bring the top-level metadata up to date and verify it (rule 2).

        Raises:
            TransportError: It could not be fetched.
            ExpiredError: It is past its expiry.
            StaleMirrorError: It is older than what was verified before (rule 6).
            TrustError: It is not what it must be.
            LocalError: The cache cannot be written.
        """
        self._client.refresh()

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

    def trusted_root(self) -> bytes:
        """Return what proofs of origin are verified with, as the maintainers signed it.

        Raises:
            TrustError: There is none.
            RepositoryError: It cannot be verified.
            TransportError: It could not be fetched.
        """
        return self._need(TRUSTED_ROOT_PATH)[1]

    def channel(self, channel: ChannelName) -> ChannelDocument | None:
        """Return what the channel offers now, or None if there is no such channel.

        Raises:
            RepositoryError: It cannot be verified or read.
            TransportError: It could not be fetched.
        """
        path = channel_path(channel)
        found = self._client.find(path)
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
        found = self._client.find(path)
        if found is None:
            return None
        target, data = found
        entry = parse_entry(target.custom, subject=path)
        document = parse_release(data, subject=path)
        self._check_app(document.app, path)
        self._check_not_before(entry.targets_version, path)
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
        found = self._client.find(path)
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

    def standings(
        self,
        policy: PolicyDocument,
        channel: ChannelDocument,
        releases: Mapping[str, TrustedRelease],
    ) -> Mapping[str, Standing]:
        """Return how what a channel offers stands against its bar, by path (rule 5).

        Costs nothing where the policy gives the channel no bar beyond paths.

        Raises:
            TrustError: The list in the cache is not the one that was verified.
            DocumentError: The policy holds what is no key.
            LocalError: The cache was changed under our feet.
        """
        rule = policy.channel(channel.channel)
        if not rule.has_bar:
            return {}
        from lockgate_release.trust import standing  # noqa: PLC0415 (only channels with a bar pay)

        targets = self._read_targets("targets").signed
        lists: dict[str, Metadata[Targets]] = {}
        for path, release in releases.items() if rule.signatures else ():
            role = standing.role_for(targets, path)
            if role and role not in lists:
                lists[role] = self._read_targets(role)
            _check_listed(lists.get(role), release)
        return {
            offer.path: standing.read_standing(rule, channel, offer, targets, lists)
            for offer in channel.offers
            if offer.path in releases
        }

    def online_key_ids(self) -> tuple[str, ...]:
        """Return the ids of the keys that root now trusts with the timestamp.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        root = self._read_cached("root.json")
        if not isinstance(root, Root):
            raise LocalError("verified metadata is damaged", subject="root.json", found=root.type)
        return tuple(sorted(root.roles["timestamp"].keyids))

    def timestamp_version(self) -> int:
        """Return the version of the verified timestamp.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        return self._read_cached("timestamp.json").version

    def expiries(self) -> dict[str, str]:
        """Return when each verified role expires, for people.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        found = {}
        top = ("root", "timestamp", "snapshot", "targets")
        for role in (*top, *self._delegated()):
            if (self._metadata / f"{role}.json").exists():
                found[role] = format_instant(self._read_cached(f"{role}.json").expires)
        return found

    def signed_roles(self) -> tuple[SignedRole, ...]:
        """Return what each verified role is, and who signs it, in the order of the chain.

        Raises:
            LocalError: The cache was changed under our feet.
        """
        root, targets = self._read_cached("root.json"), self._read_cached("targets.json")
        if not isinstance(root, Root) or not isinstance(targets, Targets):
            raise LocalError("verified metadata is damaged", subject=str(self._metadata))
        delegated = targets.delegations.roles if targets.delegations else None
        known: Mapping[str, TufRole] = {**root.roles, **(delegated or {})}
        return tuple(
            self._describe_role(name, known[name]) for name in self.expiries() if name in known
        )

    def _delegated(self) -> tuple[str, ...]:
        if not (self._metadata / "targets.json").exists():
            return ()
        delegations = self._read_targets("targets").signed.delegations
        return tuple((delegations and delegations.roles) or ())

    def _describe_role(self, name: str, role: TufRole) -> SignedRole:
        signed = self._read_cached(f"{name}.json")
        return SignedRole(
            name=name,
            version=signed.version,
            expires_at=signed.expires,
            key_ids=tuple(sorted(role.keyids)),
            threshold=role.threshold,
        )

    def forget_documents(self, *, keep: frozenset[str]) -> None:
        """Remove cached documents whose target paths are not in `keep`.

        Raises:
            LocalError: One cannot be removed.
        """
        kept = {quote(path, "") for path in keep}
        try:
            for cached in self._documents.iterdir():
                if cached.name not in kept:
                    cached.unlink(missing_ok=True)
        except OSError as exc:
            raise LocalError(
                "the cache cannot be used", subject=str(self._documents), found=str(exc)
            ) from exc

    def _read_cached(self, name: str) -> Signed:
        found: Signed = self._read_metadata(name).signed
        return found

    def _read_targets(self, role: str) -> Metadata[Targets]:
        found: Metadata[Targets] = self._read_metadata(f"{role}.json")
        if not isinstance(found.signed, Targets):
            raise LocalError("verified metadata is damaged", subject=role, found=found.signed.type)
        return found

    def _read_metadata(self, name: str) -> Metadata[Any]:
        path = self._metadata / name
        try:
            found: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
            return found
        except OSError as exc:
            raise LocalError(
                "verified metadata is gone", subject=str(path), found=str(exc)
            ) from exc
        except DeserializationError as exc:
            raise LocalError(
                "verified metadata is damaged", subject=str(path), found=str(exc)
            ) from exc

    def _need(self, path: str) -> tuple[TargetFile, bytes]:
        found = self._client.find(path)
        if found is None:
            raise TrustError("missing from the repository", subject=path)
        return found

    def _check_not_before(self, seen: int, path: str) -> None:
        """Refuse targets, and so a policy, older than those the release's publishers saw."""
        if seen and (found := self._read_cached("targets.json").version) < seen:
            raise TrustError(
                "older targets than its publishers have seen",
                subject=path,
                expected=f"at least number {seen}",
                found=str(found),
            )

    def _check_app(self, app: AppName, path: str) -> None:
        if app != self.app:
            raise DocumentError(
                "another app's document", subject=path, expected=self.app, found=app
            )


def _check_listed(held: Metadata[Targets] | None, release: TrustedRelease) -> None:
    """Hold the list whose signatures are counted to what was verified from it."""
    target = held.signed.targets.get(release.path) if held is not None else None
    if target is None or target.hashes.get("sha256") != release.sha256:
        raise TrustError("not in the list that was verified", subject=release.path)


def _sha256_of(target: TargetFile, path: str) -> Sha256Hex:
    try:
        return Sha256Hex(target.hashes["sha256"])
    except KeyError as exc:
        raise TrustError("no SHA-256", subject=path, found=", ".join(target.hashes)) from exc
