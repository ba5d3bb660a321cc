"""Registering an app: its first state, made by its maintainers, put in force by the server."""

from __future__ import annotations

from securesystemslib.signer import Key
from tuf.api.metadata import Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ConflictError, TrustError, UsageError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH, timestamp_key
from lockgate_release.names import AppName
from lockgate_release.requests import RegisterRequest
from lockgate_release.trust.chain import (
    Verified,
    follow_roots,
    verify_first_releases,
    verify_next_targets,
)
from lockgate_release.trust.roles import Role
from lockgate_server.ports import LostRaceError
from lockgate_server.services.write.base import Base, check_database_not_lost
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.composing import FirstState, compose_first
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.flip import TakenNumberError, flip
from lockgate_server.services.write.renewal_rules import (
    Standing,
    check_policy,
    check_root,
    check_targets,
    check_trusted_root,
)
from lockgate_server.services.write.server_keys import shared_variable

__all__ = ["make_online_key", "register"]

_NAMED = (POLICY_PATH, TRUSTED_ROOT_PATH)


def make_online_key(deps: WriteDeps, app: AppName) -> Key:
    """Return the public half of the server's key for an app that is about to be registered.

    Raises:
        ConflictError: The app is registered: its root already says which key it is.
        UsageError: Another app is there, with which it would share the variables of its keys.
        LocalError: The key can be neither read nor written.
    """
    if deps.ledger.highest(app) is not None:
        raise ConflictError("registered already", subject=app)
    _check_name(deps, app)
    return deps.keys.create(app)


def register(
    deps: WriteDeps, app: AppName, request: RegisterRequest, caller: Caller
) -> tuple[Base, bool]:
    """Put an app's first state in force; return it, and whether this request was what did it.

    Raises:
        ConflictError: The app is registered with another root, or was begun with other metadata.
        TrustError: The metadata is not signed as it must be, or would lock the server out.
        DocumentError: It is malformed.
        ExpiredError: It has expired.
        UsageError: It lists releases already.
        LocalError: The ledger or the online key cannot be used.
        TransportError: The store cannot be reached.
    """
    _check_request(deps, app, request)
    _pin(deps, app, request.root)
    pointer = deps.store.head(timestamp_key(app))
    if pointer is not None or deps.ledger.highest(app) is not None:
        return read_settled(deps, app), False
    signer = deps.keys.signer(app, ())
    first = FirstState(
        app=app,
        root=request.root,
        targets=request.targets,
        releases=request.releases,
        documents={path: request.documents[path] for path in _NAMED if path in request.documents},
    )
    state = compose_first(deps, first, signer)
    details = {"root_sha256_pinned": digest_bytes(request.root)}
    try:
        flip(deps, state, "register", details, caller)
    except TakenNumberError as exc:
        if deps.store.head(timestamp_key(app)) is None:
            raise ConflictError(
                "an earlier registration with the same root broke off with other metadata",
                subject=exc.subject,
                hint="Send that registration again, or remove the app's metadata from the store.",
            ) from exc
        return read_settled(deps, app), False
    except LostRaceError:
        return read_settled(deps, app), False
    return read_settled(deps, app), True


def _pin(deps: WriteDeps, app: AppName, root: bytes) -> None:
    if deps.ledger.pinned_root(app) is None:
        _check_name(deps, app)
        check_database_not_lost(deps.store, app)
    try:
        deps.ledger.pin_app(app, root)
    except ConflictError as exc:
        raise ConflictError(
            "registered with another root", subject=app, found=digest_bytes(root)
        ) from exc


def _check_name(deps: WriteDeps, app: AppName) -> None:
    """Refuse a name by which another app's keys would be found, or the other way round.

    Raises:
        UsageError: There is such an app.
    """
    for other in deps.ledger.apps():
        variable = "" if other == app else shared_variable(app, other)
        if variable:
            raise UsageError(
                f"its keys could not be told from those of {other}",
                subject=app,
                found=f"{variable} would be a variable of both",
                hint="Choose another name.",
            )


def _check_request(deps: WriteDeps, app: AppName, request: RegisterRequest) -> None:
    now = deps.now()
    root = follow_roots(lambda _name: None, request.root)
    if root.version != 1:
        raise TrustError("not the first", subject="root", expected="1", found=str(root.version))
    targets = verify_next_targets(root.signed, None, request.targets)
    releases = verify_first_releases(targets.signed, request.releases)
    key_ids = frozenset({deps.keys.signer(app, ()).public_key.keyid})
    check_root(root, key_ids, targets, now)
    lists = {Role.RELEASES.value: releases}
    check_targets(targets, Standing(online_key_ids=key_ids, lists=lists), now)
    _check_empty(releases, deps)
    policy = check_policy(app, targets.signed, request.documents.get(POLICY_PATH), None)
    check_trusted_root(targets.signed, policy, request.documents.get(TRUSTED_ROOT_PATH))


def _check_empty(releases: Verified[Targets], deps: WriteDeps) -> None:
    if releases.signed.targets:
        raise UsageError("lists releases already", subject="releases", expected="none at first")
    if releases.signed.is_expired(deps.now()):
        raise UsageError("expired already", subject="releases")
