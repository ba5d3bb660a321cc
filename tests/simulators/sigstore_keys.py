"""The three signers of a Sigstore instance: authority, certificate log, transparency log.

Real keys and real signatures: unmodified sigstore-python asks them for certificates and entries,
and verifies what they answer.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_FULCIO = "1.3.6.1.4.1.57264.1"
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
# Which claim of a token becomes which extension, as Fulcio does for GitHub's tokens.
_BUILD_CLAIMS = {
    "job_workflow_ref": (9, "https://github.com/{}"),
    "repository": (12, "https://github.com/{}"),
    "sha": (13, "{}"),
    "ref": (14, "{}"),
    "workflow_ref": (18, "https://github.com/{}"),
    "event_name": (20, "{}"),
    "run": (21, "{}"),
}


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def log_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(public_bytes(key)).digest()


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Authority:
    """Gives out certificates, each with the receipt of the log of certificates.

    Attributes:
        lifetime: How long a certificate is good.
        further: Extensions that each certificate gets besides, by the last part of their number.
        names: What each certificate is for, instead of what the token says.
    """

    lifetime: timedelta = timedelta(minutes=10)
    further: dict[int, bytes] = field(default_factory=dict)
    names: list[x509.GeneralName] = field(default_factory=list)
    key: ec.EllipticCurvePrivateKey = field(default_factory=_new_key)
    log_key: ec.EllipticCurvePrivateKey = field(default_factory=_new_key)

    def __post_init__(self) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lockgate's tests")])
        now = datetime.now(UTC)
        self.certificate = (
            self._begin(self._name, self.key.public_key(), now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )

    def _begin(self, subject: x509.Name, key: Any, start: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
        )

    def issue(
        self, request: x509.CertificateSigningRequest, claims: Mapping[str, Any]
    ) -> list[str]:
        """Return the certificate for a token's claims, and the authority's, in PEM."""
        now = datetime.now(UTC).replace(microsecond=0)
        key = request.public_key()
        builder = (
            self._begin(x509.Name([]), key, now - timedelta(seconds=1))
            .not_valid_after(now + self.lifetime)
            .add_extension(
                x509.SubjectAlternativeName(self.names or [_name_of(claims)]), critical=True
            )
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        for number, value in {**_extensions(claims), **self.further}.items():
            oid = x509.ObjectIdentifier(f"{_FULCIO}.{number}")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        # The log signs the certificate without its receipt: made once to be signed, then again.
        draft = self._with_receipt(builder, b"")
        leaf = self._with_receipt(builder, self._receipt(draft.tbs_precertificate_bytes, now))
        return [one.public_bytes(Encoding.PEM).decode() for one in (leaf, self.certificate)]

    def _with_receipt(self, builder: x509.CertificateBuilder, receipt: bytes) -> x509.Certificate:
        listed = struct.pack("!HH", len(receipt) + 2, len(receipt)) + receipt
        value = b"\x04" + _length(len(listed)) + listed
        extension = x509.UnrecognizedExtension(_SCT_LIST, value)
        return builder.add_extension(extension, critical=False).sign(self.key, hashes.SHA256())

    def _receipt(self, to_be_signed: bytes, now: datetime) -> bytes:
        """Return a signed certificate timestamp, as RFC 6962 section 3.2 has it."""
        moment_ms = int(now.timestamp() * 1000)
        entry = (
            struct.pack("!BBQH", 0, 0, moment_ms, 1)
            + hashlib.sha256(public_bytes(self.key)).digest()
            + len(to_be_signed).to_bytes(3, "big")
            + to_be_signed
            + struct.pack("!H", 0)
        )
        signature = _sign(self.log_key, entry)
        head = b"\x00" + log_id(self.log_key) + struct.pack("!QH", moment_ms, 0)
        return head + struct.pack("!BBH", 4, 3, len(signature)) + signature


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _length(size: int) -> bytes:
    """Return a length as DER has it."""
    if size < 0x80:
        return bytes([size])
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(digits)]) + digits


def _name_of(claims: Mapping[str, Any]) -> x509.GeneralName:
    if "email" in claims:
        return x509.RFC822Name(claims["email"])
    if "job_workflow_ref" in claims:
        return x509.UniformResourceIdentifier(f"https://github.com/{claims['job_workflow_ref']}")
    return x509.UniformResourceIdentifier(claims["sub"])


def _extensions(claims: Mapping[str, Any]) -> dict[int, bytes]:
    found = {1: str(claims["iss"]).encode(), 8: asn1.encode_der(str(claims["iss"]))}
    for claim, (number, shape) in _BUILD_CLAIMS.items():
        if claim in claims:
            found[number] = asn1.encode_der(shape.format(claims[claim]))
    return found


@dataclass
class TransparencyLog:
    """Takes entries in, each into a tree of its own, and promises and proves that it has.

    Attributes:
        moment: When it says that it takes entries in; None: now.
        entries: The body of each that it took.
    """

    moment: datetime | None = None
    entries: list[bytes] = field(default_factory=list)
    key: ec.EllipticCurvePrivateKey = field(default_factory=_new_key)

    def take(self, proposed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a proposed entry, as version 1 of Rekor's API gives it."""
        body = rfc8785.dumps(_canonical(proposed))
        index = len(self.entries)
        self.entries.append(body)
        shown = base64.b64encode(body).decode()
        moment_s = int((self.moment or datetime.now(UTC)).timestamp())
        root = hashlib.sha256(b"\x00" + body).digest()
        promised: dict[str, Any] = {
            "body": shown,
            "integratedTime": moment_s,
            "logID": log_id(self.key).hex(),
            "logIndex": index,
        }
        promise = _sign(self.key, rfc8785.dumps(promised))
        proof = {
            "checkpoint": self._checkpoint(root),
            "hashes": [],
            "logIndex": 0,
            "rootHash": root.hex(),
            "treeSize": 1,
        }
        verification = {
            "inclusionProof": proof,
            "signedEntryTimestamp": base64.b64encode(promise).decode(),
        }
        return {root.hex(): {**promised, "verification": verification}}

    def _checkpoint(self, root: bytes) -> str:
        note = f"log.example - 1\n1\n{base64.b64encode(root).decode()}\n"
        signature = log_id(self.key)[:4] + _sign(self.key, note.encode())
        return f"{note}\n\u2014 log.example {base64.b64encode(signature).decode()}\n"


def _canonical(proposed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the log keeps of a proposal: of an envelope, its digests and signatures."""
    if proposed["kind"] != "dsse":
        return dict(proposed)
    content = proposed["spec"]["proposedContent"]
    envelope = json.loads(content["envelope"])
    (verifier,) = content["verifiers"]
    spec = {
        "envelopeHash": _digest(content["envelope"].encode()),
        "payloadHash": _digest(base64.b64decode(envelope["payload"])),
        "signatures": [
            {"signature": one["sig"], "verifier": verifier} for one in envelope["signatures"]
        ],
    }
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}


def _digest(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}
