"""What is asked of the API about changes that wait for signatures. Both sides use these values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lockgate_release.base64_fields import decode_all, decode_bytes, encode_all, encode_bytes
from lockgate_release.names import ChannelName, is_channel_name
from lockgate_release.requests import OfferRequest, read_offer
from lockgate_release.strict_json import Fields, Json, JsonObject, parse_json
from lockgate_release.trust.roles import Role
from lockgate_release.versions import is_version_text

__all__ = [
    "MAX_TITLE",
    "LiftWish",
    "PendingContent",
    "PendingRequest",
    "SignaturesRequest",
    "Wishes",
    "WithdrawRequest",
    "is_change_id",
]

MAX_TITLE = 200
"""How long what a change is called may be, in characters."""

_SUBJECT = "request"
_WORDS = r"(?s).*\S.*"
_HEX = frozenset("0123456789abcdef")
_MAX_SIGNATURES = 64
_MAX_OFFERS = 200


def is_change_id(text: str) -> bool:
    """Whether a text is the id of a change: 64 lower-case hexadecimal digits."""
    return len(text) == 64 and set(text) <= _HEX


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftWish:
    """That a revocation is to be taken back, once the list that lifts it is in force.

    Attributes:
        version: The release.
        reason: Why, for people, 1 to 1000 characters.
        channels: Where, at least one.
    """

    version: str
    reason: str
    channels: tuple[ChannelName, ...]

    def to_json(self) -> JsonObject:
        """Return the wish as it stands in a request."""
        return {"version": self.version, "reason": self.reason, "channels": list(self.channels)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the server is to do with a list once it is in force. No publisher signs it.

    Attributes:
        offers: What to offer, in this order.
        lifts: Which revocations to take back.
    """

    offers: tuple[OfferRequest, ...] = ()
    lifts: tuple[LiftWish, ...] = ()

    def to_json(self) -> JsonObject:
        """Return the wishes as they stand in a request."""
        return {
            "offers": [offer.to_json() for offer in self.offers],
            "lifts": [lift.to_json() for lift in self.lifts],
        }

    @classmethod
    def read(cls, fields: Fields) -> Wishes:
        """Return the wishes in the fields of a request.

        Raises:
            DocumentError: They are none.
        """
        offers = fields.objects("offers", optional=True)
        if len(offers) > _MAX_OFFERS:
            fields.fail("offers", "too many", expected=f"at most {_MAX_OFFERS}")
        return cls(
            offers=tuple(read_offer(item) for item in offers),
            lifts=tuple(_read_lift(item) for item in fields.objects("lifts", optional=True)),
        )


def _read_lift(fields: Fields) -> LiftWish:
    names = fields.texts("channels")
    if not names or not all(is_channel_name(name) for name in names):
        fields.fail("channels", "wrong value", expected="channel names, at least one")
    return LiftWish(
        version=fields.checked("version", is_version_text, "a version"),
        reason=fields.text("reason", pattern=_WORDS, max_length=1000),
        channels=tuple(ChannelName(name) for name in names),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRequest:
    """Keep a next list until enough publishers have signed it, and put it in force then.

    Attributes:
        releases: The list, with fewer signatures than it needs, or none.
        title: What it is, for people.
        role: The role that signs it.
        documents: Documents that it names and the server may not have yet, by path.
        wishes: What to do once it is in force.
        instead_of: The id of the change that this one contains and takes the place of, which
            nobody has signed yet; or "".
    """

    releases: bytes
    title: str
    role: str = Role.RELEASES.value
    documents: Mapping[str, bytes] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)
    instead_of: str = ""

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        body: dict[str, Json] = {
            "releases": encode_bytes(self.releases),
            "title": self.title,
            "role": self.role,
            "documents": encode_all(self.documents),
            **self.wishes.to_json(),
        }
        return {**body, "instead_of": self.instead_of} if self.instead_of else body

    @classmethod
    def parse(cls, data: bytes) -> PendingRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(
            releases=decode_bytes(fields, "releases"),
            title=fields.text("title", pattern=_WORDS, max_length=MAX_TITLE),
            role=_read_role(fields),
            documents=decode_all(fields, "documents"),
            wishes=Wishes.read(fields),
            instead_of=fields.checked("instead_of", is_change_id, "the id of a change")
            if fields.has("instead_of")
            else "",
        )


def _read_role(fields: Fields) -> str:
    if not fields.has("role"):
        return Role.RELEASES.value
    return fields.text("role", pattern=r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingContent:
    """A pending change with every byte of it: what whoever is to sign it looks through.

    Attributes:
        change_id: What tells it from every other change, as the server says.
        role: The role that signs it.
        releases: The list, with the signatures so far.
        title: What it is, for people.
        documents: Every document in it that is new or changed, by path.
        wishes: What the server will do once it is in force.
    """

    change_id: str
    role: str
    releases: bytes
    title: str
    documents: Mapping[str, bytes]
    wishes: Wishes

    def to_json(self) -> JsonObject:
        """Return the answer's body."""
        return {
            "change": self.change_id,
            "role": self.role,
            "releases": encode_bytes(self.releases),
            "title": self.title,
            "documents": encode_all(self.documents),
            **self.wishes.to_json(),
        }

    @classmethod
    def parse(cls, data: bytes) -> PendingContent:
        """Return the content in an answer.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject="answer")
        return cls(
            change_id=fields.checked("change", is_change_id, "the id of a change"),
            role=_read_role(fields),
            releases=decode_bytes(fields, "releases"),
            title=fields.text("title", max_length=MAX_TITLE),
            documents=decode_all(fields, "documents"),
            wishes=Wishes.read(fields),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturesRequest:
    """Add signatures to a pending change.

    Attributes:
        signatures: Each key's id, and its signature in hexadecimal; none only asks the server to
            put in force what is signed to the end.
    """

    signatures: tuple[tuple[str, str], ...]

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {"signatures": [{"keyid": keyid, "sig": sig} for keyid, sig in self.signatures]}

    @classmethod
    def parse(cls, data: bytes) -> SignaturesRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        found = fields.objects("signatures")
        if len(found) > _MAX_SIGNATURES:
            fields.fail("signatures", "too many", expected=f"at most {_MAX_SIGNATURES}")
        return cls(
            signatures=tuple(
                (
                    item.text("keyid", pattern="[0-9A-Za-z]{1,128}"),
                    item.text("sig", pattern="[0-9a-f]{2,16384}", max_length=16384),
                )
                for item in found
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawRequest:
    """Drop a pending change.

    Attributes:
        reason: Why, for people; or "".
    """

    reason: str = ""

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {"reason": self.reason}

    @classmethod
    def parse(cls, data: bytes) -> WithdrawRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject=_SUBJECT)
        return cls(reason=fields.text("reason", max_length=1000) if fields.has("reason") else "")
