"""A release of the client, rehearsed with Lockgate's own tools on this machine.

The wheels that were built are installed as people get them, packed as the updater's own release,
published to a server on loopback with the notes of the changelog, and fetched by a client.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from releasing.building import ROOT, ReleaseError
from releasing.looking import notes, version

__all__ = ["pack", "pack_client", "rehearse", "try_wheels"]

_BIN = Path(sys.executable).parent
_READY_S = 60
_FOR_CLIENTS = ("lockgate_release", "lockgate_updater")
_ALL = (*_FOR_CLIENTS, "lockgate_server", "lockgate")
_NOT_FOR_CLIENTS = frozenset({"boto3", "click", "flask", "gunicorn", "requests", "sqlite_utils"})
_APP = "lockgate-updater"
_NOTES = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"})
_INSTALLERS = frozenset({("lib", ".lock"), ("lib", "bin")})
_STARTER = """\
#!/usr/bin/env python3
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from lockgate_updater.command import main

sys.exit(main())
"""


def try_wheels(dist: Path, tree: Path) -> list[str]:
    """Install the client's two wheels into a folder, and start what they bring.

    Returns:
        The distributions that came with them.

    Raises:
        ReleaseError: A wheel is missing, does not start, or brings server code.
    """
    wheels = [_wheel(dist, name) for name in _FOR_CLIENTS]
    lib = tree / "lib"
    _install(lib, wheels)
    starter = tree / "bin" / _APP
    starter.parent.mkdir(parents=True)
    starter.write_text(_STARTER)
    starter.chmod(0o755)
    found = sorted(path.name.split("-")[0] for path in lib.glob("*.dist-info"))
    carried = _NOT_FOR_CLIENTS.intersection(name.lower() for name in found)
    if carried:
        raise ReleaseError(f"a client would carry {', '.join(sorted(carried))}")
    said = _run([sys.executable, "-I", str(starter), "--version"])
    if version() not in said:
        raise ReleaseError(f"the installed client says {said!r}, not {version()}")
    return found


def _install(lib: Path, wheels: list[Path]) -> None:
    """Install wheels into a folder, with what they need as it is pinned for development."""
    pinned = str(ROOT / "requirements-dev.txt")
    _run([str(_BIN / "uv"), "pip", "install", "--quiet", "--target", str(lib), "--no-build",
          "--constraint", pinned, *map(str, wheels)])  # fmt: skip


def rehearse(dist: Path) -> str:
    """Publish the client to a server of this machine and update to it; return what was shown.

    Raises:
        ReleaseError: A step failed, or the client shows other notes than were written.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-rehearsal-") as made:
        folder = Path(made)
        try_wheels(dist, folder / "tree")
        # The tools are those that were built, too; what is installed for development comes after.
        _install(folder / "tools", [_wheel(dist, name) for name in _ALL])
        archive = pack(folder / "tree", folder / f"{_APP}-{version()}.tar.gz")
        words = notes()
        (folder / "NOTES.md").write_text(f"## [{version()}]\n\n{words}")
        with _server(folder) as (public, api):
            _publish(folder, archive, api)
            return _update(folder, public, words)


def _publish(folder: Path, archive: Path, api: str) -> None:
    tools = folder / "tools"
    environ = {"PYTHONPATH": str(tools)}
    token = _run([str(tools / "bin" / "lockgate-server"), "token", "create", "--data", "data",
                  "--scope", "admin"], folder, environ)  # fmt: skip
    environ["LOCKGATE_TOKEN"] = token.strip()
    lockgate = str(tools / "bin" / "lockgate")
    _run([lockgate, "init", _APP, "--server", api, "--keys", "keys"], folder, environ)
    _run([lockgate, "publish", "--version", version(), "--channel", "stable",
          "--artifact", f"any={archive.name}", "--entrypoint", f"bin/{_APP}",
          "--health", f"bin/{_APP} --version", "--changelog", "NOTES.md", "--allow-prerelease",
          "--yes", "--deltas", "0"], folder, environ)  # fmt: skip


def _update(folder: Path, public: str, words: str) -> str:
    """Bring a client to the release, by the updater that was just built; it must show its notes."""
    updater = [sys.executable, "-I", str(folder / "tree" / "bin" / _APP)]
    home = ["--home", "home"]
    _run([*updater, "init", *home, "--app", _APP, "--repository", public,
          "--root", "keys/root.json", "--channel", "stable"], folder)  # fmt: skip
    _run([*updater, "update", *home], folder)
    _run([*updater, "verify", *home], folder)
    shown = _run([*updater, "notes", *home, "--json"], folder)
    if json.loads(shown)["notes"].strip() != words.strip():
        raise ReleaseError("the client shows other notes than the changelog has")
    return _run([*updater, "status", *home, "--json"], folder)


def _wheel(dist: Path, name: str) -> Path:
    found = list(dist.glob(f"{name}-{version()}-*.whl"))
    if len(found) != 1:
        raise ReleaseError(f"{dist} has {len(found)} wheels of {name} {version()}")
    return found[0]


def pack(tree: Path, archive: Path) -> Path:
    """Pack a tree so that equal trees make equal bytes; return the archive.

    What an installer notes about itself and this machine is left out, and so is what is compiled.
    """
    with (
        archive.open("wb") as stream,
        gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as pressed,
        tarfile.open(fileobj=pressed, mode="w", format=tarfile.GNU_FORMAT) as packed,
    ):
        for path in sorted(tree.rglob("*")):
            place = path.relative_to(tree)
            if path.is_file() and not _is_of_this_machine(place):
                packed.add(path, place.as_posix(), filter=_plain)
    return archive


def _is_of_this_machine(place: Path) -> bool:
    is_note = place.parent.suffix == ".dist-info" and place.name in _NOTES
    return is_note or "__pycache__" in place.parts or place.parts[:2] in _INSTALLERS


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.mode & 0o100 else 0o644
    return info


def pack_client(dist: Path, archive: Path) -> Path:
    """Pack the client that was built as the updater's own app, for this machine's platform.

    Raises:
        ReleaseError: Its wheels are missing, or do not start.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-pack-") as made:
        try_wheels(dist, Path(made))
        return pack(Path(made), archive)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a server on loopback; yield the addresses of its public side and its API."""
    tools = folder / "tools"
    command = [str(tools / "bin" / "lockgate-server"), "run", "--data", "data"]
    command += ["--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(tools)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            ready, deadline = folder / "data" / "run.json", time.monotonic() + _READY_S
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (folder / "server.log").read_text(errors="replace")
                    raise ReleaseError(f"the server did not start:\n{said}")
                time.sleep(0.05)
            run = json.loads(ready.read_text())
            yield run["public"], run["api"]
        except ReleaseError as exc:
            lines = (folder / "server.log").read_text(errors="replace").splitlines()
            raise ReleaseError("\n".join((str(exc), "the server:", *lines[-8:]))) from exc
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=_READY_S)


def _run(command: list[str], folder: Path = ROOT, more: dict[str, str] | None = None) -> str:
    environ = {name: it for name, it in os.environ.items() if not name.startswith("LOCKGATE_")}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environ, **(more or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ReleaseError(
            f"{' '.join(map(str, command[:3]))} … ended with {done.returncode}:\n{done.stderr}"
        )
    return done.stdout
