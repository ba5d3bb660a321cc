"""Whether the server could sign for an app now; nothing is signed."""

from __future__ import annotations

from lockgate_release.errors import LockgateError
from lockgate_release.names import AppName
from lockgate_server.services.write.base import read_base
from lockgate_server.services.write.composing import online_keys
from lockgate_server.services.write.deps import WriteDeps

__all__ = ["find_key_problem"]


def find_key_problem(deps: WriteDeps, app: AppName) -> str | None:
    """Return why nothing can be signed for an app, or None where every needed key is there."""
    try:
        base = read_base(deps.store, deps.ledger, app)
        deps.keys.signers(app, online_keys(base))
    except LockgateError as exc:
        return exc.what
    return None
