"""The four distributions, built so that everybody gets the same bytes from the same commit.

What is built is what git has, in a folder of its own, never the working tree. Each file has the
commit's time, and the mode 644 or 755. The build backend is the one that `requirements-dev.txt`
pins by hash; another one may write other bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

__all__ = ["DISTRIBUTIONS", "ROOT", "SUMS", "ReleaseError", "build", "compare", "digests_of"]

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTIONS = ("release", "updater", "server", "cli")
SUMS = "SHA256SUMS"
_BACKEND = "hatchling"
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR")


class ReleaseError(Exception):
    """A step of a release that does not hold; its text says why."""


def build(commit: str, out: Path, *, umask: int = 0o022) -> dict[str, str]:
    """Build wheels and source archives of a commit, with a file of their digests beside them.

    Args:
        commit: A tag or another name of a commit.
        out: A folder that is empty or does not exist.
        umask: What the builder's shell happens to have; it must not matter.

    Returns:
        The SHA-256 of each file, by name.

    Raises:
        ReleaseError: There is no such commit, the folder holds something, or a build failed.
    """
    if out.exists() and any(out.iterdir()):
        raise ReleaseError(f"{out} is not empty")
    out.mkdir(parents=True, exist_ok=True)
    moment = _git("log", "-1", "--format=%ct", commit, "--").decode().strip()
    archive = _git("-c", "tar.umask=0022", "archive", "--format=tar", commit)
    with tempfile.TemporaryDirectory(prefix="lockgate-build-") as made:
        tree = Path(made) / "tree"
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(tree, filter="tar")
        for name in DISTRIBUTIONS:
            _build_one(tree / name, out, moment, umask)
    found = digests_of(out)
    lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(found.items())]
    (out / SUMS).write_text("".join(lines))
    return found


def _build_one(folder: Path, out: Path, moment: str, umask: int) -> None:
    environ = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environ |= {"SOURCE_DATE_EPOCH": moment, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-m", _BACKEND, "build", "--directory", str(out.resolve())],
        cwd=folder,
        env=environ,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ReleaseError(f"{folder.name} cannot be built:\n{done.stdout}{done.stderr}")


def compare(commit: str, folder: Path) -> dict[str, str]:
    """Build a commit once more, elsewhere and with another umask, and hold both together.

    Args:
        commit: A tag or another name of a commit.
        folder: What was built of it before.

    Raises:
        ReleaseError: They differ in a file, which is named; or the folder is not what its sums say.
    """
    known = digests_of(folder)
    said = read_sums(folder)
    if known != said:
        raise ReleaseError(f"{folder} is not what its {SUMS} says: {_differing(known, said)}")
    with tempfile.TemporaryDirectory(prefix="lockgate-again-") as made:
        again = build(commit, Path(made) / "dist", umask=0o077)
    if known != again:
        raise ReleaseError(f"built twice, and different: {_differing(known, again)}")
    return known


def digests_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each wheel and source archive, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name.endswith((".whl", ".tar.gz"))
    }


def read_sums(folder: Path) -> dict[str, str]:
    """Return what the file of digests says, by name."""
    lines = (folder / SUMS).read_text().splitlines()
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


def backend() -> str:
    """Return the name and version of the build backend."""
    return f"{_BACKEND} {importlib.metadata.version(_BACKEND)}"


def _differing(one: dict[str, str], other: dict[str, str]) -> str:
    names = sorted({*one, *other})
    return ", ".join(name for name in names if one.get(name) != other.get(name))


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(done.stderr.decode(errors="replace").strip())
    return done.stdout
