"""The state that a publisher writes on top of, read over HTTP and verified through the TUF chain.

The server's word counts for nothing here: every byte is what a signature, or a digest under a
signature, says it must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lockgate_release.documents import (
    ChannelDocument,
    ChannelOffer,
    ExtrasDocument,
    PolicyDocument,
    ReleaseDocument,
    ReleaseEntry,
    Rollout,
    parse_channel,
    parse_extras,
    parse_policy,
    parse_release,
)
from lockgate_release.errors import DigestMismatchError, DocumentError, TransportError, TrustError
from lockgate_release.layout import POLICY_PATH, target_key
from lockgate_release.names import MAX_EXPOSURE_BP, AppName, ChannelName, Sha256Hex
from lockgate_release.trust.chain import Chain, load_chain
from lockgate_release.trust.roles import Role, expiry_of
from lockgate_release.trust.sign import same_bytes

__all__ = [
    "Base",
    "FileReader",
    "Stored",
    "ends_of",
    "expiry_warnings",
    "load_base",
    "load_stored",
    "read_chain",
    "read_document",
]


class FileReader(Protocol):
    """What reads a repository: the server's API, or whatever holds the same files."""

    def read_file(self, app: AppName, path: str) -> bytes | None:
        """Return a public file below the app's address, or None if there is none.

        Raises:
            TransportError: It could not be fetched.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The verified state of one app.

    Attributes:
        app: The app.
        chain: The verified metadata.
        policy: The maintainers' rules.
        entries: The publishers' mark of every live release, by its document's path.
        channels: What each channel offers.
    """

    app: AppName
    chain: Chain
    policy: PolicyDocument
    entries: Mapping[str, ReleaseEntry]
    channels: Mapping[ChannelName, ChannelDocument]

    def find(self, version: str) -> tuple[str, ReleaseEntry] | None:
        """Return path and mark of a live release, in whatever list it stands."""
        for path, entry in self.entries.items():
            if entry.version == version:
                return path, entry
        return None

    def as_offer(self, version: str) -> ChannelOffer | None:
        """Return a live release as it would be offered to everybody; None if it is not live."""
        found = self.find(version)
        target = self.chain.target(found[0]) if found else None
        if found is None or target is None:
            return None
        return ChannelOffer(
            version=version,
            path=found[0],
            sha256=Sha256Hex(target.hashes.get("sha256", "")),
            rollout=Rollout(salt="0" * 32, exposure_bp=MAX_EXPOSURE_BP, control_bp=0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A live release as it stands, with the very bytes."""

    document: ReleaseDocument
    document_bytes: bytes
    extras: ExtrasDocument | None


def read_chain(api: FileReader, app: AppName, pinned: bytes, *, now: datetime | None) -> Chain:
    """Return the app's verified metadata.

    Args:
        api: Where to read.
        app: The app.
        pinned: The root that trust begins with.
        now: Refuse what has expired by then; None refuses nothing for its age.

    Raises:
        RepositoryError: It cannot be verified.
        TransportError: It could not be fetched.
    """
    return load_chain(lambda name: api.read_file(app, f"metadata/{name}"), pinned, now=now)


def load_base(api: FileReader, app: AppName, pinned: bytes, *, now: datetime) -> Base:
    """Return the app's verified state, nothing of which has expired.

    Raises:
        RepositoryError: It cannot be verified, or is another app's.
        TransportError: It could not be fetched.
    """
    chain = read_chain(api, app, pinned, now=now)
    policy = parse_policy(read_document(api, app, chain, POLICY_PATH))
    if policy.app != app:
        raise TrustError(
            "another app's policy", subject=POLICY_PATH, expected=app, found=policy.app
        )
    channels = {}
    for path in chain.channels.signed.targets:
        document = parse_channel(read_document(api, app, chain, path), subject=path)
        if document.app != app:
            raise DocumentError("another app's", subject=path, expected=app, found=document.app)
        channels[document.channel] = document
    return Base(app=app, chain=chain, policy=policy, entries=chain.entries(), channels=channels)


def load_stored(api: FileReader, base: Base, version: str) -> Stored | None:
    """Return the live release of this version, or None if there is none.

    Raises:
        RepositoryError: It cannot be verified.
        TransportError: It could not be fetched.
    """
    found = base.find(version)
    if found is None:
        return None
    path = found[0]
    notes = path.replace("/release.json", "/extras.json")
    data = read_document(api, base.app, base.chain, path)
    extras = None
    if base.chain.target(notes) is not None:
        extras = parse_extras(read_document(api, base.app, base.chain, notes))
    document = parse_release(data, subject=path)
    if (document.app, document.version) != (base.app, version):
        raise DocumentError(
            "path and document disagree",
            subject=path,
            expected=f"{base.app} {version}",
            found=f"{document.app} {document.version}",
        )
    return Stored(document=document, document_bytes=data, extras=extras)


def read_document(api: FileReader, app: AppName, chain: Chain, path: str) -> bytes:
    """Return the document at `path`, proved by its entry.

    Raises:
        TrustError: No entry names it.
        DigestMismatchError: It has other bytes.
        TransportError: It could not be fetched.
    """
    target = chain.target(path)
    if target is None or "sha256" not in target.hashes:
        raise TrustError("missing from the repository", subject=path)
    sha256 = Sha256Hex(target.hashes["sha256"])
    data = api.read_file(app, target_key(app, path, sha256).removeprefix(f"{app}/"))
    if data is None:
        raise TransportError("missing on the server", subject=path)
    if not same_bytes(target, data):
        raise DigestMismatchError(
            "not the bytes that were signed", subject=path, expected=f"sha256 {sha256}"
        )
    return data


def expiry_warnings(chain: Chain, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each role people must renew of whose time a third or less is left."""
    found = []
    for role, expires in ends_of(chain).items():
        if expires - now <= expiry_of(role) / 3:
            left = (expires - now).days
            found.append(f"{role} expires in {left} days ({expires:%Y-%m-%d}): run lockgate renew")
    return tuple(found)


def ends_of(chain: Chain) -> dict[str, datetime]:
    """Return when each role expires that people must renew, in the order in which they do."""
    return {
        Role.ROOT.value: chain.root.signed.expires,
        Role.TARGETS.value: chain.targets.signed.expires,
        **{role: held.signed.expires for role, held in chain.lists.items()},
    }
