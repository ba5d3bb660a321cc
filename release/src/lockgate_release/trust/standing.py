"""How a release stands against the bar of a channel: who signed its list, who approved it.

python-tuf judges each bar, as it judges a role: the keys and the threshold of the policy become a
role of a `Targets` that was made for nothing else, and what its `get_verification_result` says
counts. A client imports this module only where its channel's rule has such a bar.

1. A publisher's signature counts where the policy names the key, or names none, and the key still
   speaks for the role: one that maintainers took out counts no more, whatever the policy says.
2. An approval counts where it names this app, channel, version and digest, and its key is one of
   the policy's. All signatures of a count stand under the same words: two half approvals are none.
3. What is no approval, or is about another release, counts for nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key, Signature
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Targets

from lockgate_release.documents.approval import Approval, read_approval
from lockgate_release.documents.channel import ChannelDocument, ChannelOffer
from lockgate_release.documents.policy import ApprovalRule, ChannelPolicy, SignatureRule
from lockgate_release.documents.trusted import Count, Standing
from lockgate_release.errors import DocumentError
from lockgate_release.names import Sha256Hex
from lockgate_release.strict_json import JsonObject, dump_json

__all__ = [
    "approvals_of",
    "approvers",
    "canonical_bytes",
    "count_approval",
    "count_approvals",
    "count_signatures",
    "read_standing",
    "role_for",
]

_NO_COUNT = Count(found=(), is_enough=False)


def read_standing(
    rule: ChannelPolicy,
    document: ChannelDocument,
    offer: ChannelOffer,
    targets: Targets,
    lists: Mapping[str, Metadata[Targets]],
) -> Standing:
    """Return how an offered release stands against the channel's bar.

    Args:
        rule: The channel's.
        document: The channel's, for the approvals that it carries.
        offer: The release.
        targets: Whose delegations name the publishers' keys, verified.
        lists: The verified list of each role of releases, by the role.

    Raises:
        DocumentError: The policy holds what is no key.
    """
    signatures = approvals = None
    if rule.signatures is not None:
        role = role_for(targets, offer.path)
        signed = lists.get(role)
        signatures = (
            _NO_COUNT
            if signed is None
            else count_signatures(rule.signatures, role, targets, signed)
        )
    if rule.approvals is not None and rule.approvals.threshold:
        approvals = count_approvals(rule.approvals, document, offer.version, offer.sha256)
    return Standing(signatures=signatures, approvals=approvals)


def count_approvals(
    rule: ApprovalRule, document: ChannelDocument, version: str, sha256: Sha256Hex
) -> Count:
    """Return how many have approved a release in the words that most have signed (rule 2).

    Args:
        rule: Who may approve.
        document: The channel's, for the approvals that it carries.
        version: The release.
        sha256: The digest of its document.

    Raises:
        DocumentError: The rule holds what is no key.
    """
    counts = [
        count_approval(rule, approval)
        for approval in approvals_of(document.approvals)
        if approval.is_about(document.app, document.channel, version, sha256)
    ]
    return max(counts, key=lambda count: len(count.found), default=_NO_COUNT)


def role_for(targets: Targets, path: str) -> str:
    """Return the delegated role that speaks for a path, or ""."""
    if targets.delegations is None:
        return ""
    return next((name for name, _ in targets.delegations.get_roles_for_target(path)), "")


def count_signatures(
    rule: SignatureRule, role: str, targets: Targets, signed: Metadata[Targets]
) -> Count:
    """Return how many of the publishers that the rule names have signed a list (rule 1)."""
    delegations = targets.delegations
    delegated = ((delegations and delegations.roles) or {}).get(role)
    if delegations is None or delegated is None:
        return _NO_COUNT
    wanted = [keyid for keyid in delegated.keyids if not rule.keys or keyid in rule.keys]
    keys = {keyid: delegations.keys[keyid] for keyid in wanted if keyid in delegations.keys}
    return _judge(keys, rule.threshold, signed.signed_bytes, signed.signatures)


def count_approval(rule: ApprovalRule, approval: Approval) -> Count:
    """Return how many of those whom the rule names have signed an approval (rule 2).

    Raises:
        DocumentError: The rule holds what is no key.
    """
    keys = approvers(rule)
    signatures = {keyid: Signature(keyid, sig) for keyid, sig in approval.signatures}
    return _judge(keys, max(1, rule.threshold), canonical_bytes(approval.to_json()), signatures)


def approvals_of(raw: Iterable[JsonObject]) -> tuple[Approval, ...]:
    """Return the approvals among what a channel's document carries as such (rule 3)."""
    found = []
    for item in raw:
        try:
            found.append(read_approval(item))
        except DocumentError:
            continue
    return tuple(found)


def _judge(
    keys: Mapping[str, Key], threshold: int, payload: bytes, signatures: Mapping[str, Signature]
) -> Count:
    """Have python-tuf count the signatures, as it counts those of a role."""
    name = "bar"
    role = DelegatedRole(name, list(keys), threshold, terminating=True, paths=[])
    authority = Targets(delegations=Delegations(dict(keys), {name: role}))
    result = authority.get_verification_result(name, payload, dict(signatures))
    return Count(found=tuple(sorted(result.signed)), is_enough=result.verified)


def approvers(rule: ApprovalRule) -> dict[str, Key]:
    """Return the public keys of those whom the rule names, by their ids.

    Raises:
        DocumentError: The rule holds what is no key.
    """
    return {keyid: _read_key(keyid, raw) for keyid, raw in rule.keys.items()}


def _read_key(keyid: str, raw: JsonObject) -> Key:
    plain: dict[str, Any] = json.loads(dump_json(raw))
    try:
        return Key.from_dict(keyid, copy.deepcopy(plain))
    except (KeyError, TypeError, ValueError) as exc:
        raise DocumentError(
            "not a public key", subject=f"policy.json: key {keyid}", found=str(exc)[:200]
        ) from exc


def canonical_bytes(value: JsonObject) -> bytes:
    """Return the OLPC canonical JSON of `value`: what an envelope's signatures are over.

    Source: securesystemslib.formats.
    """
    plain = json.loads(dump_json(value))
    text = encode_canonical(plain)
    assert text is not None
    return text.encode()
