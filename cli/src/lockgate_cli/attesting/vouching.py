"""Whether who is about to sign a live release is whom its channels take for its builder. Pure.

Signing what is live already says nothing of how it was built. Where a channel's rule counts that
very signature, whoever may start this job makes anything pass for built by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockgate_cli.attesting.keyless import Signatory
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.provenance.counting import would_count

__all__ = ["doubts_about"]


def doubts_about(
    signatory: Signatory, version: str, rules: Sequence[tuple[str, AttestationRule]]
) -> tuple[str, ...]:
    """Return a sentence for each channel whose rule counts what is about to be signed.

    Args:
        signatory: Who signs.
        version: The live release.
        rules: The rules that hold for it, each with the channel that demands it.
    """
    return tuple(
        f"{channel} takes a signature of {signatory.identity} (by {signatory.issuer}) for the "
        f"builder's word, and that is who signs now: {version} was built before, and from then on "
        "counts as built by this job"
        for channel, rule in rules
        if would_count(rule, signatory)
    )
