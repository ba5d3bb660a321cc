"""Who built what runs here, for people: what was proven when it was taken, or is proven now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockgate_release.capabilities import ATTESTATIONS, name_extras, optional_capabilities
from lockgate_release.documents import TrustedRelease
from lockgate_release.errors import LockgateError, ProvenanceError
from lockgate_release.names import Sha256Hex
from lockgate_updater.state.origins import load_origins

if TYPE_CHECKING:
    from lockgate_release.documents import Attestation
    from lockgate_updater.fetch.look import Findings
    from lockgate_updater.session import Session
    from lockgate_updater.state.receipts import Receipt

__all__ = ["tell_origin"]


def tell_origin(session: Session, findings: Findings) -> tuple[str, ...]:
    """Return who built the installed release, a sentence each, and why nobody can say.

    Raises:
        LocalError: What was proven cannot be read.
    """
    receipt = session.running()
    if receipt is None:
        return ("nothing is installed",)
    proven = [
        f"{receipt.version} was {words}" if item.tree_sha256 is None else f"its tree was {words}"
        for item in load_origins(session.home.origins)
        if item.release_sha256 == receipt.release_sha256
        for words in item.words
    ]
    return tuple(dict.fromkeys(proven)) or _prove_now(session, findings, receipt)


def _prove_now(session: Session, findings: Findings, receipt: Receipt) -> tuple[str, ...]:
    """Return what the release's own attestations prove, though nobody demanded it."""
    release = next(
        (item for item in findings.releases.values() if item.sha256 == receipt.release_sha256), None
    )
    artifact = release and release.document.artifact_for(session.client.configuration.platform)
    if release is None or artifact is None:
        return (f"who built {receipt.version} is not known: it is no longer in the repository",)
    from lockgate_release.provenance.choosing import bundles_about  # noqa: PLC0415 (for people)

    try:
        extras = findings.view.extras(release)
        about = bundles_about(extras.attestations if extras else (), artifact.sha256)
        if not about:
            return (f"nobody has attested who built {receipt.version}",)
        if ATTESTATIONS not in optional_capabilities():
            hint = name_extras([ATTESTATIONS])
            return (f"who built {receipt.version} cannot be verified here{hint}",)
        return _verify(session, findings, release, artifact.sha256, about)
    except LockgateError as exc:
        return (f"who built {receipt.version} is not proven: {exc}",)


def _verify(
    session: Session,
    findings: Findings,
    release: TrustedRelease,
    artifact_sha256: Sha256Hex,
    about: tuple[Attestation, ...],
) -> tuple[str, ...]:
    from lockgate_release.provenance.bundles import BundleVerifier  # noqa: PLC0415 (for people)
    from lockgate_updater.origin.bundles import BundleSource  # noqa: PLC0415 (the same)

    version = release.document.version
    verifier = BundleVerifier(findings.view.trusted_root())
    source = BundleSource(session.transport, session.client.configuration, about)
    lines = []
    for bundle in source:
        try:
            lines.append(f"{version} was {verifier.verify(bundle, artifact_sha256).in_words()}")
        except ProvenanceError as exc:
            lines.append(f"an attestation of {version} proves nothing: {exc}")
    return (*lines, *(f"an attestation of {version} is missing: {text}" for text in source.missing))
