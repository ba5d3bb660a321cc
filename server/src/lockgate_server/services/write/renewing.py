"""Newer metadata of an offline role, and the server's own signed again before it runs out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tuf.api.metadata import Targets

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.errors import ConflictError, UsageError
from lockgate_release.names import AppName
from lockgate_release.requests import PublishRequest, RenewRequest
from lockgate_release.trust.chain import parse_metadata
from lockgate_release.trust.roles import EXPIRY, Role, is_further_role
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.services.write.changing import Plan, change_app
from lockgate_server.services.write.composing import Change
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.publish import publish

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
    """Put the next metadata of `root`, `targets` or a role of releases in force.

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
        case role if is_further_role(role):
            publish_request = PublishRequest(
                releases=request.metadata, documents=request.documents, role=role
            )
            outcome = publish(deps, app, publish_request, caller)
            return Renewed(timestamp_version=outcome.timestamp_version, version=_number(request))
        case _:
            raise UsageError(
                "not a role that is renewed from outside",
                subject=request.role,
                expected="root, targets, or a role of releases",
            )


def _number(request: RenewRequest) -> int:
    return parse_metadata(Targets, request.metadata, request.role).signed.version


def _renew_targets(deps: WriteDeps, app: AppName, request: RenewRequest, caller: Caller) -> Renewed:
    wanted = CeremonyRequest(targets=request.metadata, documents=request.documents)
    outcome = hold_ceremony(deps, app, wanted, caller)
    return Renewed(timestamp_version=outcome.timestamp_version, version=outcome.targets_version)


def _renew_root(deps: WriteDeps, app: AppName, data: bytes, caller: Caller) -> Renewed:
    """Write the next root, where no cache keeps it waiting."""
    outcome = hold_ceremony(deps, app, CeremonyRequest(root=data), caller)
    if outcome.wait_s:
        raise ConflictError(
            "this root must wait for caches",
            subject="root",
            expected=f"that it comes again in {outcome.wait_s} s",
            hint="Run the same command then. What it can verify must be all that caches hand out.",
        )
    return Renewed(timestamp_version=outcome.timestamp_version, version=outcome.root_version)


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
