"""Reading a repository in order to write on top of it: by the server and by publishers.

A client uses `verify`. Whoever signs the next state needs more than a client: every entry of every
role, and also a state that has expired, because renewing it is the point. Nothing is verified by
our own code: every signature, length and hash is checked by python-tuf, role by role.

1. Begin with the root that was pinned; follow `<n+1>.root.json` as long as there is one, each
   signed by the keys of the one before and by its own.
2. `timestamp.json` by root's keys; the snapshot it names, by number, length and hash; then
   targets, by root's keys, and the delegated roles, by the keys that targets gives them, each by
   the number, length and hash that the snapshot names.
3. With a `now`, anything past its expiry is refused, but the lists of further roles: one that its
   publishers let lie must not keep the others from publishing. Without a `now`, expiry is the
   caller's to judge.
4. Targets may delegate further roles of releases, each for a folder of its own: `previews`, say.
   One that the snapshot does not name has no list yet; it begins with number 1.

What the caller must still do: refuse a state older than the newest it has recorded.

Source: TUF specification 1.0.33, section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from securesystemslib.signer import Key
from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from lockgate_release.documents import ReleaseEntry, parse_entry
from lockgate_release.errors import DocumentError, ExpiredError, TrustError
from lockgate_release.trust.key_names import named_by
from lockgate_release.trust.roles import DELEGATED_PATHS, Role

__all__ = [
    "Chain",
    "Read",
    "Verified",
    "follow_roots",
    "further_roles",
    "load_chain",
    "named_in",
    "numbers_in_force",
    "parse_metadata",
    "verify_first_releases",
    "verify_next_releases",
    "verify_next_root",
    "verify_next_targets",
]

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

_MAX_ROOTS = 1024
"""How many roots are followed at most: a year of daily rotations, twice over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Generic[S]):
    """Metadata of one role that was verified, with the very bytes that were.

    Only this module makes one.
    """

    metadata: Metadata[S]
    data: bytes

    @property
    def signed(self) -> S:
        """What the signatures are over."""
        return self.metadata.signed

    @property
    def version(self) -> int:
        """The number of this metadata."""
        return self.metadata.signed.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The whole verified state of one app's repository.

    Attributes:
        further: The lists of the further roles of releases, by the role's name, which is also the
            folder it speaks for. A role that has no list yet is not among them.
    """

    root: Verified[Root]
    timestamp: Verified[Timestamp]
    snapshot: Verified[Snapshot]
    targets: Verified[Targets]
    releases: Verified[Targets]
    channels: Verified[Targets]
    further: Mapping[str, Verified[Targets]] = field(default_factory=dict)

    @property
    def lists(self) -> dict[str, Verified[Targets]]:
        """The list of each role of releases that has one, by its name; the main one first."""
        return {Role.RELEASES.value: self.releases, **self.further}

    @property
    def release_roles(self) -> tuple[str, ...]:
        """The names of all roles of releases, those without a list included; the main one first."""
        return (Role.RELEASES.value, *further_roles(self.targets.signed))

    def list_of(self, role: str) -> Verified[Targets] | None:
        """Return the list in force of a role of releases, or None before its first."""
        return self.lists.get(role)

    def entries(self) -> dict[str, ReleaseEntry]:
        """Return the publishers' mark of every live release, by the path of its document.

        Raises:
            DocumentError: A mark is malformed.
        """
        return {
            path: parse_entry(target.custom, subject=path)
            for verified in self.lists.values()
            for path, target in verified.signed.targets.items()
            if path.endswith("/release.json")
        }

    def target(self, path: str) -> TargetFile | None:
        """Return the entry of a document, from the role that speaks for its path."""
        folder = path.split("/", 1)[0]
        spoken_for = self.lists.get(folder)
        for role in (self.targets, self.channels, *filter(None, [spoken_for])):
            if path in role.signed.targets:
                return role.signed.targets[path]
        return None

    def release_keys(self, role: str = Role.RELEASES) -> tuple[tuple[Key, ...], int]:
        """Return the publishers' public keys of a role, and how many of them must sign.

        Raises:
            TrustError: The delegation, or a key of it, is missing.
        """
        return self._delegated_keys(role)

    def online_key_ids(self) -> tuple[str, ...]:
        """Return the ids of the server's keys."""
        return tuple(sorted(self.root.signed.roles[Role.TIMESTAMP.value].keyids))

    def _delegated_keys(self, role: str) -> tuple[tuple[Key, ...], int]:
        delegations = self.targets.signed.delegations
        if delegations is None or not delegations.roles or role not in delegations.roles:
            raise TrustError("no such delegation", subject="targets", expected=str(role))
        delegated = delegations.roles[role]
        with _as_trust_error("targets"):
            keys = {key_id: self.targets.signed.get_key(key_id) for key_id in delegated.keyids}
        return tuple(named_by(self.targets.signed, keys).values()), delegated.threshold


