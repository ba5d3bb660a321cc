"""Whether this machine's disk can take an update, asked before anything of it is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from lockgate_release.errors import DiskFullError, LocalError
from lockgate_updater.state.durable import local_errors

__all__ = ["check_room", "judge_room"]

_LEAST_FILES = 64


def check_room(folder: Path, needed_bytes: int) -> None:
    """Return if the disk below `folder` can be written and has room.

    Args:
        folder: The home.
        needed_bytes: For the whole operation, download and tree together.

    Raises:
        DiskFullError: There is too little room.
        LocalError: It is read-only, or cannot be read.
    """
    with local_errors("cannot be read", folder):
        disk = os.statvfs(folder)
    judge_room(
        folder,
        is_read_only=bool(disk.f_flag & os.ST_RDONLY),
        free_bytes=disk.f_bavail * disk.f_frsize,
        # Some file systems count no files, and say 0 of 0.
        free_files=disk.f_favail if disk.f_files else None,
        needed_bytes=needed_bytes,
    )


def judge_room(
    folder: Path,
    *,
    is_read_only: bool,
    free_bytes: int,
    free_files: int | None,
    needed_bytes: int,
) -> None:
    """Return if a disk with so much room is enough.

    Args:
        folder: The home, for messages.
        is_read_only: Whether nothing can be written there.
        free_bytes: Bytes this user may still write.
        free_files: Files this user may still make, or None where nobody counts them.
        needed_bytes: What is needed.

    Raises:
        DiskFullError: There is too little room.
        LocalError: It is read-only.
    """
    if is_read_only:
        raise LocalError(
            "read-only file system",
            subject=str(folder),
            hint="Nothing can be installed here until it is mounted for writing.",
        )
    if free_bytes < needed_bytes:
        raise DiskFullError(
            "not enough space",
            subject=str(folder),
            expected=f"{needed_bytes} bytes free",
            found=f"{free_bytes} bytes",
        )
    if free_files is not None and free_files < _LEAST_FILES:
        raise DiskFullError(
            "no room for more files",
            subject=str(folder),
            expected=f"{_LEAST_FILES} free inodes",
            found=str(free_files),
        )
