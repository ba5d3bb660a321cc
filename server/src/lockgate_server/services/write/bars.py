"""What a channel's policy demands of what it offers, checked before the server signs it.

Clients check the same by the same code, and refuse loudly: these rules keep an honest server from
signing what no client would take.

1. A release is offered only where it meets the channel's bar: path, signatures, approvals, and who
   built it. For that the store is read (`origins`); all else is pure.
2. Who built what is offered already was asked when that began, and is asked again where the policy
   or the trusted root changes: not at each change of a list. So somebody can take responsibility
   for an offer that nobody has attested (`allow_unattested`), which is noted with their name.
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
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.origins import Origins
from lockgate_server.services.write.publishing import ReleaseList

__all__ = ["Bars", "bars_of", "check_bar", "check_offers_stand", "offered_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What releases are held to.

    Attributes:
        policy: The maintainers' rules.
        targets: Whose delegations name the publishers' keys.
        lists: The list of each role of releases, with its signatures.
        unsigned: Roles whose next list still waits for signatures (rule 4).
        origins: Finds out who built what; None: nobody can.
        waived: Offers whose origin is not asked for, by channel and digest (rule 2).
    """

    policy: PolicyDocument
    targets: Targets
    lists: Mapping[str, Metadata[Targets]]
    unsigned: frozenset[str] = frozenset()
    origins: Origins | None = None
    waived: frozenset[tuple[str, str]] = frozenset()

    def shortfall(self, document: ChannelDocument, offer: ChannelOffer) -> Shortfall | None:
        """Return what a release lacks to be offered in a channel, or None (rules 1 and 2).

        Raises:
            RepositoryError: The policy holds what is no key, or a document is not what was signed.
            TransportError: What proves an origin cannot be read.
        """
        rule = self.policy.channel(document.channel)
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
        lack = rule.shortfall(offer.path, standing)
        is_waived = (document.channel, offer.sha256) in self.waived
        if lack is not None or rule.attestations is None or is_waived:
            return lack
        if self.origins is None:
            return Shortfall(
                what="the policy demands what nobody can check here",
                expected="attestations",
                found="nobody who reads them",
            )
        return self.origins.shortfall(rule.attestations, offer, role)


def bars_of(
    deps: WriteDeps,
    base: Base,
    live: ReleaseList | None = None,
    *,
    sent: Mapping[str, bytes] | None = None,
    waived: frozenset[tuple[str, str]] = frozenset(),
) -> Bars:
    """Return what releases are held to in a state.

    Args:
        deps: Where documents and bundles are read.
        base: The state.
        live: The next list of a role; None: those in force.
        sent: Documents that the store may not have yet, by path.
        waived: Offers whose origin is not asked for, by channel and digest.
    """
    lists = {role: held.metadata for role, held in base.chain.lists.items()}
    unsigned = frozenset[str]()
    if live is not None and live.metadata is not None:
        lists[live.role] = live.metadata
    elif live is not None and live.signed is not _signed(base, live.role):
        unsigned = frozenset({live.role})
    targets, signed = base.chain.targets.signed, {role: one.signed for role, one in lists.items()}
    if live is not None:
        signed[live.role] = live.signed
    return Bars(
        policy=base.policy,
        targets=targets,
        lists=lists,
        unsigned=unsigned,
        origins=Origins(
            store=deps.store,
            app=base.app,
            targets=targets,
            lists=signed,
            sent=sent or {},
            memory=deps.origins,
        ),
        waived=waived,
    )


def offered_in(channels: Iterable[ChannelDocument]) -> frozenset[tuple[str, str]]:
    """Return what is offered now, by channel and digest: its origin was asked for (rule 2)."""
    return frozenset(
        (document.channel, offer.sha256) for document in channels for offer in document.offers
    )


def _signed(base: Base, role: str) -> Targets | None:
    held = base.chain.list_of(role)
    return None if held is None else held.signed


def check_bar(bars: Bars, document: ChannelDocument, offer: ChannelOffer) -> None:
    """Refuse to offer a release that does not meet the channel's bar (rules 1 and 2).

    Raises:
        UsageError: It does not.
        RepositoryError: The policy holds what is no key, or a document is not what was signed.
        TransportError: What proves an origin cannot be read.
    """
    lack = bars.shortfall(document, offer)
    if lack is not None:
        raise UsageError(
            lack.what,
            subject=f"{document.channel}: {offer.version}",
            expected=lack.expected,
            found=lack.found,
            hint=_HINTS.get(" ".join(lack.what.split()[:3]).rstrip(":"), ""),
        )


_HINTS = {
    "too few publishers": "Let more of them sign the list: `lockgate renew --role releases`.",
    "its origin is": "`lockgate attest add` attaches what proves it. Clients refuse it until then, "
    "whoever says --allow-unattested.",
    "too few people": "`lockgate approve` lets it in; then say again what you said.",
}


def check_offers_stand(bars: Bars, channels: Iterable[ChannelDocument]) -> None:
    """Refuse a state in which something would be offered that no client takes (rule 3).

    Raises:
        UsageError: There is such an offer.
        RepositoryError: The policy holds what is no key, or a document is not what was signed.
        TransportError: What proves an origin cannot be read.
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
