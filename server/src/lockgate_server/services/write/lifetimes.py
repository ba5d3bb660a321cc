"""Preview channels: made for a while, ended by themselves.

1. A channel is given a lifetime when it is made, and only then: one that lasts gets none by a slip.
2. Publishing into it with a lifetime sets the end anew, counted from then; without, the end stays.
3. At its end it is emptied, by the worker or by a person: offers and what they fell back to go,
   revocations stay, and so does a stop: ending is no way around those who must agree to a start.
   Clients are told by its document.
4. What has ended begins again only with a lifetime, and with a higher sequence than clients have
   seen.
5. Of a channel that ended `TOLD_FOR` ago, and has neither a stop nor a revocation to tell of, the
   document goes too: what is signed does not grow with the previews that ever were.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from lockgate_release.documents import ChannelDocument
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, ChannelName
from lockgate_release.strict_json import Json
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Outcome, Plan, change_app
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.status import read_current

__all__ = ["TOLD_FOR", "end_channel", "end_due_channels", "with_lifetime"]

TOLD_FOR: Final = EXPIRY[Role.CHANNELS]
"""For how long clients of a channel that has ended are told so."""


def with_lifetime(document: ChannelDocument, lifetime_s: int, now: datetime) -> ChannelDocument:
    """Return the channel that something is about to be offered in, with its end (rules 1, 2, 4).

    Args:
        document: The channel; one that was never issued has sequence 0.
        lifetime_s: From now, in seconds; 0 says nothing of that.
        now: The present, aware.

    Raises:
        UsageError: The channel lasts and was given a lifetime; or it has ended and was given none.
    """
    subject = f"channel {document.channel}"
    if lifetime_s:
        if document.retire_at is None and document.sequence > 0:
            raise UsageError(
                "it lasts: a lifetime is given to a channel that is new",
                subject=subject,
                hint="Leave the lifetime out, or name a channel of its own for the preview.",
            )
        return replace(document, retire_at=now + timedelta(seconds=lifetime_s))
    if document.retire_at is not None and document.has_ended(now):
        raise UsageError(
            "it has ended",
            subject=subject,
            found=format_instant(document.retire_at),
            hint="Give it a lifetime once more: --expires.",
        )
    return document


def _ended(document: ChannelDocument, now: datetime) -> ChannelDocument:
    """Return the channel without anything that is offered, or the same if it is so (rule 3)."""
    if document.has_ended(now) and not (document.offers or document.once_full):
        return document
    retire_at = min(now, document.retire_at or now)
    return replace(document, offers=(), once_full=(), retire_at=retire_at)


def end_channel(
    deps: WriteDeps, app: AppName, channel: ChannelName, caller: Caller
) -> Outcome[ChannelDocument]:
    """End a channel now, a preview or not; ending it again changes nothing.

    Raises:
        NotFoundError: There is no such app or channel.
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[ChannelDocument]:
        before = base.channels.get(channel)
        if before is None:
            raise NotFoundError("no such channel", subject=f"{app}: {channel}")
        after = _ended(before, deps.now())
        change = None if after is before else _change((after,))
        return Plan(change=change, answer=after)

    return change_app(deps, app, caller, plan)


def end_due_channels(deps: WriteDeps, app: AppName, caller: Caller) -> None:
    """Empty every channel whose time is over, and drop what ended long ago (rules 3 and 5).

    Writes nothing where there is none.

    Raises:
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[None]:
        due, gone = _due(base, deps.now()), _gone(base, deps.now())
        change = _change(due, gone) if due or gone else None
        return Plan(change=change, answer=None)

    base, now = read_current(deps, app), deps.now()
    if _due(base, now) or _gone(base, now):
        change_app(deps, app, caller, plan)


def _due(base: Base, now: datetime) -> tuple[ChannelDocument, ...]:
    over = [item for item in base.channels.values() if item.has_ended(now)]
    changed = [(before, _ended(before, now)) for before in over]
    return tuple(after for before, after in changed if after is not before)


def _gone(base: Base, now: datetime) -> frozenset[ChannelName]:
    return frozenset(
        item.channel
        for item in base.channels.values()
        if item.retire_at is not None
        and now >= item.retire_at + TOLD_FOR
        and not (item.offers or item.once_full or item.revoked or item.stop)
    )


def _change(
    documents: tuple[ChannelDocument, ...], gone: frozenset[ChannelName] = frozenset()
) -> Change:
    details: dict[str, Json] = {"channels": [document.channel for document in documents]}
    if gone:
        details["dropped"] = sorted(gone)
    return Change(action="channel.end", details=details, channels=documents, dropped=gone)
