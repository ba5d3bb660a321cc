"""What a policy says, what another one would change, and what it would break. Pure.

A policy is checked as the server checks it: what a channel offers must still meet the bar. Beyond
that, what can never be met, or counts for nobody, is worth a warning before people sign it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from securesystemslib.signer import Key

from lockgate_cli.repository import Base
from lockgate_cli.weaker import weaker_rules
from lockgate_release.documents import (
    ApprovalRule,
    ChannelPolicy,
    ManualCheck,
    PolicyDocument,
    SignatureRule,
)
from lockgate_release.documents.attestation_rules import AttestationRule, wide_signers
from lockgate_release.errors import UsageError
from lockgate_release.trust.approving import key_to_json
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.roles import Role
from lockgate_release.trust.standing import approvers, read_standing

__all__ = ["ChannelEdit", "describe_rule", "edit_channel", "find_breaks", "find_doubts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEdit:
    """What somebody wants another in one channel's rule; None and empty leave it as it is.

    Attributes:
        channel: The channel, or `*`.
        paths: The patterns to take in the place of those that stand.
        signatures: How many publishers must sign; 0 demands no more than their role does.
        signers: The ids of those that count; empty: all of the role.
        approvals: How many must approve.
        approvers: Public keys of people who may approve from now on, too.
        no_approvers: Ids of those who may no longer.
        manual_check: What a person who asks meets at the gate.
        attestations: Which proofs of origin each artifact needs.
        no_attestations: None any more.
    """

    channel: str
    paths: tuple[str, ...] = ()
    signatures: int | None = None
    signers: tuple[str, ...] = ()
    approvals: int | None = None
    approvers: tuple[Key, ...] = ()
    no_approvers: tuple[str, ...] = ()
    manual_check: ManualCheck | None = None
    attestations: AttestationRule | None = None
    no_attestations: bool = False


def edit_channel(policy: PolicyDocument, edit: ChannelEdit) -> PolicyDocument:
    """Return the policy with one channel's rule changed; a new rule begins as the one for all.

    Raises:
        UsageError: It asks for more signatures than there are keys.
    """
    rule = policy.channels.get(edit.channel) or policy.channels.get("*") or ChannelPolicy()
    changed = replace(
        rule,
        paths=edit.paths or rule.paths,
        manual_check=edit.manual_check or rule.manual_check,
        signatures=_edit_signatures(rule.signatures, edit),
        approvals=_edit_approvals(rule.approvals, edit),
        attestations=None if edit.no_attestations else edit.attestations or rule.attestations,
    )
    return replace(policy, channels={**policy.channels, edit.channel: changed})


def _edit_signatures(rule: SignatureRule | None, edit: ChannelEdit) -> SignatureRule | None:
    threshold = (rule.threshold if rule else 0) if edit.signatures is None else edit.signatures
    keys = edit.signers or (rule.keys if rule else ())
    if not threshold:
        if edit.signers:
            raise UsageError("how many of them?", subject="--signer", expected="--signatures N")
        return None
    if keys and threshold > len(keys):
        raise UsageError(
            "more signatures than keys",
            subject="--signatures",
            expected=f"at most {len(keys)}",
            found=str(threshold),
        )
    base = rule or SignatureRule(threshold=threshold)
    return replace(base, threshold=threshold, keys=tuple(keys))


def _edit_approvals(rule: ApprovalRule | None, edit: ChannelEdit) -> ApprovalRule | None:
    if rule is None and not edit.approvers and edit.approvals is None:
        return None
    keys = dict(rule.keys) if rule else {}
    for keyid in edit.no_approvers:
        if keys.pop(keyid, None) is None:
            raise UsageError("approves nothing here", subject=f"--no-approver {keyid}")
    keys.update({key.keyid: key_to_json(key) for key in edit.approvers})
    threshold = (rule.threshold if rule else 0) if edit.approvals is None else edit.approvals
    if threshold > len(keys):
        raise UsageError(
            "more approvals than people who may approve",
            subject="--approvals",
            expected=f"at most {len(keys)}",
            found=str(threshold),
            hint="--approver KEY.pub adds one.",
        )
    if not keys:
        return None
    base = rule or ApprovalRule(threshold=0, keys={})
    return replace(base, threshold=threshold, keys=keys)


def describe_rule(name: str, rule: ChannelPolicy) -> list[str]:
    """Return a channel's rule in sentences."""
    who = "every other channel" if name == "*" else name
    lines = [f"{who} takes {' and '.join(rule.paths) or 'nothing'}"]
    if rule.signatures is not None:
        keys = ", ".join(keyid[:8] for keyid in rule.signatures.keys) or "any of the role's keys"
        lines.append(f"  signed by {rule.signatures.threshold} of {keys}")
    if rule.approvals is not None:
        keys = ", ".join(key_label(key) for key in approvers(rule.approvals).values())
        lines.append(f"  approved by {rule.approvals.threshold} of {keys}")
    if rule.attestations is not None:
        lines += [f"  {line}" for line in rule.attestations.in_words()]
    if rule.manual_check is ManualCheck.WAIT:
        lines.append("  people who ask wait for their turn")
    return lines


