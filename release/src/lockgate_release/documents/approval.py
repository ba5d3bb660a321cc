"""An approval: that people let one release into one channel.

It is a signed envelope, `{"signed": …, "signatures": […]}`, carried in the channel's document. It
names the app, the channel, the version and the digest of the release's document, so that it stands
for no other. Everybody who approves the same release signs the same words: those of whoever was
first, the moment included. Its signatures are checked by `trust.standing`, not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from lockgate_release.documents.common import open_document, read_sha256, rest_of, with_unknown
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, ChannelName, Sha256Hex, is_channel_name
from lockgate_release.strict_json import Fields, Json, JsonObject, dump_json, parse_json
from lockgate_release.versions import is_version_text

__all__ = ["MOST_SIGNATURES", "TYPE", "Approval", "parse_approval", "read_approval"]

TYPE = "lockgate.approval"
MOST_SIGNATURES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """That a release may be offered in a channel, and who says so; nothing of it is verified.

    Attributes:
        app: The app.
        channel: Where it may be offered.
        version: The release.
        release_sha256: The digest of the release's document.
        approved_at: When the first of them approved.
        signatures: The signatures in hexadecimal digits, by the id of the key.
    """

    app: AppName
    channel: ChannelName
    version: str
    release_sha256: Sha256Hex
    approved_at: datetime
    signatures: tuple[tuple[str, str], ...] = ()
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the part of the envelope that is signed."""
        known: dict[str, Json] = {
            "_type": TYPE,
            "app": self.app,
            "channel": self.channel,
            "version": self.version,
            "release_sha256": self.release_sha256,
            "approved_at": format_instant(self.approved_at),
        }
        return with_unknown(known, self.unknown)

    def to_envelope(self) -> JsonObject:
        """Return the envelope as it stands in the channel's document."""
        signatures = [{"keyid": keyid, "sig": sig} for keyid, sig in self.signatures]
        return {"signed": self.to_json(), "signatures": signatures}

    def to_bytes(self) -> bytes:
        """Return the envelope's bytes."""
        return dump_json(self.to_envelope())

    def is_about(self, app: AppName, channel: ChannelName, version: str, sha256: Sha256Hex) -> bool:
        """Whether it lets this very release into this channel."""
        said = (self.app, self.channel, self.version, self.release_sha256)
        return said == (app, channel, version, sha256)

    def says_the_same(self, other: Approval) -> bool:
        """Whether both are over the same words, whoever signed them."""
        return self.to_json() == other.to_json()

    def with_signatures(self, other: Approval) -> Approval:
        """Return it with the signatures of another envelope over the same words put beside."""
        both = {**dict(self.signatures), **dict(other.signatures)}
        return replace(self, signatures=tuple(sorted(both.items())))


def parse_approval(data: bytes, *, subject: str = "approval") -> Approval:
    """Return the approval in `data`; its signatures are not looked at.

    Raises:
        DocumentError: It is none; the message names the field.
    """
    return _read(parse_json(data, subject=subject))


def read_approval(raw: JsonObject, *, subject: str = "approval") -> Approval:
    """Return the approval in an object of a channel's document; its signatures are not looked at.

    Raises:
        DocumentError: It is none; the message names the field.
    """
    return _read(Fields(raw, subject=subject, path=""))


def _read(envelope: Fields) -> Approval:
    signatures = tuple(
        (item.text("keyid", max_length=128), item.text("sig", max_length=20_000))
        for item in envelope.objects("signatures", most=MOST_SIGNATURES)
    )
    if len(dict(signatures)) != len(signatures):
        envelope.fail("signatures", "a key that signed twice", expected="each key once")
    fields = envelope.object("signed")
    approval = Approval(
        app=open_document(fields, TYPE),
        channel=ChannelName(fields.checked("channel", is_channel_name, "a channel name")),
        version=fields.checked("version", is_version_text, "a version"),
        release_sha256=read_sha256(fields, "release_sha256"),
        approved_at=fields.instant("approved_at"),
        signatures=signatures,
    )
    return replace(approval, unknown=rest_of(fields))
