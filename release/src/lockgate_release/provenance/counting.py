"""Proofs held against a rule. Pure; what is a proof was found out before.

1. A proof counts for a demand where one of the demand's signers is who signed, and predicate type,
   source repository and workflow are those that are asked for.
2. Each signer of the rule and each identity counts once: the most pairs that can be made of them
   must reach the threshold. Two tags of one workflow are one signer, as are two mailboxes of one
   pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    matches_name,
)
from lockgate_release.documents.policy import Shortfall
from lockgate_release.provenance.facts import Provenance

__all__ = ["Signature", "find_lacks", "would_count"]


class Signature(Protocol):
    """Who signs as what, by a certificate: proven of a bundle, or before there is one."""

    @property
    def identity(self) -> str:
        """What the certificate is for."""

    @property
    def issuer(self) -> str:
        """Who vouched for that identity."""

    @property
    def predicate_type(self) -> str:
        """Of the in-toto statement; "" for a plain signature."""

    @property
    def source_repository(self) -> str:
        """Where the sources came from, as the issuer has certified; "" if it has not."""

    @property
    def workflow(self) -> str:
        """The top-level workflow, with its ref; "" in the same way."""


def find_lacks(rule: AttestationRule, found: Sequence[Provenance]) -> tuple[Shortfall, ...]:
    """Return what is demanded and not proven; empty where the rule is met.

    Args:
        rule: What is demanded.
        found: What was proven of one and the same artifact.
    """
    return tuple(
        Shortfall(
            what="its origin is not proven",
            expected=demand.in_words(),
            found="; ".join(_why_not(demand, proof) for proof in found) or "no proof of its origin",
        )
        for demand in rule.demands
        if _count(demand, found) < demand.threshold
    )


def would_count(rule: AttestationRule, signature: Signature) -> bool:
    """Whether a signature counts for one of a rule's demands at least, once it is proven."""
    return any(not _mismatch(demand, signature) for demand in rule.demands)


def _count(demand: AttestationDemand, found: Sequence[Provenance]) -> int:
    """Return how many signers have signed: the largest matching of signers and identities."""
    options: dict[str, set[int]] = {}
    for proof in found:
        if not _mismatch(demand, proof):
            options.setdefault(proof.identity, set()).update(_signers_of(demand, proof))
    taken: dict[int, str] = {}

    def place(identity: str, tried: set[int]) -> bool:
        for signer in sorted(options[identity] - tried):
            tried.add(signer)
            if signer not in taken or place(taken[signer], tried):
                taken[signer] = identity
                return True
        return False

    return sum(place(identity, set()) for identity in sorted(options))


def _signers_of(demand: AttestationDemand, proof: Signature) -> set[int]:
    return {
        place
        for place, signer in enumerate(demand.signers)
        if signer.matches(proof.identity, proof.issuer)
    }


def _mismatch(demand: AttestationDemand, proof: Signature) -> str:
    """Return why a proof does not count for a demand (rule 1), or "" where it does."""
    if not _signers_of(demand, proof):
        return "who is none of its signers"
    if demand.predicate_types and proof.predicate_type not in demand.predicate_types:
        return f"as {proof.predicate_type or 'a plain signature'}"
    for wanted, certified, what in (
        (demand.source_repository, proof.source_repository, "built from"),
        (demand.workflow, proof.workflow, "by the workflow"),
    ):
        if wanted and not (certified and matches_name(wanted, certified)):
            return f"{what} {certified or 'what nobody certified'}"
    return ""


def _why_not(demand: AttestationDemand, proof: Provenance) -> str:
    why = _mismatch(demand, proof) or "who counts once"
    return f"signed by {proof.identity} (by {proof.issuer}), {why}"
