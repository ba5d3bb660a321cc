"""The one pointer: `current`, a symbolic link to a tree, swapped by one rename.

A reader sees the old tree or the new one, never neither. Only links of our own shape are followed;
any other is replaced, never resolved.
"""

from __future__ import annotations

import os
from pathlib import Path

from lockgate_release.errors import LocalError
from lockgate_updater.state.durable import local_errors, sync_folder
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import is_folder_name

__all__ = ["point_to", "read_current"]


def read_current(home: Home) -> str:
    """Return the folder that `current` points to, or "" if it is missing or points elsewhere.

    Raises:
        LocalError: It cannot be read.
    """
    with local_errors("cannot be read", home.current):
        try:
            target = os.readlink(home.current)  # noqa: PTH115 (the link's own words)
        except FileNotFoundError:
            return ""
        except OSError:
            return _refuse_no_link(home)
    folder = target.removeprefix("versions/")
    return folder if target == f"versions/{folder}" and is_folder_name(folder) else ""


def _refuse_no_link(home: Home) -> str:
    raise LocalError(
        "not a link of ours",
        subject=str(home.current),
        expected="a link into versions/",
        hint="Move it away: the updater does not remove what it did not make.",
    )


def point_to(home: Home, folder: str) -> None:
    """Leave `current` pointing to the tree `folder`, durably; for "" leave no `current`.

    Raises:
        LocalError: The disk refuses.
    """
    with local_errors("cannot be switched", home.current):
        if not folder:
            home.current.unlink(missing_ok=True)
        else:
            temporary = Path(home.root, ".current.new")
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(f"versions/{folder}")
            temporary.rename(home.current)
        sync_folder(home.root)
