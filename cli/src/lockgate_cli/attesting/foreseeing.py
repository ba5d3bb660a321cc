"""What the server, or clients, would refuse for lack of proofs.

It is judged here as the server and every client judge it: a release before anything is sent, deltas
as they are made. Where no channel demands anything, this costs nothing; sigstore is not imported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from lockgate_cli.api import Api
from lockgate_cli.attesting.attaching import Attached
from lockgate_cli.attesting.coverage import Live
from lockgate_cli.attesting.judging import (
    BundleReader,
    read_trusted_root_bytes,
    rule_judge,
    rules_in_force,
    tree_judge,
)
from lockgate_cli.extras import join_extras
from lockgate_cli.repository import Base, load_stored
from lockgate_release.documents import (
    ExtrasDocument,
    ReleaseDocument,
    parse_extras,
    parse_release,
)
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName, Platform

__all__ = ["check_demands", "find_useless_deltas", "find_useless_in"]


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


def find_useless_in(
    api: Api,
    base: Base,
    version: str,
    channels: Sequence[ChannelName],
    documents: Mapping[str, bytes],
) -> tuple[str, ...]:
    """Return the same of the deltas to a release that has just been put in force, or promoted.

    Args:
        api: Where bundles are read.
        base: The state before.
        version: The release.
        channels: Where it is offered.
        documents: What of it was put in force, by path; what is not there is live already.

    Raises:
        ProvenanceError: The app's trusted root is none.
        LockgateError: What is live cannot be read.
    """
    if not any(base.policy.channel(name).attestations for name in channels):
        return ()
    # What was joined with it may bring documents of other releases.
    parts = {tuple(path.split("/")[-2:]): data for path, data in documents.items()}
    release, added = (parts.get((version, name)) for name in ("release.json", "extras.json"))
    stored = load_stored(api, base, version)
    document = stored.document if stored else release and parse_release(release)
    if not document:
        return ()
    extras = parse_extras(added) if added else stored and stored.extras
    live = Live(
        version=version,
        channels=tuple(channels),
        artifacts=document.artifacts,
        extras=extras or ExtrasDocument(app=base.app, version=version),
    )
    return find_useless_deltas(api, base, live, {delta.platform for delta in live.extras.deltas})


def find_useless_deltas(
    api: Api, base: Base, live: Live, platforms: Collection[Platform]
) -> tuple[str, ...]:
    """Return which clients may use no delta to a release, a sentence for each channel and platform.

    Args:
        api: Where bundles are read.
        base: The state in force.
        live: The release, with all that is attested of it.
        platforms: For which machines there are deltas.

    Raises:
        ProvenanceError: The app's trusted root is none.
        LockgateError: What is live cannot be read.
    """
    rules = rules_in_force(base)
    if not platforms or not rules(live):
        return ()
    reader = BundleReader(api=api, app=base.app)
    judge = tree_judge(rules, read_trusted_root_bytes(api, base), reader)
    return tuple(
        f"{live.version} {artifact.platform}: clients can use none of its deltas. {lack}. "
        "`lockgate attest claim` writes what your builder signs for that."
        for artifact in live.artifacts
        if artifact.platform in platforms
        for lack in judge(live, artifact)
    )
