"""`sigstore/trusted_root.json`: whose certificates and logs a proof of origin is verified with.

It is Sigstore's own format, and a target of the maintainers beside the policy: clients take it from
there alone, never from a cache in somebody's home folder. Sigstore reads the keys; here it is read
as far as people are told what they sign, without any library of Sigstore. Sigstore takes each name
in two spellings (`validFor`, `valid_for`); here the second is refused, so that nothing is believed
that nobody was told.

Source: sigstore protobuf-specs, message `TrustedRoot`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lockgate_release.digests import digest_bytes
from lockgate_release.strict_json import Fields, Json, parse_json

__all__ = ["MAX_TRUSTED_ROOT_BYTES", "TrustedRoot", "TrustedService", "parse_trusted_root"]

MAX_TRUSTED_ROOT_BYTES = 1 << 20
_MEDIA_TYPE = (
    r"application/vnd\.dev\.sigstore\.trustedroot(\+json;version=0\.[0-9]|\.v0\.[0-9]\+json)"
)
_ADDRESS = r"[\x21-\x7e]{1,400}"
_INSTANT = r"[0-9T:.Z+-]{0,40}"
_MOST = 100
_MOST_KEY_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedService:
    """One service whose word counts.

    Attributes:
        kind: What it is, in words.
        address: Where it calls itself at home; nothing is fetched from there.
        since: From when on its word counts, as it stands; "" for always.
        until: Until when; "" for ever.
        sha256: The digest of its key, or of its certificates.
    """

    kind: str
    address: str
    since: str
    until: str
    sha256: str

    def in_words(self) -> str:
        """Return the service in a line, for people."""
        span = f" from {self.since[:10]}" if self.since else ""
        span += f" until {self.until[:10]}" if self.until else ""
        return f"{self.kind} {self.address}{span}, key {self.sha256[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedRoot:
    """What a trusted root says, as far as people are told.

    Attributes:
        services: Every service whose word counts, in their order.
    """

    services: tuple[TrustedService, ...]

    def in_words(self) -> tuple[str, ...]:
        """Return a line for each service."""
        return tuple(service.in_words() for service in self.services)


def parse_trusted_root(data: bytes, *, subject: str) -> TrustedRoot:
    """Return what a trusted root says.

    Raises:
        DocumentError: It is none, or names no authority, or no log, that could vouch for anything.
    """
    fields = parse_json(data, subject=subject)
    _refuse_other_spellings(fields, fields.raw())
    fields.text("mediaType", pattern=_MEDIA_TYPE)
    authorities = [
        _read_authority(item, "certificate authority")
        for item in fields.objects("certificateAuthorities", most=_MOST)
    ]
    logs = [_read_log(item, "transparency log") for item in fields.objects("tlogs", most=_MOST)]
    witnesses = [
        _read_log(item, "certificate log")
        for item in fields.objects("ctlogs", most=_MOST, optional=True)
    ]
    clocks = [
        _read_authority(item, "timestamp authority")
        for item in fields.objects("timestampAuthorities", most=_MOST, optional=True)
    ]
    for name, found in (("certificateAuthorities", authorities), ("tlogs", logs)):
        if not found:
            fields.fail(name, "empty", expected="at least one")
    return TrustedRoot(services=(*authorities, *logs, *witnesses, *clocks))


def _refuse_other_spellings(fields: Fields, value: Json) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if "_" in name:
                fields.fail(name, "another spelling", expected="names as `validFor` is written")
            _refuse_other_spellings(fields, inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            _refuse_other_spellings(fields, inner)


def _read_authority(fields: Fields, kind: str) -> TrustedService:
    chain = fields.object("certChain").objects("certificates", most=_MOST)
    if not chain:
        fields.fail("certChain.certificates", "empty", expected="at least one certificate")
    return _service(fields, kind, "uri", _digest_of(chain), fields)


def _read_log(fields: Fields, kind: str) -> TrustedService:
    key = fields.object("publicKey")
    return _service(fields, kind, "baseUrl", _digest_of((key,)), key)


def _service(fields: Fields, kind: str, name: str, sha256: str, dated: Fields) -> TrustedService:
    valid = dated.object("validFor", optional=True)
    return TrustedService(
        kind=kind,
        address=fields.text(name, pattern=_ADDRESS),
        since=valid.text("start", pattern=_INSTANT, default=""),
        until=valid.text("end", pattern=_INSTANT, default=""),
        sha256=sha256,
    )


def _digest_of(parts: Iterable[Fields]) -> str:
    whole = b""
    for part in parts:
        text = part.text("rawBytes", max_length=_MOST_KEY_CHARACTERS)
        try:
            whole += base64.b64decode(text, validate=True)
        except binascii.Error:
            part.fail("rawBytes", "not base64", found=repr(text[:40]))
    return digest_bytes(whole)
