"""What people do with one app's repository: those who may, and thieves with their keys.

Methods say what a person does (publish, offer, revoke, rotate a key); a test plays a thief by
using the methods of the keys that were stolen. `repository` puts it on a wire.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from securesystemslib.signer import CryptoSigner, Signature
from tuf.api.metadata import Metadata

from lockgate_release.documents import (
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
)
from lockgate_release.documents.approval import Approval
from lockgate_release.layout import (
    POLICY_PATH,
    channel_path,
    metadata_key,
    release_path,
)
from lockgate_release.names import MAX_EXPOSURE_BP, AppName, ChannelName, Sha256Hex
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.approving import sign_approval
from lockgate_release.trust.delegating import delegate_releases
from lockgate_release.trust.keys import generate_signer, public_keys_of
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_release.trust.sign import (
    Document,
    entry_target,
    to_bytes,
)
from tests.simulators.archives import Tree, make_archive
from tests.simulators.signed_files import PREVIEWS, STABLE, SignedFiles, parse_sha256_of

Program = Tree

HEALTHY: Program = {"bin/app": b"#!/bin/sh\nexit 0\n"}
SICK: Program = {"bin/app": b"#!/bin/sh\nexit 1\n"}


class SignedRepository(SignedFiles):
    """One app's repository and all its keys."""

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


def checked_by(program: str, *, tries: int = 3, timeout_s: int = 20) -> Install:
    """Instructions whose health command is `program`."""
    health = HealthCheck(command=(program,), tries=tries, timeout_s=timeout_s)
    return Install(entrypoint=program, health=health)


def confirmed_by_itself(program: str, *, tries: int = 3, timeout_s: int = 20) -> Install:
    """Instructions without a health command: the program says `confirm`."""
    return Install(entrypoint=program, health=HealthCheck(tries=tries, timeout_s=timeout_s))
