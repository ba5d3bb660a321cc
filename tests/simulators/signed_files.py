"""The files of one app's repository, the keys that sign them, and how each is written.

What people do with them (publish, offer, revoke) is `signed_repository`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Artifact,
    ChannelDocument,
    PolicyDocument,
    ReleaseEntry,
    parse_entry,
)
from lockgate_release.instants import utc_now
from lockgate_release.layout import (
    artifact_key,
    artifact_path,
    channel_copy_key,
    metadata_key,
    target_key,
    timestamp_key,
)
from lockgate_release.names import AppName, ChannelName, Platform, Sha256Hex
from lockgate_release.trust.keys import generate_signer, public_keys_of
from lockgate_release.trust.roles import Role
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
from tests.simulators.archives import Tree, chunks_of, tree_digest

STABLE = ChannelName("stable")
PREVIEWS = "previews"


class SignedFiles:
    """One app's files and all its keys, with nothing published yet."""

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

    @property
    def releases(self) -> Targets:
        """The publishers' list in force."""
        assert self._releases is not None
        return self._releases.signed

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

    def _sign_targets(self, change: Callable[[Targets], None] = lambda _targets: None) -> None:
        targets = self.targets.signed
        change(targets)
        targets.version += 1
        self.targets = Metadata(targets)
        for signer in self.maintainers:
            self.targets.sign(signer, append=True)

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


def parse_sha256_of(target: TargetFile) -> Sha256Hex:
    return Sha256Hex(target.hashes["sha256"])
