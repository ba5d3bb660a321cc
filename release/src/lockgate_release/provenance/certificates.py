"""What a Sigstore certificate says of who signed and of the build. Imports sigstore.

Nothing is believed by reading it: sigstore proves the certificate, with `as_policy`, and what was
read of it counts only then.

Source: Fulcio's OID information, https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat import asn1
from cryptography.x509 import (
    Certificate,
    ExtensionType,
    ObjectIdentifier,
    OtherName,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    UnrecognizedExtension,
)
from cryptography.x509.oid import ExtensionOID
from sigstore.verify import policy

from lockgate_release.errors import ProvenanceError

__all__ = ["Claims", "read_claims"]

_FULCIO = "1.3.6.1.4.1.57264.1"
_ISSUER = ObjectIdentifier(f"{_FULCIO}.1")
_OTHER_NAME = ObjectIdentifier(f"{_FULCIO}.7")
_ISSUER_V2 = ObjectIdentifier(f"{_FULCIO}.8")
_SOURCE_REPOSITORY = ObjectIdentifier(f"{_FULCIO}.12")
_SOURCE_DIGEST = ObjectIdentifier(f"{_FULCIO}.13")
_SOURCE_REF = ObjectIdentifier(f"{_FULCIO}.14")
_BUILD_CONFIG = ObjectIdentifier(f"{_FULCIO}.18")
_BUILD_TRIGGER = ObjectIdentifier(f"{_FULCIO}.20")
_RUN_INVOCATION = ObjectIdentifier(f"{_FULCIO}.21")


_Values: TypeAlias = Mapping[ObjectIdentifier, ExtensionType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a certificate says; "" where it says nothing.

    Attributes:
        has_issuer: Whether it names the issuer in the older way.
        has_issuer_v2: Whether it does so in the newer way.
    """

    identity: str
    issuer: str
    has_issuer: bool
    has_issuer_v2: bool
    source_repository: str
    source_digest: str
    source_ref: str
    workflow: str
    trigger: str
    run: str

    def as_policy(self) -> policy.VerificationPolicy:
        """Return what sigstore is to find in the certificate too: who, and who vouches for that."""
        children: list[policy.VerificationPolicy] = [
            policy.Identity(
                identity=self.identity, issuer=self.issuer if self.has_issuer else None
            ),
        ]
        if self.has_issuer_v2:
            children.append(policy.OIDCIssuerV2(self.issuer))
        return policy.AllOf(children)


def read_claims(certificate: Certificate, *, subject: str) -> Claims:
    """Return what a certificate says, unverified.

    Args:
        certificate: A bundle's.
        subject: What to call the bundle, in messages.

    Raises:
        ProvenanceError: It names no issuer, two issuers, or not exactly one identity.
        ValueError: An extension of it is malformed.
    """
    values = {one.oid: one.value for one in certificate.extensions}
    older = _raw(values, _ISSUER).decode()
    newer = _text(values, _ISSUER_V2, subject)
    issuer = newer or older
    if not issuer or not issuer.isprintable() or (older and older != issuer):
        raise ProvenanceError(
            "its certificate does not name one issuer",
            subject=subject,
            found=" and ".join(repr(one)[:200] for one in (older, newer) if one) or "none",
        )
    return Claims(
        identity=_identity(values, subject),
        issuer=issuer,
        has_issuer=older != "",
        has_issuer_v2=newer != "",
        source_repository=_text(values, _SOURCE_REPOSITORY, subject),
        source_digest=_text(values, _SOURCE_DIGEST, subject),
        source_ref=_text(values, _SOURCE_REF, subject),
        workflow=_text(values, _BUILD_CONFIG, subject),
        trigger=_text(values, _BUILD_TRIGGER, subject),
        run=_text(values, _RUN_INVOCATION, subject),
    )


def _identity(values: _Values, subject: str) -> str:
    names = values.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, SubjectAlternativeName([]))
    assert isinstance(names, SubjectAlternativeName)
    found = [
        *names.get_values_for_type(RFC822Name),
        *names.get_values_for_type(UniformResourceIdentifier),
        *(
            # sigstore's own reading of it, which its policy repeats.
            one.value.decode()
            for one in names.get_values_for_type(OtherName)
            if one.type_id == _OTHER_NAME
        ),
    ]
    if len(list(names)) != 1 or len(found) != 1 or not found[0].isprintable():
        raise ProvenanceError(
            "its certificate does not name one identity", subject=subject, found=repr(found)[:300]
        )
    return found[0]


def _raw(values: _Values, oid: ObjectIdentifier) -> bytes:
    value = values.get(oid)
    if value is None:
        return b""
    assert isinstance(value, UnrecognizedExtension)
    return value.value


def _text(values: _Values, oid: ObjectIdentifier, subject: str) -> str:
    raw = _raw(values, oid)
    text = asn1.decode_der(str, raw) if raw else ""
    if not text.isprintable():
        raise ProvenanceError(
            "its certificate holds what cannot be printed", subject=subject, found=repr(text)[:300]
        )
    return text
