"""What must outlive the cache: what a client has seen signed, and what has failed here.

Pure values and rules; `load_memory` and `store_memory` alone touch the disk.

1. A revocation that was seen stays known, until the publishers lift it, and not by a lift of one
   that was made before; so does a remedy that says to leave, whatever milder one comes later.
2. A channel's floor is the highest ever seen.
3. What the online key says does not outlive it: sequence, timestamp and the latest signed time are
   kept with the ids of the keys that may have signed them, and forgotten when one leaves root.
4. An older sequence or timestamp than one already seen is a stale mirror, not news.
5. A release that failed is not tried again for a while, and for longer each time. What a wrong
   clock wrote cannot make that while longer than it may be.
6. A delta that failed is not tried again at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from lockgate_release.decision import Quarantine
from lockgate_release.documents import ChannelDocument, Remedy, TrustedRelease, stricter
from lockgate_release.errors import DocumentError, LocalError, StaleMirrorError
from lockgate_release.instants import format_instant
from lockgate_release.names import ChannelName, Sha256Hex, is_channel_name
from lockgate_release.strict_json import Fields, dump_json, parse_json
from lockgate_release.versions import VersionScheme, is_version_text
from lockgate_updater.state.durable import read_own_file, set_aside, write_durably
from lockgate_updater.state.quarantine import (
    FailedDelta,
    Failure,
    is_believable,
    quarantine_end,
    read_failed_delta,
    read_failure,
)

__all__ = [
    "Failure",
    "Memory",
    "OnlineWord",
    "believable_at",
    "check_not_older",
    "learn",
    "load_memory",
    "parse_memory",
    "read_memory",
    "store_memory",
    "with_failure",
]

FORMAT = 1
_MAX_FAILURES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineWord:
    """What the server's key has said, for as long as root trusts that key (rule 3).

    Attributes:
        key_ids: The keys that root trusted with it.
        timestamp_version: The highest number of a timestamp.
        sequences: The highest sequence of each channel.
        signed_at: The latest moment at which a channel's document was signed.
    """

    key_ids: tuple[str, ...] = ()
    timestamp_version: int = 0
    sequences: Mapping[ChannelName, int] = field(default_factory=dict)
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything that is remembered.

    Attributes:
        scheme: How the app's versions are ordered, once it is known.
        revocations: Versions seen revoked, and their remedies, by channel.
        revoked_at: The latest moment at which they were revoked, by channel, where that was seen.
        floors: The highest floor seen, by channel.
        online: What the server's key has said.
        failures: What failed here.
        failed_deltas: The deltas that failed here, the latest last.
    """

    scheme: VersionScheme | None = None
    revocations: Mapping[ChannelName, Mapping[str, Remedy]] = field(default_factory=dict)
    revoked_at: Mapping[ChannelName, Mapping[str, datetime]] = field(default_factory=dict)
    floors: Mapping[ChannelName, str] = field(default_factory=dict)
    online: OnlineWord = OnlineWord()
    failures: tuple[Failure, ...] = ()
    failed_deltas: tuple[FailedDelta, ...] = ()

    def revoked_in(self, channel: ChannelName) -> Mapping[str, Remedy]:
        """Return what was seen revoked in the channel."""
        return self.revocations.get(channel, {})

    def must_leave(self, channel: ChannelName, version: str) -> bool:
        """Whether the version was seen revoked in a way that does not let it stay."""
        remedy = self.revoked_in(channel).get(version)
        return remedy is not None and remedy is not Remedy.BLOCK_NEW

    def may_run(self, channel: ChannelName, version: str) -> bool:
        """Whether a version on the disk may be gone back to: not revoked, not below the floor."""
        if version in self.revoked_in(channel):
            return False
        floor = self.floors.get(channel)
        if not floor or self.scheme is None:
            return True
        return self.scheme.parse(version) >= self.scheme.parse(floor)

    def quarantine(self) -> tuple[Quarantine, ...]:
        """Return the failures as decisions take them."""
        return tuple(Quarantine(sha256=item.sha256, until=item.until) for item in self.failures)


