"""Whether a release's programs can be in its artifacts: seen beforehand, not by every client."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate_cli.artifacts import ArtifactFacts
from lockgate_release.documents import Install, PythonWheels
from lockgate_release.errors import UsageError

__all__ = ["check_programs"]


def check_programs(install: Install, found: ArtifactFacts) -> None:
    """Refuse a release that every client would have to roll back."""
    named = {"entrypoint": install.entrypoint, "health": "".join(install.health.command[:1])}
    if install.python is not None:
        _check_wheels(install.python, named, found)
        return
    for option, program in named.items():
        if program and program not in found.programs:
            near = sorted(found.programs)[:5]
            raise UsageError(
                "no such program in the artifact",
                subject=f"{found.artifact.name}: {option}",
                expected=f"one that can be started, such as {', '.join(near)}" if near else "one",
                found=repr(program),
            )


def _check_wheels(python: PythonWheels, named: Mapping[str, str], found: ArtifactFacts) -> None:
    """Refuse what is seen without installing: no wheels, or a program where none can be."""
    if not any(path.rpartition("/")[0] == python.wheels for path in found.wheels):
        raise UsageError(
            "no wheels in that folder of the artifact",
            subject=f"{found.artifact.name}: wheels",
            expected="a folder that holds .whl files",
            found=repr(python.wheels),
        )
    for option, program in named.items():
        if program and not program.startswith("bin/"):
            raise UsageError(
                "not a program of the environment",
                subject=f"{found.artifact.name}: {option}",
                expected="bin/NAME, where NAME is an entry point of a wheel, or python",
                found=repr(program),
            )
