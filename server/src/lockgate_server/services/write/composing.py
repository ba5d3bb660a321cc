"""The next state of an app, signed and complete, before the first byte of it is written.

Numbers of the server's own roles skip what is taken in the store: a change that broke off may have
left them there. Numbers of the publishers' and maintainers' roles never do: they were signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ChannelDocument
from lockgate_release.layout import (
    channel_copy_key,
    channel_path,
    metadata_key,
    target_key,
)
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust import sign
from lockgate_release.trust.chain import Verified
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_server.ports import Condition, Etag, Highest, IfAbsent, IfMatch, ObjectStore
from lockgate_server.services.write.base import Base, further_sequence, highest_of
from lockgate_server.services.write.channels import issue
from lockgate_server.services.write.deps import WriteDeps

__all__ = [
    "Change",
    "DeadFile",
    "FirstState",
    "NextState",
    "Terms",
    "compose_first",
    "compose_next",
    "needed_keys",
    "online_keys",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a state is numbered, and how long it lasts.

    Attributes:
        step: By how much timestamp and sequences count up. With 2, one number is left out.
        taken: Keys of numbered metadata that are left out too.
        expires_at: When the server's roles and channels expire; None: as they always do.
    """

    step: int = 1
    taken: frozenset[str] = frozenset()
    expires_at: datetime | None = None

    def lifetime(self, role: Role, now: datetime) -> timedelta:
        """Return for how long a role's word is given."""
        return EXPIRY[role] if self.expires_at is None else self.expires_at - now

    def issue(self, document: ChannelDocument, now: datetime) -> ChannelDocument:
        """Return a channel's document as it is issued now."""
        return replace(
            issue(document, now),
            sequence=document.sequence + self.step,
            expires_at=now + self.lifetime(Role.CHANNELS, now),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFile:
    """Bytes at a number that nobody can put in force any more, and that are in the way.

    Attributes:
        etag: What they were read under: they are written over on this condition alone.
        sha256: Their digest, or "" where they are too large to be read.
        why: What is wrong with them.
    """

    etag: Etag
    sha256: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be put in force on top of a state.

    Attributes:
        action: For the audit log, such as `publish`.
        details: What exactly and why, for the audit log; no secrets.
        channels: Channels that offer something else, not yet issued.
        dropped: Channels that are no more.
        releases: The next list of a role of releases, verified.
        role: The role of `releases`.
        targets: The next targets, verified.
        documents: Bytes of targets that these name and the store may not have, by path.
        resigned: Roles of the server's to sign again though nothing else asks for it.
        builds_on: Keys of objects that are there already and must stay, beside `documents`.
        terms: How the state is numbered, and how long it lasts.
        over: What is in the way at the numbers of `releases` and `targets`, by its key.
        pending: The id of the pending change that this puts in force, or "".
    """

    action: str
    details: JsonObject
    channels: tuple[ChannelDocument, ...] = ()
    dropped: frozenset[ChannelName] = frozenset()
    releases: Verified[Targets] | None = None
    role: str = Role.RELEASES.value
    targets: Verified[Targets] | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)
    resigned: frozenset[Role] = frozenset()
    builds_on: frozenset[str] = frozenset()
    terms: Terms = Terms()
    over: Mapping[str, DeadFile] = field(default_factory=dict)
    pending: str = ""


def needed_keys(app: AppName, change: Change) -> frozenset[str]:
    """Return the keys of what a change needs and may find in the store already."""
    return change.builds_on | _by_key(app, change.documents).keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstState:
    """What an app begins with, verified."""

    app: AppName
    root: bytes
    targets: bytes
    releases: bytes
    documents: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextState:
    """Everything that a change writes, in the order it is written.

    Attributes:
        app: The app.
        documents: Bytes by key; the key is made of their digest.
        metadata: Numbered metadata, bytes by key.
        timestamp: The bytes of the pointer.
        condition: What the pointer must still be.
        highest: How far the app has got once this is in force.
        copies: The channel documents' bytes by the key of their stable address.
        over: What may be in the way of `metadata`, by its key.
    """

    app: AppName
    documents: Mapping[str, bytes]
    metadata: Mapping[str, bytes]
    timestamp: bytes
    condition: Condition
    highest: Highest
    copies: Mapping[str, bytes]
    over: Mapping[str, DeadFile] = field(default_factory=dict)

    @property
    def timestamp_sha256(self) -> Sha256Hex:
        """The digest by which this state is known."""
        return digest_bytes(self.timestamp)


def compose_next(deps: WriteDeps, base: Base, change: Change) -> NextState:
    """Return the state that follows `base`, signed.

    Raises:
        LocalError: The online key cannot be read.
        TransportError: The store cannot be reached.
    """
    now = deps.now()
    signers = deps.keys.signers(base.app, online_keys(base))
    terms = change.terms
    issued = [terms.issue(document, now) for document in change.channels]
    envelopes = [sign.sign_channel(document, signers) for document in issued]
    files = _sign_changed_roles(deps, base, change, envelopes, signers)
    snapshot, snapshot_files = _sign_snapshot(deps, base, change, files, signers)
    timestamp = sign.next_timestamp(
        base.chain.timestamp.signed,
        snapshot,
        signers,
        now,
        step=terms.step,
        lifetime=terms.lifetime(Role.TIMESTAMP, now),
    )
    recorded = highest_of(base)
    lists = {change.role: change.releases.version} if change.releases else {}
    return NextState(
        app=base.app,
        documents=_by_key(base.app, {**change.documents, **{e.path: e.data for e in envelopes}}),
        metadata={
            **{metadata_key(base.app, role, n): data for role, (n, data) in files.items()},
            **snapshot_files,
        },
        timestamp=sign.to_bytes(timestamp),
        condition=IfMatch(base.etag),
        highest=Highest(
            root=recorded.root,
            timestamp=timestamp.signed.version,
            snapshot=snapshot[0],
            releases=lists.pop(Role.RELEASES.value, recorded.releases),
            sequences={
                **recorded.sequences,
                **{further_sequence(role): number for role, number in lists.items()},
                **{document.channel: document.sequence for document in issued},
            },
        ),
        copies={
            channel_copy_key(base.app, document.channel): envelope.data
            for document, envelope in zip(issued, envelopes, strict=True)
        },
        over=change.over,
    )


def online_keys(base: Base) -> list[Key]:
    """Return the keys without whose signature nothing of the server's would be verified.

    Root's; and the key of `channels`, which is another one between the two steps of a ceremony.
    """
    root, delegations = base.chain.root.signed, base.chain.targets.signed.delegations
    assert delegations is not None and delegations.roles is not None  # noqa: PT018 (verified)
    keys = {key_id: root.keys[key_id] for key_id in base.chain.online_key_ids()}
    for key_id in delegations.roles[Role.CHANNELS.value].keyids:
        keys[key_id] = delegations.keys[key_id]
    return list(keys.values())


def _sign_changed_roles(
    deps: WriteDeps,
    base: Base,
    change: Change,
    envelopes: Iterable[sign.Document],
    signers: Sequence[Signer],
) -> dict[str, tuple[int, bytes]]:
    files: dict[str, tuple[int, bytes]] = {}
    for role, verified in ((Role.TARGETS.value, change.targets), (change.role, change.releases)):
        if verified is not None:
            files[role] = (verified.version, verified.data)
    if change.channels or change.dropped or Role.CHANNELS in change.resigned:
        now, terms = deps.now(), change.terms
        number = _free_number(
            deps.store, base.app, Role.CHANNELS, base.chain.channels.version + 1, terms.taken
        )
        signed = sign.next_channels(
            base.chain.channels.signed,
            envelopes,
            signers,
            now,
            version=number,
            lifetime=terms.lifetime(Role.CHANNELS, now),
            without=frozenset(map(channel_path, change.dropped)),
        )
        files[Role.CHANNELS] = (number, sign.to_bytes(signed))
    return files


def _sign_snapshot(
    deps: WriteDeps,
    base: Base,
    change: Change,
    files: Mapping[str, tuple[int, bytes]],
    signers: Sequence[Signer],
) -> tuple[tuple[int, bytes], dict[str, bytes]]:
    """Return number and bytes of the snapshot, and the same by its key where it is a new one."""
    if not files and Role.SNAPSHOT not in change.resigned:
        return (base.chain.snapshot.version, base.chain.snapshot.data), {}
    now, terms = deps.now(), change.terms
    number = _free_number(
        deps.store, base.app, Role.SNAPSHOT, base.chain.snapshot.version + 1, terms.taken
    )
    signed = sign.next_snapshot(
        base.chain.snapshot.signed,
        files,
        signers,
        now,
        version=number,
        lifetime=terms.lifetime(Role.SNAPSHOT, now),
    )
    data = sign.to_bytes(signed)
    return (number, data), {metadata_key(base.app, Role.SNAPSHOT, number): data}


def compose_first(deps: WriteDeps, first: FirstState, signer: Signer) -> NextState:
    """Return the state an app begins with, signed.

    Raises:
        TransportError: The store cannot be reached.
    """
    now, app = deps.now(), first.app
    channels_number = _free_number(deps.store, app, Role.CHANNELS, 1)
    channels = sign.next_channels(None, (), [signer], now, version=channels_number)
    files: dict[str, tuple[int, bytes]] = {
        Role.TARGETS: (1, first.targets),
        Role.RELEASES: (1, first.releases),
        Role.CHANNELS: (channels_number, sign.to_bytes(channels)),
    }
    snapshot_number = _free_number(deps.store, app, Role.SNAPSHOT, 1)
    snapshot = sign.to_bytes(
        sign.next_snapshot(None, files, [signer], now, version=snapshot_number)
    )
    timestamp = sign.next_timestamp(None, (snapshot_number, snapshot), [signer], now)
    return NextState(
        app=app,
        documents=_by_key(app, first.documents),
        metadata={
            metadata_key(app, Role.ROOT, 1): first.root,
            **{metadata_key(app, role, n): data for role, (n, data) in files.items()},
            metadata_key(app, Role.SNAPSHOT, snapshot_number): snapshot,
        },
        timestamp=sign.to_bytes(timestamp),
        condition=IfAbsent(),
        highest=Highest(root=1, timestamp=1, snapshot=snapshot_number, releases=1, sequences={}),
        copies={},
    )


def _by_key(app: AppName, documents: Mapping[str, bytes]) -> dict[str, bytes]:
    return {target_key(app, path, digest_bytes(data)): data for path, data in documents.items()}


def _free_number(
    store: ObjectStore,
    app: AppName,
    role: Role,
    number: int,
    taken: frozenset[str] = frozenset(),
) -> int:
    while (key := metadata_key(app, role, number)) in taken or store.head(key) is not None:
        number += 1
    return number
