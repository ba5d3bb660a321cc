"""What the command line asks of the server's API: one value for each request, read strictly.

Both sides use these, so that they cannot drift apart. Bytes travel as base64 in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lockgate_release.base64_fields import decode_all, decode_bytes, encode_all, encode_bytes
from lockgate_release.documents import Remedy
from lockgate_release.instants import format_instant
from lockgate_release.names import MAX_EXPOSURE_BP, ChannelName, is_channel_name
from lockgate_release.steering_requests import ChosenPlan, read_chosen_plan
from lockgate_release.strict_json import Fields, Json, JsonObject, parse_json
from lockgate_release.trust.roles import Role
from lockgate_release.versions import is_version_text

__all__ = [
    "MAX_LIFETIME_S",
    "MIN_LIFETIME_S",
    "MirrorRequest",
    "MirrorSignature",
    "OfferRequest",
    "PublishRequest",
    "RegisterRequest",
    "RenewRequest",
    "RevokeRequest",
    "UnrevokeRequest",
    "read_offer",
]

MIN_LIFETIME_S = 3600
MAX_LIFETIME_S = 366 * 86400
"""How long a preview channel may last: an hour to a year."""

_SUBJECT = "request"
_OFFLINE_ROLE = r"(?!channels$|snapshot$|timestamp$)[a-z][a-z0-9_-]{0,31}"
_WORDS = r"(?s).*\S.*"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRequest:
    """Register an app: its first metadata, signed offline.

    Attributes:
        root: Version 1 of root.
        targets: Version 1 of targets.
        releases: Version 1 of releases, empty.
        documents: The targets that these name, by path: the policy.
    """

    root: bytes
    targets: bytes
    releases: bytes
    documents: Mapping[str, bytes]

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {
            "root": encode_bytes(self.root),
            "targets": encode_bytes(self.targets),
            "releases": encode_bytes(self.releases),
            "documents": encode_all(self.documents),
        }

    @classmethod
    def parse(cls, data: bytes) -> RegisterRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            root=decode_bytes(fields, "root"),
            targets=decode_bytes(fields, "targets"),
            releases=decode_bytes(fields, "releases"),
            documents=decode_all(fields, "documents"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRequest:
    """Offer a live release in a channel.

    Attributes:
        channel: Where.
        version: The release.
        exposure_bp: To what share of its clients, in basis points; a plan says it otherwise.
        chosen: The plan it follows; None: a person steers it.
        lifetime_s: When the channel ends, in seconds from now, if it is one for a preview; 0 says
            nothing of that.
        allow_unattested: Whoever asks answers for it, though nobody has proven who built it.
    """

    channel: ChannelName
    version: str
    exposure_bp: int = MAX_EXPOSURE_BP
    chosen: ChosenPlan | None = None
    lifetime_s: int = 0
    allow_unattested: bool = False

    def to_json(self) -> JsonObject:
        """Return the offer as it stands in a request."""
        said: dict[str, Json] = {
            "channel": self.channel,
            "version": self.version,
            "exposure_bp": self.exposure_bp,
        }
        if self.chosen is not None:
            said["chosen"] = self.chosen.to_json()
        if self.lifetime_s:
            said["lifetime_s"] = self.lifetime_s
        if self.allow_unattested:
            said["allow_unattested"] = True
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """Put the next list of releases in force, and offer one of them, in one step.

    Attributes:
        releases: The next `releases` metadata, signed; None to offer what is live already.
        documents: Documents that the list names and the server may not have yet, by path.
        offer: What to offer; None only changes the list.
        role: The role of releases whose list it is.
    """

    releases: bytes | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)
    offer: OfferRequest | None = None
    role: str = Role.RELEASES.value

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        body: dict[str, Json] = {"documents": encode_all(self.documents)}
        if self.releases is not None:
            body["releases"] = encode_bytes(self.releases)
        if self.offer is not None:
            body["offer"] = self.offer.to_json()
        if self.role != Role.RELEASES:
            body["role"] = self.role
        return body

    @classmethod
    def parse(cls, data: bytes) -> PublishRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            releases=decode_bytes(fields, "releases") if fields.has("releases") else None,
            documents=decode_all(fields, "documents"),
            offer=read_offer(fields.object("offer")) if fields.has("offer") else None,
            role=fields.text("role", max_length=64, default=Role.RELEASES.value),
        )


def read_offer(fields: Fields) -> OfferRequest:
    """Return the offer in the fields of a request.

    Raises:
        DocumentError: It is none.
    """
    return OfferRequest(
        channel=ChannelName(fields.checked("channel", is_channel_name, "a channel name")),
        version=fields.checked("version", is_version_text, "a version"),
        exposure_bp=fields.integer("exposure_bp", maximum=MAX_EXPOSURE_BP),
        chosen=read_chosen_plan(fields.object("chosen")) if fields.has("chosen") else None,
        lifetime_s=_read_lifetime(fields),
        allow_unattested=fields.boolean("allow_unattested", default=False),
    )


def _read_lifetime(fields: Fields) -> int:
    if not fields.has("lifetime_s"):
        return 0
    return fields.integer("lifetime_s", minimum=MIN_LIFETIME_S, maximum=MAX_LIFETIME_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeRequest:
    """Revoke a release.

    Attributes:
        version: The release.
        reason: Why, for people, 1 to 1000 characters.
        remedy: How clients that have it leave it.
        channels: Where; empty means in every channel.
        dry_run: Only say what would come of it.
    """

    version: str
    reason: str
    remedy: Remedy = Remedy.REPLACE
    channels: tuple[ChannelName, ...] = ()
    dry_run: bool = False

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {
            "version": self.version,
            "reason": self.reason,
            "remedy": self.remedy.value,
            "channels": list(self.channels),
            "dry_run": self.dry_run,
        }

    @classmethod
    def parse(cls, data: bytes) -> RevokeRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            version=fields.checked("version", is_version_text, "a version"),
            reason=fields.text("reason", pattern=_WORDS, max_length=1000),
            remedy=fields.choice("remedy", Remedy, default=Remedy.REPLACE),
            channels=_read_channels(fields, optional=True),
            dry_run=fields.boolean("dry_run", default=False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnrevokeRequest:
    """Take a revocation back that the publishers have lifted.

    Attributes:
        version: The release.
        reason: Why, for people, 1 to 1000 characters.
        channels: Where, at least one.
        releases: The next `releases` metadata, signed, with the lift in the release's entry; None
            where the list in force has it already.
        role: The role of releases whose list it is.
    """

    version: str
    reason: str
    channels: tuple[ChannelName, ...]
    releases: bytes | None = None
    role: str = Role.RELEASES.value

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        body: dict[str, Json] = {
            "version": self.version,
            "reason": self.reason,
            "channels": list(self.channels),
        }
        if self.releases is not None:
            body["releases"] = encode_bytes(self.releases)
        if self.role != Role.RELEASES:
            body["role"] = self.role
        return body

    @classmethod
    def parse(cls, data: bytes) -> UnrevokeRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        channels = _read_channels(fields, optional=False)
        if not channels:
            fields.fail("channels", "none", expected="at least one channel")
        return cls(
            version=fields.checked("version", is_version_text, "a version"),
            reason=fields.text("reason", pattern=_WORDS, max_length=1000),
            channels=channels,
            releases=decode_bytes(fields, "releases") if fields.has("releases") else None,
            role=fields.text("role", max_length=64, default=Role.RELEASES.value),
        )


def _read_channels(fields: Fields, *, optional: bool) -> tuple[ChannelName, ...]:
    channels = fields.texts("channels", optional=optional)
    for name in channels:
        if not is_channel_name(name):
            fields.fail("channels", "wrong value", expected="channel names", found=repr(name[:80]))
    return tuple(ChannelName(name) for name in channels)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewRequest:
    """Put newer metadata of an offline role in force.

    Attributes:
        role: `root`, `targets`, `releases` or a further role of releases.
        metadata: The next metadata of that role, signed.
        documents: Targets that it names and the server may not have yet, by path.
    """

    role: str
    metadata: bytes
    documents: Mapping[str, bytes] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {
            "role": self.role,
            "metadata": encode_bytes(self.metadata),
            "documents": encode_all(self.documents),
        }

    @classmethod
    def parse(cls, data: bytes) -> RenewRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            role=fields.text("role", pattern=_OFFLINE_ROLE),
            metadata=decode_bytes(fields, "metadata"),
            documents=decode_all(fields, "documents"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorRequest:
    """Sign a state for a copy, to be valid for this many seconds."""

    valid_for_s: int

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {"valid_for_s": self.valid_for_s}

    @classmethod
    def parse(cls, data: bytes) -> MirrorRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(valid_for_s=fields.integer("valid_for_s", minimum=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSignature:
    """A state that was signed for a copy alone: the answer to `MirrorRequest`.

    Attributes:
        timestamp_version: Its number. The one in force is the next, and no other has this one.
        expires_at: Until when it is valid.
        shortened: The role of people's that ends at that time, sooner than was asked for, or "".
        files: What the store does not hold, by path below the app's address.
    """

    timestamp_version: int
    expires_at: datetime
    shortened: str
    files: Mapping[str, bytes]

    def to_json(self) -> JsonObject:
        """Return the answer's body."""
        return {
            "timestamp_version": self.timestamp_version,
            "expires_at": format_instant(self.expires_at),
            "shortened": self.shortened,
            "files": encode_all(self.files),
        }

    @classmethod
    def parse(cls, data: bytes) -> MirrorSignature:
        """Return the signature in an answer.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject="answer")
        return cls(
            timestamp_version=fields.integer("timestamp_version", minimum=1),
            expires_at=fields.instant("expires_at"),
            shortened=fields.text("shortened", max_length=32),
            files=decode_all(fields, "files"),
        )
