"""Small things that the tests of the release library are made of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from lockgate_release.capabilities import archive_capability
from lockgate_release.decision import ClientState
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Artifact,
    ChannelDocument,
    ChannelOffer,
    ExtrasDocument,
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
    TrustedRelease,
)
from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
)
from lockgate_release.layout import artifact_path, extras_path, release_path
from lockgate_release.names import AppName, ChannelName, Platform, Sha256Hex
from lockgate_release.trust import sign
from lockgate_release.trust.roles import Role

APP = AppName("demo")
STABLE = ChannelName("stable")
LINUX = Platform("linux-x86_64")
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
SALT = "0196720b2521dd0259f43e4cee7f05f5"
SOMEBODY = SignerRule(identity="ann@example.com", issuer="https://accounts.example")
ATTESTED = AttestationRule(demands=(AttestationDemand(signers=(SOMEBODY,)),))
CLIENT = "f5c3a801-8c14-451a-a9a2-ece128cb1ff4"
ARTIFACT = b"an artifact"
T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


# -- Documents ------------------------------------------------------------------------------


def artifact(data: bytes = ARTIFACT, **changes: Any) -> Artifact:
    sha256 = digest_bytes(data)
    plain = Artifact(
        platform=LINUX,
        name="demo.tar.gz",
        kind="tar.gz",
        size=len(data),
        sha256=sha256,
        tree_sha256=digest_bytes(b"tree of " + data),
        tree_size=10 * len(data),
        path=artifact_path(sha256),
    )
    return replace(plain, **changes)


def release(version: str = "1.0.0", **changes: Any) -> ReleaseDocument:
    plain = ReleaseDocument(
        app=APP,
        version=version,
        released_at=NOW,
        artifacts=(artifact(),),
        install=Install(
            entrypoint="bin/demo",
            health=HealthCheck(command=("bin/demo", "--check"), timeout_s=5, tries=2),
        ),
        requires=Requirements(from_version="", capabilities=()),
    )
    return replace(plain, **changes)


def rollout(exposure_bp: int = 10_000, **changes: Any) -> Rollout:
    plain = Rollout(salt=SALT, exposure_bp=exposure_bp, control_bp=10_000 - exposure_bp)
    return replace(plain, **changes)


def trusted(
    version: str = "1.0.0",
    *,
    channels: Sequence[ChannelName] = (STABLE,),
    floor: str = "",
    lifted: Sequence[ChannelName] = (),
    document: ReleaseDocument | None = None,
    path: str = "",
) -> TrustedRelease:
    document = document or release(version)
    return TrustedRelease(
        path=path or release_path(version),
        sha256=digest_bytes(document.to_bytes()),
        entry=ReleaseEntry(
            version=version,
            channels=tuple(channels),
            floors={STABLE: floor} if floor else {},
            lifted=dict.fromkeys(lifted, NOW),
        ),
        document=document,
    )


def offer_of(found: TrustedRelease, exposure_bp: int = 10_000, **changes: Any) -> ChannelOffer:
    return ChannelOffer(
        version=found.document.version,
        path=found.path,
        sha256=found.sha256,
        rollout=rollout(exposure_bp, **changes),
    )


def revocation(version: str, remedy: Remedy = Remedy.REPLACE) -> Revocation:
    return Revocation(version=version, reason="it burns", remedy=remedy, at=NOW)


def channel(offers: Sequence[ChannelOffer] = (), **changes: Any) -> ChannelDocument:
    plain = ChannelDocument(
        app=APP,
        channel=STABLE,
        sequence=1,
        issued_at=NOW,
        expires_at=NOW + timedelta(days=30),
        offers=tuple(offers),
    )
    return replace(plain, **changes)


def client(installed: str = "", **changes: Any) -> ClientState:
    plain = ClientState(
        app=APP,
        channel=STABLE,
        client_id=CLIENT,
        platform=LINUX,
        capabilities=frozenset({archive_capability("tar.gz")}),
        installed=installed,
    )
    return replace(plain, **changes)


def full_release() -> dict[str, Any]:
    """A release document in which every object has a field from the future."""
    chunks = {"size_bytes": 2**20, "sha256": ["ab" * 32, "cd" * 32], "x": 1}
    found: dict[str, Any] = {
        "_type": "lockgate.release",
        "app": "demo",
        "version": "1.2.0",
        "released_at": "2026-01-31T08:00:00Z",
        "artifacts": [{**artifact().to_json(), "size": 2**20 + 1, "chunks": chunks, "x": [1]}],
        "install": {
            "entrypoint": "bin/demo",
            "health": {"command": ["bin/demo", "-c"], "timeout_s": 9, "tries": 2, "x": None},
            "x": {"y": 1},
        },
        "requires": {"from_version": "1.0.0", "capabilities": ["archive/zip"], "x": True},
        "x": "later",
    }
    return found


def full_channel() -> dict[str, Any]:
    """The signed part of a channel document in which every object has a field from the future."""
    return {
        "_type": "lockgate.channel",
        "app": "demo",
        "channel": "stable",
        "sequence": 7,
        "issued_at": "2026-01-31T08:00:00Z",
        "expires_at": "2026-03-02T08:00:00Z",
        "offers": [
            {
                "version": "1.2.0",
                "path": "releases/1.2.0/release.json",
                "sha256": "ab" * 32,
                "rollout": {
                    "salt": SALT,
                    "exposure_bp": 1000,
                    "control_bp": 9000,
                    "epoch": 2,
                    "state": RolloutState.ACTIVE.value,
                    "x": 1,
                },
                "x": 1,
            }
        ],
        "once_full": ["1.1.0"],
        "revoked": [
            {
                "version": "1.0.0",
                "reason": "it burns",
                "remedy": "last-good",
                "at": "2026-01-31T08:00:00Z",
                "x": 1,
            }
        ],
        "check_interval_s": 600,
        "retire_at": "2026-02-14T08:00:00Z",
        "x": "later",
    }


def full_policy() -> dict[str, Any]:
    """A policy in which every object has a field from the future."""
    return {
        "_type": "lockgate.policy",
        "app": "demo",
        "versions": "pep440",
        "channels": {
            "stable": {"paths": ["releases/*/release.json"], "manual_check": "wait", "x": 1},
            "*": {
                "paths": ["releases/*/release.json", "previews/*/release.json"],
                "manual_check": "pass",
            },
        },
        "x": "later",
    }


def full_extras() -> dict[str, Any]:
    """Extras with a field from the future."""
    return {
        "_type": "lockgate.extras",
        "app": "demo",
        "version": "1.2.0",
        "notes": "Better.\n",
        "deltas": [
            {
                "platform": "linux-x86_64",
                "from_version": "1.1.0",
                "from_tree_sha256": "12" * 32,
                "algorithm": "lockgate-columns-1",
                "size": 7,
                "sha256": "cd" * 32,
                "path": "artifacts/cd/" + "cd" * 32,
                "memory_bytes": 50_000_000,
                "scratch_bytes": 0,
                "x": 1,
            }
        ],
        "attestations": [
            {
                "kind": "sigstore",
                "path": "artifacts/ab/" + "ab" * 32,
                "sha256": "ab" * 32,
                "size": 9,
                "artifacts": ["ef" * 32],
                "predicate_type": "https://slsa.dev/provenance/v1",
                "x": 2,
            }
        ],
        "x": "later",
    }


def full_entry() -> dict[str, Any]:
    """The publishers' mark, with a field from the future."""
    return {
        "version": "1.2.0",
        "channels": ["beta", "stable"],
        "floor": {"stable": "1.0.0"},
        "lifted": {"beta": "2026-01-30T08:00:00Z"},
        "targets": 3,
        "x": "later",
    }


