"""What a file of attestations says of itself: its kind, what it claims, and about which bytes.

Three kinds are known, by their content and never by their name:

1. Sigstore bundles (`application/vnd.dev.sigstore.bundle…`): a signature over an artifact, or a
   signed in-toto statement, such as SLSA provenance or GitHub's artifact attestations. One in a
   file, one a line (`gh attestation download`), or a list as GitHub's API answers.
2. CycloneDX and
3. SPDX: lists of what an artifact is made of. They are not signed.

Nothing here verifies a signature.

Source: the Sigstore bundle format 0.1 to 0.3, DSSE 1.0, in-toto Attestation Framework 0.1 and 1,
CycloneDX 1.2 to 1.6, SPDX 2.2 to 3.0.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lockgate_release.digests import digest_bytes
from lockgate_release.documents.attestation import SIGSTORE
from lockgate_release.errors import UsageError
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.provenance.bundles import MAX_BUNDLE_BYTES
from lockgate_release.strict_json import JsonObject, dump_json

__all__ = ["CYCLONEDX", "MAX_FILE_BYTES", "SPDX", "Said", "read_attestations"]

CYCLONEDX = "cyclonedx"
SPDX = "spdx"

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Of a file with attestations; nobody's is nearly as large."""

_MAX_TYPE = 1000
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_STATEMENT = "application/vnd.in-toto+json"
_XML_BOM = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<bom\s[^>]*cyclonedx\.org", re.DOTALL)
_TAGGED = b"SPDXVersion:"
_MARK = b"\xef\xbb\xbf"
_EXPECTED = "a Sigstore bundle, GitHub attestations (JSON lines), or an SBOM in CycloneDX or SPDX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One attestation, as it says of itself. Nothing of it is verified.

    Attributes:
        subject: Where it was read, for people.
        kind: `sigstore`, `cyclonedx` or `spdx`.
        data: Its bytes, as they are published.
        predicate_type: What its statement says, as a URI; "" for a plain signature or an SBOM.
        digests: SHA-256 of what it speaks about; empty where it does not say.
    """

    subject: str
    kind: str
    data: bytes
    predicate_type: str = ""
    digests: frozenset[Sha256Hex] = frozenset()

    @property
    def sha256(self) -> Sha256Hex:
        """SHA-256 of its bytes."""
        return digest_bytes(self.data)

    @property
    def is_signature(self) -> bool:
        """Whether it is a plain signature over an artifact."""
        return self.kind == SIGSTORE and not self.predicate_type


def read_attestations(data: bytes, *, subject: str) -> tuple[Said, ...]:
    """Return the attestations in a file, at least one.

    Args:
        data: The file's bytes.
        subject: What to call the file.

    Raises:
        UsageError: It holds none that is known, or one that is broken.
    """
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(
            "too large for an attestation",
            subject=subject,
            expected=f"at most {MAX_FILE_BYTES} bytes",
            found=str(len(data)),
        )
    plain = data.removeprefix(_MARK)
    if _XML_BOM.match(plain[:4096]):
        return (Said(subject=subject, kind=CYCLONEDX, data=data),)
    if plain.lstrip().startswith(_TAGGED):
        return (Said(subject=subject, kind=SPDX, data=data),)
    whole = _parse(plain)
    if isinstance(whole, Mapping):
        return tuple(_read_object(whole, data, subject))
    return tuple(_read_lines(plain, subject))


def _parse(data: bytes) -> object:
    """Return foreign JSON, or None for what is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _read_lines(data: bytes, subject: str) -> Iterator[Said]:
    """Yield the bundles of a file that holds one a line."""
    lines = [line for line in data.splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        value = _parse(line)
        if not isinstance(value, Mapping):
            raise UsageError("holds no attestation", subject=subject, expected=_EXPECTED)
        yield from _read_object(value, line, f"{subject}, line {number}")
    if not lines:
        raise UsageError("is empty", subject=subject, expected=_EXPECTED)


def _read_object(value: Mapping[str, object], data: bytes, subject: str) -> Iterator[Said]:
    if str(value.get("mediaType", "")).startswith(_BUNDLE):
        yield _read_bundle(value, data, subject)
    elif isinstance(value.get("bundle"), Mapping):
        # GitHub wraps each in an object of its own: only the bundle is published.
        yield from _read_wrapped(value["bundle"], subject)
    elif isinstance(listed := value.get("attestations"), Sequence) and listed:
        for place, item in enumerate(listed):
            inner = item.get("bundle") if isinstance(item, Mapping) else None
            yield from _read_wrapped(inner, f"{subject}: attestations[{place}]")
    elif value.get("bomFormat") == "CycloneDX":
        digests = frozenset(_cyclonedx_digests(value))
        yield Said(subject=subject, kind=CYCLONEDX, data=data, digests=digests)
    elif "spdxVersion" in value or "spdx.org/rdf/3" in str(value.get("@context", "")):
        digests = frozenset(_spdx_digests(value))
        yield Said(subject=subject, kind=SPDX, data=data, digests=digests)
    else:
        raise UsageError(
            "holds no attestation",
            subject=subject,
            expected=_EXPECTED,
            found=f"an object with {', '.join(sorted(map(str, value))[:6]) or 'nothing'}",
            hint=_advice(value),
        )


def _read_wrapped(bundle: object, subject: str) -> Iterator[Said]:
    if not isinstance(bundle, Mapping):
        raise UsageError("holds no attestation", subject=subject, expected=_EXPECTED)
    yield _read_bundle(bundle, dump_json(_as_json(bundle)), subject)


def _as_json(value: Mapping[str, object]) -> JsonObject:
    return value  # type: ignore[return-value]  # it comes from a parser of JSON


def _advice(value: Mapping[str, object]) -> str:
    """Return what to do about formats that are near to one that is known."""
    if "rekorBundle" in value or "base64Signature" in value:
        return "An old format of cosign: sign with --new-bundle-format."
    if "attestation_bundles" in value or "verification_material" in value:
        return "An attestation of PyPI: attach the Sigstore bundle that it was made from."
    return ""


def _read_bundle(value: Mapping[str, object], data: bytes, subject: str) -> Said:
    """Return what a bundle says of itself.

    Raises:
        UsageError: It says nothing.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise _broken(subject, f"at most {MAX_BUNDLE_BYTES} bytes", f"{len(data)} bytes")
    envelope, signature = value.get("dsseEnvelope"), value.get("messageSignature")
    if isinstance(envelope, Mapping):
        predicate_type, digests = _read_envelope(envelope, subject)
        return Said(
            subject=subject,
            kind=SIGSTORE,
            data=data,
            predicate_type=predicate_type,
            digests=digests,
        )
    if isinstance(signature, Mapping):
        digests = frozenset({_read_message_digest(signature, subject)})
        return Said(subject=subject, kind=SIGSTORE, data=data, digests=digests)
    raise _broken(subject, "a messageSignature or a dsseEnvelope", "neither")


def _read_message_digest(signature: Mapping[str, object], subject: str) -> Sha256Hex:
    digest = signature.get("messageDigest")
    said = digest if isinstance(digest, Mapping) else {}
    if said.get("algorithm") != "SHA2_256":
        raise _broken(subject, "a digest by SHA2_256", repr(said.get("algorithm"))[:40])
    found = _from_base64(said.get("digest"), subject).hex()
    if not is_sha256(found):
        raise _broken(subject, "a digest of 32 bytes", f"{len(found) // 2} bytes")
    return Sha256Hex(found)


def _read_envelope(
    envelope: Mapping[str, object], subject: str
) -> tuple[str, frozenset[Sha256Hex]]:
    """Return predicate type and subjects of the statement in an envelope."""
    if envelope.get("payloadType") != _STATEMENT:
        raise _broken(subject, f"payload type {_STATEMENT}", repr(envelope.get("payloadType"))[:80])
    statement = _parse(_from_base64(envelope.get("payload"), subject))
    said = statement if isinstance(statement, Mapping) else {}
    predicate_type, subjects = said.get("predicateType"), said.get("subject")
    if not isinstance(predicate_type, str) or not 0 < len(predicate_type) <= _MAX_TYPE:
        raise _broken(subject, "an in-toto statement with a predicateType", "none")
    digests = frozenset(_subject_digests(subjects if isinstance(subjects, list) else []))
    if not digests:
        raise _broken(subject, "subjects with a SHA-256", "none")
    return predicate_type, digests


def _subject_digests(subjects: Sequence[object]) -> Iterator[Sha256Hex]:
    for item in subjects:
        digest = item.get("digest") if isinstance(item, Mapping) else None
        found = str(digest.get("sha256", "")).lower() if isinstance(digest, Mapping) else ""
        if is_sha256(found):
            yield Sha256Hex(found)


def _cyclonedx_digests(bom: Mapping[str, object]) -> Iterator[Sha256Hex]:
    """Yield the digests of what a CycloneDX list is about: its main component."""
    metadata = bom.get("metadata")
    component = metadata.get("component") if isinstance(metadata, Mapping) else None
    hashes = component.get("hashes") if isinstance(component, Mapping) else None
    for item in hashes if isinstance(hashes, list) else []:
        if isinstance(item, Mapping) and item.get("alg") == "SHA-256":
            yield from _sha256s(item.get("content"))


def _spdx_digests(document: Mapping[str, object]) -> Iterator[Sha256Hex]:
    """Yield every digest in an SPDX list: which is the artifact's, the artifact tells."""
    for name in ("packages", "files"):
        found = document.get(name)
        for item in found if isinstance(found, list) else []:
            sums = item.get("checksums") if isinstance(item, Mapping) else None
            for one in sums if isinstance(sums, list) else []:
                if isinstance(one, Mapping) and one.get("algorithm") == "SHA256":
                    yield from _sha256s(one.get("checksumValue"))


def _sha256s(value: object) -> Iterator[Sha256Hex]:
    text = str(value).lower()
    if is_sha256(text):
        yield Sha256Hex(text)


def _from_base64(value: object, subject: str) -> bytes:
    if not isinstance(value, str):
        raise _broken(subject, "base64", "no text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _broken(subject, "base64", repr(value[:40])) from exc


def _broken(subject: str, expected: str, found: str) -> UsageError:
    return UsageError("a broken Sigstore bundle", subject=subject, expected=expected, found=found)
