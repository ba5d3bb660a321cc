"""Uploads that broke off, and are not gone on with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from lockgate_release.layout import upload_key
from lockgate_release.names import AppName
from lockgate_release.uploads import UploadId, is_upload_id
from lockgate_server.ports import ObjectInfo
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.upload_records import forget_upload, load_record

__all__ = ["OLD_UPLOAD", "remove_old_uploads"]

OLD_UPLOAD = timedelta(days=1)
"""An upload that nothing was added to for longer has broken off."""


def remove_old_uploads(deps: WriteDeps, app: AppName) -> int:
    """Remove uploads that broke off more than a day ago, and return how many there were.

    Parts that the store holds for uploads that nobody knows any more are given up too.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    oldest = deps.now() - OLD_UPLOAD
    old = [
        (name, infos)
        for name, infos in _uploads(deps, app).items()
        if max(info.modified_at for info in infos) < oldest
    ]
    for name, infos in old:
        _remove(deps, app, name, infos)
    return len(old) + _give_up_unfinished(deps, app, oldest)


def _uploads(deps: WriteDeps, app: AppName) -> dict[str, list[ObjectInfo]]:
    """Return what can be seen of each upload."""
    found: dict[str, list[ObjectInfo]] = {}
    folder = upload_key(app, "")
    for info in deps.store.list(folder):
        name = info.key.removeprefix(folder).partition(".")[0]
        found.setdefault(name, []).append(info)
    return found


def _remove(deps: WriteDeps, app: AppName, name: str, infos: Iterable[ObjectInfo]) -> None:
    if is_upload_id(name):
        upload_id = UploadId(name)
        forget_upload(deps, app, upload_id, load_record(deps.store, app, upload_id))
    for info in infos:
        deps.store.delete(info.key)


def _give_up_unfinished(deps: WriteDeps, app: AppName, oldest: datetime) -> int:
    if deps.parts is None:
        return 0
    # The server's own large writes break off too, so the whole app is looked through.
    found = deps.parts.unfinished(f"{app}/")
    old = [item for item in found if item.begun_at < oldest]
    for item in old:
        deps.parts.abort(item.key, item.store_id)
    return len(old)
