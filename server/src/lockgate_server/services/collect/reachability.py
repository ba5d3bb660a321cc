"""What may go and what must stay, object by object, each with its reason. Pure.

1. What the state in force names stays, and so does the pointer.
2. Every root stays for ever: a client that slept for years begins at the one it was shipped with.
3. What an older snapshot names stays while that snapshot has not expired: a client that was given
   it last, or a cache, may still follow it.
4. What publishers or maintainers have signed as next stays, and what it names; and what a change
   names that waits for signatures.
5. A number that is not yet in force stays taken: were it free again, other bytes could take it, and
   a cache on the way might hold the first ones for ever.
6. What is not older than the grace time stays: a writer may be about to name it.
7. What Lockgate never wrote is never touched.
8. Everything else goes, and so do uploads that are older than the grace time.

Nothing goes because the ledger says so, and nothing that is only in the store makes anything go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lockgate_release.names import AppName
from lockgate_release.trust.roles import Role
from lockgate_server.ports import ObjectInfo
from lockgate_server.services.collect.keys import Kind, StoredKey, parse_key

__all__ = ["Claim", "Rules", "Verdict", "Why", "judge", "order_of_removal"]


class Why(StrEnum):
    """Why an object stays, or goes: words for people that never change."""

    IN_FORCE = "named by the state in force"
    ROOT = "a root: kept for ever"
    PENDING = "signed as next, and not yet in force"
    WAITING = "named by a change that waits for signatures"
    OLDER = "named by an older snapshot that has not expired"
    TAKEN = "a number that is not yet in force"
    YOUNG = "younger than the grace time"
    NOTE = "the list of what is being removed"
    UNKNOWN = "not written by Lockgate"
    UNREACHED = "named by nothing that is still valid"
    PASSED = "metadata that no valid snapshot names"
    LEFT_OVER = "an upload that was left behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That something needs an object.

    Attributes:
        why: What kind of thing does.
        by: Which: a snapshot, a list, a release.
        sha256: What its bytes hash to, or "" where that is not said.
        size_bytes: How many there are, or None where that is not said.
    """

    why: Why
    by: str
    sha256: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What judging needs, beside what is claimed.

    Attributes:
        app: The app.
        grace: What is not older stays.
        now: The present, aware.
        in_force: The number of each role's metadata in force; 0 where there is none yet.
    """

    app: AppName
    grace: timedelta
    now: datetime
    in_force: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one object.

    Attributes:
        info: The object.
        what: What it is.
        goes: Whether it is removed.
        why: The reason.
        by: What names it, where something does.
    """

    info: ObjectInfo
    what: StoredKey
    goes: bool
    why: Why
    by: str = ""


def judge(info: ObjectInfo, claims: Mapping[str, Claim], rules: Rules) -> Verdict:
    """Return what becomes of an object of the app (rules 1 to 8)."""
    found = parse_key(rules.app, info.key)
    if found.role and found.role not in rules.in_force:
        found = StoredKey(kind=Kind.UNKNOWN)
    claim = claims.get(info.key)
    if claim is not None:
        return Verdict(info=info, what=found, goes=False, why=claim.why, by=claim.by)
    stays = _why_it_stays(found, info, rules)
    if stays is not None:
        return Verdict(info=info, what=found, goes=False, why=stays)
    match found.kind:
        case Kind.UPLOAD:
            why = Why.LEFT_OVER
        case Kind.METADATA:
            why = Why.PASSED
        case _:
            why = Why.UNREACHED
    return Verdict(info=info, what=found, goes=True, why=why)


def _why_it_stays(found: StoredKey, info: ObjectInfo, rules: Rules) -> Why | None:
    match found.kind:
        case Kind.UNKNOWN:
            return Why.UNKNOWN
        case Kind.NOTE:
            return Why.NOTE
        case Kind.POINTER:
            return Why.IN_FORCE
        case Kind.METADATA if found.role == Role.ROOT:
            return Why.ROOT
        case Kind.METADATA if found.role and found.number > rules.in_force[found.role]:
            return Why.TAKEN
        case _:
            return Why.YOUNG if rules.now - info.modified_at <= rules.grace else None


def order_of_removal(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return what goes, in an order in which nothing is left that names what is gone already."""
    kinds = {kind: place for place, kind in enumerate(Kind)}
    roles = {role.value: place for place, role in enumerate(reversed(Role))}
    releases = roles[Role.RELEASES.value]

    def place(verdict: Verdict) -> tuple[int, int, str]:
        role = verdict.what.role
        return kinds[verdict.what.kind], roles.get(role, releases) if role else 0, verdict.info.key

    return sorted((verdict for verdict in verdicts if verdict.goes), key=place)
