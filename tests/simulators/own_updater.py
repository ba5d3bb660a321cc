"""Real versions of the updater as an app: trees of this very code, and what goes wrong in one."""

import os
import sys
from functools import cache
from pathlib import Path

import lockgate_release
import lockgate_updater
from lockgate_release.documents import HealthCheck, Install
from tests.simulators.archives import Tree

__all__ = ["PROGRAM", "as_updater", "updater_tree"]

PROGRAM = "bin/lockgate-updater"
# The interpreter brings what others wrote; our own code comes from the tree.
_START = f"""#!{sys.executable}
import sys
from pathlib import Path
sys.dont_write_bytecode = True
sys.modules["boto3"] = None  # no client has it, and where tests have, each start would import it
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
from lockgate_updater.command import main
sys.exit(main())
""".encode()


@cache
def _library() -> dict[str, bytes]:
    found = {}
    for package in (lockgate_release, lockgate_updater):
        folder = Path(os.fspath(package.__path__[0]))
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found[f"lib/{folder.name}/{path.relative_to(folder)}"] = path.read_bytes()
    return found


def updater_tree(version: str, **changed: bytes) -> Tree:
    """The tree of an updater that calls itself `version`.

    `changed` replaces files of the library by their path, with `__` for each slash: a broken
    updater is a real one with something wrong in it.
    """
    package = "lib/lockgate_updater/__init__.py"
    files = {**_library(), PROGRAM: _START}
    old = f'__version__ = "{lockgate_updater.__version__}"'.encode()
    assert old in files[package]
    files[package] = files[package].replace(old, f'__version__ = "{version}"'.encode())
    for name, data in changed.items():
        files[f"lib/{name.replace('__', '/')}.py"] = data
    return files


def as_updater(
    *, timeout_s: int = 30, command: tuple[str, ...] = (PROGRAM, "--version")
) -> Install:
    """How an updater is installed: it proves itself by its version, and by what is asked of it."""
    health = HealthCheck(command=command, tries=1, timeout_s=timeout_s)
    return Install(entrypoint=PROGRAM, health=health)
