"""Renewal: the same words signed again, with a new number and a new expiry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Targets

from lockgate_cli.answers import table_of
from lockgate_cli.api import Api, JsonDict
from lockgate_cli.context import Call
from lockgate_cli.output import say_again
from lockgate_cli.pending_api import PendingApi
from lockgate_cli.problems import UnableError
from lockgate_cli.remembering import read_newest_chain
from lockgate_cli.repository import ends_of
from lockgate_cli.signing import keys_of, load_signers
from lockgate_cli.submitting import Publishers, load_keys
from lockgate_release.errors import ConflictError, PendingError, TransportError, UsageError
from lockgate_release.layout import POLICY_PATH
from lockgate_release.names import AppName
from lockgate_release.pending_requests import PendingRequest
from lockgate_release.requests import RenewRequest
from lockgate_release.trust.chain import Chain, Verified
from lockgate_release.trust.roles import Role, expiry_of
from lockgate_release.trust.sign import renewed, to_bytes

__all__ = ["Renewal", "due_roles", "renew_role"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What a renewal has led to.

    Attributes:
        version: The number of the metadata.
        pending: The change that waits for signatures, as the server tells it; None: it is in force.
    """

    version: int
    pending: JsonDict | None = None


_ATTEMPTS = 5
_FIRST_WAIT_S = 0.4


def due_roles(chain: Chain, now: datetime) -> tuple[str, ...]:
    """Return the roles of whose time a third or less is left."""
    ends = ends_of(chain).items()
    return tuple(role for role, expires in ends if expires - now <= expiry_of(role) / 3)


def renew_role(
    call: Call,
    api: Api,
    app: AppName,
    role: str,
    pinned: bytes,
    *,
    policy: bytes | None = None,
) -> Renewal:
    """Leave newer metadata of this role in force, or waiting for signatures, and return which.

    Args:
        call: This run.
        api: The server.
        app: The app.
        role: What to sign again.
        pinned: The root that trust begins with.
        policy: The policy that targets name from now on; None: the one that they name.

    Raises:
        UsageError: Too few of the role's keys were given.
        PendingError: Another list of releases waits for signatures.
        ConflictError: Others kept moving first.
        LockgateError: The server refused, or could not be reached.
    """
    for attempt in range(1, _ATTEMPTS):
        # Expired metadata is read here: that is what renewing is for.
        chain = read_newest_chain(call, api, app, pinned)
        try:
            return _renew_once(call, api, app, role, chain, policy)
        except (UnableError, PendingError):
            raise
        except (ConflictError, TransportError) as exc:
            say_again(exc)
        call.around.sleep(_FIRST_WAIT_S * 2**attempt * call.around.jitter())
    chain = read_newest_chain(call, api, app, pinned)
    return _renew_once(call, api, app, role, chain, policy)


def _renew_once(
    call: Call, api: Api, app: AppName, role: str, chain: Chain, policy: bytes | None
) -> Renewal:
    by_publishers = role not in {Role.ROOT, Role.TARGETS}
    if by_publishers:
        publishers = load_keys(call, chain, role)
        if publishers.missing:
            return _begin_renewal(call, api, app, chain, publishers, role)
    keys, threshold = keys_of(chain, role)
    signers = load_signers(
        call.key_uris("keys" if by_publishers else "root_keys"),
        role=role,
        keys=keys,
        threshold=threshold,
        environ=call.around.environ,
        ask=call.ask_secret,
    )
    documents = {} if policy is None else {POLICY_PATH: policy}
    now = call.around.now()
    if role == Role.ROOT:
        root = renewed(chain.root.metadata, role, signers, now)
        version, metadata = root.signed.version, to_bytes(root)
    else:
        held = chain.targets if role == Role.TARGETS else _need_list(chain, role)
        listed = renewed(held.metadata, role, signers, now, policy=policy)
        version, metadata = listed.signed.version, to_bytes(listed)
    api.renew(app, RenewRequest(role=role, metadata=metadata, documents=documents))
    return Renewal(version=version)


def _need_list(chain: Chain, role: str) -> Verified[Targets]:
    held = chain.list_of(role)
    if held is None:
        raise UsageError(
            "has no list yet", subject=role, hint="The first publish to it begins one."
        )
    return held


def _begin_renewal(
    call: Call, api: Api, app: AppName, chain: Chain, publishers: Publishers, role: str
) -> Renewal:
    held = _need_list(chain, role)
    following = renewed(held.metadata, role, publishers.signers, call.around.now())
    request = PendingRequest(
        releases=to_bytes(following), title=f"renew the list of {role}", role=role
    )
    answer = PendingApi.of(api).begin(app, request)
    waiting = table_of(answer, "pending") or None
    return Renewal(version=following.signed.version, pending=waiting)
