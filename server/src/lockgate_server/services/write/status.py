"""How an app stands, for people and commands. Reads through the chain; writes nothing."""

from __future__ import annotations

from datetime import datetime

from tuf.api.metadata import Signed

from lockgate_release.documents import ChannelDocument, ReleaseEntry, parse_extras
from lockgate_release.errors import UsageError
from lockgate_release.instants import format_instant
from lockgate_release.layout import extras_path
from lockgate_release.names import AppName
from lockgate_release.strict_json import Json, JsonObject, parse_json
from lockgate_release.trust.roles import ONLINE_ROLES, Role, expiry_of
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import AuditEntry
from lockgate_server.services.steer.alarms import find_alarms
from lockgate_server.services.write.base import (
    Base,
    check_recorded,
    read_base,
    read_release,
    read_target,
)
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.lists import all_live

__all__ = [
    "describe_app",
    "describe_audit",
    "describe_channel",
    "describe_release",
    "describe_releases",
    "parse_limit",
    "read_current",
    "summarise",
]

_WHOLE_BP = 10_000


def read_current(deps: WriteDeps, app: AppName) -> Base:
    """Return the state in force; one that was put back is refused here too.

    Raises:
        NotFoundError: There is no such app.
        RepositoryError: The store holds no state that can be verified.
        TransportError: The store cannot be reached.
        LocalError: The ledger cannot be read.
    """
    base = read_base(deps.store, deps.ledger, app)
    if base.recorded is not None:
        check_recorded(base)
    return base


def summarise(base: Base) -> JsonObject:
    """Return an app as the beginning of a line of a list."""
    ends = {role: signed.expires for role, signed in _signed(base).items()}
    first = min(ends, key=lambda role: ends[role])
    return {
        "app": base.app,
        "root_version": base.chain.root.version,
        "timestamp_version": base.timestamp_version,
        "releases": len(base.chain.entries()),
        "channels": sorted(base.channels),
        "offered": {
            name: [offer.version for offer in base.channels[name].offers]
            for name in sorted(base.channels)
        },
        "first_to_expire": {"role": first, "expires_at": format_instant(ends[first])},
    }


def describe_app(base: Base, now: datetime) -> JsonObject:
    """Return everything there is to say of an app."""
    roles = {role: _describe_role(signed, role, now) for role, signed in _signed(base).items()}
    channels = [describe_channel(base.channels[name]) for name in sorted(base.channels)]
    return {
        "app": base.app,
        "root_version": base.chain.root.version,
        "timestamp_version": base.timestamp_version,
        "roles": roles,
        "channels": channels,
        "releases": len(base.chain.entries()),
        "warnings": list(_find_warnings(base, now)),
    }


def _signed(base: Base) -> dict[str, Signed]:
    """Return what each role has signed, those without a list left out."""
    chain = base.chain
    return {
        **{role.value: getattr(chain, role.value).signed for role in Role},
        **{role: held.signed for role, held in chain.further.items()},
    }


def _describe_role(signed: Signed, role: str, now: datetime) -> JsonObject:
    return {
        "version": signed.version,
        "expires_at": format_instant(signed.expires),
        "fraction_left_bp": _fraction_left_bp(signed.expires, role, now),
    }


def _fraction_left_bp(expires_at: datetime, role: str, now: datetime) -> int:
    fraction = (expires_at - now) / expiry_of(role)
    return max(0, min(_WHOLE_BP, int(fraction * _WHOLE_BP)))


def describe_channel(document: ChannelDocument) -> JsonObject:
    """Return a channel as a client of the API reads it."""
    whole = document.to_json()
    names = ("channel", "sequence", "issued_at", "expires_at", "offers", "revoked", "once_full")
    more = ("retire_at",)
    return {name: whole[name] for name in (*names, *more) if name in whole}


def _find_warnings(base: Base, now: datetime) -> list[str]:
    warnings = []
    for role, signed in _signed(base).items():
        if role in ONLINE_ROLES:
            continue
        if _fraction_left_bp(signed.expires, role, now) * 3 < _WHOLE_BP:
            warnings.append(
                f"{role} expires at {format_instant(signed.expires)}: lockgate renew signs it again"
            )
    silent = [
        name
        for name, document in sorted(base.channels.items())
        if not document.offers and not document.has_ended(now)
    ]
    return [
        *warnings,
        *(f"channel {name} offers nothing" for name in silent),
        *find_alarms(base.channels, now),
    ]


def describe_releases(base: Base) -> JsonObject:
    """Return every live release, newest first."""
    entries = base.chain.entries()
    order = base.policy.versions.parse
    paths = sorted(entries, key=lambda path: order(entries[path].version), reverse=True)
    return {"releases": [_describe_entry(base, path, entries[path]) for path in paths]}


def _describe_entry(base: Base, path: str, entry: ReleaseEntry) -> JsonObject:
    offered: dict[str, Json] = {}
    revoked: list[Json] = []
    for name in sorted(base.channels):
        offer = base.channels[name].offer_of(entry.version)
        if offer is not None:
            offered[name] = offer.rollout.exposure_bp
        if base.channels[name].revocation_of(entry.version) is not None:
            revoked.append(name)
    return {
        "version": entry.version,
        "path": path,
        "channels": sorted(entry.channels),
        "floor": {str(name): floor for name, floor in entry.floors.items()},
        "offered_in": offered,
        "revoked_in": revoked,
    }


def describe_release(deps: WriteDeps, base: Base, version: str) -> JsonObject:
    """Return one live release with its documents.

    Raises:
        NotFoundError: It is not live.
        RepositoryError: A document is missing or not the one that was signed.
        TransportError: The store cannot be reached.
    """
    found = all_live(base).find(version)
    if found is None:
        raise NotFoundError("no live release", subject=f"{base.app}: {version}")
    path, entry = found
    document = read_release(deps.store, base, path)
    return {
        **_describe_entry(base, path, entry),
        "document": document.to_json(),
        "extras": _read_extras(deps, base, path),
    }


def _read_extras(deps: WriteDeps, base: Base, release: str) -> JsonObject:
    folder, version, _ = release.split("/")
    path = extras_path(version, folder=folder)
    target = base.chain.target(path)
    if target is None:
        return {}
    data = read_target(deps.store, base.app, path, target)
    parse_extras(data, subject=path)
    return parse_json(data, subject=path).raw()


def describe_audit(entries: tuple[AuditEntry, ...]) -> JsonObject:
    """Return entries of the audit log as a client reads them."""
    return {"entries": [_describe_audit_entry(entry) for entry in entries]}


def _describe_audit_entry(entry: AuditEntry) -> JsonObject:
    intent = entry.intent
    return {
        "number": entry.number,
        "at": format_instant(entry.at),
        "app": intent.app,
        "actor": intent.actor,
        "action": intent.action,
        "details": intent.details,
        "request_id": intent.request_id,
        "operation_id": intent.operation_id,
        "timestamp_sha256": intent.timestamp_sha256,
        "outcome": entry.outcome,
        "chain_sha256": entry.chain_sha256,
    }


def parse_limit(text: str) -> int:
    """Return how many entries are asked for, 1 to 1000.

    Raises:
        UsageError: It is no such number.
    """
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:5]) <= 1000:
        raise UsageError(
            "not a limit", subject="limit", expected="1 to 1000", found=repr(text[:20])
        )
    return int(text)
