"""Newer metadata of an offline role, and the server's own signed again before it runs out."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tuf.api.metadata import Root, Signed, Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ConflictError, LockgateError, UsageError
from lockgate_release.layout import POLICY_PATH, metadata_key
from lockgate_release.names import AppName
from lockgate_release.requests import PublishRequest, RenewRequest
from lockgate_release.trust.chain import (
    Verified,
    parse_metadata,
    verify_next_root,
    verify_next_targets,
)
from lockgate_release.trust.roles import EXPIRY, Role
from lockgate_server.ports import IfAbsent, Intent, LostRaceError
from lockgate_server.services.objects import read_object
from lockgate_server.services.write.base import Base, highest_of, read_target
from lockgate_server.services.write.changing import Plan, change_app, read_settled
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.flip import put_described
from lockgate_server.services.write.publish import publish
from lockgate_server.services.write.renewal_rules import check_policy, check_root, check_targets

__all__ = ["Renewed", "due_roles", "renew", "resign"]

_TIMESTAMP_LEFT = timedelta(days=6)
"""The timestamp is signed again once less than this is left: daily."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """What is in force now.

    Attributes:
        timestamp_version: The number of the state.
        version: The number of the role's metadata.
    """

    timestamp_version: int
    version: int


def renew(deps: WriteDeps, app: AppName, request: RenewRequest, caller: Caller) -> Renewed:
    """Put the next metadata of `root`, `targets` or `releases` in force.

    Raises:
        NotFoundError: There is no such app.
        ConflictError: It is no longer the next: somebody else was first.
        TrustError: It is not signed as it must be, or would lock somebody out.
        DocumentError: It is malformed.
        ExpiredError: It has expired already.
        UsageError: It breaks a rule of `publishing` or of `renewal_rules`.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """
    match request.role:
        case Role.ROOT:
            return _renew_root(deps, app, request.metadata, caller)
        case Role.TARGETS:
            return _renew_targets(deps, app, request, caller)
        case Role.RELEASES:
            publish_request = PublishRequest(releases=request.metadata, documents=request.documents)
            outcome = publish(deps, app, publish_request, caller)
            return Renewed(
                timestamp_version=outcome.timestamp_version, version=outcome.releases_version
            )
        case _:
            raise UsageError(
                "not a role that is renewed from outside",
                subject=request.role,
                expected="root, targets or releases",
            )


def _renew_targets(deps: WriteDeps, app: AppName, request: RenewRequest, caller: Caller) -> Renewed:
    def plan(base: Base) -> Plan[int]:
        chain = base.chain
        if request.metadata == chain.targets.data:
            return Plan(change=None, answer=chain.targets.version)
        _check_still_next(Targets, request.metadata, chain.targets.version, "targets")
        verified = verify_next_targets(chain.root.signed, chain.targets, request.metadata)
        check_targets(verified, chain.online_key_ids()[0], chain.releases, deps.now())
        policy = _find_policy(deps, base, verified.signed, request.documents)
        check_policy(app, verified.signed, policy, base.policy)
        is_new = chain.targets.signed.targets != verified.signed.targets
        change = Change(
            action="renew.targets",
            details={"version": verified.version},
            targets=verified,
            documents={POLICY_PATH: policy} if is_new and policy is not None else {},
        )
        return Plan(change=change, answer=verified.version)

    outcome = change_app(deps, app, caller, plan, own=request.metadata)
    return Renewed(timestamp_version=outcome.timestamp_version, version=outcome.answer)


def _find_policy(
    deps: WriteDeps, base: Base, targets: Targets, sent: Mapping[str, bytes]
) -> bytes | None:
    target = targets.targets.get(POLICY_PATH)
    if target is None:
        return None
    return sent.get(POLICY_PATH) or read_target(deps.store, base.app, POLICY_PATH, target)


def _check_still_next(
    kind: type[Root] | type[Targets], data: bytes, current: int, name: str
) -> None:
    unverified: Signed = (
        parse_metadata(Root, data, name).signed
        if kind is Root
        else parse_metadata(Targets, data, name).signed
    )
    if unverified.version <= current:
        raise ConflictError(
            "somebody else was first",
            subject=name,
            expected=f"number {current + 1}",
            found=str(unverified.version),
            hint="Run the same command again: it builds on the newest state.",
        )


def _renew_root(deps: WriteDeps, app: AppName, data: bytes, caller: Caller) -> Renewed:
    """Write the next root: outside the pointer's fence, created where none is, live at once."""
    base = read_settled(deps, app)
    if data == base.chain.root.data:
        return Renewed(timestamp_version=base.timestamp_version, version=base.chain.root.version)
    _check_still_next(Root, data, base.chain.root.version, "root")
    root = verify_next_root(base.chain.root, data)
    check_root(root, base.chain.online_key_ids()[0], base.chain.targets, deps.now())
    number = deps.ledger.begin(
        Intent(
            app=app,
            actor=caller.actor,
            action="renew.root",
            details={"root_version": root.version, "root_sha256": digest_bytes(data)},
            request_id=caller.request_id,
            operation_id=caller.operation_id,
            timestamp_sha256="",
        ),
        now=deps.now(),
    )
    _create_root(deps, app, root, number)
    deps.ledger.finish(number, replace(highest_of(base), root=root.version))
    return Renewed(timestamp_version=base.timestamp_version, version=root.version)


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


def due_roles(base: Base, now: datetime) -> frozenset[Role]:
    """Return the server's roles that it is time to sign again.

    Channels and snapshot before a third of their time is left, the timestamp daily.
    """
    chain = base.chain
    due = set()
    if chain.timestamp.signed.expires - now < _TIMESTAMP_LEFT:
        due.add(Role.TIMESTAMP)
    if chain.snapshot.signed.expires - now < EXPIRY[Role.SNAPSHOT] / 3:
        due.add(Role.SNAPSHOT)
    expiries = [document.expires_at for document in base.channels.values()]
    expiries.append(chain.channels.signed.expires)
    if min(expiries) - now < EXPIRY[Role.CHANNELS] / 3:
        due.add(Role.CHANNELS)
    return frozenset(due)


def resign(deps: WriteDeps, app: AppName, caller: Caller) -> frozenset[Role]:
    """Sign again what is due of the server's own roles, and return what was.

    Raises:
        RepositoryError: The store holds no state that may be built upon.
        ConflictError: Others were faster every time.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """

    def plan(base: Base) -> Plan[frozenset[Role]]:
        due = due_roles(base, deps.now())
        if not due:
            return Plan(change=None, answer=due)
        change = Change(
            action="resign",
            details={"roles": sorted(role.value for role in due)},
            channels=tuple(base.channels.values()) if Role.CHANNELS in due else (),
            resigned=due,
        )
        return Plan(change=change, answer=due)

    return change_app(deps, app, caller, plan).answer
