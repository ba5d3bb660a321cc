"""Which of a release's attestations are worth fetching for an artifact, and in which order. Pure.

What extras say of a bundle is a hint, signed by the publishers and by nobody else: it spares
fetching, and decides nothing. So what is said to be of another artifact is passed over, and what is
said to be of a type that nobody asked for comes last.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate_release.documents.attestation import SIGSTORE, Attestation
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.names import Sha256Hex

__all__ = ["MOST_BUNDLES", "bundles_about"]

MOST_BUNDLES = 64
"""Of one artifact that anybody looks at: more would be work for whoever checks, and no proof."""


def bundles_about(
    attestations: Iterable[Attestation],
    artifact_sha256: Sha256Hex,
    rule: AttestationRule | None = None,
) -> tuple[Attestation, ...]:
    """Return the Sigstore bundles that may speak about an artifact, the likeliest first.

    Args:
        attestations: As the release's extras list them.
        artifact_sha256: The artifact in hand.
        rule: What is demanded of it; None: nothing in particular.
    """
    found = [
        item
        for item in attestations
        if item.kind == SIGSTORE and (not item.artifacts or artifact_sha256 in item.artifacts)
    ]
    wanted = {name for demand in rule.demands for name in demand.predicate_types} if rule else set()
    found.sort(key=lambda item: (item.predicate_type not in wanted, item.size))
    return tuple(found[:MOST_BUNDLES])
