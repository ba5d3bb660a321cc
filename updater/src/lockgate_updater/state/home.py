"""Where a client keeps everything.

<home>/lockgate.toml, root.json     what this client is, and what it trusts at first
<home>/versions/<version>-<sha8>/   immutable trees
<home>/current -> versions/…        the only pointer
<home>/environments/<version>-<sha8>/   the Python environment of that tree, if it holds wheels
<home>/cache/<version>-<sha8>/      what the program of that tree may write
<home>/state/                       journal, memory, identity, receipts, reports, metadata,
                                    downloads, lock

The state folder is treated as hostile: it must belong to us, and no symbolic link in it is
followed. Reads and writes the disk.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.errors import LocalError
from lockgate_release.settings import SETTINGS_FILE
from lockgate_updater.state.durable import local_errors

__all__ = ["Home"]

_FOLDER_MODE = 0o700
_ROOT_LINK = re.compile(r"root_history/\d+\.root\.json")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one client's home."""

    root: Path

    @classmethod
    def at(cls, folder: Path | str) -> Home:
        """Return the home in `folder`, where `~` is this user's own folder."""
        return cls(Path(folder).expanduser().absolute())

    @property
    def settings(self) -> Path:
        """What this client is."""
        return self.root / SETTINGS_FILE

    @property
    def anchor(self) -> Path:
        """The root that was shipped with the client."""
        return self.root / "root.json"

    @property
    def versions(self) -> Path:
        """The folder of installed trees."""
        return self.root / "versions"

    @property
    def current(self) -> Path:
        """The only pointer to the tree that runs."""
        return self.root / "current"

    @property
    def state(self) -> Path:
        """The folder of records and caches."""
        return self.root / "state"

    @property
    def journal(self) -> Path:
        """The record of what is going on."""
        return self.state / "journal.json"

    @property
    def memory(self) -> Path:
        """What must outlive the cache."""
        return self.state / "memory.json"

    @property
    def origins(self) -> Path:
        """What was proven of who built what."""
        return self.state / "origins.json"

    @property
    def identity(self) -> Path:
        """The client's random id."""
        return self.state / "identity.json"

    @property
    def receipts(self) -> Path:
        """What is known of each tree."""
        return self.state / "receipts"

    @property
    def downloads(self) -> Path:
        """Partial downloads."""
        return self.state / "downloads"

    @property
    def cache(self) -> Path:
        """What the programs of trees may write, a folder for each tree."""
        return self.root / "cache"

    @property
    def health(self) -> Path:
        """How the last checks went."""
        return self.state / "health.json"

    @property
    def reports(self) -> Path:
        """What is to be reported, and what was."""
        return self.state / "reports.json"

    @property
    def environments(self) -> Path:
        """The folder of Python environments, one for each tree that holds wheels."""
        return self.root / "environments"

    @property
    def lock(self) -> Path:
        """The lock that every updater of this home takes."""
        return self.state / "lock"

    def tree(self, folder: str) -> Path:
        """Return where the tree called `folder` lies."""
        return self.versions / folder

    def prepare(self) -> None:
        """Make the folders that are missing, and refuse what somebody else has planted.

        Raises:
            LocalError: A folder cannot be made, belongs to somebody else, or holds a link.
        """
        for folder in self._folders():
            with local_errors("cannot be made", folder):
                folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            if self._check_folder(folder) & 0o077:
                with local_errors("cannot be closed to others", folder):
                    folder.chmod(_FOLDER_MODE)
        for path in self._state_entries():
            _refuse_link(path)

    def is_ours(self) -> bool:
        """Whether every folder is there and ours alone, and no link is planted. Changes nothing."""
        try:
            alone = all(self._check_folder(folder) & 0o077 == 0 for folder in self._folders())
            for path in self._state_entries():
                _refuse_link(path)
        except LocalError:
            return False
        return alone

    def _folders(self) -> tuple[Path, ...]:
        return (self.root, self.versions, self.state, self.receipts, self.downloads)

    def _check_folder(self, folder: Path) -> int:
        """Return the folder's mode, if it is a folder of ours."""
        with local_errors("cannot be read", folder):
            found = folder.stat() if folder == self.root else folder.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise LocalError("not a folder of ours", subject=str(folder), expected="a folder")
            if found.st_uid != os.geteuid():
                raise LocalError(
                    "belongs to somebody else",
                    subject=str(folder),
                    expected=f"owner {os.geteuid()}",
                    found=f"owner {found.st_uid}",
                )
            return stat.S_IMODE(found.st_mode)

    def _state_entries(self) -> Iterator[Path]:
        """Yield everything below the state folder; link-free folders only are entered."""
        pending = [self.state]
        while pending:
            with local_errors("cannot be read", pending[-1]), os.scandir(pending.pop()) as found:
                for item in found:
                    if item.is_dir(follow_symlinks=False):
                        pending.append(Path(item.path))
                    yield Path(item.path)


def _refuse_link(path: Path) -> None:
    if not path.is_symlink():
        return
    # python-tuf keeps one link of its own, to the newest root below the same folder.
    if path.name == "root.json" and path.parent.name == "metadata":
        with local_errors("cannot be read", path):
            try:
                target = os.readlink(path)  # noqa: PTH115 (the link's own words)
            except FileNotFoundError:
                return  # It makes the link anew at each look, also in the updater we wait for.
            if _ROOT_LINK.fullmatch(target):
                return
    raise LocalError(
        "a link where none may be",
        subject=str(path),
        hint="Somebody has planted it: look where it leads, and remove it.",
    )
