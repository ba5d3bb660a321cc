"""What maintainers and publishers have signed together, put in force: keys that come and go.

1. Everything is verified before anything is written: the next root by the one in force and by
   itself, targets by both and by every root that a client may still hold, the list of releases by
   the targets that will be in force, and whatever stays by what will be in force.
2. Targets and the list of releases come into force in one move of the pointer.
3. The root comes last: it is live for everybody the moment it is written, and no cache may hand out
   what it cannot verify. Where it could not verify what was in force before, it waits until what
   it can verify has been in force for longer than any cache. Whoever sent it is told for how long,
   and sends the same again.
4. The same again, after an answer that got lost or a crash at any step, goes on where it ended:
   what is in force already is left alone.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tuf.api.metadata import Root, Targets

from lockgate_release.ceremony_requests import CeremonyOutcome, CeremonyRequest
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import ConflictError, LockgateError, UsageError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH, metadata_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.chain import (
    Chain,
    Verified,
    further_roles,
    parse_metadata,
    verify_next_releases,
    verify_next_root,
    verify_next_targets,
)
from lockgate_release.trust.roles import Role
from lockgate_server.ports import IfAbsent, Intent, LostRaceError
from lockgate_server.services.objects import read_object
from lockgate_server.services.write.bars import bars_of, check_offers_stand
from lockgate_server.services.write.base import Base, highest_of, read_target
from lockgate_server.services.write.changing import Plan, change_app, read_settled
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.flip import put_described
from lockgate_server.services.write.publish import check_releases
from lockgate_server.services.write.publishing import read_verified
from lockgate_server.services.write.renewal_rules import (
    check_policy,
    check_root,
    check_root_verifies,
    check_targets,
    check_trusted_root,
)
from lockgate_server.services.write.standing import online_ids, standing_of

__all__ = ["hold_ceremony", "waiting_root"]

_READY = "root.ready"
_MOST_ENTRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What of a ceremony is not in force yet, verified."""

    root: Verified[Root] | None
    targets: Verified[Targets] | None
    releases: Verified[Targets] | None
    documents: Mapping[str, bytes]
    builds_on: frozenset[str]