def find_breaks(base: Base, policy: PolicyDocument) -> list[str]:
    """Return a sentence for each offer in force that would not meet its bar any more.

    Raises:
        DocumentError: The policy holds what is no key.
    """
    targets = base.chain.targets.signed
    lists = {role: held.metadata for role, held in base.chain.lists.items()}
    found = []
    for name, document in sorted(base.channels.items()):
        rule = policy.channel(name)
        for offer in document.offers:
            lack = rule.shortfall(offer.path, read_standing(rule, document, offer, targets, lists))
            if lack is not None:
                found.append(
                    f"{name}: {offer.version}: {lack.what}; expected {lack.expected}; "
                    f"found {lack.found}"
                )
    return found


def find_doubts(base: Base, policy: PolicyDocument) -> list[str]:
    """Return a sentence for each thing in a policy that is probably not meant.

    Raises:
        DocumentError: The policy holds what is no key.
    """
    doubts = []
    publishers = {
        role: {key.keyid for key in base.chain.release_keys(role)[0]}
        for role in base.chain.release_roles
    }
    online = set(base.chain.online_key_ids())
    for name, rule in sorted(policy.channels.items()):
        roles = [role for role in publishers if any(_is_in(path, role) for path in rule.paths)]
        doubts += [
            f"{name}: no role of releases speaks for {path}"
            for path in rule.paths
            if not any(_is_in(path, role) for role in publishers)
        ]
        doubts += _doubt_signers(name, rule, {role: publishers[role] for role in roles})
        if rule.approvals is not None and online & set(rule.approvals.keys):
            doubts.append(f"{name}: the server's own key approves: whoever steals it does too")
        doubts += _doubt_attestations(name, rule)
    return doubts + weaker_rules(policy)


def _doubt_attestations(name: str, rule: ChannelPolicy) -> list[str]:
    if rule.attestations is None:
        return []
    return [
        f"{name}: next to anybody can be {identity}: name the account, or the source repository"
        for identity in wide_signers(rule.attestations)
    ]


def _is_in(path: str, role: str) -> bool:
    return path.split("/", 1)[0] == role


def _doubt_signers(
    name: str, rule: ChannelPolicy, publishers: Mapping[str, set[str]]
) -> Iterable[str]:
    if rule.signatures is None:
        return
    for role, known in publishers.items():
        counting = known & set(rule.signatures.keys) if rule.signatures.keys else known
        if len(counting) < rule.signatures.threshold:
            yield (
                f"{name}: takes {rule.signatures.threshold} signatures, and only {len(counting)} "
                f"of the keys that count speak for {role}: nothing of it can be offered"
            )
    for keyid in rule.signatures.keys:
        if not any(keyid in known for known in publishers.values()):
            roles = ", ".join(publishers) or Role.RELEASES.value
            yield f"{name}: {keyid[:8]} is no publisher of {roles}: it counts for nothing"