Read: TypeAlias = Callable[[str], bytes | None]
"""Returns the bytes of a metadata file by its name, such as `3.snapshot.json`, or None."""


def further_roles(targets: Targets) -> tuple[str, ...]:
    """Return the names of the roles of releases that targets delegate beside the main one."""
    delegations = targets.delegations
    roles = (delegations and delegations.roles) or {}
    return tuple(name for name in roles if name not in DELEGATED_PATHS)


def named_in(chain: Chain) -> dict[str, Verified[Targets]]:
    """Return the metadata that the snapshot names, by its role."""
    return {
        Role.TARGETS.value: chain.targets,
        **chain.lists,
        Role.CHANNELS.value: chain.channels,
    }


def numbers_in_force(chain: Chain) -> dict[str, int]:
    """Return the number of each role's metadata; 0 for a role of releases without a list."""
    return {
        Role.ROOT.value: chain.root.version,
        Role.TIMESTAMP.value: chain.timestamp.version,
        Role.SNAPSHOT.value: chain.snapshot.version,
        **dict.fromkeys(chain.release_roles, 0),
        **{role: verified.version for role, verified in named_in(chain).items()},
    }


def parse_metadata(kind: type[S], data: bytes, name: str) -> Metadata[S]:
    """Return metadata of one kind from bytes; nothing is verified.

    Raises:
        DocumentError: It is not metadata of this kind.
    """
    try:
        metadata = Metadata[kind].from_bytes(data)  # type: ignore[valid-type]
    except DeserializationError as exc:
        raise DocumentError("not TUF metadata", subject=name, found=str(exc)[:200]) from exc
    if not isinstance(metadata.signed, kind):
        raise DocumentError(
            "wrong type of metadata",
            subject=name,
            expected=kind.type,
            found=metadata.signed.type,
        )
    return metadata


def follow_roots(read: Read, bootstrap: bytes) -> Verified[Root]:
    """Return the newest root that the pinned one leads to (step 1).

    Raises:
        TrustError: The pinned root is not valid, or one on the way is not signed as it must be.
        DocumentError: One is not a root.
    """
    pinned = parse_metadata(Root, bootstrap, "root.json")
    with _as_trust_error("root.json"):
        pinned.signed.verify_delegate(Role.ROOT.value, pinned.signed_bytes, pinned.signatures)
    newest = Verified(metadata=pinned, data=bootstrap)
    for version in range(newest.version + 1, newest.version + _MAX_ROOTS):
        name = f"{version}.root.json"
        data = read(name)
        if data is None:
            return newest
        newest = verify_next_root(newest, data)
    raise TrustError("too many roots", subject=f"{newest.version}.root.json")


def verify_next_root(trusted: Verified[Root], data: bytes) -> Verified[Root]:
    """Return `data` as the root that follows the trusted one.

    Raises:
        TrustError: It is not signed by the keys of both, or its number is not the next.
        DocumentError: It is not a root.
    """
    name = f"{trusted.version + 1}.root.json"
    following = parse_metadata(Root, data, name)
    _check_version(following.signed, trusted.version + 1, name)
    with _as_trust_error(name):
        for authority in (trusted.signed, following.signed):
            authority.verify_delegate(Role.ROOT.value, following.signed_bytes, following.signatures)
    return Verified(metadata=following, data=data)


