"""`channels/<channel>/version.json`: what a channel offers now. Rewritten by the server.

It is a signed envelope, `{"signed": …, "signatures": […]}`, so that people and simple clients can
check the copy at the channel's stable address. Clients that follow the TUF chain trust the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from lockgate_release.documents.common import (
    open_document,
    read_sha256,
    rest_of,
    with_unknown,
)
from lockgate_release.gate import is_salt
from lockgate_release.instants import format_instant
from lockgate_release.names import (
    MAX_EXPOSURE_BP,
    AppName,
    ChannelName,
    Sha256Hex,
    is_channel_name,
)
from lockgate_release.strict_json import Fields, Json, JsonObject, dump_json, parse_json
from lockgate_release.versions import is_version_text

__all__ = [
    "MAX_APPROVALS",
    "TYPE",
    "ChannelDocument",
    "ChannelOffer",
    "Remedy",
    "Revocation",
    "Rollout",
    "RolloutState",
    "Stop",
    "parse_channel",
    "stricter",
]

TYPE = "lockgate.channel"
MIN_CHECK_INTERVAL_S = 60
MAX_CHECK_INTERVAL_S = 24 * 3600
DEFAULT_CHECK_INTERVAL_S = 3600
MAX_APPROVALS = 200
_PATH = r"(?!.*\.\.)[A-Za-z0-9._-]+(/[A-Za-z0-9.+!_-]+)+"


class RolloutState(StrEnum):
    """Whether a rollout may reach clients that do not have the release yet."""

    ACTIVE = "active"
    PAUSED = "paused"
    HALTED = "halted"


class Remedy(StrEnum):
    """What a client that has the revoked release installed does."""

    REPLACE = "replace"
    """Leave it for the newest allowed release, or else for the last good one."""
    LAST_GOOD = "last-good"
    """Leave it for the last good one on this machine, or else for the newest allowed release."""
    BLOCK_NEW = "block-new"
    """Stay: only new installations are blocked."""


def stricter(said: Remedy | None, known: Remedy | None) -> Remedy | None:
    """Return the remedy that counts when one is said now and one was seen before.

    What is said now, unless it would keep a release that was to be left: whoever holds the
    server's key can say anything, but not make a client forget what it has verified.
    """
    if said is None or (said is Remedy.BLOCK_NEW and known is not None):
        return known
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How far one release has got in one channel.

    Attributes:
        salt: 32 hexadecimal digits, the gate's key.
        exposure_bp: Share of clients that are offered it, 0 to 10000 basis points.
        control_bp: Share of clients that only report, 0 to 10000 - `exposure_bp`.
        epoch: Counts up at each change of the three above.
        state: Whether it may reach further clients.
        progress: Its plan and how far it has got in it, for whoever steers it; None where a person
            does. Clients have no use for it, and `rollout.progress` reads it.
    """

    salt: str
    exposure_bp: int
    control_bp: int
    epoch: int = 1
    state: RolloutState = RolloutState.ACTIVE
    progress: JsonObject | None = None
    unknown: JsonObject = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether everybody is offered the release."""
        return self.exposure_bp == MAX_EXPOSURE_BP and self.state is RolloutState.ACTIVE

    def to_json(self) -> JsonObject:
        """Return the rollout as it stands in the document."""
        known: dict[str, Json] = {
            "salt": self.salt,
            "exposure_bp": self.exposure_bp,
            "control_bp": self.control_bp,
            "epoch": self.epoch,
            "state": self.state.value,
        }
        if self.progress is not None:
            known["progress"] = self.progress
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOffer:
    """One release that a channel offers, pinned by the digest of its document."""

    version: str
    path: str
    sha256: Sha256Hex
    rollout: Rollout
    unknown: JsonObject = field(default_factory=dict)

    def with_rollout(self, rollout: Rollout) -> ChannelOffer:
        """Return the same offer at another stage."""
        return replace(self, rollout=rollout)

    def to_json(self) -> JsonObject:
        """Return the offer as it stands in the document."""
        known = {
            "version": self.version,
            "path": self.path,
            "sha256": self.sha256,
            "rollout": self.rollout.to_json(),
        }
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A release that must not be installed, and, by its remedy, must be left."""

    version: str
    reason: str
    remedy: Remedy
    at: datetime
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the revocation as it stands in the document."""
        known = {
            "version": self.version,
            "reason": self.reason,
            "remedy": self.remedy.value,
            "at": format_instant(self.at),
        }
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """That nothing in the channel may reach further clients, until people start it again.

    Clients need not know of it: what it has paused says so itself.

    Attributes:
        at: When somebody stopped it.
        reason: Why, for people.
        is_whole_app: Whether every channel of the app was stopped, those to come included.
        paused: What it paused, and the epoch it left that at, by version.
        approvals: Who wants it started again, each as a digest that names nobody.
    """

    at: datetime
    reason: str
    is_whole_app: bool = False
    paused: Mapping[str, int] = field(default_factory=dict)
    approvals: tuple[str, ...] = ()
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the stop as it stands in the document."""
        known: dict[str, Json] = {
            "at": format_instant(self.at),
            "reason": self.reason,
            "whole_app": self.is_whole_app,
            "paused": dict(self.paused),
            "approvals": list(self.approvals),
        }
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDocument:
    """What a channel offers now.

    Attributes:
        app: The app.
        channel: The channel.
        sequence: Counts up at each issue; never reused.
        issued_at: When the server signed it.
        expires_at: When it stops being an answer.
        offers: Newest first, ending with one fully released version where there is one.
        once_full: Versions that were offered to everybody here, newest first: where to fall back
            to when the last full release is revoked.
        revoked: What must not be installed.
        check_interval_s: How often to look again, 60 to 86400 seconds.
        stop: That nothing moves here, or None.
        retire_at: When a preview channel ends: from then on it offers nothing. None for one that
            lasts.
        approvals: Who lets which release in here, as they stand; `documents.approval` reads them.
    """

    app: AppName
    channel: ChannelName
    sequence: int
    issued_at: datetime
    expires_at: datetime
    offers: tuple[ChannelOffer, ...] = ()
    once_full: tuple[str, ...] = ()
    revoked: tuple[Revocation, ...] = ()
    check_interval_s: int = DEFAULT_CHECK_INTERVAL_S
    stop: Stop | None = None
    retire_at: datetime | None = None
    approvals: tuple[JsonObject, ...] = ()
    unknown: JsonObject = field(default_factory=dict)

    def has_ended(self, now: datetime) -> bool:
        """Whether this is a preview channel whose time is over."""
        return self.retire_at is not None and now >= self.retire_at

    def revocation_of(self, version: str) -> Revocation | None:
        """Return the revocation of `version`, if it is revoked here."""
        return next((item for item in self.revoked if item.version == version), None)

    def offer_of(self, version: str) -> ChannelOffer | None:
        """Return the offer of `version`, if it is offered here."""
        return next((item for item in self.offers if item.version == version), None)

    def to_json(self) -> JsonObject:
        """Return the part of the envelope that is signed."""
        known: dict[str, Json] = {
            "_type": TYPE,
            "app": self.app,
            "channel": self.channel,
            "sequence": self.sequence,
            "issued_at": format_instant(self.issued_at),
            "expires_at": format_instant(self.expires_at),
            "offers": [offer.to_json() for offer in self.offers],
            "once_full": list(self.once_full),
            "revoked": [revocation.to_json() for revocation in self.revoked],
            "check_interval_s": self.check_interval_s,
        }
        if self.stop is not None:
            known["stop"] = self.stop.to_json()
        if self.retire_at is not None:
            known["retire_at"] = format_instant(self.retire_at)
        if self.approvals:
            known["approvals"] = list(self.approvals)
        return with_unknown(known, self.unknown)

    def to_envelope(self, signatures: list[dict[str, str]]) -> bytes:
        """Return the envelope's bytes.

        Args:
            signatures: `{"keyid", "sig"}` over the OLPC canonical JSON of `to_json()`.
        """
        return dump_json({"signed": self.to_json(), "signatures": signatures})


