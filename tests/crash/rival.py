"""`python -m tests.crash.rival`: tufup's install step under the kills that Lockgate is under.

Builds a virtual environment with tufup from the package index, so it needs a network; nothing that
runs in `make test` does.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_RIVAL = "tufup==0.10.0"
_ROUNDS = 60
_SEED = 0
_KILLS = Path(__file__).with_name("rival_kills.py")
_VERDICTS = ("old", "new", "new with old files", "broken")


def main() -> int:
    """Print one line for each way in which tufup installs."""
    with tempfile.TemporaryDirectory(prefix="lockgate-rival-") as folder:
        venv = Path(folder, "venv")
        python = str(venv / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*install, _RIVAL], check=False, stderr=subprocess.DEVNULL).returncode:
            print(f"{_RIVAL} cannot be installed here: no rival today")
            return 0
        command = [python, str(_KILLS), str(_ROUNDS), str(_SEED)]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    for way, verdicts in json.loads(ran.stdout).items():
        counts = ", ".join(f"{verdicts.get(verdict, 0)} {verdict}" for verdict in _VERDICTS)
        print(f"{_RIVAL}, {way}: {_ROUNDS} random kills of its install step: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
