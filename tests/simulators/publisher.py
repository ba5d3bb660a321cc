"""Maintainers and publishers of one app, with their keys in memory.

It builds what `lockgate init`, `publish`, `renew` and `releases retire` would send, with real
signatures, from the verified state it is shown; and on request what those commands never would,
for the tests of what must be refused. It speaks no HTTP and touches no disk that is kept.

    publisher = PublisherSimulator("demo")
    request = publisher.register(online_key)             # RegisterRequest; publisher.root is pinned
    build = publisher.build("1.0.0")                     # document, notes, artifacts' bytes
    request = publisher.publish(chain, build, channels=["stable"], exposure_bp=1000)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from securesystemslib.signer import CryptoSigner, Key, Signer
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from lockgate_release.archives import ArchiveKind, unpack
from lockgate_release.digests import digest_bytes, digest_tree
from lockgate_release.documents import (
    Artifact,
    ExtrasDocument,
    Install,
    PolicyDocument,
    ReleaseDocument,
    ReleaseEntry,
    Requirements,
)
from lockgate_release.layout import POLICY_PATH, artifact_path, extras_path, release_path
from lockgate_release.names import MAX_EXPOSURE_BP, AppName, ChannelName, Platform, Sha256Hex
from lockgate_release.requests import (
    OfferRequest,
    PublishRequest,
    RegisterRequest,
    RenewRequest,
)
from lockgate_release.trust import chain as trust_chain
from lockgate_release.trust import sign
from lockgate_release.trust.keys import generate_signer, public_keys_of
from lockgate_release.trust.roles import EXPIRY, Role
from tests.simulators.archives import chunks_of

__all__ = ["NOW", "Build", "PublisherSimulator"]

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
"""When things are signed unless a test says otherwise."""

T = TypeVar("T", Root, Targets)

PROGRAM = b"#!/bin/sh\nexit 0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a build job has made of one version.

    Attributes:
        document: The release.
        extras: Its notes.
        artifacts: The bytes to upload, by their digests.
    """

    document: ReleaseDocument
    extras: ExtrasDocument
    artifacts: Mapping[Sha256Hex, bytes]

    @property
    def version(self) -> str:
        """The version that was built."""
        return self.document.version

    def documents(self) -> dict[str, bytes]:
        """Return the documents' bytes by their paths."""
        return {
            release_path(self.version): self.document.to_bytes(),
            extras_path(self.version): self.extras.to_bytes(),
        }


@dataclass(kw_only=True)
class _Keys:
    maintainers: list[CryptoSigner]
    maintainer_threshold: int
    publishers: list[CryptoSigner]
    publisher_threshold: int