def parse_channel(data: bytes, *, subject: str = "version.json") -> ChannelDocument:
    """Return the channel document in the envelope `data`; its signatures are not looked at.

    Raises:
        DocumentError: It is not one; the message names the field.
    """
    envelope = parse_json(data, subject=subject)
    envelope.objects("signatures", most=16)
    fields = envelope.object("signed")
    app = open_document(fields, TYPE)
    document = ChannelDocument(
        app=app,
        channel=ChannelName(fields.checked("channel", is_channel_name, "a channel name")),
        sequence=fields.integer("sequence", minimum=1),
        issued_at=fields.instant("issued_at"),
        expires_at=fields.instant("expires_at"),
        offers=tuple(_read_offer(item) for item in fields.objects("offers", most=100)),
        once_full=_read_versions(fields, "once_full"),
        revoked=tuple(_read_revocation(item) for item in fields.objects("revoked")),
        check_interval_s=fields.integer(
            "check_interval_s",
            minimum=MIN_CHECK_INTERVAL_S,
            maximum=MAX_CHECK_INTERVAL_S,
            default=DEFAULT_CHECK_INTERVAL_S,
        ),
        stop=_read_stop(fields.object("stop")) if fields.has("stop") else None,
        retire_at=fields.instant("retire_at") if "retire_at" in fields.names() else None,
        approvals=tuple(
            item.raw() for item in fields.objects("approvals", most=MAX_APPROVALS, optional=True)
        ),
    )
    versions = [offer.version for offer in document.offers]
    if len(set(versions)) != len(versions):
        fields.fail("offers", "a version offered twice")
    return replace(document, unknown=rest_of(fields))


