"""Whether this machine's disk can take an update, asked before anything of it is downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lockgate_release.errors import DiskFullError, LocalError
from lockgate_updater.state.durable import local_errors

__all__ = ["NO_PROGRAMS", "Disk", "check_room", "judge_room", "look_at_disk"]

NO_PROGRAMS = "mounted noexec: no program of a release can be started"
_LEAST_FILES = 64


class Disk(NamedTuple):
    """What a file system says of itself.

    Attributes:
        is_read_only: Whether nothing can be written there.
        is_noexec: Whether no program can be started from there.
        free_bytes: Bytes this user may still write.
        free_files: Files this user may still make, or None where nobody counts them.
    """

    is_read_only: bool
    is_noexec: bool
    free_bytes: int
    free_files: int | None


def look_at_disk(folder: Path) -> Disk:
    """Return what the file system of `folder` says.

    Raises:
        LocalError: It cannot be read.
    """
    with local_errors("cannot be read", folder):
        disk = os.statvfs(folder)
    return Disk(
        is_read_only=bool(disk.f_flag & os.ST_RDONLY),
        is_noexec=bool(disk.f_flag & getattr(os, "ST_NOEXEC", 0)),
        free_bytes=disk.f_bavail * disk.f_frsize,
        # Some file systems count no files, and say 0 of 0.
        free_files=disk.f_favail if disk.f_files else None,
    )


def check_room(folder: Path, needed_bytes: int, *, starts_programs: bool) -> None:
    """Return if the disk below `folder` can take a release.

    Args:
        folder: The home.
        needed_bytes: For the whole operation, download and tree together.
        starts_programs: Whether the release has programs that will be started.

    Raises:
        DiskFullError: There is too little room.
        LocalError: It is read-only, starts no programs, or cannot be read.
    """
    disk = look_at_disk(folder)
    judge_room(folder, disk, needed_bytes=needed_bytes, starts_programs=starts_programs)


def judge_room(folder: Path, disk: Disk, *, needed_bytes: int, starts_programs: bool) -> None:
    """Return if such a disk can take a release.

    Args:
        folder: The home, for messages.
        disk: What its disk says.
        needed_bytes: What is needed.
        starts_programs: Whether the release has programs that will be started.

    Raises:
        DiskFullError: There is too little room.
        LocalError: It is read-only, or starts no programs.
    """
    if disk.is_read_only:
        raise LocalError(
            "read-only file system",
            subject=str(folder),
            hint="Nothing can be installed here until it is mounted for writing.",
        )
    if disk.is_noexec and starts_programs:
        raise LocalError(
            NO_PROGRAMS, subject=str(folder), hint="Move the home, or mount it without noexec."
        )
    if disk.free_bytes < needed_bytes:
        raise DiskFullError(
            "not enough space",
            subject=str(folder),
            expected=f"{needed_bytes} bytes free",
            found=f"{disk.free_bytes} bytes",
        )
    if disk.free_files is not None and disk.free_files < _LEAST_FILES:
        raise DiskFullError(
            "no room for more files",
            subject=str(folder),
            expected=f"{_LEAST_FILES} free inodes",
            found=str(disk.free_files),
        )
