"""What the server would refuse for lack of proofs, found before anything is sent.

It is judged here as the server and every client judge it. Where no channel demands anything, this
costs nothing; sigstore is not imported then.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockgate_cli.api import Api
from lockgate_cli.attesting.attaching import Attached
from lockgate_cli.attesting.coverage import Live
from lockgate_cli.attesting.judging import (
    BundleReader,
    read_trusted_root_bytes,
    rule_judge,
    rules_in_force,
)
from lockgate_cli.extras import join_extras
from lockgate_cli.repository import Base, load_stored
from lockgate_release.documents import ExtrasDocument, ReleaseDocument
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName

__all__ = ["check_demands"]


def check_demands(
    api: Api,
    base: Base,
    channels: Sequence[ChannelName],
    document: ReleaseDocument,
    extras: ExtrasDocument,
    attached: Sequence[Attached],
) -> None:
    """Refuse a release that lacks proofs which a channel demands.

    Args:
        api: Where what is live already is read.
        base: The state in force.
        channels: Where it is to be offered.
        document: The release.
        extras: What is added to it; what it has, where it is live, counts too.
        attached: The attestations that are at hand.

    Raises:
        UsageError: A channel would not take it; the message says what is missing.
        ProvenanceError: The app's trusted root is none.
        LockgateError: What is live cannot be read.
    """
    if not any(base.policy.channel(name).attestations for name in channels):
        return
    stored = load_stored(api, base, document.version)
    known = stored.extras.attestations if stored and stored.extras else ()
    live = Live(
        version=document.version,
        channels=tuple(channels),
        artifacts=document.artifacts,
        extras=join_extras(extras, attestations=known),
    )
    held = {one.said.sha256: one.said.data for one in attached}
    reader = BundleReader(api=api, app=base.app, held=held)
    judge = rule_judge(rules_in_force(base), read_trusted_root_bytes(api, base), reader)
    for artifact in document.artifacts:
        lacks = judge(live, artifact)
        if lacks:
            raise UsageError(
                "lacks proofs of origin that its channel demands",
                subject=f"{document.version}: {artifact.name}",
                found="; ".join(lacks),
                hint="--sigstore signs it, --attestation attaches what others signed.",
            )
