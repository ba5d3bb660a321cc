"""Where a channel with a rule of its own demands less than the rule for all others. Pure.

A channel's rule takes the place of `*`'s, whole: what `*` demands is not inherited. That is how one
channel is let off, and how a demand is forgotten; which of the two was meant, only people know.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate_release.documents import (
    ApprovalRule,
    ChannelPolicy,
    ManualCheck,
    PolicyDocument,
    SignatureRule,
)
from lockgate_release.documents.policy import DEFAULT_CHANNEL

__all__ = ["weaker_rules"]


def weaker_rules(policy: PolicyDocument) -> list[str]:
    """Return a sentence for each channel whose rule lacks something that `*` demands."""
    every = policy.channels.get(DEFAULT_CHANNEL)
    if every is None:
        return []
    return [
        f"{name}: has a rule of its own, so nothing of *'s counts there: it lacks {lack}"
        for name, rule in sorted(policy.channels.items())
        if name != DEFAULT_CHANNEL and (lack := "; ".join(_lacks(every, rule)))
    ]


def _lacks(every: ChannelPolicy, rule: ChannelPolicy) -> Iterator[str]:
    """Yield what `*` demands and a rule does not, in words."""
    if every.signatures is not None:
        yield from _lacks_signatures(every.signatures, rule.signatures)
    if every.approvals is not None and every.approvals.threshold:
        yield from _lacks_approvals(every.approvals, rule.approvals)
    if every.attestations is not None:
        own = rule.attestations.demands if rule.attestations else ()
        for demand in every.attestations.demands:
            if demand not in own:
                yield f"the proof of origin {demand.in_words()}"
    if every.manual_check is ManualCheck.WAIT and rule.manual_check is not ManualCheck.WAIT:
        yield "that people who ask wait for their turn"


def _lacks_signatures(every: SignatureRule, own: SignatureRule | None) -> Iterator[str]:
    if own is None or own.threshold < every.threshold:
        yield f"signatures by {every.threshold} publishers"
    elif not _counts_no_other(every.keys, own.keys):
        yield "that only the publishers whom * names count"


def _lacks_approvals(every: ApprovalRule, own: ApprovalRule | None) -> Iterator[str]:
    if own is None or own.threshold < every.threshold:
        yield f"approvals by {every.threshold}"
    elif not own.keys.keys() <= every.keys.keys():
        yield "that only those whom * names approve"


def _counts_no_other(every: tuple[str, ...], own: tuple[str, ...]) -> bool:
    """Whether each key that counts here counts there too; naming none means all of the role."""
    return not every or (bool(own) and set(own) <= set(every))
