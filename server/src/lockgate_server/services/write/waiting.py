"""Changes that wait for signatures, as everything else on the server meets them.

1. While one waits, no other list of its role comes into force: whoever sends one is told which.
2. One that was begun on another list than the one in force is outdated: it can never come into
   force, and is in nobody's way.
3. Whose signature counts is decided anew each time, by the keys that speak for the role then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tuf.api.metadata import TargetFile, Targets

from lockgate_release.errors import ConflictError, DocumentError, PendingError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.pending_requests import Wishes
from lockgate_release.strict_json import Fields
from lockgate_release.trust.chain import Verified, parse_metadata
from lockgate_release.trust.needed import signatures_needed
from lockgate_release.trust.partial import PartlySigned, change_id_of, weigh_signatures
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.roles import Role
from lockgate_server.ports import Ledger, PendingChange
from lockgate_server.services.write.base import Base

__all__ = [
    "check_not_withdrawn",
    "find_change",
    "is_in_force",
    "is_outdated",
    "is_waiting",
    "refuse_while_pending",
    "versions_in",
    "weigh",
]


def find_change(ledger: Ledger, app: AppName, change_id: str) -> PendingChange | None:
    """Return the pending change of this id, or None.

    Raises:
        LocalError: The ledger cannot be read.
    """
    return next((item for item in ledger.pending(app) if item.change_id == change_id), None)


def is_in_force(base: Base, role: str, change_id: str) -> bool:
    """Whether the list in force of a role is that of this change."""
    current = base.chain.list_of(role)
    return current is not None and change_id_of(base.app, role, current.metadata) == change_id


def is_outdated(base: Base, change: PendingChange) -> bool:
    """Whether a change was begun on another list than the one in force (rule 2)."""
    if change.role not in base.chain.release_roles:
        return True
    current = base.chain.list_of(change.role)
    return change.number != (current.version if current else 0) + 1


def weigh(base: Base, change: PendingChange) -> PartlySigned:
    """Return a change that is not outdated with those of its signatures that count (rule 3).

    It takes as many as the channels demand for which it is, too.

    Raises:
        TrustError: Targets name no such role any more.
    """
    metadata = parse_metadata(Targets, change.metadata, f"the next {change.role}")
    signatures = [(item.keyid, item.signature) for item in change.signatures]
    partly = weigh_signatures(base.app, base.chain, change.role, metadata, signatures)
    wishes = Wishes.read(Fields(change.wishes, subject=change.title, path=""))
    wished = [offer.channel for offer in wishes.offers]
    needed = signatures_needed(partly.threshold, base.policy, change.role, base.channels, wished)
    return replace(partly, threshold=needed)


def versions_in(base: Base, change: PendingChange) -> tuple[str, ...]:
    """Return the versions that a change is about: those that appear, vanish, or are marked anew.

    Of one that is outdated, those that it brings or offers: the list it followed is gone.

    Raises:
        DocumentError: What is kept is no list.
    """
    if is_outdated(base, change):
        wishes = Wishes.read(Fields(change.wishes, subject=change.title, path=""))
        offered = {offer.version for offer in wishes.offers}
        return _order(base, {*offered, *(path.split("/")[1] for path in change.documents)})
    new = parse_metadata(Targets, change.metadata, f"the next {change.role}").signed.targets
    current = base.chain.list_of(change.role)
    before = current.signed.targets if current else {}
    changed = {path for path in {*new, *before} if not _is_same(new.get(path), before.get(path))}
    return _order(base, {path.split("/")[1] for path in changed if path.count("/") == 2})


def _is_same(one: TargetFile | None, other: TargetFile | None) -> bool:
    return one is not None and other is not None and one.to_dict() == other.to_dict()


def _order(base: Base, versions: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(versions, key=base.policy.versions.parse))


def refuse_while_pending(ledger: Ledger, base: Base, role: str = Role.RELEASES) -> None:
    """Refuse to put a list in force while another one waits for signatures (rules 1 and 2).

    Raises:
        PendingError: One does.
        LocalError: The ledger cannot be read.
    """
    for change in ledger.pending(base.app):
        is_over = is_outdated(base, change) or is_in_force(base, role, change.change_id)
        if change.role == role and not is_over:
            raise pending_error(base, change)


def pending_error(base: Base, change: PendingChange) -> PendingError:
    """Return what whoever sends another list is told: who waits, since when, for whom."""
    partly = weigh(base, change)
    signers = ", ".join(map(key_label, partly.signed.values())) or "nobody yet"
    names = versions_in(base, change) or ("renewal",)
    return PendingError(
        "another change waits for signatures",
        subject=f"{base.app}: {change.role}",
        found=f"{change.title!r}, begun by {change.actor} at {format_instant(change.began_at)}, "
        f"signed by {len(partly.signed)} of {partly.threshold}: {signers}",
        hint=f"`lockgate sign {base.app} {names[-1]}` adds a signature to it, "
        f"`lockgate withdraw {base.app} {names[-1]}` drops it.",
    )


def is_waiting(ledger: Ledger, app: AppName, data: bytes) -> bool:
    """Whether this is the list of a pending change, however often it is signed.

    Raises:
        LocalError: The ledger cannot be read.
    """
    waiting = ledger.pending(app)
    if not waiting:
        return False
    try:
        metadata = parse_metadata(Targets, data, "releases")
    except DocumentError:
        return False
    return any(change_id_of(app, item.role, metadata) == item.change_id for item in waiting)


def check_not_withdrawn(
    ledger: Ledger, app: AppName, verified: Verified[Targets], role: str = Role.RELEASES
) -> None:
    """Refuse to finish a list that people have withdrawn.

    Raises:
        ConflictError: They have.
        LocalError: The ledger cannot be read.
    """
    if ledger.was_withdrawn(app, Sha256Hex(change_id_of(app, role, verified.metadata))):
        raise ConflictError("it was withdrawn", subject=f"{app}: {role} {verified.version}")