def check_not_older(
    memory: Memory, document: ChannelDocument, key_ids: tuple[str, ...], timestamp_version: int
) -> None:
    """Refuse an older state than one already seen (rule 4).

    Raises:
        StaleMirrorError: It is older.
    """
    known = _still_trusted(memory.online, key_ids)
    seen = known.sequences.get(document.channel, 0)
    if document.sequence < seen:
        raise StaleMirrorError(
            "an older channel document than one already verified",
            subject=document.channel,
            expected=f"sequence {seen} or later",
            found=f"sequence {document.sequence}",
        )
    if timestamp_version < known.timestamp_version:
        raise StaleMirrorError(
            "an older timestamp than one already verified",
            subject="timestamp.json",
            expected=f"version {known.timestamp_version} or later",
            found=f"version {timestamp_version}",
        )


def learn(
    memory: Memory,
    document: ChannelDocument,
    releases: Iterable[TrustedRelease],
    scheme: VersionScheme,
    key_ids: tuple[str, ...],
    timestamp_version: int,
) -> Memory:
    """Return the memory with what these verified documents say (rules 1 to 3).

    Raises:
        VersionError: A floor is not of the app's scheme.
    """
    seen = tuple(releases)
    channel = document.channel
    known = _still_trusted(memory.online, key_ids)
    latest = max(filter(None, (known.signed_at, document.issued_at)))
    online = OnlineWord(
        key_ids=key_ids,
        timestamp_version=max(known.timestamp_version, timestamp_version),
        sequences={**known.sequences, channel: document.sequence},
        signed_at=latest,
    )
    floors = dict(memory.floors)
    floor = _highest_floor(memory, channel, seen, scheme)
    if floor:
        floors[channel] = floor
    known_still = _without_lifted(memory, channel, seen)
    latest_at = {v: at for v, at in memory.revoked_at.get(channel, {}).items() if v in known_still}
    for item in document.revoked:
        # No later than it was signed: else who has the key would put it beyond every lift.
        at = min(item.at, document.issued_at)
        latest_at[item.version] = max(at, latest_at.get(item.version, at))
    return replace(
        memory,
        scheme=scheme,
        online=online,
        floors=floors,
        revocations={**memory.revocations, channel: _revocations(known_still, document)},
        revoked_at={**memory.revoked_at, channel: latest_at},
    )


def _still_trusted(word: OnlineWord, key_ids: tuple[str, ...]) -> OnlineWord:
    """Forget everything when a key that may have said it is no longer trusted (rule 3)."""
    return word if set(word.key_ids) <= set(key_ids) else OnlineWord()


def _without_lifted(
    memory: Memory, channel: ChannelName, releases: tuple[TrustedRelease, ...]
) -> dict[str, Remedy]:
    """Return what stays known of the revocations in a channel, whatever the server says now."""
    revoked_at = memory.revoked_at.get(channel, {})
    lifted = {
        release.document.version
        for release in releases
        if release.entry.lifts(channel, revoked_at.get(release.document.version))
    }
    known = memory.revoked_in(channel)
    return {version: remedy for version, remedy in known.items() if version not in lifted}


def _revocations(known: Mapping[str, Remedy], document: ChannelDocument) -> dict[str, Remedy]:
    revocations = dict(known)
    for item in document.revoked:
        said = stricter(item.remedy, known.get(item.version)) or item.remedy
        revocations[item.version] = said
    return revocations


def _highest_floor(
    memory: Memory,
    channel: ChannelName,
    releases: tuple[TrustedRelease, ...],
    scheme: VersionScheme,
) -> str:
    floors = [memory.floors.get(channel, "")]
    floors += [release.entry.floors.get(channel, "") for release in releases]
    return max(filter(None, floors), key=scheme.parse, default="")


def with_failure(
    memory: Memory, *, sha256: Sha256Hex, version: str, attempt: str, reason: str, now: datetime
) -> Memory:
    """Return the memory with this failure; the same attempt is counted once (rule 5)."""
    known = next((item for item in memory.failures if item.sha256 == sha256), None)
    if known is not None and known.attempt == attempt:
        return memory
    failures = min(known.failures + 1 if known else 1, _MAX_FAILURES)
    failure = Failure(
        sha256=sha256,
        version=version,
        failures=failures,
        until=quarantine_end(now, failures),
        attempt=attempt,
        reason=reason[:500],
    )
    others = tuple(item for item in memory.failures if item.sha256 != sha256)
    return replace(memory, failures=(*others, failure))


def believable_at(now: datetime, memory: Memory) -> Memory:
    """Return the memory in which a quarantine is over that a wrong clock has begun (rule 5)."""
    failures = tuple(
        item if is_believable(item.until, now, item.failures) else replace(item, until=now)
        for item in memory.failures
    )
    return replace(memory, failures=failures)


