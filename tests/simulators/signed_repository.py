"""The files of one app's repository, and every key that signs them.

Methods say what a person does (publish, offer, revoke, rotate a key); a test plays a thief by
using the methods of the keys that were stolen. `repository` puts it on a wire.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from securesystemslib.signer import CryptoSigner, Signature
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Artifact,
    ChannelDocument,
    ChannelOffer,
    HealthCheck,
    Install,
    PolicyDocument,
    ReleaseDocument,
    ReleaseEntry,
    Remedy,
    Requirements,
    Revocation,
    Rollout,
    RolloutState,
    parse_entry,
)
from lockgate_release.documents.approval import Approval
from lockgate_release.instants import utc_now
from lockgate_release.layout import (
    POLICY_PATH,
    artifact_key,
    artifact_path,
    channel_copy_key,
    channel_path,
    metadata_key,
    release_path,
    target_key,
    timestamp_key,
)
from lockgate_release.names import MAX_EXPOSURE_BP, AppName, ChannelName, Platform, Sha256Hex
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.approving import sign_approval
from lockgate_release.trust.delegating import delegate_releases
from lockgate_release.trust.keys import generate_signer, public_keys_of
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_release.trust.sign import (
    Document,
    entry_target,
    first_root,
    first_targets,
    next_channels,
    next_releases,
    next_snapshot,
    next_timestamp,
    sign_channel,
    to_bytes,
)
from tests.simulators.archives import Tree, chunks_of, make_archive, tree_digest

STABLE = ChannelName("stable")
PREVIEWS = "previews"
Program = Tree

HEALTHY: Program = {"bin/app": b"#!/bin/sh\nexit 0\n"}
SICK: Program = {"bin/app": b"#!/bin/sh\nexit 1\n"}


class SignedRepository:
    """One app's repository and all its keys."""

    def __init__(
        self,
        app: str = "demo",
        *,
        now: datetime | None = None,
        maintainers: int = 1,
        publishers: int = 1,
        publisher_threshold: int = 1,
        policy: PolicyDocument | None = None,
    ) -> None:
        self.app = AppName(app)
        self.now = now or utc_now()
        self.maintainers = [generate_signer() for _ in range(maintainers)]
        self.publishers = [generate_signer() for _ in range(publishers)]
        self.online = generate_signer()
        self.files: dict[str, bytes] = {}
        self.floors: dict[ChannelName, str] = {}
        self.channels: dict[ChannelName, ChannelDocument] = {}
        self._snapshot: Metadata[Snapshot] | None = None
        self._timestamp: Metadata[Timestamp] | None = None
        self._releases: Metadata[Targets] | None = None
        self.previewers: list[CryptoSigner] = []
        self._previews: Metadata[Targets] | None = None
        self._channels: Metadata[Targets] | None = None
        root = first_root(self.maintainers, 1, self.online.public_key, self.now)
        self._root: Metadata[Root] = root
        rules = policy or PolicyDocument(app=self.app)
        targets = first_targets(
            rules,
            self.maintainers,
            public_keys_of(self.publishers),
            publisher_threshold,
            self.online.public_key,
            self.now,
        )
        self.targets = targets
        self._store_document(Document(path="policy.json", data=rules.to_bytes()))
        self.root_bytes = to_bytes(root)
        self.files[metadata_key(self.app, "root", 1)] = self.root_bytes
        self._write_releases({}, self.publishers)
        self.resign()

    # -- What publishers do -------------------------------------------------------------

    def publish(
        self,
        version: str,
        tree: Tree | None = None,
        *,
        channel: str = STABLE,
        channels: Sequence[str] | None = None,
        exposure_bp: int = MAX_EXPOSURE_BP,
        kind: str = "tar.gz",
        archive: bytes | None = None,
        tree_sha256: str = "",
        tree_size: int | None = None,
        platform: str = "any",
        name: str = "",
        install: Install | None = None,
        requires: Requirements | None = None,
        app: str = "",
        signers: Sequence[CryptoSigner] | None = None,
        offered: bool = True,
        folder: str = "releases",
    ) -> ReleaseDocument:
        """Publish a release and offer it, replacing what the channel offered to everybody.

        Unless `install` says otherwise the program is `bin/app`, which is its own health check.
        """
        content = HEALTHY if tree is None else tree
        data = make_archive(content, kind) if archive is None else archive
        artifact = self._store_artifact(
            data, content, kind, platform, name or f"app-{version}.{kind}"
        )
        artifact = replace(
            artifact,
            tree_sha256=Sha256Hex(tree_sha256 or artifact.tree_sha256),
            tree_size=artifact.tree_size if tree_size is None else tree_size,
        )
        document = ReleaseDocument(
            app=AppName(app or self.app),
            version=version,
            released_at=self.now,
            artifacts=(artifact,),
            install=checked_by("bin/app") if install is None else install,
            requires=requires or Requirements(),
        )
        if folder == PREVIEWS and signers is None:
            signers = self.previewers
        names = channels or [channel]
        self.add_release(document, channels=names, signers=signers, folder=folder)
        if offered:
            self.offer(channel, version, exposure_bp=exposure_bp, sign=False, folder=folder)
        self.resign()
        return document

    def add_release(
        self,
        document: ReleaseDocument,
        *,
        channels: Sequence[str],
        signers: Sequence[CryptoSigner] | None = None,
        folder: str = "releases",
    ) -> None:
        """Put a release into the publishers' list; `resign` makes it visible."""
        path = release_path(document.version, folder=folder)
        entry = ReleaseEntry(
            version=document.version,
            channels=tuple(map(ChannelName, channels)),
            floors=dict(self.floors),
            targets_version=self.targets.signed.version,
        )
        data = document.to_bytes()
        self._store_document(Document(path=path, data=data))
        if folder == PREVIEWS:
            assert signers is not None
            self._write_previews({path: entry_target(path, data, entry)}, signers)
            return
        entries = {**self.releases.targets, path: entry_target(path, data, entry)}
        self._write_releases(entries, self.publishers if signers is None else signers)

    def set_floor(self, channel: str, version: str) -> None:
        """Raise (or, for a thief of publishers' keys, lower) a channel's floor in every entry."""
        self.floors[ChannelName(channel)] = version
        self._rewrite_entries(lambda entry: replace(entry, floors=dict(self.floors)))

    def lift(self, channel: str, version: str) -> None:
        """Lift what was revoked until now, as only publishers can."""
        lifted = {ChannelName(channel): self.now}
        self._rewrite_entries(
            lambda entry: (
                replace(entry, lifted={**entry.lifted, **lifted})
                if entry.version == version
                else entry
            )
        )
        self.resign()

    def retire(self, version: str) -> None:
        """Take a release out of the publishers' list."""
        path = release_path(version)
        rest = {name: target for name, target in self.releases.targets.items() if name != path}
        self._write_releases(rest, self.publishers)
        self.resign()

    def sign_list(self, signer: CryptoSigner) -> None:
        """Add one publisher's signature to the list in force, and serve it so."""
        assert self._releases is not None
        self._releases.sign(signer, append=True)
        self.resign()

    def change_signatures(self, change: Callable[[dict[str, Signature]], None]) -> None:
        """Let whoever holds the list arrange its signatures as they like, and serve it so."""
        assert self._releases is not None
        change(self._releases.signatures)
        self.resign()

    # -- What the server does, and whoever has stolen its key ---------------------------

    def offer(
        self,
        channel: str,
        version: str,
        *,
        exposure_bp: int = MAX_EXPOSURE_BP,
        state: RolloutState = RolloutState.ACTIVE,
        salt: str = "",
        sign: bool = True,
        folder: str = "releases",
    ) -> None:
        """Offer a live release in a channel, above what is offered to everybody there."""
        path = release_path(version, folder=folder)
        listed = self._previews.signed if folder == PREVIEWS and self._previews else self.releases
        target = listed.targets[path]
        rollout = Rollout(
            salt=salt or hashlib.sha256(f"{channel}/{version}".encode()).hexdigest()[:32],
            exposure_bp=exposure_bp,
            control_bp=MAX_EXPOSURE_BP - exposure_bp,
            state=state,
        )
        pinned = parse_sha256_of(target)
        offer = ChannelOffer(version=version, path=path, sha256=pinned, rollout=rollout)
        document = self._channel(channel)
        others = [item for item in document.offers if item.version != version]
        kept = [] if rollout.is_full else [item for item in others if item.rollout.is_full]
        self.issue(channel, offers=(offer, *kept[:1]), sign=sign)

    def revoke(
        self, version: str, *, channel: str = STABLE, remedy: Remedy = Remedy.REPLACE
    ) -> None:
        """Revoke a release in a channel and stop offering it."""
        document = self._channel(channel)
        revocation = Revocation(version=version, reason="it is bad", remedy=remedy, at=self.now)
        self.issue(
            channel,
            offers=tuple(item for item in document.offers if item.version != version),
            revoked=(*document.revoked, revocation),
        )

    def issue(
        self,
        channel: str,
        *,
        offers: tuple[ChannelOffer, ...] | None = None,
        revoked: tuple[Revocation, ...] | None = None,
        approvals: tuple[JsonObject, ...] | None = None,
        sequence: int | None = None,
        sign: bool = True,
    ) -> None:
        """Sign a channel's document with the online key, whatever it says."""
        document = self._channel(channel)
        self.channels[document.channel] = replace(
            document,
            sequence=sequence or document.sequence + 1,
            issued_at=self.now,
            expires_at=self.now + EXPIRY[Role.CHANNELS],
            offers=document.offers if offers is None else offers,
            revoked=document.revoked if revoked is None else revoked,
            approvals=document.approvals if approvals is None else approvals,
        )
        if sign:
            self.resign()

    def resign(self, *, without: Role | None = None) -> None:
        """Sign channels, snapshot and timestamp again; a snapshot `without` a role drops it."""
        documents = [sign_channel(document, [self.online]) for document in self.channels.values()]
        for document in documents:
            self._store_document(document)
            name = ChannelName(document.path.split("/")[1])
            self.files[channel_copy_key(self.app, name)] = document.data
        base = self._channels.signed if self._channels else None
        self._channels = next_channels(base, documents, [self.online], self.now)
        self._write_snapshot(without)

    def drop_channel(self, channel: str) -> None:
        """Make the server forget a channel, as if it had never been."""
        del self.channels[ChannelName(channel)]
        assert self._channels is not None
        del self._channels.signed.targets[channel_path(ChannelName(channel))]
        self.resign()

    def rotate_online_key(self) -> None:
        """Replace the server's key in root and targets, as maintainers do after a theft."""
        old, self.online = self.online, generate_signer()
        root = self._root.signed
        for role in (Role.SNAPSHOT, Role.TIMESTAMP):
            root.revoke_key(old.public_key.keyid, role)
            root.add_key(self.online.public_key, role)
        root.version += 1
        self._root = Metadata(root)
        for signer in self.maintainers:
            self._root.sign(signer, append=True)
        self.files[metadata_key(self.app, "root", root.version)] = to_bytes(self._root)
        targets = self.targets.signed
        targets.revoke_key(old.public_key.keyid, Role.CHANNELS)
        targets.add_key(self.online.public_key, Role.CHANNELS)
        targets.version += 1
        self.targets = Metadata(targets)
        for signer in self.maintainers:
            self.targets.sign(signer, append=True)
        self.resign()

    def rotate_publishers(self) -> None:
        """Replace every publisher's key, as maintainers do after a theft; the list is re-signed."""
        old, self.publishers = self.publishers, [generate_signer() for _ in self.publishers]
        targets = self.targets.signed
        for signer in self.publishers:
            targets.add_key(signer.public_key, Role.RELEASES)
        for signer in old:
            targets.revoke_key(signer.public_key.keyid, Role.RELEASES)
        targets.version += 1
        self.targets = Metadata(targets)
        for signer in self.maintainers:
            self.targets.sign(signer, append=True)
        self._write_releases(dict(self.releases.targets), self.publishers)
        self.resign()

    # -- What maintainers and approvers do ----------------------------------------------

    def set_policy(self, policy: PolicyDocument | bytes) -> None:
        """Put other rules in force."""
        data = policy if isinstance(policy, bytes) else policy.to_bytes()
        document = Document(path=POLICY_PATH, data=data)
        self._store_document(document)
        self.targets.signed.targets[POLICY_PATH] = document.to_target()
        self._sign_targets()
        self.resign()

    def delegate_previews(self, publishers: int = 1, threshold: int = 1) -> None:
        """Let other keys publish below `previews/`."""
        self.previewers = [generate_signer() for _ in range(publishers)]
        self._sign_targets(
            lambda targets: delegate_releases(
                targets, PREVIEWS, public_keys_of(self.previewers), threshold
            )
        )
        self.resign()

    def approve(
        self,
        version: str,
        signers: Sequence[CryptoSigner],
        *,
        channel: str = STABLE,
        says_channel: str = "",
        says_version: str = "",
        says_app: str = "",
    ) -> None:
        """Let a release into a channel, or, for a thief, something else into another."""
        document = self._channel(channel)
        approval = Approval(
            app=AppName(says_app or self.app),
            channel=ChannelName(says_channel or channel),
            version=says_version or version,
            release_sha256=parse_sha256_of(self.releases.targets[release_path(version)]),
            approved_at=self.now,
        )
        envelope = sign_approval(approval, signers).to_envelope()
        self.issue(channel, approvals=(*document.approvals, envelope))

    def _sign_targets(self, change: Callable[[Targets], None] = lambda _targets: None) -> None:
        targets = self.targets.signed
        change(targets)
        targets.version += 1
        self.targets = Metadata(targets)
        for signer in self.maintainers:
            self.targets.sign(signer, append=True)

    # -- Inside -------------------------------------------------------------------------

    @property
    def releases(self) -> Targets:
        """The publishers' list in force."""
        assert self._releases is not None
        return self._releases.signed

    def _channel(self, name: str) -> ChannelDocument:
        channel = ChannelName(name)
        return self.channels.get(channel) or ChannelDocument(
            app=self.app,
            channel=channel,
            sequence=1,
            issued_at=self.now,
            expires_at=self.now + timedelta(days=30),
        )

    def _store_artifact(
        self, data: bytes, tree: Tree, kind: str, platform: str, name: str
    ) -> Artifact:
        sha256 = digest_bytes(data)
        self.files[artifact_key(self.app, sha256)] = data
        digest = tree_digest({name: data} if kind == "file" else tree)
        return Artifact(
            platform=Platform(platform),
            name=name,
            kind=kind,
            size=len(data),
            sha256=sha256,
            tree_sha256=digest.sha256,
            tree_size=digest.size_bytes,
            path=artifact_path(sha256),
            chunks=chunks_of(data),
        )

    def _store_document(self, document: Document) -> None:
        key = target_key(self.app, document.path, digest_bytes(document.data))
        self.files[key] = document.data

    def _rewrite_entries(self, change: Callable[[ReleaseEntry], ReleaseEntry]) -> None:
        entries = dict(self.releases.targets)
        for path, target in entries.items():
            entry = change(parse_entry(target.custom, subject=path))
            data = self.files[target_key(self.app, path, parse_sha256_of(target))]
            entries[path] = entry_target(path, data, entry)
        self._write_releases(entries, self.publishers)

    def _write_releases(
        self, entries: Mapping[str, TargetFile], signers: Sequence[CryptoSigner]
    ) -> None:
        base = self._releases.signed if self._releases else None
        self._releases = next_releases(base, entries, signers, self.now)

    def _write_previews(
        self, entries: Mapping[str, TargetFile], signers: Sequence[CryptoSigner]
    ) -> None:
        base = self._previews.signed if self._previews else None
        both = {**(base.targets if base else {}), **entries}
        self._previews = next_releases(base, both, signers, self.now)

    def _write_snapshot(self, without: Role | None) -> None:
        assert self._releases is not None
        assert self._channels is not None
        signed: dict[str, Metadata[Targets]] = {
            Role.TARGETS: self.targets,
            Role.RELEASES: self._releases,
            Role.CHANNELS: self._channels,
        }
        if self._previews is not None:
            signed[PREVIEWS] = self._previews
        named: dict[str, tuple[int, bytes]] = {}
        for role, metadata in signed.items():
            data = to_bytes(metadata)
            self.files[metadata_key(self.app, role, metadata.signed.version)] = data
            if role is not without:
                named[role] = (metadata.signed.version, data)
        base = self._snapshot.signed if self._snapshot else None
        if base is not None and without is not None:
            base.meta.pop(f"{without}.json")
        self._snapshot = next_snapshot(base, named, [self.online], self.now)
        number, data = self._snapshot.signed.version, to_bytes(self._snapshot)
        self.files[metadata_key(self.app, "snapshot", number)] = data
        before = self._timestamp.signed if self._timestamp else None
        self._timestamp = next_timestamp(before, (number, data), [self.online], self.now)
        self.files[timestamp_key(self.app)] = to_bytes(self._timestamp)


def checked_by(program: str, *, tries: int = 3, timeout_s: int = 20) -> Install:
    """Instructions whose health command is `program`."""
    health = HealthCheck(command=(program,), tries=tries, timeout_s=timeout_s)
    return Install(entrypoint=program, health=health)


def confirmed_by_itself(program: str, *, tries: int = 3, timeout_s: int = 20) -> Install:
    """Instructions without a health command: the program says `confirm`."""
    return Install(entrypoint=program, health=HealthCheck(tries=tries, timeout_s=timeout_s))


def parse_sha256_of(target: TargetFile) -> Sha256Hex:
    return Sha256Hex(target.hashes["sha256"])
