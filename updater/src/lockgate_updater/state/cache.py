"""`<home>/cache/<folder>/`: where the program of a tree may keep what it can make again.

A tree stays as it was signed, so a program that writes beside itself, as Python does with
`__pycache__`, breaks the proof. A cache lives as long as its tree. No link in its path is followed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lockgate_release.errors import LocalError
from lockgate_updater.state.durable import local_errors
from lockgate_updater.state.home import Home

__all__ = ["cached_folders", "prepare_cache", "remove_cache"]

_FOLDER_MODE = 0o700


def prepare_cache(home: Home, folder: str) -> Path:
    """Return the cache of a tree, made if it is missing, and closed to others.

    Raises:
        LocalError: It cannot be made, or what is there is a link, no folder, or somebody else's.
    """
    cache = home.cache / folder
    for path in (home.cache, cache):
        with local_errors("cannot be made", path):
            if not os.path.lexists(path):
                path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise LocalError("not a folder of ours", subject=str(path), expected="a folder")
            if found.st_mode & 0o077:
                path.chmod(_FOLDER_MODE)
    return cache


def remove_cache(home: Home, folder: str) -> None:
    """Remove the cache of a tree, if there is one. A link is removed, never followed.

    Raises:
        OSError: It cannot be removed.
    """
    from lockgate_release.archives.safe_tree import remove_tree  # noqa: PLC0415 (a check has none)

    if _is_folder(home.cache):
        remove_tree(home.cache / folder)


def cached_folders(home: Home) -> set[str]:
    """Return the names in the folder of caches.

    Raises:
        OSError: It cannot be read.
    """
    return {path.name for path in home.cache.iterdir()} if _is_folder(home.cache) else set()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