def hold_ceremony(
    deps: WriteDeps, app: AppName, request: CeremonyRequest, caller: Caller
) -> CeremonyOutcome:
    """Put what was signed in force, as far as caches allow it now.

    Raises:
        NotFoundError: There is no such app.
        ConflictError: Something in it is no longer the next: somebody else was first.
        TrustError: It is not signed as it must be, or would lock somebody out.
        DocumentError: It is malformed.
        ExpiredError: It has expired already.
        UsageError: It breaks a rule of `publishing` or of `renewal_rules`.
        TransportError: The store cannot be reached; send it again.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[_Parts]:
        parts = _check(deps, base, request)
        change = None if request.dry_run else _describe_change(parts)
        return Plan(change=change, answer=parts)

    outcome = change_app(deps, app, caller, plan)
    base = read_settled(deps, app)
    if request.dry_run:
        return _outcome(base, changed=False)
    root = _check(deps, base, request).root
    if root is None:
        return _outcome(base, changed=outcome.changed)
    wait = _find_wait(deps, base, root, caller)
    if wait > timedelta(0):
        return _outcome(base, changed=outcome.changed, wait=wait)
    put_root(deps, base, root, caller)
    return replace(_outcome(base, changed=True), root_version=root.version)


def _outcome(base: Base, *, changed: bool, wait: timedelta = timedelta(0)) -> CeremonyOutcome:
    chain = base.chain
    return CeremonyOutcome(
        timestamp_version=base.timestamp_version,
        root_version=chain.root.version,
        targets_version=chain.targets.version,
        releases_version=chain.releases.version,
        changed=changed,
        wait_s=math.ceil(wait.total_seconds()),
    )


def _check(deps: WriteDeps, base: Base, request: CeremonyRequest) -> _Parts:
    """Return what is not in force yet, verified (rules 1 and 4)."""
    chain, now = base.chain, deps.now()
    root = _next_root(base, request.root)
    targets = _next_targets(base, request.targets)
    in_force = targets or chain.targets
    after = replace(chain, targets=in_force)
    releases = _next_releases(base, request.releases, in_force)
    if root is not None:
        check_root(root, online_ids(deps, base), in_force, now)
        check_root_verifies(root.signed, chain.snapshot, chain.timestamp)
    documents: dict[str, bytes] = {}
    if targets is not None:
        standing = standing_of(deps, base)
        if releases is not None:
            lists = {**standing.lists, Role.RELEASES.value: releases}
            standing = replace(standing, lists=lists)
        check_targets(targets, standing, now)
        _check_names_are_new(chain, targets)
        policy, new = _check_documents(deps, base, targets, request.documents)
        base = replace(base, policy=policy)
        documents.update(new)
    builds_on: frozenset[str] = frozenset()
    on_top = replace(base, chain=after)
    live = None if releases is None else read_verified(releases)
    if live is not None:
        found, builds_on = check_releases(deps, on_top, live, request.documents)
        documents.update(found)
    if targets is not None:
        # With a new list or without: who built what is offered is asked again under new rules.
        bars = bars_of(deps, on_top, live, sent=request.documents)
        check_offers_stand(bars, base.channels.values())
    return _Parts(
        root=root, targets=targets, releases=releases, documents=documents, builds_on=builds_on
    )


def _check_names_are_new(chain: Chain, targets: Verified[Targets]) -> None:
    """Refuse to delegate once more what was dropped: the snapshot names its last list for ever."""
    for role in further_roles(targets.signed):
        if chain.list_of(role) is None and f"{role}.json" in chain.snapshot.signed.meta:
            raise UsageError(
                "a role of that name was dropped before",
                subject=f"targets: {role}",
                expected="a name that was never used",
            )


def _next_root(base: Base, data: bytes | None) -> Verified[Root] | None:
    current = base.chain.root
    if data is None or data == current.data:
        return None
    check_still_next(parse_metadata(Root, data, "root").signed.version, current.version, "root")
    return verify_next_root(current, data)


def _next_targets(base: Base, data: bytes | None) -> Verified[Targets] | None:
    current = base.chain.targets
    if data is None or data == current.data:
        return None
    number = parse_metadata(Targets, data, "targets").signed.version
    check_still_next(number, current.version, "targets")
    return verify_next_targets(base.chain.root.signed, current, data)


def _next_releases(
    base: Base, data: bytes | None, targets: Verified[Targets]
) -> Verified[Targets] | None:
    current = base.chain.releases
    if data is None or data == current.data:
        return None
    number = parse_metadata(Targets, data, "releases").signed.version
    check_still_next(number, current.version, "releases")
    return verify_next_releases(replace(base.chain, targets=targets), data)


def check_still_next(found: int, current: int, name: str) -> None:
    """Refuse metadata that follows another than the one in force.

    Raises:
        ConflictError: Its number is taken.
    """
    if found <= current:
        raise ConflictError(
            "somebody else was first",
            subject=name,
            expected=f"number {current + 1}",
            found=str(found),
            hint="Run the same command again: it builds on the newest state.",
        )


def _check_documents(
    deps: WriteDeps, base: Base, targets: Verified[Targets], sent: Mapping[str, bytes]
) -> tuple[PolicyDocument, dict[str, bytes]]:
    """Return the policy that targets name, and the documents, where they are others than before."""
    documents = {
        path: sent.get(path) or read_target(deps.store, base.app, path, target)
        for path, target in targets.signed.targets.items()
        if path in {POLICY_PATH, TRUSTED_ROOT_PATH}
    }
    policy = check_policy(base.app, targets.signed, documents.get(POLICY_PATH), base.policy)
    check_trusted_root(targets.signed, policy, documents.get(TRUSTED_ROOT_PATH))
    is_new = base.chain.targets.signed.targets != targets.signed.targets
    return policy, documents if is_new else {}


def _describe_change(parts: _Parts) -> Change | None:
    details: JsonObject = {
        f"{role}_version": words.version
        for role, words in (("targets", parts.targets), ("releases", parts.releases))
        if words is not None
    }
    if not details:
        return None
    return Change(
        action="ceremony",
        details=details,
        releases=parts.releases,
        targets=parts.targets,
        documents=parts.documents,
        builds_on=parts.builds_on,
    )


def _find_wait(deps: WriteDeps, base: Base, root: Verified[Root], caller: Caller) -> timedelta:
    """Return for how long the root must wait (rule 3); note from when on, the first time."""
    if all(
        _verifies_all(base.chain.root.signed, root.signed, role)
        for role in (Role.TARGETS, Role.SNAPSHOT, Role.TIMESTAMP)
    ):
        return timedelta(0)
    since = _ready_since(deps, base, root, caller)
    return max(since + deps.patience.cached - deps.now(), timedelta(0))


def _verifies_all(before: Root, after: Root, role: Role) -> bool:
    """Whether whatever one root has verified, the other does too."""
    old, new = before.roles[role.value], after.roles[role.value]
    return set(old.keyids) <= set(new.keyids) and new.threshold <= old.threshold


def _ready_since(deps: WriteDeps, base: Base, root: Verified[Root], caller: Caller) -> datetime:
    details: JsonObject = {
        "next_root_version": root.version,
        "next_root_sha256": digest_bytes(root.data),
    }
    for entry in deps.ledger.audit(base.app, limit=_MOST_ENTRIES):
        if entry.intent.action == _READY and entry.intent.details == details:
            return entry.at
    now = deps.now()
    number = deps.ledger.begin(
        Intent(
            app=base.app,
            actor=caller.actor,
            action=_READY,
            details=details,
            request_id=caller.request_id,
            operation_id=caller.operation_id,
            timestamp_sha256="",
        ),
        now=now,
    )
    deps.ledger.finish(number, highest_of(base))
    return now


def waiting_root(deps: WriteDeps, base: Base) -> int | None:
    """Return the number of a root that waited and was not sent again since, or None.

    Raises:
        LocalError: The ledger cannot be read.
    """
    following = base.chain.root.version + 1
    for entry in deps.ledger.audit(base.app, limit=_MOST_ENTRIES):
        intent = entry.intent
        if intent.action == _READY and intent.details.get("next_root_version") == following:
            return following
    return None


def put_root(deps: WriteDeps, base: Base, root: Verified[Root], caller: Caller) -> None:
    """Write the next root, verified: created where none is, and live at once.

    Raises:
        ConflictError: Another root with its number was first.
        TransportError: The store did not answer.
        LocalError: The ledger cannot be written.
    """
    number = deps.ledger.begin(
        Intent(
            app=base.app,
            actor=caller.actor,
            action="renew.root",
            details={"root_version": root.version, "root_sha256": digest_bytes(root.data)},
            request_id=caller.request_id,
            operation_id=caller.operation_id,
            timestamp_sha256="",
        ),
        now=deps.now(),
    )
    _create_root(deps, base.app, root, number)
    deps.ledger.finish(number, replace(highest_of(base), root=root.version))


def _create_root(deps: WriteDeps, app: AppName, root: Verified[Root], number: int) -> None:
    key = metadata_key(app, Role.ROOT, root.version)
    try:
        put_described(deps.store, key, root.data, IfAbsent())
    except LockgateError as exc:
        found = read_object(deps.store, key)
        if found is not None and found.data == root.data:
            return
        with contextlib.suppress(LockgateError):
            deps.ledger.abandon(number)
        if isinstance(exc, LostRaceError):
            raise ConflictError(
                "somebody else was first", subject=key, hint="Look at the newest root first."
            ) from exc
        raise
