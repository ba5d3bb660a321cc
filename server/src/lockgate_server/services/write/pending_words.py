"""Changes that wait for signatures, as people and commands read them. Writes nothing."""

from __future__ import annotations

from lockgate_release.errors import LocalError, RepositoryError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName
from lockgate_release.pending_requests import PendingContent
from lockgate_release.strict_json import Json, JsonObject
from lockgate_release.trust.key_names import key_name
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import PendingChange
from lockgate_server.services.write.awaited import describe_awaited, describe_keys
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.ceremony import waiting_root
from lockgate_server.services.write.delta_words import describe_deltas
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.online_keys import describe_for_status
from lockgate_server.services.write.pending import Signed
from lockgate_server.services.write.pending_live import read_wishes, why_not_live
from lockgate_server.services.write.status import describe_app, read_current, summarise
from lockgate_server.services.write.waiting import (
    find_change,
    is_in_force,
    is_outdated,
    versions_in,
    weigh,
)

__all__ = [
    "describe_change",
    "describe_pending",
    "describe_signed",
    "describe_with_pending",
    "read_content",
    "summarise_app",
]


def describe_with_pending(deps: WriteDeps, base: Base) -> JsonObject:
    """Return everything there is to say of an app, with the changes that wait for signatures.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    said = describe_app(base, deps.now())
    waiting = [describe_change(deps, base, change) for change in _waiting(deps, base)]
    troubles = [
        f"{item['title']!r} waits for signatures, and cannot come into force: {item['problem']}"
        for item in waiting
        if item["problem"]
    ]
    warnings = said["warnings"]
    assert isinstance(warnings, list)
    keys, of_keys = describe_for_status(deps, base)
    awaited = describe_awaited(base, deps.now())
    root = waiting_root(deps, base)
    if root is not None:
        troubles.append(f"root {root} waited for caches: submit the same ceremony again")
    return {
        **said,
        "warnings": [*warnings, *of_keys, *troubles],
        "pending": list(waiting),
        "awaited": list(awaited),
        "deltas": list(describe_deltas(deps, base)),
        "online_keys": keys,
        "reports_waiting": _count_reports(deps),
    }


def summarise_app(deps: WriteDeps, app: AppName) -> JsonObject:
    """Return an app as a line of a list; where its files are refused, why.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    try:
        base = read_current(deps, app)
        awaited = describe_awaited(base, deps.now())
    except RepositoryError as exc:
        return {"app": app, "error": {"code": exc.code, "message": str(exc)}}
    return {
        **summarise(base),
        "pending": len(_waiting(deps, base)),
        "awaited": sum(bool(one["missing"]) for one in awaited),
    }


def _count_reports(deps: WriteDeps) -> int | None:
    """Return how many reports of all apps wait to be counted; None where nobody says."""
    try:
        return deps.reports.waiting(now=deps.now())
    except LocalError:
        return None


def describe_pending(deps: WriteDeps, base: Base) -> list[Json]:
    """Return every change that waits in an app; one that is in force already waits no more.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    return [describe_change(deps, base, change) for change in _waiting(deps, base)]


def _waiting(deps: WriteDeps, base: Base) -> list[PendingChange]:
    return [
        change
        for change in deps.ledger.pending(base.app)
        if not is_in_force(base, change.role, change.change_id)
    ]


def describe_change(deps: WriteDeps, base: Base, change: PendingChange) -> JsonObject:
    """Return who waits for whom, since when, and for what.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    said: dict[str, Json] = {
        "change": change.change_id,
        "role": change.role,
        "releases_version": change.number,
        "title": change.title,
        "begun_by": change.actor,
        "begun_at": format_instant(change.began_at),
        **read_wishes(change).to_json(),
        "unattested": [
            {
                "channel": offer.channel,
                "version": offer.version,
                "demanded": base.policy.channel(offer.channel).attestations is not None,
            }
            for offer in read_wishes(change).offers
            if offer.allow_unattested
        ],
        "versions": list(versions_in(base, change)),
    }
    if is_outdated(base, change):
        return {
            **said,
            "state": "outdated",
            "threshold": 0,
            "missing": 0,
            "signatures": [],
            "lacking": [],
            "problem": "another list is in force than the one it follows",
        }
    partly = weigh(base, change)
    signatures: list[Json] = [
        {
            "keyid": item.keyid,
            "name": key_name(partly.signed[item.keyid]),
            "by": item.actor,
            "at": format_instant(item.at),
        }
        for item in change.signatures
        if item.keyid in partly.signed
    ]
    return {
        **said,
        "state": "complete" if partly.is_complete else "open",
        "threshold": partly.threshold,
        "missing": partly.missing,
        "signatures": signatures,
        "lacking": [] if partly.is_complete else describe_keys(partly.unsigned.values()),
        "problem": why_not_live(deps, base, change) if partly.is_complete else "",
    }


def describe_signed(deps: WriteDeps, signed: Signed) -> JsonObject:
    """Return what has become of a change.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    waiting = None
    if signed.change is not None:
        waiting = describe_change(deps, signed.base, signed.change)
    return {
        "change": signed.change_id,
        "live": waiting is None,
        "changed": signed.changed,
        "pending": waiting,
        "timestamp_version": signed.timestamp_version,
        "releases_version": signed.releases_version,
    }


def read_content(deps: WriteDeps, app: AppName, change_id: str) -> PendingContent:
    """Return a change with all its bytes, and those of its signatures that count.

    Raises:
        NotFoundError: There is no such app, or no such change.
        RepositoryError: The store holds no state that can be verified.
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    base = read_current(deps, app)
    change = find_change(deps.ledger, app, change_id)
    if change is None:
        raise NotFoundError("no such change waits for signatures", subject=f"{app}: {change_id}")
    outdated = is_outdated(base, change)
    return PendingContent(
        change_id=change.change_id,
        role=change.role,
        releases=change.metadata if outdated else weigh(base, change).to_bytes(),
        title=change.title,
        documents=change.documents,
        wishes=read_wishes(change),
    )