@dataclass(slots=True)
class PublisherSimulator:
    """Who holds the offline keys of an app.

    Attributes:
        app: The app.
        now: When it signs; change it to let time pass.
        maintainers: How many sign root and targets; `threshold` of them must.
        publishers: How many sign `releases`; `publisher_threshold` of them must.
        policy: The rules, or None for the default ones.
        root: The trust anchor, once `register` was called.
    """

    app: str = "demo"
    now: datetime = NOW
    maintainers: int = 1
    threshold: int = 1
    publishers: int = 1
    publisher_threshold: int = 1
    policy: PolicyDocument | None = None
    root: bytes = b""
    keys: _Keys = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.keys = _Keys(
            maintainers=[generate_signer() for _ in range(self.maintainers)],
            maintainer_threshold=self.threshold,
            publishers=[generate_signer() for _ in range(self.publishers)],
            publisher_threshold=self.publisher_threshold,
        )
        self.policy = self.policy or PolicyDocument(app=AppName(self.app))

    # What `lockgate init` sends.

    def register(self, online_key: Key) -> RegisterRequest:
        """Return the app's first metadata, and remember its root as the trust anchor."""
        assert self.policy is not None
        root = sign.first_root(
            self.keys.maintainers, self.keys.maintainer_threshold, online_key, self.now
        )
        targets = sign.first_targets(
            self.policy,
            self.keys.maintainers,
            public_keys_of(self.keys.publishers),
            self.keys.publisher_threshold,
            online_key,
            self.now,
        )
        releases = sign.next_releases(None, {}, self.keys.publishers, self.now)
        self.root = sign.to_bytes(root)
        return RegisterRequest(
            root=self.root,
            targets=sign.to_bytes(targets),
            releases=sign.to_bytes(releases),
            documents={POLICY_PATH: self.policy.to_bytes()},
        )

    # What `lockgate publish` sends.

    def build(
        self,
        version: str,
        artifacts: Mapping[str, bytes] | None = None,
        *,
        notes: str = "",
        kind: str = "file",
        name: str = "program",
        install: Install | None = None,
        requires: Requirements | None = None,
    ) -> Build:
        """Return a build of `version`: artifacts' bytes by platform, a small script by default."""
        contents = artifacts or {"any": PROGRAM + f"# {self.app} {version}\n".encode()}
        document = ReleaseDocument(
            app=AppName(self.app),
            version=version,
            released_at=self.now,
            artifacts=tuple(
                _describe_artifact(Platform(platform), data, kind=kind, name=name)
                for platform, data in contents.items()
            ),
            install=install or Install(entrypoint=name if kind == "file" else ""),
            requires=requires or Requirements(),
        )
        return Build(
            document=document,
            extras=ExtrasDocument(app=AppName(self.app), version=version, notes=notes),
            artifacts={digest_bytes(data): data for data in contents.values()},
        )

    def publish(
        self,
        chain: trust_chain.Chain,
        build: Build,
        *,
        channels: Iterable[str] = ("stable",),
        exposure_bp: int = MAX_EXPOSURE_BP,
        floors: Mapping[str, str] | None = None,
        offer: bool = True,
    ) -> PublishRequest:
        """Return the request that lists the build and offers it in the first of `channels`.

        Args:
            chain: The state to write on top of.
            build: What to publish; its artifacts must be uploaded before.
            channels: Where the publishers allow it.
            exposure_bp: How far it is offered at first.
            floors: Floors to raise, by channel; the others are carried forward.
            offer: Whether to offer it, or only to list it.
        """
        allowed = [ChannelName(name) for name in channels]
        raised = {ChannelName(name): floor for name, floor in (floors or {}).items()}

        def add(entries: dict[str, ReleaseEntry]) -> None:
            carried = _floors_of(entries.values()) | raised
            for path, entry in entries.items():
                entries[path] = replace(entry, floors=carried)
            entries[release_path(build.version)] = ReleaseEntry(
                version=build.version, channels=tuple(allowed), floors=carried
            )

        return PublishRequest(
            releases=self.next_releases(chain, add, build.documents()),
            documents=build.documents(),
            offer=OfferRequest(channel=allowed[0], version=build.version, exposure_bp=exposure_bp)
            if offer
            else None,
        )

    def offer(
        self, version: str, channel: str, exposure_bp: int = MAX_EXPOSURE_BP
    ) -> PublishRequest:
        """Return the request that offers a live release in a channel, the list unchanged."""
        return PublishRequest(
            offer=OfferRequest(
                channel=ChannelName(channel), version=version, exposure_bp=exposure_bp
            )
        )

    def promote(
        self,
        chain: trust_chain.Chain,
        version: str,
        channel: str,
        exposure_bp: int = MAX_EXPOSURE_BP,
    ) -> PublishRequest:
        """Return the request that allows a live release in one more channel and offers it there."""
        request = self.edit(
            chain,
            version,
            lambda entry: replace(entry, channels=(*entry.channels, ChannelName(channel))),
        )
        return replace(request, offer=self.offer(version, channel, exposure_bp).offer)

    def lift(self, chain: trust_chain.Chain, version: str, *channels: str) -> PublishRequest:
        """Return the request that lifts an earlier revocation of a release in these channels."""
        lifted = {ChannelName(name): NOW for name in channels}
        return self.edit(chain, version, lambda entry: replace(entry, lifted=lifted))

    def edit(
        self,
        chain: trust_chain.Chain,
        version: str,
        change: Callable[[ReleaseEntry], ReleaseEntry],
    ) -> PublishRequest:
        """Return the request that changes the publishers' mark of one release."""

        def apply(entries: dict[str, ReleaseEntry]) -> None:
            entries[release_path(version)] = change(entries[release_path(version)])

        return PublishRequest(releases=self.next_releases(chain, apply))

    def retire(self, chain: trust_chain.Chain, *versions: str) -> PublishRequest:
        """Return the request that takes releases out of the list: retired, or sealed if revoked."""

        def remove(entries: dict[str, ReleaseEntry]) -> None:
            for version in versions:
                del entries[release_path(version)]

        return PublishRequest(releases=self.next_releases(chain, remove))

    def next_releases(
        self,
        chain: trust_chain.Chain,
        change: Callable[[dict[str, ReleaseEntry]], None],
        documents: Mapping[str, bytes] | None = None,
        *,
        signers: Sequence[Signer] | None = None,
    ) -> bytes:
        """Return the list that follows the one in force, signed.

        Args:
            chain: The state to write on top of.
            change: Changes the marks, by path of the release document, in place.
            documents: Bytes of documents that are new or changed, by path.
            signers: Who signs; all publishers by default.
        """
        entries = {
            path: entry for path, entry in chain.entries().items() if path.startswith("releases/")
        }
        change(entries)
        targets = _list_targets(chain.releases.signed, entries, documents or {})
        return self.sign_releases(chain, targets, signers=signers)

    def sign_releases(
        self,
        chain: trust_chain.Chain,
        targets: Mapping[str, TargetFile],
        *,
        signers: Sequence[Signer] | None = None,
    ) -> bytes:
        """Return the next list with exactly these entries, signed, whatever they are."""
        chosen = self.keys.publishers if signers is None else signers
        return sign.to_bytes(sign.next_releases(chain.releases.signed, targets, chosen, self.now))

    # What `lockgate renew` sends.

    def renew(
        self,
        chain: trust_chain.Chain,
        role: str,
        *,
        signers: Sequence[Signer] | None = None,
    ) -> RenewRequest:
        """Return the request that puts the same words of a role in force for longer."""
        match Role(role):
            case Role.ROOT:
                root = sign.renewed(
                    chain.root.metadata, Role.ROOT, signers or self.keys.maintainers, self.now
                )
                return RenewRequest(role=role, metadata=sign.to_bytes(root))
            case Role.TARGETS:
                base, chosen = chain.targets.metadata, signers or self.keys.maintainers
            case _:
                base, chosen = chain.releases.metadata, signers or self.keys.publishers
        renewed = sign.renewed(base, Role(role), chosen, self.now)
        return RenewRequest(role=role, metadata=sign.to_bytes(renewed))

    def change_root(self, chain: trust_chain.Chain, change: Callable[[Root], None]) -> RenewRequest:
        """Return the request that puts the next root in force, changed as `change` likes."""
        signed = Metadata[Root].from_bytes(chain.root.data).signed
        signed.version += 1
        signed.expires = self.now + EXPIRY[Role.ROOT]
        change(signed)
        return RenewRequest(role="root", metadata=self._sign_as_maintainers(signed))

    def change_targets(
        self,
        chain: trust_chain.Chain,
        change: Callable[[Targets], None],
        documents: Mapping[str, bytes] | None = None,
    ) -> RenewRequest:
        """Return the request that puts the next targets in force, changed as `change` likes."""
        signed = Metadata[Targets].from_bytes(chain.targets.data).signed
        signed.version += 1
        signed.expires = self.now + EXPIRY[Role.TARGETS]
        change(signed)
        return RenewRequest(
            role="targets",
            metadata=self._sign_as_maintainers(signed),
            documents=documents or {},
        )

    def change_policy(self, chain: trust_chain.Chain, policy: PolicyDocument) -> RenewRequest:
        """Return the request that puts another policy in force."""
        document = sign.Document(path=POLICY_PATH, data=policy.to_bytes())

        def put(targets: Targets) -> None:
            targets.targets[POLICY_PATH] = document.to_target()

        return self.change_targets(chain, put, {POLICY_PATH: document.data})

    def _sign_as_maintainers(self, signed: T) -> bytes:
        metadata = Metadata(signed)
        for signer in self.keys.maintainers:
            metadata.sign(signer, append=True)
        return sign.to_bytes(metadata)


