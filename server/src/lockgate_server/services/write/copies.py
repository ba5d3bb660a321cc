"""The copies of channel documents at their stable addresses, brought up to date."""

from __future__ import annotations

from lockgate_release.errors import RepositoryError
from lockgate_release.layout import channel_copy_key, channel_path
from lockgate_release.names import AppName
from lockgate_server.ports import Condition, IfAbsent, IfMatch, LostRaceError
from lockgate_server.services.objects import HeldObject, read_object
from lockgate_server.services.write.base import read_base, read_target
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.flip import put_described

__all__ = ["repair_copies"]


def repair_copies(deps: WriteDeps, app: AppName) -> int:
    """Put every copy right that is missing, older than what is in force, or forged; say how many.

    A copy is read before the state: one that is newer than a state read later was never issued.

    Raises:
        RepositoryError: The store holds no state that may be built upon.
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    known = read_base(deps.store, deps.ledger, app).channels
    copies = {name: _read_copy(deps, channel_copy_key(app, name)) for name in known}
    base = read_settled(deps, app)
    repaired = 0
    for name, copy in copies.items():
        path = channel_path(name)
        target = base.chain.channels.signed.targets[path]
        data = read_target(deps.store, app, path, target)
        if copy is not None and copy.data == data:
            continue
        condition: Condition = IfAbsent() if copy is None else IfMatch(copy.etag)
        try:
            put_described(deps.store, channel_copy_key(app, name), data, condition)
        except LostRaceError:
            continue  # somebody else has just written a newer one
        repaired += 1
    return repaired


def _read_copy(deps: WriteDeps, key: str) -> HeldObject | None:
    """Return what stands as a copy; what is too large to be one has no bytes."""
    try:
        return read_object(deps.store, key)
    except RepositoryError:
        info = deps.store.head(key)
        return None if info is None else HeldObject(b"", info.etag)
