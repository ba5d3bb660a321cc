"""What waits for people's approval: live releases that a channel may offer and too few let in.

1. Asked is only where the channel's policy demands approvals now.
2. Told is of what its publishers allow there and that is newer than everything the channel offers:
   what is older was passed over, and nobody waits for it. What is revoked there waits for nothing,
   and in a channel that has ended nothing does.
3. Whose approval counts is decided as clients do, by the keys of the policy in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from securesystemslib.signer import Key

from lockgate_release.documents import ApprovalRule, ChannelDocument, ReleaseEntry
from lockgate_release.documents.trusted import Count
from lockgate_release.names import ChannelName, Sha256Hex
from lockgate_release.strict_json import Json, JsonObject
from lockgate_release.trust.key_names import key_name
from lockgate_release.trust.standing import approvers, count_approvals
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.lists import Live, all_live

__all__ = ["describe_awaited", "describe_keys"]

_NOBODY = Count(found=(), is_enough=False)


def describe_awaited(base: Base, now: datetime) -> list[JsonObject]:
    """Return which releases wait for whose approval, or may be offered by now, newest first.

    Raises:
        DocumentError: The policy holds what is no key.
    """
    live = all_live(base)
    named = {name for entry in live.entries.values() for name in entry.channels}
    found: list[JsonObject] = []
    for channel in sorted({*named, *base.channels}):
        rule = base.policy.channel(channel).approvals
        if rule is not None and rule.threshold:
            found += _awaited_in(base, live, rule, channel, now)
    return found


def describe_keys(keys: Iterable[Key]) -> list[Json]:
    """Return keys as people know them, by their names."""
    known = sorted((key_name(key), key.keyid) for key in keys)
    return [{"keyid": keyid, "name": name} for name, keyid in known]


def _awaited_in(
    base: Base, live: Live, rule: ApprovalRule, channel: ChannelName, now: datetime
) -> Iterator[JsonObject]:
    document, keys = base.channels.get(channel), approvers(rule)
    if document is not None and document.has_ended(now):
        return
    for path, entry in _newer(base, live, document, channel):
        sha256 = Sha256Hex(live.targets[path].hashes["sha256"])
        count = _NOBODY
        if document is not None:
            count = count_approvals(rule, document, entry.version, sha256)
        yield {
            "channel": channel,
            "version": entry.version,
            "threshold": rule.threshold,
            "missing": max(0, rule.threshold - len(count.found)),
            "approved_by": describe_keys(keys[keyid] for keyid in count.found),
            "lacking": describe_keys(
                key for keyid, key in keys.items() if keyid not in count.found
            ),
        }


def _newer(
    base: Base, live: Live, document: ChannelDocument | None, channel: ChannelName
) -> list[tuple[str, ReleaseEntry]]:
    """Return what may be offered in a channel and is newer than all that is, newest first."""
    parse = base.policy.versions.parse
    offers = () if document is None else document.offers
    newest = max((parse(offer.version) for offer in offers), default=None)
    found = [
        (path, entry)
        for path, entry in live.entries.items()
        if channel in entry.channels
        and (newest is None or parse(entry.version) > newest)
        and (document is None or document.revocation_of(entry.version) is None)
    ]
    return sorted(found, key=lambda pair: parse(pair[1].version), reverse=True)
