"""A state signed for a copy alone: with the content of the one in force, and valid for longer.

A copy for a site without a network must last until the next disk is carried there. Its signatures
are never put into the store, where whoever took them could freeze clients for as long.

1. It gets numbers of its own: the state in force is moved past them in the same step, so no number
   ever stands for two contents, and a client that has seen the server since takes it for older.
2. It is handed out only once that move is in force, and so in the audit log.
3. It lasts at most as long as was asked for, and never longer than the roles that people sign.
4. Snapshot and channels are signed along where theirs would end sooner.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lockgate_release.errors import ExpiredError, UsageError
from lockgate_release.instants import format_instant
from lockgate_release.names import AppName
from lockgate_release.requests import MirrorRequest, MirrorSignature
from lockgate_release.trust.roles import Role
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Plan, change_app
from lockgate_server.services.write.composing import Change, NextState, Terms, compose_next
from lockgate_server.services.write.deps import Caller, WriteDeps

__all__ = ["sign_for_mirror"]


def sign_for_mirror(
    deps: WriteDeps, app: AppName, request: MirrorRequest, caller: Caller, *, limit_s: int
) -> MirrorSignature:
    """Sign a state for a copy, move the one in force past it, and return what the store lacks.

    Args:
        deps: What a change needs.
        app: The app.
        request: For how long.
        caller: Who wants it.
        limit_s: The longest that is allowed, in seconds.

    Raises:
        UsageError: It is longer than is allowed.
        NotFoundError: There is no such app.
        ExpiredError: A role that people sign has expired.
        RepositoryError: The store holds no state that may be built upon.
        ConflictError: Others were faster every time.
        TransportError: The store cannot be reached.
        LocalError: The ledger or the online key cannot be used.
    """
    if request.valid_for_s > limit_s:
        raise UsageError(
            "longer than this server allows",
            subject="valid_for_s",
            expected=f"at most {limit_s} ({limit_s // 86400} days)",
            found=str(request.valid_for_s),
            hint="The server's setting mirror_valid_for says how long.",
        )

    def plan(base: Base) -> Plan[MirrorSignature]:
        until, shortened = _end(base, deps.now(), request.valid_for_s)
        due = _ending_before(base, until)
        channels = tuple(base.channels.values()) if Role.CHANNELS in due else ()
        terms = Terms(expires_at=until)
        lasting = compose_next(
            deps,
            base,
            Change(action="", details={}, channels=channels, resigned=due, terms=terms),
        )
        signature = _describe(lasting, until, shortened)
        change = Change(
            action="mirror.sign",
            details={
                "version": signature.timestamp_version,
                "expires_at": format_instant(until),
                "valid_for_s": request.valid_for_s,
            },
            channels=channels,
            resigned=due,
            terms=Terms(step=2, taken=frozenset(lasting.metadata)),
        )
        return Plan(change=change, answer=signature)

    return change_app(deps, app, caller, plan).answer


def _end(base: Base, now: datetime, valid_for_s: int) -> tuple[datetime, str]:
    """Return when the state is to expire, and the role that makes it sooner than asked for."""
    asked = now + timedelta(seconds=valid_for_s)
    chain = base.chain
    ends = [(chain.root.signed.expires, "root"), (chain.targets.signed.expires, "targets")]
    ends += [(chain.releases.signed.expires, "releases")]
    # Of a further role, what has run out keeps nobody's copy from lasting.
    further = [(held.signed.expires, role) for role, held in chain.further.items()]
    ends += [(expires, role) for expires, role in further if expires > now]
    first, role = min(ends)
    if first <= now:
        raise ExpiredError(
            "expired metadata",
            subject=role,
            expected=f"a time after {format_instant(now)}",
            found=format_instant(first),
            hint="Maintainers and publishers use lockgate renew.",
        )
    return (asked, "") if asked <= first else (first, role)


def _ending_before(base: Base, until: datetime) -> frozenset[Role]:
    """Return the server's roles that are to be signed along (rule 4)."""
    due = {Role.TIMESTAMP}
    documents = [document.expires_at for document in base.channels.values()]
    if min([base.chain.channels.signed.expires, *documents]) < until:
        due |= {Role.CHANNELS, Role.SNAPSHOT}
    if base.chain.snapshot.signed.expires < until:
        due.add(Role.SNAPSHOT)
    return frozenset(due)


def _describe(state: NextState, until: datetime, shortened: str) -> MirrorSignature:
    prefix = f"{state.app}/"
    files = {
        **state.documents,
        **state.metadata,
        f"{prefix}metadata/timestamp.json": state.timestamp,
    }
    return MirrorSignature(
        timestamp_version=state.highest.timestamp,
        expires_at=until,
        shortened=shortened,
        files={key.removeprefix(prefix): data for key, data in files.items()},
    )
