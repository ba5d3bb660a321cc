"""Writing a repository: each function takes the state in force and returns the next, signed.

Nothing here reads a disk or a clock. Numbers only count up by one from what is in force; what is
signed is what was asked for, so whoever calls shows it to a person first.

Source: TUF specification 1.0.33, sections 4 and 6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.metadata import Role as TufRole
from tuf.api.serialization.json import JSONSerializer

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ChannelDocument, PolicyDocument, ReleaseEntry
from lockgate_release.layout import POLICY_PATH, channel_path
from lockgate_release.trust.roles import DELEGATED_PATHS, EXPIRY, ONLINE_ROLES, Role, expiry_of
from lockgate_release.trust.standing import canonical_bytes

__all__ = [
    "Document",
    "Key",
    "Signer",
    "TargetFile",
    "entry_target",
    "first_root",
    "first_targets",
    "next_channels",
    "next_releases",
    "next_snapshot",
    "next_timestamp",
    "renewed",
    "same_bytes",
    "sign_channel",
    "to_bytes",
]

T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A TUF target that is small enough to hold: its path, its bytes, and its mark."""

    path: str
    data: bytes
    custom: Mapping[str, object] | None = None

    def to_target(self) -> TargetFile:
        """Return the entry that stands for it in metadata."""
        target = TargetFile.from_data(self.path, self.data, ["sha256"])
        if self.custom is not None:
            target.unrecognized_fields["custom"] = dict(self.custom)
        return target


def to_bytes(metadata: Metadata[T]) -> bytes:
    """Return metadata as it is stored: compact JSON."""
    return metadata.to_bytes(JSONSerializer(compact=True))


def _sign(signed: T, signers: Iterable[Signer]) -> Metadata[T]:
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata


def first_root(
    maintainers: Sequence[Signer], threshold: int, online_key: Key, now: datetime
) -> Metadata[Root]:
    """Return version 1 of root, signed by all maintainers.

    Args:
        maintainers: Who signs root and targets.
        threshold: How many of them must, 1 to their number.
        online_key: The server's public key, for snapshot and timestamp.
        now: The present, aware.
    """
    offline = [signer.public_key.keyid for signer in maintainers]
    keys = {signer.public_key.keyid: signer.public_key for signer in maintainers}
    roles = {
        Role.ROOT.value: TufRole(offline, threshold),
        Role.TARGETS.value: TufRole(offline, threshold),
        Role.SNAPSHOT.value: TufRole([online_key.keyid], 1),
        Role.TIMESTAMP.value: TufRole([online_key.keyid], 1),
    }
    root = Root(
        version=1,
        expires=now + EXPIRY[Role.ROOT],
        keys={**keys, online_key.keyid: online_key},
        roles=roles,
        consistent_snapshot=True,
    )
    return _sign(root, maintainers)


def first_targets(
    policy: PolicyDocument,
    maintainers: Sequence[Signer],
    publishers: Mapping[str, Key],
    publisher_threshold: int,
    online_key: Key,
    now: datetime,
) -> Metadata[Targets]:
    """Return version 1 of targets: the policy, and the two delegations.

    Args:
        policy: The rules.
        maintainers: Who signs.
        publishers: The publishers' public keys by their ids.
        publisher_threshold: How many publishers must sign `releases`.
        online_key: The server's public key, for `channels`.
        now: The present, aware.
    """
    roles = {
        Role.RELEASES.value: DelegatedRole(
            Role.RELEASES.value,
            list(publishers),
            publisher_threshold,
            terminating=True,
            paths=list(DELEGATED_PATHS[Role.RELEASES]),
        ),
        Role.CHANNELS.value: DelegatedRole(
            Role.CHANNELS.value,
            [online_key.keyid],
            1,
            terminating=True,
            paths=list(DELEGATED_PATHS[Role.CHANNELS]),
        ),
    }
    document = Document(path=POLICY_PATH, data=policy.to_bytes())
    targets = Targets(
        version=1,
        expires=now + EXPIRY[Role.TARGETS],
        targets={POLICY_PATH: document.to_target()},
        delegations=Delegations({**publishers, online_key.keyid: online_key}, roles),
    )
    return _sign(targets, maintainers)


def next_releases(
    base: Targets | None,
    targets: Mapping[str, TargetFile],
    signers: Iterable[Signer],
    now: datetime,
) -> Metadata[Targets]:
    """Return the list of live releases that follows `base`.

    Args:
        base: The list in force, or None before the first.
        targets: All entries of the new list by their paths, those that stay included.
        signers: The publishers who sign now.
        now: The present, aware.
    """
    return _sign(
        Targets(
            version=base.version + 1 if base else 1,
            expires=now + EXPIRY[Role.RELEASES],
            targets=dict(targets),
            unrecognized_fields=dict(base.unrecognized_fields) if base else None,
        ),
        signers,
    )


