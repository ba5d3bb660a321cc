"""One Sigstore bundle and one artifact, verified by sigstore against a trusted root in hand.

1. The trusted root is the caller's bytes, which came through TUF. Nothing is fetched, and no cache
   in a home folder is asked: sigstore's own offline mode believes an unverified one.
2. sigstore verifies the certificate's chain and transparency, the log's proof and time, and the
   signature. It is asked to prove exactly the identity and issuer that the certificate names, of
   which there must be one; who may sign is decided afterwards, on what was proven.
3. An envelope is an in-toto statement, and one of its subjects is the artifact's SHA-256.
4. Whatever sigstore or what it stands on raises, the bundle is refused, with the reason.

sigstore is imported when a verifier is made, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ProvenanceError
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.facts import Provenance
from lockgate_release.provenance.statements import PAYLOAD_TYPE, parse_statement

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

    from lockgate_release.provenance.certificates import Claims

__all__ = ["MAX_BUNDLE_BYTES", "BundleVerifier"]

MAX_BUNDLE_BYTES = 16 << 20
"""No bundle is larger: a statement with a bill of materials can be some megabytes."""

_SHOWN = 300
# The signing part is never asked for: nothing is signed here.
_HEAD = """{
  "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
  "signingConfig": {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"},
  "trustedRoot": """


class BundleVerifier:
    """Verifies bundles against one trusted root."""

    def __init__(self, trusted_root: bytes) -> None:
        """Read the root.

        Args:
            trusted_root: Sigstore's TrustedRoot as JSON, authenticated by the caller.

        Raises:
            ProvenanceError: It is none, or has no log, or sigstore is not installed.
        """
        try:
            self._verifier = _open(trusted_root)
        except ImportError as exc:
            raise ProvenanceError(
                "cannot verify where artifacts come from",
                expected="sigstore",
                found=str(exc),
                hint="Install lockgate-release[attestations].",
            ) from exc
        except Exception as exc:
            raise _refusal("trusted root", "not a Sigstore trusted root", exc) from exc

    def verify(self, bundle: bytes, artifact_sha256: Sha256Hex) -> Provenance:
        """Return what a bundle proves of an artifact.

        Args:
            bundle: A Sigstore bundle as JSON, unverified.
            artifact_sha256: The artifact in hand.

        Raises:
            ProvenanceError: It proves nothing of it.
        """
        subject = f"bundle {digest_bytes(bundle)[:12]}"
        if len(bundle) > MAX_BUNDLE_BYTES:
            raise ProvenanceError(
                "too large", subject=subject, expected=f"at most {MAX_BUNDLE_BYTES} bytes"
            )
        try:
            return self._prove(bundle, artifact_sha256, subject)
        except ProvenanceError:
            raise
        except Exception as exc:
            raise _refusal(subject, "proves nothing of this artifact", exc) from exc

    def _prove(self, raw: bytes, artifact_sha256: Sha256Hex, subject: str) -> Provenance:
        from sigstore.models import Bundle  # noqa: PLC0415 (imported where it is needed)

        from lockgate_release.provenance.certificates import read_claims  # noqa: PLC0415 (the same)

        bundle = Bundle.from_json(raw)
        # As sigstore has read it: no second reader of the same bytes may see something else.
        shown = json.loads(bundle.to_json())
        claims = read_claims(bundle.signing_certificate, subject=subject)
        predicate_type = ""
        if shown.get("dsseEnvelope") is None:
            _verify_signature(self._verifier, bundle, claims, artifact_sha256)
        else:
            predicate_type = _verify_envelope(
                self._verifier, bundle, claims, artifact_sha256, subject=subject
            )
        return Provenance(
            artifact_sha256=artifact_sha256,
            bundle_sha256=digest_bytes(raw),
            identity=claims.identity,
            issuer=claims.issuer,
            predicate_type=predicate_type,
            source_repository=claims.source_repository,
            source_ref=claims.source_ref,
            source_digest=claims.source_digest,
            workflow=claims.workflow,
            trigger=claims.trigger,
            run=claims.run,
            logged_at=_logged_at(bundle, shown),
        )


def _open(trusted_root: bytes) -> Verifier:
    """Read the root by sigstore's public door for bytes: as a part of a whole configuration."""
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415 (imported where it is needed)
    from sigstore.verify import Verifier  # noqa: PLC0415 (the same)

    # Only what is one JSON value by itself can stand in the middle of another and stay one.
    text = trusted_root.decode()
    json.loads(text)
    config = ClientTrustConfig.from_json(_HEAD + text + "}")
    return Verifier(trusted_root=config.trusted_root)


def _verify_signature(
    verifier: Verifier, bundle: Bundle, claims: Claims, artifact_sha256: Sha256Hex
) -> None:
    from sigstore.hashes import HashAlgorithm, Hashed  # noqa: PLC0415 (imported where needed)

    digest = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(artifact_sha256))
    verifier.verify_artifact(digest, bundle, claims.as_policy())


def _verify_envelope(
    verifier: Verifier,
    bundle: Bundle,
    claims: Claims,
    artifact_sha256: Sha256Hex,
    *,
    subject: str,
) -> str:
    """Verify an envelope and what it is about (rule 3), and return its predicate type."""
    payload_type, payload = verifier.verify_dsse(bundle, claims.as_policy())
    if payload_type != PAYLOAD_TYPE:
        raise ProvenanceError(
            "not an in-toto statement",
            subject=subject,
            expected=PAYLOAD_TYPE,
            found=_printable(payload_type),
        )
    statement = parse_statement(payload, subject=subject)
    if not statement.is_about(artifact_sha256):
        about = ", ".join(_printable(one.name or one.sha256) for one in statement.subjects[:5])
        raise ProvenanceError(
            "its statement is about other files",
            subject=subject,
            expected=artifact_sha256,
            found=about,
        )
    return _printable(statement.predicate_type)


def _logged_at(bundle: Bundle, shown: Mapping[str, object]) -> datetime:
    """Return a moment that was verified: the log's, where it promised one, else the certificate's.

    A log that tells no time is vouched for by time-stamping authorities, of which sigstore says
    only that one of them was right.
    """
    entry = shown["verificationMaterial"]["tlogEntries"][0]  # type: ignore[index]
    if entry.get("inclusionPromise") and int(entry.get("integratedTime") or 0):
        return datetime.fromtimestamp(int(entry["integratedTime"]), tz=UTC)
    return bundle.signing_certificate.not_valid_before_utc


def _refusal(subject: str, what: str, exc: Exception) -> ProvenanceError:
    # pydantic's errors end in an advertisement of its pages.
    said = " ".join(str(exc).split()).partition(" For further information visit ")[0]
    return ProvenanceError(what, subject=subject, found=_printable(f"{type(exc).__name__}: {said}"))


def _printable(text: str) -> str:
    """Return text of others for a message: short, and without what moves a terminal's cursor."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return shown if shown.isprintable() else repr(shown)
