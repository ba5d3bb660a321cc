"""A Python application's environment, made from the wheels in its signed tree and nothing else.

No network, no index, no resolver, and no code of the wheels: each is unpacked as its own list of
files says, and that list is checked against its bytes. Python's own `venv` makes the environment,
PyPA's `installer` fills it. It is made beside its place and renamed, like a tree: programs are
written for the place where it will be.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate_release.archives.safe_tree import open_tree, remove_tree
from lockgate_release.digests import digest_tree
from lockgate_release.documents.python_wheels import PythonWheels
from lockgate_release.errors import ArchiveError, DigestMismatchError, LocalError
from lockgate_updater.state.durable import local_errors, sync_folder, sync_tree
from lockgate_updater.state.environments import (
    EnvironmentRecord,
    environment_path,
    is_startable,
    prepare_environments,
    prove_environment,
    remove_environment,
    staged_path,
    store_environment_record,
)
from lockgate_updater.state.home import Home
from lockgate_updater.state.receipts import Receipt

__all__ = [
    "build_environment",
    "check_python",
    "ensure_environment",
    "ensure_startable",
    "name_environment",
    "rebuild_environment",
]

_SLACK_BYTES = 8 << 20


def check_python(python: PythonWheels | None, *, version: str) -> None:
    """Return if this Python is one that the release's wheels are for.

    Raises:
        LocalError: It is another, or what installs wheels is missing.
    """
    here = _here()
    if python is not None and not python.are_for(here):
        raise LocalError(
            "another Python is needed",
            subject=version,
            expected=python.requires,
            found=here,
            hint="Run lockgate-updater with such a Python: a release's environment is made of it.",
        )


def build_environment(home: Home, receipt: Receipt, tree: Path) -> None:
    """Make the environment of the tree that lies at `tree`, where nothing starts it yet.

    A tree that needs none is passed over.

    Raises:
        ArchiveError: A wheel is damaged, or two collide.
        LocalError: None of a project's wheels fits this Python, or the disk refuses.
    """
    python = receipt.install.python
    if python is None:
        return
    prepare_environments(home)
    staging = staged_path(home, receipt.folder)
    with local_errors("cannot be made", staging), _wheel_errors(receipt.version):
        wheels = _choose(sorted((tree / python.wheels).glob("*.whl")), subject=receipt.version)
        _check_space(home, wheels)
        remove_tree(staging)
        from lockgate_updater.install.empty_environment import (  # noqa: PLC0415 (only for wheels)
            make_empty_environment,
        )

        make_empty_environment(staging)
        for wheel in wheels:
            _install(wheel, staging, environment_path(home, receipt.folder))
        open_tree(staging)


def name_environment(home: Home, receipt: Receipt) -> None:
    """Give a made environment, which is on the disk, its place. The record comes first.

    Raises:
        LocalError: The disk refuses.
    """
    if receipt.install.python is None:
        return
    staging = staged_path(home, receipt.folder)
    with local_errors("cannot be installed", staging):
        record = EnvironmentRecord(sha256=digest_tree(staging).sha256, python=_here())
        # One that was there before goes first, and takes its record along.
        if environment_path(home, receipt.folder).exists():
            made = staging.with_name(f"{staging.name}.made")
            remove_tree(made)
            staging.rename(made)
            remove_environment(home, receipt.folder)
            made.rename(staging)
        store_environment_record(home, receipt.folder, record)
        staging.rename(environment_path(home, receipt.folder))
        sync_folder(home.environments)


def rebuild_environment(home: Home, receipt: Receipt) -> None:
    """Make the environment of an installed tree again, whatever is there. Needs no network.

    The tree must have been proven: what is installed is what lies in it.

    Raises:
        ArchiveError: A wheel is damaged.
        LocalError: None of a project's wheels fits this Python, or the disk refuses.
    """
    check_python(receipt.install.python, version=receipt.version)
    build_environment(home, receipt, home.tree(receipt.folder))
    if receipt.install.python is not None:
        sync_tree(staged_path(home, receipt.folder))
    name_environment(home, receipt)


def ensure_environment(home: Home, receipt: Receipt) -> bool:
    """Leave a proven environment; return whether it had to be made again.

    Raises:
        ArchiveError: A wheel is damaged.
        LocalError: It cannot be made.
    """
    try:
        prove_environment(home, receipt)
    except DigestMismatchError:
        rebuild_environment(home, receipt)
        return True
    return False


def ensure_startable(home: Home, receipt: Receipt) -> bool:
    """Make the environment again if it, or the Python it was made of, is gone; return whether.

    Raises:
        ArchiveError: A wheel is damaged.
        LocalError: It cannot be made.
    """
    if is_startable(home, receipt):
        return False
    rebuild_environment(home, receipt)
    return True


def _here() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _choose(wheels: Iterable[Path], *, subject: str) -> tuple[Path, ...]:
    """Return the best wheel of each project for this Python."""
    from packaging.tags import sys_tags  # noqa: PLC0415 (only for wheels)
    from packaging.utils import parse_wheel_filename  # noqa: PLC0415 (only for wheels)

    ranks = {tag: rank for rank, tag in enumerate(sys_tags())}
    best: dict[str, tuple[int, Path]] = {}
    for wheel in wheels:
        name, _, _, tags = parse_wheel_filename(wheel.name)
        rank = min(ranks.get(tag, len(ranks)) for tag in tags)
        best[name] = min(best.get(name, (rank, wheel)), (rank, wheel))
    if not best:
        raise ArchiveError("no wheel in its folder of wheels", subject=subject)
    for rank, wheel in best.values():
        if rank == len(ranks):
            raise LocalError(
                "no wheel for this Python",
                subject=subject,
                expected=f"one for {sysconfig.get_platform()} and Python {_here()}",
                found=wheel.name,
            )
    return tuple(wheel for _, (_, wheel) in sorted(best.items()))


def _check_space(home: Home, wheels: Iterable[Path]) -> None:
    needed = _SLACK_BYTES
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            needed += sum(info.file_size for info in archive.infolist())
    disk = os.statvfs(home.root)
    free = disk.f_bavail * disk.f_frsize
    if free < needed:
        raise LocalError(
            "not enough space for the environment",
            subject=str(home.root),
            expected=f"{needed} bytes free",
            found=f"{free} bytes",
        )


def _install(wheel: Path, staging: Path, place: Path) -> None:
    from installer import install  # noqa: PLC0415 (an extra)
    from installer.destinations import SchemeDictionaryDestination  # noqa: PLC0415
    from installer.sources import WheelFile  # noqa: PLC0415

    with WheelFile.open(wheel) as source:
        source.validate_record(validate_contents=True)
        base = {"base": str(staging), "platbase": str(staging)}
        paths = sysconfig.get_paths(scheme="venv", vars=base)
        headers = staging / "include" / "site" / source.distribution
        destination = SchemeDictionaryDestination(
            scheme_dict={**paths, "headers": str(headers)},
            interpreter=str(place / "bin" / "python"),
            script_kind="posix",
        )
        install(source, destination, additional_metadata={"INSTALLER": b"lockgate\n"})


@contextmanager
def _wheel_errors(version: str) -> Iterator[None]:
    """What the libraries say of wheels, as what it is: what was published is wrong."""
    try:
        yield
    except ImportError as exc:
        raise LocalError(
            "what installs wheels is missing",
            subject=version,
            found=str(exc),
            hint="Install lockgate-updater[python].",
        ) from exc
    except FileExistsError as exc:
        raise ArchiveError(
            "two wheels hold the same file", subject=version, found=str(exc)
        ) from exc
    except (ValueError, zipfile.BadZipFile, KeyError, AssertionError, EOFError) as exc:
        raise ArchiveError("damaged wheel", subject=version, found=ascii(exc)[:300]) from exc
    except Exception as exc:
        if type(exc).__module__.startswith("installer"):
            raise ArchiveError("damaged wheel", subject=version, found=ascii(exc)[:300]) from exc
        raise
