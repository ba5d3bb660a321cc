"""A real program that nobody here wrote, as three release archives.

The program is `ruff`, a linter: its wheels hold one compiled executable of some 25 MB. Two
consecutive versions are fetched with `pip download`; the third release is the second one with half
of the executable missing, which is what an interrupted build uploads.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.digests import digest_file

NAME = "ruff"
FIRST, SECOND, BROKEN = "0.17.4", "0.17.5", "0.17.6"
ENTRYPOINT = "bin/ruff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One archive that release CI would have made."""

    version: str
    archive: Path


def fetch_builds(folder: Path, tell: Callable[[str], None]) -> tuple[Build, Build, Build]:
    """Fetch two versions of the program and return three archives, the last of them broken."""
    wheels = folder / "wheels"
    for version in (FIRST, SECOND):
        tell(f"pip download --no-deps --only-binary :all: {NAME}=={version}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--disable-pip-version-check", "-d", str(wheels)]
        subprocess.run([*command, f"{NAME}=={version}"], check=True)
    programs = {}
    for version in (FIRST, SECOND):
        wheel = next(wheels.glob(f"{NAME}-{version}-*.whl"))
        programs[version] = _read_program(wheel)
        tell(f"  {wheel.name}  sha256 {digest_file(wheel)[:16]}…")
    programs[BROKEN] = programs[SECOND][: len(programs[SECOND]) // 2]
    first, second, broken = (
        Build(version=version, archive=_pack(folder, version, program))
        for version, program in programs.items()
    )
    return first, second, broken


def _read_program(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        name = next(item for item in archive.namelist() if item.endswith(f"/scripts/{NAME}"))
        return archive.read(name)


def _pack(folder: Path, version: str, program: bytes) -> Path:
    path = folder / f"{NAME}-{version}.tar.gz"
    member = tarfile.TarInfo(ENTRYPOINT)
    member.size = len(program)
    member.mode = 0o755
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.addfile(member, io.BytesIO(program))
    return path
