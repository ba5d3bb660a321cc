"""Who built what a client would be offered, proven as that client proves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lockgate_release.decision import Decision, Leave, Offer
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Attestation
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.errors import RefusedOfferError
from lockgate_release.names import ChannelName, Sha256Hex
from lockgate_release.provenance.facts import Judgement
from lockgate_release.provenance.tree_claims import digest_tree_claim
from lockgate_release.trust.verify import NotFoundError, TrustedView

__all__ = ["OriginProver", "Read"]

Read = Callable[[str], Iterator[bytes]]
"""Yields the file at a path below the app's address."""


class OriginProver:
    """Holds offers to what a channel demands of their origin, each artifact once."""

    def __init__(self, view: TrustedView, read: Read) -> None:
        """Prove offers of one state.

        Args:
            view: The state, verified.
            read: Brings bundles.
        """
        self._view = view
        self._read = read
        self._proven: set[tuple[ChannelName, Sha256Hex]] = set()

    def check(self, channel: ChannelName, rule: AttestationRule | None, decision: Decision) -> None:
        """Return if the origin of what a decision would install is proven, or not asked for.

        Raises:
            RefusedOfferError: It is not.
            RepositoryError: What would prove it cannot be verified.
            TransportError: What would prove it does not come.
        """
        offer = decision.target if isinstance(decision, Leave) else decision
        if rule is None or not isinstance(offer, Offer):
            return
        sha256 = offer.artifact.sha256
        if (channel, sha256) not in self._proven:
            self._prove(channel, rule, offer)
            self._proven.add((channel, sha256))

    def why_no_delta(self, rule: AttestationRule | None, offer: Offer) -> str:
        """Return why clients take no delta to what is offered, or "": its tree is proven too.

        Raises:
            RepositoryError: What would prove it cannot be verified.
            TransportError: What would prove it does not come.
        """
        if rule is None:
            return ""
        claim = digest_tree_claim(offer.artifact.sha256, offer.artifact.tree_sha256)
        judgement = self._judge(rule, offer, claim)
        if judgement.is_met:
            return ""
        why = "; ".join([judgement.lacks[0].found, *judgement.refused])
        return f"who vouches for the tree of {offer.version} is not proven: {why}"

    def _judge(self, rule: AttestationRule, offer: Offer, sha256: Sha256Hex) -> Judgement:
        # Few ask this of a channel that demands proofs, and sigstore costs half a second.
        from lockgate_release.provenance.choosing import bundles_about  # noqa: PLC0415
        from lockgate_release.provenance.judging import judge_attestations  # noqa: PLC0415

        extras = self._view.extras(offer.release)
        about = bundles_about(extras.attestations if extras else (), sha256, rule)
        bundles = (data for item in about if (data := self._fetch(item)) is not None)
        return judge_attestations(rule, bundles, sha256, self._view.trusted_root())

    def _prove(self, channel: ChannelName, rule: AttestationRule, offer: Offer) -> None:
        judgement = self._judge(rule, offer, offer.artifact.sha256)
        if not judgement.is_met:
            lack = judgement.lacks[0]
            raise RefusedOfferError(
                lack.what,
                subject=f"{channel}: offer of {offer.version}",
                expected=lack.expected,
                found="; ".join([lack.found, *judgement.refused]),
                hint="Clients refuse it. `lockgate attest list` says what is covered.",
            )

    def _fetch(self, item: Attestation) -> bytes | None:
        from lockgate_release.provenance.bundles import MAX_BUNDLE_BYTES  # noqa: PLC0415 (as above)

        if item.size > MAX_BUNDLE_BYTES:
            return None
        data = bytearray()
        try:
            for chunk in self._read(item.path):
                data += chunk
                if len(data) > item.size:
                    return None
        except NotFoundError:
            return None
        return bytes(data) if digest_bytes(bytes(data)) == item.sha256 else None
