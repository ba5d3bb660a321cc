"""Who built what was chosen: proven before anything of it is fetched, and then remembered.

1. The rule, the trusted root and the list of bundles come through the TUF chain, and each bundle is
   what that list says. Who signed it is found out by sigstore alone.
2. What is not proven is refused as loudly as what no publisher signed: an offer is no offer. Where
   a revoked release is to be left, it is left all the same, and not for what is refused.
3. A proof is remembered by the digests of rule, trusted root and artifact, so that the same check
   an hour later fetches and verifies nothing. What failed is not remembered: it is tried again.
4. Whoever allows what is unattested is told so each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lockgate_release.decision import Decision, Leave, Offer
from lockgate_release.digests import digest_bytes
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.errors import LockgateError, RefusedOfferError
from lockgate_release.strict_json import dump_json
from lockgate_updater.state.origins import ProvenOrigin, load_origins, store_origins

if TYPE_CHECKING:
    from lockgate_release.provenance.facts import Judgement
    from lockgate_updater.fetch.look import Findings
    from lockgate_updater.session import Session

__all__ = ["prove_decision"]

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
    root = findings.view.trusted_root()
    wanted = ProvenOrigin(
        rule_sha256=digest_bytes(dump_json(rule.to_json())),
        root_sha256=digest_bytes(root),
        artifact_sha256=offer.artifact.sha256,
        release_sha256=offer.release.sha256,
        words=(),
    )
    known = load_origins(session.home.origins)
    if any(replace(item, words=()) == wanted for item in known):
        return
    judgement, missing = _judge(session, findings, offer, rule, root)
    if not judgement.is_met:
        raise _refusal(session.channel, offer, judgement, missing)
    words = tuple(proof.in_words() for proof in judgement.found)
    store_origins(session.home.origins, (*known, replace(wanted, words=words)))


def _judge(
    session: Session, findings: Findings, offer: Offer, rule: AttestationRule, root: bytes
) -> tuple[Judgement, list[str]]:
    # sigstore costs half a second and 50 MB: only a proof that is new pays for it.
    from lockgate_release.provenance.choosing import bundles_about  # noqa: PLC0415
    from lockgate_release.provenance.judging import judge_attestations  # noqa: PLC0415
    from lockgate_updater.origin.bundles import BundleSource  # noqa: PLC0415

    sha256 = offer.artifact.sha256
    extras = findings.view.extras(offer.release)
    about = bundles_about(extras.attestations if extras else (), sha256, rule)
    source = BundleSource(session.transport, session.client.configuration, about)
    return judge_attestations(rule, source, sha256, root), source.missing


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
