"""Who asks, and whether they may: a bearer token against the scope of the route."""

from __future__ import annotations

from flask import g, request

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import DeniedError
from lockgate_server.errors import UnauthenticatedError
from lockgate_server.ports import Ledger, Scope, TokenInfo

__all__ = ["require"]

_HINT = "Send it as `Authorization: Bearer lg_…`; lockgate-server token create makes one."


def require(ledger: Ledger, scope: Scope) -> None:
    """Let the request pass, and remember who sent it.

    Raises:
        UnauthenticatedError: It carries no living token.
        DeniedError: Its token does not include `scope`.
    """
    token = _find_token(ledger)
    g.actor = f"{token.label or 'token'} ({token.token_id})"
    g.is_maintainer = token.scope.includes(Scope.ADMIN)
    if not token.scope.includes(scope):
        raise DeniedError(
            "the token does not allow this",
            expected=f"scope {scope}",
            found=f"scope {token.scope}",
        )


def _find_token(ledger: Ledger) -> TokenInfo:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise UnauthenticatedError("no token came with the request", hint=_HINT)
    # Looked up by its hash: what an attacker could time tells nothing of any token.
    token = ledger.find_token(digest_bytes(secret.strip().encode()))
    if token is None:
        raise UnauthenticatedError("no living token is this one", hint=_HINT)
    return token