def next_channels(
    base: Targets | None,
    documents: Iterable[Document],
    signers: Sequence[Signer],
    now: datetime,
    *,
    version: int | None = None,
    lifetime: timedelta = EXPIRY[Role.CHANNELS],
    without: Collection[str] = (),
) -> Metadata[Targets]:
    """Return the list of channels that follows `base`, with these documents put in.

    Args:
        base: The list in force, or None before the first.
        documents: Channel documents that are new or changed.
        signers: The server's: one, or the old one and the next during a rotation.
        now: The present, aware.
        version: The number to take instead of the next, where that one is taken.
        lifetime: How long it lasts.
        without: Paths of documents that are left out from now on.
    """
    known = base.targets if base else {}
    targets = {path: target for path, target in known.items() if path not in without}
    targets.update({document.path: document.to_target() for document in documents})
    signed = Targets(
        version=version or (base.version + 1 if base else 1),
        expires=now + lifetime,
        targets=targets,
    )
    return _sign(signed, signers)


def next_snapshot(
    base: Snapshot | None,
    files: Mapping[str, tuple[int, bytes]],
    signers: Sequence[Signer],
    now: datetime,
    *,
    version: int | None = None,
    lifetime: timedelta = EXPIRY[Role.SNAPSHOT],
) -> Metadata[Snapshot]:
    """Return the snapshot that follows `base` and names these files, with length and hash.

    Args:
        base: The snapshot in force, or None before the first.
        files: Version and bytes of targets, channels and the roles of releases, by the role's name:
            those that changed. The rest stays as `base` has it: a snapshot never drops a role.
        signers: The server's: one, or the old one and the next during a rotation.
        now: The present, aware.
        version: The number to take instead of the next, where that one is taken.
        lifetime: How long it lasts.
    """
    meta = dict(base.meta) if base else {}
    for role, (number, data) in files.items():
        meta[f"{role}.json"] = MetaFile.from_data(number, data, ["sha256"])
    signed = Snapshot(
        version=version or (base.version + 1 if base else 1),
        expires=now + lifetime,
        meta=meta,
    )
    return _sign(signed, signers)


def next_timestamp(
    base: Timestamp | None,
    snapshot: tuple[int, bytes],
    signers: Sequence[Signer],
    now: datetime,
    *,
    step: int = 1,
    lifetime: timedelta = EXPIRY[Role.TIMESTAMP],
) -> Metadata[Timestamp]:
    """Return the timestamp that follows `base` and points at this snapshot's version and bytes.

    Args:
        base: The timestamp in force, or None before the first.
        snapshot: Number and bytes of the snapshot.
        signers: The server's: one, or the old one and the next during a rotation.
        now: The present, aware.
        step: How far the number counts up: 2 leaves one out that was given to a copy.
        lifetime: How long it lasts.
    """
    number, data = snapshot
    signed = Timestamp(
        version=base.version + step if base else 1,
        expires=now + lifetime,
        snapshot_meta=MetaFile.from_data(number, data, ["sha256"]),
    )
    return _sign(signed, signers)


def renewed(
    base: Metadata[T],
    role: str,
    signers: Iterable[Signer],
    now: datetime,
    *,
    policy: bytes | None = None,
) -> Metadata[T]:
    """Return the same metadata with the next number and a new expiry.

    Args:
        base: What is in force.
        role: Whose it is.
        signers: Who signs.
        now: The present, aware.
        policy: The policy that it names from now on, if it is `targets`; None: the one it names.

    Raises:
        ValueError: `role` is one of the server's: those are renewed by publishing.
    """
    if role in ONLINE_ROLES:
        raise ValueError(f"{role} is renewed by the server")
    signed = Metadata[T].from_bytes(base.to_bytes()).signed
    signed.version += 1
    signed.expires = now + expiry_of(role)
    if policy is not None and isinstance(signed, Targets):
        signed.targets[POLICY_PATH] = Document(path=POLICY_PATH, data=policy).to_target()
    return _sign(signed, signers)


def sign_channel(document: ChannelDocument, signers: Sequence[Signer]) -> Document:
    """Return the channel's document in its signed envelope.

    Each signature is over the canonical JSON of the part called `signed`.
    """
    payload = canonical_bytes(document.to_json())
    signatures = [signer.sign(payload) for signer in signers]
    envelope = document.to_envelope(
        [{"keyid": signature.keyid, "sig": signature.signature} for signature in signatures]
    )
    return Document(path=channel_path(document.channel), data=envelope)


def entry_target(path: str, data: bytes, entry: ReleaseEntry) -> TargetFile:
    """Return the TUF entry of a release's document, with the publishers' mark."""
    return Document(path=path, data=data, custom=entry.to_json()).to_target()


def same_bytes(target: TargetFile, data: bytes) -> bool:
    """Whether the entry stands for exactly these bytes."""
    return target.hashes.get("sha256") == digest_bytes(data)
