"""`<home>/environments/<folder>/`: the Python environment of a tree that holds wheels.

It has its tree's name, so the one pointer switches both. It is made from the tree alone, so it can
be made again; its record, `state/receipts/<folder>.environment`, says what it must hash to. The
record is on the disk before the environment gets its name: one without the other is none.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.digests import digest_tree
from lockgate_release.errors import ArchiveError, DigestMismatchError, DocumentError, LocalError
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import dump_json, parse_json
from lockgate_updater.state.durable import (
    local_errors,
    read_own_file,
    sync_folder,
    write_durably,
)
from lockgate_updater.state.home import Home
from lockgate_updater.state.receipts import Receipt

__all__ = [
    "EnvironmentRecord",
    "drop_environments",
    "environment_path",
    "is_startable",
    "load_environment_record",
    "prepare_environments",
    "prove_environment",
    "remove_environment",
    "staged_path",
    "store_environment_record",
]

FORMAT = 1
_STAGING = ".staging-"
_SUFFIX = ".environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecord:
    """What was made.

    Attributes:
        sha256: The digest of the environment, worked out as a tree's.
        python: The version of its Python, such as `3.11.7`: for people.
    """

    sha256: Sha256Hex
    python: str


def environment_path(home: Home, folder: str) -> Path:
    """Return where the environment of a tree lies."""
    return home.environments / folder


def staged_path(home: Home, folder: str) -> Path:
    """Return where it is made, and where it goes before it is removed."""
    return home.environments / f"{_STAGING}{folder}"


def store_environment_record(home: Home, folder: str, record: EnvironmentRecord) -> None:
    """Leave the record on the disk.

    Raises:
        LocalError: It cannot be written.
    """
    data = dump_json({"format": FORMAT, "sha256": record.sha256, "python": record.python})
    write_durably(_record_path(home, folder), data)


def load_environment_record(home: Home, folder: str) -> EnvironmentRecord | None:
    """Return the record of a tree's environment; a damaged one counts as none.

    Raises:
        LocalError: It cannot be read.
    """
    data = read_own_file(_record_path(home, folder))
    if data is None:
        return None
    try:
        fields = parse_json(data, subject=folder)
        fields.integer("format", minimum=FORMAT, maximum=FORMAT)
        return EnvironmentRecord(
            sha256=Sha256Hex(fields.checked("sha256", is_sha256, "a SHA-256")),
            python=fields.text("python"),
        )
    except DocumentError:
        return None


def is_startable(home: Home, receipt: Receipt) -> bool:
    """Whether the tree needs no environment, or has one whose Python is still there.

    Looks at two names only: a start may not cost reading thousands of files.
    """
    if receipt.install.python is None:
        return True
    python = environment_path(home, receipt.folder) / "bin" / "python"
    return _record_path(home, receipt.folder).is_file() and os.access(python, os.X_OK)


def prove_environment(home: Home, receipt: Receipt) -> None:
    """Read the whole environment and hold it to its record. A tree that needs none passes.

    Raises:
        DigestMismatchError: It is not what was made, or it is not there.
        LocalError: It cannot be read.
    """
    if receipt.install.python is None:
        return
    path = environment_path(home, receipt.folder)
    record = load_environment_record(home, receipt.folder)
    with local_errors("cannot be read", path):
        try:
            found = digest_tree(path).sha256 if _is_folder(path) else ""
        except ArchiveError as exc:
            found = exc.what
    if record is None or found != record.sha256 or not is_startable(home, receipt):
        raise DigestMismatchError(
            "not the environment that was made",
            subject=str(path),
            expected=record.sha256 if record else "its record",
            found=found or "nothing",
            hint="It is made again from the tree's wheels: lockgate-updater repair --home DIR",
        )


def prepare_environments(home: Home) -> None:
    """Make the folder of environments if it is missing.

    Raises:
        LocalError: It cannot be made, or what is there is a link, no folder, or somebody else's.
    """
    folder = home.environments
    with local_errors("cannot be made", folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise LocalError("not a folder of ours", subject=str(folder), expected="a folder")
        if found.st_mode & 0o077:
            folder.chmod(0o700)


def remove_environment(home: Home, folder: str) -> None:
    """Remove the environment of a tree, if there is one: first from sight, then from the disk.

    Raises:
        LocalError: It cannot be removed.
    """
    from lockgate_release.archives.safe_tree import remove_tree  # noqa: PLC0415 (a check has none)

    path, doomed = environment_path(home, folder), staged_path(home, folder)
    with local_errors("cannot be removed", path):
        if os.path.lexists(path):
            remove_tree(doomed)
            path.rename(doomed)
            sync_folder(home.environments)
            remove_tree(doomed)
        _record_path(home, folder).unlink(missing_ok=True)


def drop_environments(home: Home) -> None:
    """Remove what was being made or removed, and environments and records without a receipt.

    Raises:
        LocalError: Something cannot be removed.
    """
    from lockgate_release.archives.safe_tree import remove_tree  # noqa: PLC0415 (a check has none)

    with local_errors("cannot be removed", home.environments):
        names = {path.name for path in home.receipts.glob("*.json")}
        if _is_folder(home.environments):
            for path in list(home.environments.iterdir()):
                if path.name.startswith(_STAGING):
                    remove_tree(path)
                elif f"{path.name}.json" not in names:
                    remove_environment(home, path.name)
        for path in home.receipts.glob(f"*{_SUFFIX}"):
            if f"{path.name.removesuffix(_SUFFIX)}.json" not in names:
                path.unlink()


def _record_path(home: Home, folder: str) -> Path:
    return home.receipts / f"{folder}{_SUFFIX}"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
