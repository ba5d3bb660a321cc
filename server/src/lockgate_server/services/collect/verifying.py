"""Everything that is needed, hashed again: what is missing, what is damaged, what is there beside.

What is named by its content is held to the digest under which it is signed, and read in pieces.
The state in force was verified when it was read, so the pointer is not looked at again. The copy of
a channel may be newer than the state that was read; it is wrong only where it is not in force.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from lockgate_release.errors import LocalError, RepositoryError
from lockgate_release.layout import channel_copy_key, channel_path, timestamp_key
from lockgate_release.names import AppName
from lockgate_server.ports import ObjectInfo, ObjectStore
from lockgate_server.services.collect.collecting import rules_for, snapshots_in
from lockgate_server.services.collect.keys import Kind, parse_key
from lockgate_server.services.collect.reachability import Claim, Verdict, Why, judge
from lockgate_server.services.collect.walking import Fault, Walker, claims_of_waiting
from lockgate_server.services.write.base import Base, check_recorded, read_base
from lockgate_server.services.write.deps import WriteDeps

__all__ = ["Verification", "verify_app"]

_BESIDE = frozenset({Why.UNREACHED, Why.PASSED, Why.LEFT_OVER, Why.YOUNG})


@dataclass(kw_only=True)
class Verification:
    """What was found of one app.

    Attributes:
        app: The app.
        checked: How many objects are as they must be.
        checked_bytes: How many bytes they have.
        missing: What is needed and not there.
        damaged: What is needed and not what was signed.
        extra: What nothing needs: garbage, or what a writer is about to name.
        unknown: What Lockgate never wrote.
    """

    app: AppName
    checked: int = 0
    checked_bytes: int = 0
    missing: list[Fault] = field(default_factory=list)
    damaged: list[Fault] = field(default_factory=list)
    extra: list[Verdict] = field(default_factory=list)
    unknown: list[Verdict] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything that is needed is there, as it was signed."""
        return not self.missing and not self.damaged


def verify_app(
    deps: WriteDeps, app: AppName, *, tell: Callable[[str], None] = lambda _: None
) -> Verification:
    """Hash again everything an app needs; nothing is written.

    Raises:
        NotFoundError: There is no such app.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way of more than one object.
    """
    result = Verification(app=app)
    try:
        base = read_base(deps.store, deps.ledger, app)
        if base.recorded is not None:
            check_recorded(base)
    except RepositoryError as exc:
        result.damaged.append(Fault(key=exc.subject or timestamp_key(app), what=exc.what))
        return result
    found = {info.key: info for info in deps.store.list(f"{app}/")}
    walker = Walker(store=deps.store, app=app, strict=False, tell=tell)
    waiting = claims_of_waiting(deps.ledger.pending(app)).items()
    claims = {key: item for key, item in waiting if parse_key(app, key).kind is Kind.ARTIFACT}
    claims |= walker.walk(base, snapshots_in(app, list(found)), deps.now())
    for place, (key, claim) in enumerate(sorted(claims.items()), 1):
        tell(f"{app}: {place} of {len(claims)} objects, {result.checked_bytes >> 20} MiB")
        _check(deps, base, result, key, claim)
    _add_unreadable(result, walker.faults)
    _add_rest(deps, base, result, found, claims)
    return result


def _check(deps: WriteDeps, base: Base, result: Verification, key: str, claim: Claim) -> None:
    by = claim.by or claim.why
    try:
        measured = _measure(deps.store, key)
    except LocalError as exc:
        result.damaged.append(Fault(key=key, what=exc.what, by=by))
        return
    if measured is None:
        result.missing.append(Fault(key=key, what="missing", by=by))
        return
    sha256, size_bytes = measured
    is_right = claim.sha256 in {"", sha256} and claim.size_bytes in {None, size_bytes}
    if is_right or _has_moved_on(deps, base, key, sha256):
        result.checked += 1
        result.checked_bytes += size_bytes
        return
    what = f"expected {claim.sha256}, found {sha256} of {size_bytes} bytes"
    result.damaged.append(Fault(key=key, what=what, by=by))


def _measure(store: ObjectStore, key: str) -> tuple[str, int] | None:
    stored = store.open(key)
    if stored is None:
        return None
    digest, size_bytes = hashlib.sha256(), 0
    with stored:
        for chunk in stored.chunks():
            digest.update(chunk)
            size_bytes += len(chunk)
    return digest.hexdigest(), size_bytes


def _has_moved_on(deps: WriteDeps, base: Base, key: str, sha256: str) -> bool:
    """Whether this is the pointer, or the copy of what is in force by now."""
    kind = parse_key(base.app, key).kind
    if kind is not Kind.COPY:
        return kind is Kind.POINTER
    channels = read_base(deps.store, deps.ledger, base.app).chain.channels.signed.targets
    return any(
        channel_copy_key(base.app, name) == key
        and channel_path(name) in channels
        and channels[channel_path(name)].hashes.get("sha256") == sha256
        for name in base.channels
    )


def _add_unreadable(result: Verification, faults: list[Fault]) -> None:
    known = {fault.key for fault in (*result.missing, *result.damaged)}
    result.damaged.extend(fault for fault in faults if fault.key not in known)


def _add_rest(
    deps: WriteDeps,
    base: Base,
    result: Verification,
    found: dict[str, ObjectInfo],
    claims: dict[str, Claim],
) -> None:
    rules = rules_for(base, grace=timedelta(0), now=deps.now())
    for info in found.values():
        verdict = judge(info, claims, rules)
        if verdict.why in _BESIDE:
            result.extra.append(verdict)
        elif verdict.why is Why.UNKNOWN:
            result.unknown.append(verdict)