# -- A signed repository --------------------------------------------------------------------


def signers(count: int) -> list[CryptoSigner]:
    return [CryptoSigner.generate_ed25519() for _ in range(count)]


class Repository:
    """One app's repository in memory, with every key that signs it.

    `files` is what is served, by the name below the app's address; `read` and `fetch` are the two
    ports it is read through.
    """

    ADDRESS = "https://example.invalid/files"

    def __init__(
        self,
        *,
        now: datetime,
        maintainers: int = 1,
        threshold: int = 1,
        publishers: int = 1,
        publisher_threshold: int = 1,
        policy: PolicyDocument | None = None,
    ) -> None:
        self.now = now
        self.threshold = threshold
        self.maintainers = signers(maintainers)
        self.publishers = signers(publishers)
        self.online = signers(1)[0]
        self.files: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.policy = policy or PolicyDocument(app=APP)
        self.root = sign.first_root(self.maintainers, threshold, self.online.public_key, now)
        self.targets = sign.first_targets(
            self.policy,
            self.maintainers,
            {signer.public_key.keyid: signer.public_key for signer in self.publishers},
            publisher_threshold,
            self.online.public_key,
            now,
        )
        self.releases = sign.next_releases(None, {}, self.publishers, now)
        self.channels = sign.next_channels(None, [], [self.online], now)
        self.snapshot: Metadata[Snapshot] | None = None
        self.timestamp: Metadata[Timestamp] | None = None
        self.bootstrap = sign.to_bytes(self.root)
        self.put_target(sign.Document(path="policy.json", data=self.policy.to_bytes()))
        self.put(Role.ROOT, self.root)
        self.put(Role.TARGETS, self.targets)
        self.put(Role.RELEASES, self.releases)
        self.put(Role.CHANNELS, self.channels)
        self.flip(Role.TARGETS, Role.RELEASES, Role.CHANNELS)

    # Reading: the two ports.

    def read(self, name: str) -> bytes | None:
        return self.files.get(f"metadata/{name}")

    def fetch(self, url: str) -> Iterator[bytes]:
        from lockgate_release.trust.verify import NotFoundError

        name = url.removeprefix(f"{self.ADDRESS}/{APP}/")
        self.fetched.append(name)
        if name not in self.files:
            raise NotFoundError("no such file", subject=url)
        yield self.files[name]

    # Writing.

    def put(self, role: Role, metadata: Metadata[T]) -> bytes:
        data = sign.to_bytes(metadata)
        self.files[f"metadata/{metadata.signed.version}.{role.value}.json"] = data
        return data

    def put_target(self, document: sign.Document) -> TargetFile:
        folder, _, name = document.path.rpartition("/")
        sha256 = digest_bytes(document.data)
        self.files["/".join(filter(None, ["targets", folder, f"{sha256}.{name}"]))] = document.data
        return document.to_target()

    def metadata_of(self, role: Role) -> Metadata[Targets]:
        found: Metadata[Targets] = getattr(self, role.value)
        return found

    def flip(self, *roles: Role) -> None:
        """Name the newest metadata of these roles in a new snapshot, and that in a timestamp."""
        files: dict[str, tuple[int, bytes]] = {
            role: (self.metadata_of(role).signed.version, sign.to_bytes(self.metadata_of(role)))
            for role in roles
        }
        base = self.snapshot.signed if self.snapshot else None
        self.snapshot = sign.next_snapshot(base, files, [self.online], self.now)
        data = self.put(Role.SNAPSHOT, self.snapshot)
        self.point_at(self.snapshot.signed.version, data)

    def point_at(self, version: int, snapshot: bytes) -> None:
        before = self.timestamp.signed if self.timestamp else None
        self.timestamp = sign.next_timestamp(before, (version, snapshot), [self.online], self.now)
        self.files["metadata/timestamp.json"] = sign.to_bytes(self.timestamp)

    def publish(
        self,
        document: ReleaseDocument,
        *,
        entry: ReleaseEntry | None = None,
        extras: ExtrasDocument | None = None,
        path: str = "",
        custom: Mapping[str, object] | None = None,
    ) -> TargetFile:
        path = path or release_path(document.version)
        if custom is None:
            mark = entry or ReleaseEntry(version=document.version, channels=(STABLE,))
            custom = mark.to_json()
        target = self.put_target(
            sign.Document(path=path, data=document.to_bytes(), custom=custom or None)
        )
        targets = {**self.releases.signed.targets, path: target}
        if extras is not None:
            extra = sign.Document(path=extras_path(document.version), data=extras.to_bytes())
            targets[extra.path] = self.put_target(extra)
        self.list_releases(targets)
        return target

    def list_releases(self, targets: Mapping[str, TargetFile]) -> None:
        self.releases = sign.next_releases(self.releases.signed, targets, self.publishers, self.now)
        self.put(Role.RELEASES, self.releases)
        self.flip(Role.RELEASES)

    def issue(self, *documents: ChannelDocument) -> None:
        self.issue_bytes(*(sign.sign_channel(document, [self.online]) for document in documents))

    def issue_bytes(self, *envelopes: sign.Document) -> None:
        for envelope in envelopes:
            self.put_target(envelope)
        self.channels = sign.next_channels(self.channels.signed, envelopes, [self.online], self.now)
        self.put(Role.CHANNELS, self.channels)
        self.flip(Role.CHANNELS)

    def rotate_root(self, change: Callable[[Root], None] = lambda _root: None) -> None:
        """Put the next root in force; old and new maintainers are those held before and after."""
        before = list(self.maintainers)
        following = Metadata[Root].from_bytes(sign.to_bytes(self.root))
        following.signatures.clear()
        following.signed.version += 1
        change(following.signed)
        for signer in {id(one): one for one in [*before, *self.maintainers]}.values():
            following.sign(signer, append=True)
        self.root = following
        self.put(Role.ROOT, following)


def tampered(metadata: Metadata[T], old: bytes, new: bytes) -> bytes:
    """The bytes of metadata, with its content changed and its signatures kept."""
    data = sign.to_bytes(metadata)
    assert data.count(old) >= 1
    return data.replace(old, new)


def sha256_of(text: str) -> Sha256Hex:
    return digest_bytes(text.encode())