def load_memory(path: Path) -> tuple[Memory, Path | None]:
    """Return the memory, and where a damaged one was set aside, if one was.

    Raises:
        LocalError: It cannot be read, or a newer updater wrote it.
    """
    try:
        return parse_memory(path), None
    except (DocumentError, ValueError):
        return Memory(), set_aside(path)


def parse_memory(path: Path) -> Memory:
    """Return the memory, an empty one if there is none yet. Changes nothing.

    Raises:
        DocumentError: It is damaged; a ValueError can say so too.
        LocalError: It cannot be read, or a newer updater wrote it.
    """
    data = read_own_file(path)
    return Memory() if data is None else _parse(data, str(path))


def read_memory(path: Path) -> Memory:
    """Return the memory, or an empty one where there is none or a damaged one. Changes nothing.

    Raises:
        LocalError: It cannot be read, or a newer updater wrote it.
    """
    data = read_own_file(path)
    try:
        return Memory() if data is None else _parse(data, str(path))
    except (DocumentError, ValueError):
        return Memory()


def store_memory(path: Path, memory: Memory) -> None:
    """Leave the memory on the disk.

    Raises:
        LocalError: It cannot be written.
    """
    online = memory.online
    write_durably(
        path,
        dump_json(
            {
                "format": FORMAT,
                "scheme": memory.scheme.value if memory.scheme else "",
                "revocations": {
                    channel: {version: remedy.value for version, remedy in known.items()}
                    for channel, known in memory.revocations.items()
                },
                "revoked_at": {
                    channel: {version: format_instant(at) for version, at in known.items()}
                    for channel, known in memory.revoked_at.items()
                },
                "floors": {str(channel): floor for channel, floor in memory.floors.items()},
                "online": {
                    "key_ids": list(online.key_ids),
                    "timestamp_version": online.timestamp_version,
                    "sequences": {str(name): number for name, number in online.sequences.items()},
                    "signed_at": format_instant(online.signed_at) if online.signed_at else "",
                },
                "failures": [failure.to_json() for failure in memory.failures],
                "failed_deltas": [item.to_json() for item in memory.failed_deltas],
            }
        ),
    )


def _parse(data: bytes, subject: str) -> Memory:
    fields = parse_json(data, subject=subject)
    found = fields.integer("format", minimum=1)
    if found > FORMAT:
        raise LocalError(
            "written by a newer updater",
            subject=subject,
            expected=f"format {FORMAT}",
            found=f"format {found}",
        )
    scheme = fields.text("scheme")
    revocations = fields.object("revocations")
    revoked_at = fields.object("revoked_at", optional=True)
    floors = fields.object("floors")
    return Memory(
        scheme=VersionScheme(scheme) if scheme else None,
        revocations={
            _channel(revocations, name): _parse_remedies(revocations.object(name))
            for name in revocations.names()
        },
        revoked_at={
            _channel(revoked_at, name): _parse_instants(revoked_at.object(name))
            for name in revoked_at.names()
        },
        floors={
            _channel(floors, name): floors.checked(name, is_version_text, "a version")
            for name in floors.names()
        },
        online=_parse_online(fields.object("online")),
        failures=tuple(read_failure(item) for item in fields.objects("failures")),
        failed_deltas=tuple(
            read_failed_delta(item) for item in fields.objects("failed_deltas", optional=True)
        ),
    )


def _channel(fields: Fields, name: str) -> ChannelName:
    if not is_channel_name(name):
        fields.fail(name, "wrong name", expected="a channel name")
    return ChannelName(name)


def _parse_remedies(fields: Fields) -> dict[str, Remedy]:
    return {version: fields.choice(version, Remedy) for version in fields.names()}


def _parse_instants(fields: Fields) -> dict[str, datetime]:
    return {version: fields.instant(version) for version in fields.names()}


def _parse_online(fields: Fields) -> OnlineWord:
    sequences = fields.object("sequences")
    return OnlineWord(
        key_ids=fields.texts("key_ids"),
        timestamp_version=fields.integer("timestamp_version"),
        sequences={
            _channel(sequences, name): sequences.integer(name) for name in sequences.names()
        },
        signed_at=fields.instant("signed_at") if fields.text("signed_at") else None,
    )
