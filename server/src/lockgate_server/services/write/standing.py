"""What must stand when keys change: what this server signs with, and who still holds older roots.

A root is live the moment it is written; until then, the one before it was the newest. So the time
at which the store got it tells until when a cache may have answered that there is none; where a
store was filled again from a copy, the audit log knows an earlier one.
"""

from __future__ import annotations

from datetime import datetime

from tuf.api.metadata import Root

from lockgate_release.errors import LockgateError
from lockgate_release.layout import metadata_key
from lockgate_release.trust.chain import Verified, parse_metadata, verify_next_root
from lockgate_release.trust.roles import Role
from lockgate_server.services.objects import read_object
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.composing import online_keys
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.renewal_rules import Standing

__all__ = ["older_roots", "online_ids", "standing_of"]


_MOST_ENTRIES = 1000


def standing_of(deps: WriteDeps, base: Base) -> Standing:
    """Return what must stand when maintainers' words change.

    Raises:
        LocalError: The online key cannot be read.
        TransportError: The store cannot be reached.
    """
    return Standing(
        online_key_ids=online_ids(deps, base),
        lists={**base.chain.lists, Role.CHANNELS.value: base.chain.channels},
        older_roots=older_roots(deps, base),
    )


def online_ids(deps: WriteDeps, base: Base) -> frozenset[str]:
    """Return the ids of the keys that this server signs with.

    Raises:
        LocalError: The online key cannot be read.
    """
    signers = deps.keys.signers(base.app, online_keys(base))
    return frozenset(signer.public_key.keyid for signer in signers)


def older_roots(deps: WriteDeps, base: Base) -> dict[int, Root]:
    """Return the roots that clients behind caches may still hold, the newest of them first.

    Raises:
        TransportError: The store cannot be reached.
    """
    oldest = deps.now() - deps.patience.overlap
    newer, found = base.chain.root, {}
    while newer.version > 1:
        info = deps.store.head(metadata_key(base.app, Role.ROOT, newer.version))
        if info is None or info.modified_at <= oldest:
            break
        if _was_live_at(deps, base, newer.version, oldest):
            break
        before = _read_before(deps, base, newer)
        if before is None:
            break
        found[before.version] = before.signed
        newer = before
    return found


def _was_live_at(deps: WriteDeps, base: Base, number: int, moment: datetime) -> bool:
    """Whether the audit log says that a root was live already at a moment."""
    return any(
        entry.at <= moment and entry.intent.details.get("root_version") == number
        for entry in deps.ledger.audit(base.app, limit=_MOST_ENTRIES)
        if entry.outcome == "done"
    )


def _read_before(deps: WriteDeps, base: Base, newer: Verified[Root]) -> Verified[Root] | None:
    """Return the root that a newer one follows, or None where the store holds none such."""
    number = newer.version - 1
    held = read_object(deps.store, metadata_key(base.app, Role.ROOT, number))
    if held is None:
        return None
    try:
        metadata = parse_metadata(Root, held.data, f"{number}.root.json")
        before = Verified(metadata=metadata, data=held.data)
        verify_next_root(before, newer.data)
    except LockgateError:
        return None
    return before
