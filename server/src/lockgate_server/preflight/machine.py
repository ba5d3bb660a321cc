"""The machine: Python, the folder, its disk, the user, limits, and what the process runs in."""

from __future__ import annotations

import os
import resource
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile

from lockgate_server.preflight.findings import Finding, failed, fine, warning

__all__ = ["judge_room", "look_at_folder", "look_at_machine"]

_OTHERS = 0o077
_LEAST_PYTHON = (3, 11)
_LEAST_BYTES, _FEW_BYTES = 100 << 20, 1 << 30
_FEW_PART = 20
_LEAST_FILES = 1024


def look_at_machine(environ: Mapping[str, str], data: Path) -> Iterator[Finding]:
    """Yield how Python, the user, the limits and the container are."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _LEAST_PYTHON:
        yield failed("python", version, "Lockgate needs Python 3.11 or later.")
    else:
        yield fine("python", version)
    is_contained = _is_contained(environ)
    yield _look_at_user(is_contained=is_contained)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < _LEAST_FILES:
        hint = "Raise it: `ulimit -n`, or LimitNOFILE= in the systemd unit."
        yield warning("open files", f"at most {files}", hint)
    else:
        yield fine("open files", "no limit" if files < 0 else f"at most {files}")
    if is_contained:
        yield _look_at_volume(data)
    elif environ.get("INVOCATION_ID"):
        yield fine("service", "started by systemd")
    else:
        yield fine("service", "started by hand, in no container that shows itself")


def _is_contained(environ: Mapping[str, str]) -> bool:
    return (
        Path("/.dockerenv").exists()
        or Path("/run/.containerenv").exists()
        or bool(environ.get("container") or environ.get("KUBERNETES_SERVICE_HOST"))
    )


def _look_at_user(*, is_contained: bool) -> Finding:
    user = os.geteuid()
    if user == 0 and not is_contained:
        return warning("user", "root", "Give the server a user of its own (User= in systemd).")
    return fine("user", "root, in a container" if user == 0 else f"user id {user}")


def _look_at_volume(data: Path) -> Finding:
    nearest = _nearest(data)
    if nearest.stat().st_dev == Path("/").stat().st_dev:
        hint = "Mount a volume there: what is written into a container goes with it."
        return warning("container", f"{data} is in the container itself", hint)
    return fine("container", f"{data} is on a volume")


def look_at_folder(name: str, folder: Path, *, is_private: bool) -> Iterator[Finding]:
    """Yield whether a folder is there or can be made, who may see it, and how much room it has.

    Args:
        name: What it is for.
        folder: Where it is, or will be.
        is_private: Whether others must not see into it.
    """
    nearest = _nearest(folder)
    if nearest != folder.absolute():
        if os.access(nearest, os.W_OK | os.X_OK):
            yield fine(name, f"{folder} will be made")
        else:
            yield failed(name, f"{folder} cannot be made in {nearest}", "Make it, for this user.")
    elif not folder.is_dir():
        yield failed(name, f"{folder} is no folder")
    else:
        yield _look_at_rights(name, folder, is_private=is_private)
    room = os.statvfs(nearest)
    free, whole = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
    yield judge_room(f"{name}: disk", free, whole)


def _look_at_rights(name: str, folder: Path, *, is_private: bool) -> Finding:
    try:
        with TemporaryFile(dir=folder, prefix=".new-check-"):
            pass
    except OSError as exc:
        found = f"{folder} cannot be written: {exc.strerror}"
        return failed(name, found, "Look at its owner, its mode and its mount.")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if is_private and mode & _OTHERS:
        return warning(
            name, f"{folder}, mode {mode:04o}", f"Close it to others: chmod 700 {folder}"
        )
    return fine(name, f"{folder}, mode {mode:04o}")


def judge_room(name: str, free_bytes: int, whole_bytes: int) -> Finding:
    """Return whether a disk has room for a server."""
    found = f"{free_bytes >> 20} MiB free of {whole_bytes >> 20}"
    if free_bytes < _LEAST_BYTES:
        return failed(name, found, "Make room: nothing can be signed on a full disk.")
    if free_bytes < min(_FEW_BYTES, whole_bytes // _FEW_PART):
        return warning(name, found, "Make room: the last of it is kept from uploads.")
    return fine(name, found)


def _nearest(path: Path) -> Path:
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
