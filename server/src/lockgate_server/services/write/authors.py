"""Whose a change is that waits for signatures: who began it, and the maintainers.

1. It is withdrawn by the token that began it, or by one of scope admin. A stolen token of scope
   publish drops nobody's work, and no signatures that others gave.
2. What takes the place of somebody else's change contains it: every release that it brings, marks
   or takes out, every floor that it raises, every document that it changes, and all that the server
   is to do with it. Else taking its place would be a way to withdraw it. What it is joined to
   belongs to whoever joined them.
"""

from __future__ import annotations

from collections.abc import Iterator

from tuf.api.metadata import Targets

from lockgate_release.documents import ReleaseEntry
from lockgate_release.errors import DeniedError
from lockgate_release.pending_requests import PendingRequest, Wishes
from lockgate_release.strict_json import Fields
from lockgate_release.trust.chain import parse_metadata
from lockgate_server.ports import PendingChange
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.lists import list_before
from lockgate_server.services.write.publishing import ReleaseList, read_list

__all__ = ["check_contained", "check_may_withdraw"]


def check_may_withdraw(change: PendingChange, caller: Caller) -> None:
    """Refuse to let somebody drop what others have begun (rule 1).

    Raises:
        DeniedError: Another token has begun it, and this one is no maintainer's.
    """
    if _is_theirs(change, caller):
        return
    raise DeniedError(
        "somebody else has begun it",
        subject=f"{change.app}: {change.title}",
        expected=f"the token of {change.actor}, or one of scope admin",
        found=caller.actor,
        hint=f"Ask {change.actor} or a maintainer to withdraw it; "
        f"`lockgate sign` signs it, and `--join` adds to it what nobody has signed yet.",
    )


def check_contained(
    base: Base, change: PendingChange, request: PendingRequest, caller: Caller
) -> None:
    """Refuse what would take the place of somebody else's change without containing it (rule 2).

    Raises:
        DeniedError: It leaves something out.
        DocumentError: One of the lists is none.
    """
    if _is_theirs(change, caller):
        return
    missing = next(_left_out(base, change, request), None)
    if missing is not None:
        raise DeniedError(
            "it would take out what somebody else has begun",
            subject=f"{change.app}: {change.title}",
            expected=missing,
            found="a change without it",
            hint=f"Join it as it is, or ask {change.actor} or a maintainer to withdraw it.",
        )


def _is_theirs(change: PendingChange, caller: Caller) -> bool:
    return caller.is_maintainer or caller.actor == change.actor


def _left_out(base: Base, change: PendingChange, request: PendingRequest) -> Iterator[str]:
    """Yield what a request leaves out of a change that it would take the place of."""
    before = list_before(base, change.role)
    theirs, ours = _list_of(change.metadata, change.role), _list_of(request.releases, change.role)
    yield from _documents_left_out(before, theirs, ours)
    for path in before.entries:
        if path not in theirs.entries and path in ours.entries:
            yield f"{path} retired"
    for path, mark in theirs.entries.items():
        if path in ours.entries and not _keeps_mark(base, mark, ours.entries[path]):
            yield f"the marks that it gives {path}"
    wishes = Wishes.read(Fields(change.wishes, subject=change.title, path=""))
    yield from (
        f"{offer.version} offered in {offer.channel}"
        for offer in wishes.offers
        if offer not in request.wishes.offers
    )
    yield from (
        f"{lift.version} lifted in {', '.join(lift.channels)}"
        for lift in wishes.lifts
        if lift not in request.wishes.lifts
    )


def _documents_left_out(
    before: ReleaseList, theirs: ReleaseList, ours: ReleaseList
) -> Iterator[str]:
    """Yield which documents are missing, are others, or are put back to what they were before."""
    for path, target in theirs.signed.targets.items():
        known, kept = before.signed.targets.get(path), ours.signed.targets.get(path)
        if known is None and kept is None:
            yield f"{path}, which it brings"
        elif kept is not None and kept.hashes == target.hashes:
            continue
        elif known is None:
            if path in theirs.entries:
                yield f"{path} with the bytes that it brings"
        elif known.hashes != target.hashes and (kept is None or kept.hashes == known.hashes):
            # Extras may be changed further: so are they where somebody joins more of them.
            yield f"{path} as it changes it"


def _list_of(data: bytes, role: str) -> ReleaseList:
    return read_list(parse_metadata(Targets, data, f"the next {role}").signed, role=role)


def _keeps_mark(base: Base, theirs: ReleaseEntry, ours: ReleaseEntry) -> bool:
    """Whether a release may go where their mark lets it, and their lifts and floors stand."""
    lifts = {(name, at) for name, at in theirs.lifted.items() if ours.lifted.get(name) != at}
    parse = base.policy.versions.parse
    floors = (
        name in ours.floors and parse(ours.floors[name]) >= parse(floor)
        for name, floor in theirs.floors.items()
    )
    return not lifts and set(theirs.channels) <= set(ours.channels) and all(floors)
