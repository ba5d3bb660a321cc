"""Who built what was chosen, and the tree in it: proven before it is fetched, and then remembered.

1. The rule, the trusted root and the list of bundles come through the TUF chain, and each bundle is
   what that list says. Who signed it is found out by sigstore alone.
2. What is not proven is refused as loudly as what no publisher signed: an offer is no offer. Where
   a revoked release is to be left, it is left all the same, and not for what is refused.
3. A proof is remembered by the digests of rule, trusted root and artifact, so that the same check
   an hour later fetches and verifies nothing. What failed is not remembered: it is tried again.
4. Whoever allows what is unattested is told so each time.
5. The tree in an artifact is proven by the claim that names both, by the same rule and the same
   judgement. Where it is not, the artifact still stands, and is the only way to that tree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lockgate_release.decision import Decision, Leave, Offer
from lockgate_release.digests import digest_bytes
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.errors import (
    LockgateError,
    RefusedOfferError,
    RepositoryError,
    TransportError,
)
from lockgate_release.names import Sha256Hex
from lockgate_release.strict_json import dump_json
from lockgate_updater.state.origins import ProvenOrigin, load_origins, store_origins

if TYPE_CHECKING:
    from lockgate_release.documents.attestation import Attestation
    from lockgate_release.provenance.facts import Judgement
    from lockgate_release.trust.verify import TrustedView
    from lockgate_updater.fetch.look import Findings
    from lockgate_updater.session import Session

__all__ = ["prove_decision", "why_tree_is_not_proven"]

_HINT = (
    "Nothing of it was fetched. Its publishers can add what is missing (lockgate attest add); "
    "--allow-unattested takes it without."
)


def prove_decision(session: Session, findings: Findings, decision: Decision) -> Decision:
    """Return the decision, once the origin of what it would install is proven.

    Raises:
        RefusedOfferError: It is not, or could not be.
        RepositoryError: What would prove it cannot be verified.
        TransportError: What would prove it does not come.
        LocalError: The proof cannot be remembered.
    """
    offer = decision.target if isinstance(decision, Leave) else decision
    rule = findings.policy.channel(findings.channel.channel).attestations
    if not isinstance(offer, Offer) or rule is None:
        return decision
    if session.client.allow_unattested:
        from lockgate_updater.events import StepName  # noqa: PLC0415 (a check says nothing else)

        text = f"who built {offer.version} is not proven: that is allowed here for once"
        session.say(StepName.WARNING, offer.version, text)
        return replace(decision, reason=f"{decision.reason}; {text}")
    try:
        _demand(session, findings, offer, rule)
    except LockgateError as exc:
        if not isinstance(decision, Leave):
            raise
        return replace(decision, target=None, reason=f"{decision.reason}; not for {exc}")
    return decision


def _demand(session: Session, findings: Findings, offer: Offer, rule: AttestationRule) -> None:
    judgement, missing = _prove(
        session, findings.view, offer, rule, sha256=offer.artifact.sha256, tree_sha256=None
    )
    if judgement is not None and not judgement.is_met:
        raise _refusal(session.channel, offer, judgement, missing)


def why_tree_is_not_proven(
    session: Session, view: TrustedView, offer: Offer, rule: AttestationRule
) -> str:
    """Return why nobody whom the rule names has vouched for the tree, or "" where it is proven.

    Raises:
        LocalError: The proof cannot be remembered.
    """
    from lockgate_release.provenance.tree_claims import digest_tree_claim  # noqa: PLC0415 (seldom)

    tree_sha256 = offer.artifact.tree_sha256
    claim = digest_tree_claim(offer.artifact.sha256, tree_sha256)
    try:
        if not _bundles_about(view, offer, rule, claim):
            return "no bundle of its release speaks about it"
        judgement, missing = _prove(
            session, view, offer, rule, sha256=claim, tree_sha256=tree_sha256
        )
    except (RepositoryError, TransportError) as exc:
        return f"it could not be found out: {exc}"
    if judgement is None or judgement.is_met:
        return ""
    return "; ".join([judgement.lacks[0].found, *judgement.refused, *missing])


def _prove(
    session: Session,
    view: TrustedView,
    offer: Offer,
    rule: AttestationRule,
    *,
    sha256: Sha256Hex,
    tree_sha256: Sha256Hex | None,
) -> tuple[Judgement | None, list[str]]:
    """Return how what was signed stands against the rule; None where that was proven before."""
    root = view.trusted_root()
    wanted = ProvenOrigin(
        rule_sha256=digest_bytes(dump_json(rule.to_json())),
        root_sha256=digest_bytes(root),
        artifact_sha256=sha256,
        release_sha256=offer.release.sha256,
        words=(),
        tree_sha256=tree_sha256,
    )
    known = load_origins(session.home.origins)
    if any(replace(item, words=()) == wanted for item in known):
        return None, []
    judgement, missing = _judge(session, view, offer, rule, root, sha256)
    if judgement.is_met:
        words = tuple(proof.in_words() for proof in judgement.found)
        store_origins(session.home.origins, (*known, replace(wanted, words=words)))
    return judgement, missing


def _judge(
    session: Session,
    view: TrustedView,
    offer: Offer,
    rule: AttestationRule,
    root: bytes,
    sha256: Sha256Hex,
) -> tuple[Judgement, list[str]]:
    # sigstore costs half a second and 50 MB: only a proof that is new pays for it.
    from lockgate_release.provenance.judging import judge_attestations  # noqa: PLC0415
    from lockgate_updater.origin.bundles import BundleSource  # noqa: PLC0415

    about = _bundles_about(view, offer, rule, sha256)
    source = BundleSource(session.transport, session.client.configuration, about)
    return judge_attestations(rule, source, sha256, root), source.missing


def _bundles_about(
    view: TrustedView, offer: Offer, rule: AttestationRule, sha256: Sha256Hex
) -> tuple[Attestation, ...]:
    from lockgate_release.provenance.choosing import bundles_about  # noqa: PLC0415 (on demand)

    extras = view.extras(offer.release)
    return bundles_about(extras.attestations if extras else (), sha256, rule)


def _refusal(
    channel: str, offer: Offer, judgement: Judgement, missing: list[str]
) -> RefusedOfferError:
    lack = judgement.lacks[0]
    reasons = [*judgement.refused, *missing]
    return RefusedOfferError(
        lack.what,
        subject=f"{channel}: offer of {offer.version}",
        expected=lack.expected,
        found="; ".join([lack.found, *reasons]),
        hint=_HINT,
    )