def _read_offer(fields: Fields) -> ChannelOffer:
    return ChannelOffer(
        version=fields.checked("version", is_version_text, "a version"),
        path=fields.text("path", pattern=_PATH, max_length=200),
        sha256=read_sha256(fields, "sha256"),
        rollout=_read_rollout(fields.object("rollout")),
        unknown=rest_of(fields),
    )


def _read_rollout(fields: Fields) -> Rollout:
    exposure_bp = fields.integer("exposure_bp", maximum=MAX_EXPOSURE_BP)
    return Rollout(
        salt=fields.checked("salt", is_salt, "32 lower-case hexadecimal digits"),
        exposure_bp=exposure_bp,
        control_bp=fields.integer("control_bp", maximum=MAX_EXPOSURE_BP - exposure_bp),
        epoch=fields.integer("epoch", minimum=1),
        state=fields.choice("state", RolloutState),
        progress=fields.object("progress").raw() if fields.has("progress") else None,
        unknown=rest_of(fields),
    )


def _read_revocation(fields: Fields) -> Revocation:
    return Revocation(
        version=fields.checked("version", is_version_text, "a version"),
        reason=fields.text("reason", max_length=1000),
        remedy=fields.choice("remedy", Remedy),
        at=fields.instant("at"),
        unknown=rest_of(fields),
    )


def _read_stop(fields: Fields) -> Stop:
    paused = fields.object("paused", optional=True)
    return Stop(
        at=fields.instant("at"),
        reason=fields.text("reason", max_length=1000),
        is_whole_app=fields.boolean("whole_app", default=False),
        paused={name: paused.integer(name, minimum=1) for name in paused.names()},
        approvals=fields.texts("approvals", most=100, optional=True),
        unknown=rest_of(fields),
    )


def _read_versions(fields: Fields, name: str) -> tuple[str, ...]:
    versions: tuple[str, ...] = fields.texts(name, most=1000, optional=True)
    for version in versions:
        if not is_version_text(version):
            fields.fail(name, "wrong value", expected="versions", found=repr(version[:80]))
    return versions
