"""Approvals: what people have signed to let a release into a channel, kept in its document.

1. The policy names who may approve for the channel; a signature by nobody else is kept.
2. It is about a release that is live, and about its very document.
3. Everybody signs the same words: a signature over those that are there is put beside the others.
   Other words about the same release take their place only where more of those who may have signed
   them: what was approved is not taken back by sending something else.
4. What is about a release that is live no more goes with the next approval.

Nothing is offered by an approval: whoever publishes or promotes says what and to whom.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lockgate_release.approval_requests import ApproveOutcome, ApproveRequest
from lockgate_release.documents import (
    ApprovalRule,
    ChannelDocument,
    ChannelPolicy,
    Count,
    PolicyDocument,
)
from lockgate_release.documents.approval import Approval
from lockgate_release.documents.channel import MAX_APPROVALS
from lockgate_release.errors import ConflictError, TrustError, UsageError
from lockgate_release.names import AppName, ChannelName
from lockgate_release.trust.standing import approvals_of, count_approval
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.lists import Live, all_live
from lockgate_server.services.write.publish import channel_or_new

__all__ = ["approve", "describe_approved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Approved:
    """How the approval stands."""

    count: Count
    threshold: int


def approve(
    deps: WriteDeps, app: AppName, request: ApproveRequest, caller: Caller
) -> Outcome[_Approved]:
    """Keep an approval in the channel's document; the same again changes nothing.

    Raises:
        NotFoundError: There is no such app or live release.
        UsageError: Nobody approves for this channel, or the approval is about something else.
        TrustError: Nobody who may has signed it.
        ConflictError: Others have signed other words about the same release.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[_Approved]:
        return _plan(deps, base, request.approval)

    return change_app(deps, app, caller, plan)


def describe_approved(outcome: Outcome[_Approved]) -> ApproveOutcome:
    """Return what came of an approval, as a client reads it."""
    return ApproveOutcome(
        approved_by=outcome.answer.count.found,
        threshold=outcome.answer.threshold,
        is_enough=outcome.answer.count.is_enough or outcome.answer.threshold == 0,
        changed=outcome.changed,
        timestamp_version=outcome.timestamp_version,
    )


def _plan(deps: WriteDeps, base: Base, sent: Approval) -> Plan[_Approved]:
    rule, live = _rule_of(base.policy, sent.channel), all_live(base)
    _check_subject(base, live, sent)
    document = channel_or_new(deps, base, sent.channel)
    known = tuple(item for item in approvals_of(document.approvals) if _is_live(item, live))
    joined = _join(rule, known, _only_counting(rule, sent))
    answer = _Approved(count=count_approval(rule, joined), threshold=rule.threshold)
    if joined in known:
        return Plan(change=None, answer=answer)
    kept = tuple(item for item in known if item.version != joined.version)
    change = Change(
        action="approve",
        details={
            "version": joined.version,
            "channel": joined.channel,
            "approved_by": list(answer.count.found),
            "threshold": rule.threshold,
        },
        channels=(_with_approvals(document, (*kept, joined)),),
    )
    return Plan(change=change, answer=answer)


def _rule_of(policy: PolicyDocument, channel: ChannelName) -> ApprovalRule:
    rule: ChannelPolicy = policy.channel(channel)
    if rule.approvals is None:
        raise UsageError(
            "the policy names nobody who approves for this channel",
            subject=channel,
            hint="`lockgate policy edit` changes it; maintainers sign that.",
        )
    return rule.approvals


def _check_subject(base: Base, live: Live, sent: Approval) -> None:
    """Refuse what is about another app, or about no live release (rule 2)."""
    subject = f"{sent.channel}: approval of {sent.version}"
    if sent.app != base.app:
        raise UsageError("another app's", subject=subject, expected=base.app, found=sent.app)
    found = live.find(sent.version)
    if found is None:
        raise NotFoundError("no live release", subject=subject, hint="Publish it first.")
    sha256 = live.targets[found[0]].hashes["sha256"]
    if sent.release_sha256 != sha256:
        raise UsageError(
            "about other bytes", subject=subject, expected=sha256, found=sent.release_sha256
        )


def _is_live(approval: Approval, live: Live) -> bool:
    found = live.find(approval.version)
    return found is not None and (
        live.targets[found[0]].hashes.get("sha256") == approval.release_sha256
    )


def _only_counting(rule: ApprovalRule, sent: Approval) -> Approval:
    """Return the approval with those signatures alone that count (rule 1)."""
    count = count_approval(rule, sent)
    if not count.found:
        raise TrustError(
            "signed by nobody who may approve for this channel",
            subject=f"{sent.channel}: approval of {sent.version}",
            expected=", ".join(sorted(rule.keys)),
            found=", ".join(keyid for keyid, _ in sent.signatures) or "no signature",
        )
    kept = tuple((keyid, sig) for keyid, sig in sent.signatures if keyid in count.found)
    return replace(sent, signatures=kept)


def _join(rule: ApprovalRule, known: tuple[Approval, ...], sent: Approval) -> Approval:
    """Return what is kept of the release from now on (rule 3)."""
    before = next((item for item in known if item.version == sent.version), None)
    if before is None:
        return sent
    if before.says_the_same(sent):
        return _only_counting(rule, before.with_signatures(sent))
    standing, new = count_approval(rule, before).found, count_approval(rule, sent).found
    if set(new) <= set(standing):
        return before
    if len(new) > len(standing):
        return sent
    raise ConflictError(
        "others have approved it in other words",
        subject=f"{sent.channel}: {sent.version}",
        hint="Run the same command again: it signs the words that are there.",
    )


def _with_approvals(document: ChannelDocument, approvals: tuple[Approval, ...]) -> ChannelDocument:
    newest = approvals[-MAX_APPROVALS:]
    return replace(document, approvals=tuple(item.to_envelope() for item in newest))
