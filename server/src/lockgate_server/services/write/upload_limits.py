"""What uploads may take of a store: whoever holds a token of scope publish must not fill it.

1. On a disk, the last of the room is not for uploads: a revocation and the database always fit.
2. An app has at most so many uploads open. Those that are gone on with no more are removed after a
   day, so one who begins more and more of them comes to an end. They are counted again once a
   count is a few seconds old or half of them are reached, so that a release of many small files
   does not list them for each.
3. One part is kept in a few contents at most, so that an upload cannot grow without end. Two who
   send different files under one id do not get into each other's way; who sends a part again and
   again replaces it.
"""

from __future__ import annotations

import errno
import os

from lockgate_release.errors import ConflictError, DiskFullError
from lockgate_release.layout import upload_key
from lockgate_release.names import AppName
from lockgate_server.services.write.deps import WriteDeps

__all__ = ["MAX_OPEN_UPLOADS", "MAX_PART_CONTENTS", "check_open_uploads", "check_room", "thin_out"]

MAX_OPEN_UPLOADS = 200
"""How many uploads of an app may be open."""

MAX_PART_CONTENTS = 4
"""In how many contents one part is kept."""


def check_room(deps: WriteDeps, size_bytes: int) -> None:
    """Return when so many bytes more may come (rule 1).

    Raises:
        DiskFullError: They may not.
    """
    room_bytes = deps.room()
    if room_bytes is None or size_bytes <= room_bytes:
        return
    raise DiskFullError(
        "too little room is left for uploads",
        expected=f"{size_bytes} bytes",
        found=f"{max(room_bytes, 0)} bytes",
        hint="Make room on the server's disk; lockgate-server gc removes what nothing needs. The "
        "last of it is kept for revocations.",
    ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def check_open_uploads(deps: WriteDeps, app: AppName) -> None:
    """Return when one more upload may be begun (rule 2).

    Raises:
        ConflictError: Too many are open.
        TransportError: The store cannot be reached.
    """
    if deps.open_uploads.take_one(app, MAX_OPEN_UPLOADS, deps.now()):
        return
    folder = upload_key(app, "")
    is_open = {info.key.removeprefix(folder).partition(".")[0] for info in deps.store.list(folder)}
    if len(is_open) >= MAX_OPEN_UPLOADS:
        raise ConflictError(
            "too many uploads are open",
            subject=app,
            expected=f"fewer than {MAX_OPEN_UPLOADS}",
            found=str(len(is_open)),
            hint="Each is removed once nothing was added to it for a day; lockgate-server gc "
            "--grace 1h removes those that are older than an hour.",
        )
    deps.open_uploads.note(app, len(is_open) + 1, deps.now())


def thin_out(deps: WriteDeps, own_key: str) -> None:
    """Remove the oldest contents of a part, beyond a few, but never the one at `own_key` (rule 3).

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    prefix = own_key.rpartition(".")[0] + "."
    others = [info for info in deps.store.list(prefix) if info.key != own_key]
    others.sort(key=lambda info: info.modified_at, reverse=True)
    for info in others[MAX_PART_CONTENTS - 1 :]:
        deps.store.delete(info.key)
