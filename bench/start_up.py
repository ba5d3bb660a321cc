"""What starting the client costs, beside bare python-tuf doing its part of the same work.

The rival imports `tuf.ngclient`, and refreshes the same repository; it looks up no release, parses
no document and decides nothing. Processor time of whole processes, in turns.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.processes import medians_in_turns
from bench.table import Table
from tests.simulators.http_server import serve
from tests.simulators.repository import RepositorySimulator

ROUNDS = 15
_ROOT = Path(__file__).resolve().parent.parent
_BARE_REFRESH = """
import pathlib, sys
from tuf.ngclient import Updater
folder, url, root = sys.argv[1:]
pathlib.Path(folder).mkdir(exist_ok=True)
Updater(folder, url + "metadata/", bootstrap=pathlib.Path(root).read_bytes()).refresh()
"""


def run() -> Table:
    """Measure imports and checks, rivals in turns."""
    table = Table(heads=("what", "rival", "ours in ms", "rival's in ms", "ratio"))
    with tempfile.TemporaryDirectory() as folder:
        programs = _install_client(Path(folder) / "client")
        python = str(programs / "python")
        _measure_imports(table, python)
        _measure_checks(table, Path(folder), python, str(programs / "lockgate-updater"))
    return table


def _install_client(target: Path) -> Path:
    """Make an environment that holds a client and nothing else; return where its programs are."""
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(target)], check=True)
    install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(target)]
    subprocess.run([*install, str(_ROOT / "release"), str(_ROOT / "updater")], check=True)
    return target / "bin"


def _measure_imports(table: Table, python: str) -> None:
    imports = {
        "rival": (python, "-c", "import tuf.ngclient"),
        "package": (python, "-c", "import lockgate_updater"),
        "class": (python, "-c", "from lockgate_updater import Updater"),
    }
    times = medians_in_turns(imports, ROUNDS)
    rival = "import tuf.ngclient"
    _add(table, "import lockgate_updater", rival, times["package"], times["rival"], bar=1.15)
    whole = "the same, with all that an update needs"
    _add(table, whole, rival, times["class"], times["rival"], bar=None)


def _add(
    table: Table, what: str, rival: str, ours_s: float, rival_s: float, *, bar: float | None
) -> None:
    ratio = round(ours_s / rival_s, 2)
    shown = str(ratio) if bar is None else table.judge(ratio, at_most=bar)
    table.add(what, rival, round(ours_s * 1e3), round(rival_s * 1e3), shown)


def _measure_checks(table: Table, folder: Path, python: str, updater: str) -> None:
    repository = RepositorySimulator()
    repository.publish("1.0.0")
    root, home, cache = folder / "root.json", folder / "home", folder / "cache"
    root.write_bytes(repository.root_bytes)
    with serve(repository) as server:
        init = [updater, "init", "--home", str(home), "--app", "demo", "--channel", "stable"]
        init += ["--repository", server.address, "--root", str(root)]
        for command in (init, [updater, "update", "--home", str(home)]):
            subprocess.run(command, check=True, capture_output=True)
        check = (updater, "check", "--home", str(home))
        bare = (python, "-c", _BARE_REFRESH, str(cache), f"{server.address}/demo/", str(root))
        times = medians_in_turns({"ours": check, "rival": bare}, ROUNDS)
        _add(
            table,
            "lockgate-updater check, nothing new",
            "python-tuf refresh",
            times["ours"],
            times["rival"],
            bar=1.3,
        )
        cold = {
            "ours": _after_removing(home / "state" / "metadata", check),
            "rival": _after_removing(cache, bare),
        }
        times = medians_in_turns(cold, ROUNDS)
        _add(
            table,
            "the same with an empty cache: 9 requests",
            "python-tuf refresh: 4 requests",
            times["ours"],
            times["rival"],
            bar=None,
        )


def _after_removing(path: Path, command: tuple[str, ...]) -> tuple[str, ...]:
    return ("sh", "-c", f"rm -rf {shlex.quote(str(path))} && exec {shlex.join(command)}")