def _floors_of(entries: Iterable[ReleaseEntry]) -> dict[ChannelName, str]:
    floors: dict[ChannelName, str] = {}
    for entry in entries:
        floors.update(entry.floors)
    return floors


def _list_targets(
    base: Targets, entries: Mapping[str, ReleaseEntry], documents: Mapping[str, bytes]
) -> dict[str, TargetFile]:
    targets: dict[str, TargetFile] = {}
    for path, entry in entries.items():
        extras = path.replace("/release.json", "/extras.json")
        if path in documents:
            targets[path] = sign.entry_target(path, documents[path], entry)
        else:
            targets[path] = _with_mark(base.targets[path], entry)
        if extras in documents:
            targets[extras] = sign.Document(path=extras, data=documents[extras]).to_target()
        elif extras in base.targets:
            targets[extras] = base.targets[extras]
    return targets


def _with_mark(target: TargetFile, entry: ReleaseEntry) -> TargetFile:
    return TargetFile(
        target.length,
        target.hashes,
        target.path,
        {**target.unrecognized_fields, "custom": dict(entry.to_json())},
    )


def _describe_artifact(platform: Platform, data: bytes, *, kind: str, name: str) -> Artifact:
    sha256 = digest_bytes(data)
    with tempfile.TemporaryDirectory() as folder:
        archive, tree = Path(folder, "archive"), Path(folder, "tree")
        archive.write_bytes(data)
        tree.mkdir()
        unpack(archive, ArchiveKind(kind), tree, name=name)
        digest = digest_tree(tree)
    return Artifact(
        platform=platform,
        name=name,
        kind=kind,
        size=len(data),
        sha256=sha256,
        tree_sha256=digest.sha256,
        tree_size=digest.size_bytes,
        path=artifact_path(sha256),
        chunks=chunks_of(data),
    )
