"""What installing the client brings, beside tufup, the other updater on python-tuf.

Both are installed from the package index into folders of their own at the time of the run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.table import Table

RIVAL = "tufup==0.10.0"
_NOT_FOR_CLIENTS = {"flask", "boto3", "sigstore", "sqlite_utils", "requests", "click", "gunicorn"}
_ROOT = Path(__file__).resolve().parent.parent


def run() -> Table:
    """Install both and compare."""
    table = Table(heads=("installed", "distributions", "size in MB", "not for clients"))
    with tempfile.TemporaryDirectory() as folder:
        ours = _install(Path(folder) / "ours", str(_ROOT / "release"), str(_ROOT / "updater"))
        rival = _install(Path(folder) / "rival", RIVAL)
    for name, (distributions, size_mb) in {"lockgate-updater": ours, RIVAL: rival}.items():
        found = sorted(distributions & _NOT_FOR_CLIENTS)
        shown = ", ".join(found) or "none"
        if name != RIVAL:
            table.missed += bool(found)
        table.add(name, f"{len(distributions)}: {', '.join(sorted(distributions))}", size_mb, shown)
    return table


def _install(target: Path, *requirements: str) -> tuple[set[str], float]:
    command = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet"]
    subprocess.run([*command, "--target", str(target), *requirements], check=True)
    distributions = {path.name.split("-")[0].lower() for path in target.glob("*.dist-info")}
    size_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return distributions, round(size_bytes / 1e6, 1)