def load_chain(read: Read, bootstrap: bytes, *, now: datetime | None) -> Chain:
    """Return the verified state of a repository (steps 1 to 3).

    Args:
        read: Returns a metadata file by its name, or None where there is none.
        bootstrap: The pinned root.
        now: Refuse what has expired by then; None refuses nothing for its age.

    Raises:
        TrustError: Something is missing, not signed as it must be, or contradicts the rest.
        ExpiredError: Something is past its expiry at `now`.
        DocumentError: Something is not the metadata it should be.
    """
    root = follow_roots(read, bootstrap)
    timestamp = _load(read, Timestamp, "timestamp.json", root.signed, Role.TIMESTAMP)
    snapshot = _load(
        read,
        Snapshot,
        f"{timestamp.signed.snapshot_meta.version}.snapshot.json",
        root.signed,
        Role.SNAPSHOT,
        timestamp.signed.snapshot_meta,
    )
    targets = _load_named(read, snapshot.signed, root.signed, Role.TARGETS)
    chain = Chain(
        root=root,
        timestamp=timestamp,
        snapshot=snapshot,
        targets=targets,
        releases=_load_named(read, snapshot.signed, targets.signed, Role.RELEASES),
        channels=_load_named(read, snapshot.signed, targets.signed, Role.CHANNELS),
        further={
            name: _load_named(read, snapshot.signed, targets.signed, name)
            for name in further_roles(targets.signed)
            if f"{name}.json" in snapshot.signed.meta
        },
    )
    if now is not None:
        _check_expiry(chain, now)
    return chain


def verify_next_releases(
    chain: Chain, data: bytes, *, role: str = Role.RELEASES
) -> Verified[Targets]:
    """Return `data` as the list of releases that follows the one of its role in force.

    Raises:
        TrustError: Too few publishers signed it, its number is not the next, or there is no such
            role.
        DocumentError: It is no such list.
    """
    return _verify_next(chain.list_of(role), data, chain.targets.signed, role)


def verify_next_targets(
    root: Root, base: Verified[Targets] | None, data: bytes
) -> Verified[Targets]:
    """Return `data` as the top-level targets that follow `base`, or as the first ones.

    Raises:
        TrustError: Too few maintainers signed it, or its number is not the next.
        DocumentError: It is no such metadata.
    """
    return _verify_next(base, data, root, Role.TARGETS)


def verify_first_releases(targets: Targets, data: bytes) -> Verified[Targets]:
    """Return `data` as the first list of releases.

    Raises:
        TrustError: Too few publishers signed it, or its number is not 1.
        DocumentError: It is no such list.
    """
    return _verify_next(None, data, targets, Role.RELEASES)


def _verify_next(
    base: Verified[Targets] | None, data: bytes, authority: Root | Targets, role: str
) -> Verified[Targets]:
    number = base.version + 1 if base else 1
    name = f"{number}.{role}.json"
    metadata = parse_metadata(Targets, data, name)
    _check_version(metadata.signed, number, name)
    with _as_trust_error(name):
        authority.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    return Verified(metadata=metadata, data=data)


def _load_named(
    read: Read, snapshot: Snapshot, authority: Root | Targets, role: str
) -> Verified[Targets]:
    meta = snapshot.meta.get(f"{role}.json")
    if meta is None:
        raise TrustError("missing from the snapshot", subject=f"{role}.json")
    return _load(read, Targets, f"{meta.version}.{role}.json", authority, role, meta)


def _load(
    read: Read,
    kind: type[S],
    name: str,
    authority: Root | Targets,
    role: str,
    meta: MetaFile | None = None,
) -> Verified[S]:
    data = read(name)
    if data is None:
        raise TrustError("missing from the repository", subject=name)
    with _as_trust_error(name):
        if meta is not None:
            meta.verify_length_and_hashes(data)
        metadata = parse_metadata(kind, data, name)
        authority.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    if meta is not None:
        _check_version(metadata.signed, meta.version, name)
    return Verified(metadata=metadata, data=data)


def _check_version(signed: Signed, expected: int, name: str) -> None:
    if signed.version != expected:
        raise TrustError(
            "wrong number", subject=name, expected=str(expected), found=str(signed.version)
        )


def _check_expiry(chain: Chain, now: datetime) -> None:
    for name in ("root", "timestamp", "snapshot", "targets", "releases", "channels"):
        signed = getattr(chain, name).signed
        if signed.is_expired(now):
            raise ExpiredError(
                "expired metadata",
                subject=name,
                expected=f"a time before {signed.expires:%Y-%m-%dT%H:%M:%SZ}",
                found=f"{now:%Y-%m-%dT%H:%M:%SZ}",
                hint="The server re-signs daily; maintainers and publishers use lockgate renew.",
            )


@contextmanager
def _as_trust_error(name: str) -> Iterator[None]:
    try:
        yield
    except (tuf_errors.RepositoryError, ValueError) as exc:
        raise TrustError("cannot be verified", subject=name, found=str(exc)[:300]) from exc
