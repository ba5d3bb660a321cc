"""Bundles judged against a rule: what a client, the server and CI ask of this room.

Everything comes in as bytes and nothing is fetched. Bundles are taken one by one, and no more than
the rule needs: whoever fetches them lazily fetches little.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.errors import ProvenanceError
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.bundles import BundleVerifier
from lockgate_release.provenance.counting import find_lacks
from lockgate_release.provenance.facts import Judgement, Provenance

__all__ = ["judge_attestations"]


def judge_attestations(
    rule: AttestationRule,
    bundles: Iterable[bytes],
    artifact_sha256: Sha256Hex,
    trusted_root: bytes,
) -> Judgement:
    """Return how an artifact stands against a rule; whatever is not proven is not met.

    Args:
        rule: What is demanded.
        bundles: Sigstore bundles as JSON, unverified; taken until the rule is met.
        artifact_sha256: The artifact in hand.
        trusted_root: Sigstore's TrustedRoot as JSON, authenticated by the caller.

    Raises:
        ProvenanceError: The trusted root is none, or sigstore is not installed. A bundle that is
            refused raises nothing: the judgement says why.
    """
    verifier = BundleVerifier(trusted_root)
    found: list[Provenance] = []
    refused: list[str] = []
    lacks = find_lacks(rule, found)
    for bundle in bundles:
        try:
            found.append(verifier.verify(bundle, artifact_sha256))
        except ProvenanceError as exc:
            refused.append(str(exc))
            continue
        lacks = find_lacks(rule, found)
        if not lacks:
            break
    return Judgement(found=tuple(found), refused=tuple(refused), lacks=lacks)
