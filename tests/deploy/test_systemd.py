"""The units, as systemd itself reads them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate_server.command.group import lockgate_server
from lockgate_updater.command.parser import build_parser
from tests.docs.pages import ROOT

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
MOST_EXPOSED = 2.0
"""On systemd's own scale of 0 (shut in) to 10; a service that is left as it is has 9.6."""

FOLDER = "/opt/lockgate/bin/"


@pytest.fixture(scope="module")
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        missing = "systemd-analyze is not installed: apt-get install systemd"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def installed(unit: Path, folder: Path) -> Path:
    """The unit in a folder, with the programs where this environment has them."""
    text = unit.read_text("utf-8").replace(FOLDER, f"{Path(sys.executable).parent}/")
    made = folder / unit.name.replace("@", "@myapp")
    made.write_text(text, "utf-8")
    return made


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line(unit: Path, analyze: str, tmp_path: Path) -> None:
    made = installed(unit, tmp_path)
    ran = subprocess.run(
        [analyze, "verify", "--man=no", str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_shut_in(unit: Path, analyze: str, tmp_path: Path) -> None:
    made = installed(unit, tmp_path)
    ran = subprocess.run(
        [analyze, "security", "--offline=yes", str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", ran.stdout)
    assert found is not None, ran.stderr
    assert float(found[1]) <= MOST_EXPOSED


def _command(unit: Path) -> list[str]:
    lines: list[str] = re.findall(r"^ExecStart=(.+)$", unit.read_text("utf-8"), re.MULTILINE)
    [line] = lines
    return line.removeprefix(FOLDER).split()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_a_unit_starts_can_be_typed(unit: Path) -> None:
    program, *arguments = _command(unit)
    if program == "lockgate-server":
        name, *rest = arguments
        command = lockgate_server.commands[name]
        command.make_context(name, rest)
    else:
        assert program == "lockgate-updater"
        build_parser().parse_args(arguments)


def test_server_and_worker_together_are_all_of_a_server() -> None:
    parts = [
        part
        for unit in UNITS
        if "--parts" in (said := _command(unit))
        for part in said[said.index("--parts") + 1].split(",")
    ]
    assert sorted(parts) == ["api", "public", "worker"]
