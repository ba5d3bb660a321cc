"""What a channel's policy demands of what it offers, checked before the server signs it. Pure.

Clients check the same by the same code, and refuse loudly: these rules keep an honest server from
signing what no client would take.

1. A release is offered only where it meets the channel's bar: path, signatures, approvals.
2. A bar that this version cannot check is met by nothing.
3. What is offered still meets its bar under the next list, the next targets and the next policy.
   Whoever raises a bar first brings what is offered over it.
4. While a list waits for signatures, those it will have are taken for granted: nothing of it is in
   force before they are there, and then it is checked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tuf.api.metadata import Metadata, Targets

from lockgate_release.documents import (
    ChannelDocument,
    ChannelOffer,
    Count,
    PolicyDocument,
    Shortfall,
)
from lockgate_release.errors import UsageError
from lockgate_release.trust.standing import read_standing, role_for
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.publishing import ReleaseList

__all__ = ["Bars", "bars_of", "check_bar", "check_offers_stand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What releases are held to.

    Attributes:
        policy: The maintainers' rules.
        targets: Whose delegations name the publishers' keys.
        lists: The list of each role of releases, with its signatures.
        unsigned: Roles whose next list still waits for signatures (rule 4).
    """

    policy: PolicyDocument
    targets: Targets
    lists: Mapping[str, Metadata[Targets]]
    unsigned: frozenset[str] = frozenset()

    def shortfall(self, document: ChannelDocument, offer: ChannelOffer) -> Shortfall | None:
        """Return what a release lacks to be offered in a channel, or None (rules 1 and 2).

        Raises:
            DocumentError: The policy holds what is no key.
        """
        rule = self.policy.channel(document.channel)
        if rule.unchecked:
            return Shortfall(
                what="the policy demands what this server cannot check",
                expected=rule.unchecked,
                found="a server that is too old for it",
            )
        role = role_for(self.targets, offer.path)
        if not role:
            return Shortfall(
                what="no role of releases speaks for its path any more",
                expected=offer.path.split("/", 1)[0],
                found="no such delegation",
            )
        standing = read_standing(rule, document, offer, self.targets, self.lists)
        if rule.signatures and role in self.unsigned:
            standing = replace(standing, signatures=Count(found=(), is_enough=True))
        return rule.shortfall(offer.path, standing)


def bars_of(base: Base, live: ReleaseList | None = None) -> Bars:
    """Return what releases are held to in a state.

    Args:
        base: The state.
        live: The next list of a role; None: those in force.
    """
    lists = {role: held.metadata for role, held in base.chain.lists.items()}
    unsigned = frozenset[str]()
    if live is not None and live.metadata is not None:
        lists[live.role] = live.metadata
    elif live is not None and live.signed is not _signed(base, live.role):
        unsigned = frozenset({live.role})
    return Bars(
        policy=base.policy, targets=base.chain.targets.signed, lists=lists, unsigned=unsigned
    )


def _signed(base: Base, role: str) -> Targets | None:
    held = base.chain.list_of(role)
    return None if held is None else held.signed


def check_bar(bars: Bars, document: ChannelDocument, offer: ChannelOffer) -> None:
    """Refuse to offer a release that does not meet the channel's bar (rules 1 and 2).

    Raises:
        UsageError: It does not.
        DocumentError: The policy holds what is no key.
    """
    lack = bars.shortfall(document, offer)
    if lack is not None:
        raise UsageError(
            lack.what,
            subject=f"{document.channel}: {offer.version}",
            expected=lack.expected,
            found=lack.found,
            hint=_HINTS.get(lack.what.split()[2], ""),
        )


_HINTS = {
    "publishers": "Let more of them sign the list: `lockgate renew --role releases`.",
    "people": "`lockgate approve` lets it in; then say again what you said.",
}


def check_offers_stand(bars: Bars, channels: Iterable[ChannelDocument]) -> None:
    """Refuse a state in which something would be offered that no client takes (rule 3).

    Raises:
        UsageError: There is such an offer.
        DocumentError: The policy holds what is no key.
    """
    for document in channels:
        for offer in document.offers:
            lack = bars.shortfall(document, offer)
            if lack is not None:
                raise UsageError(
                    f"what is offered would not meet the channel's bar: {lack.what}",
                    subject=f"{document.channel}: {offer.version}",
                    expected=lack.expected,
                    found=lack.found,
                    hint="Bring it over the bar first, or revoke it.",
                )
