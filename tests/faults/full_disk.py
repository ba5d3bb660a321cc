"""A server on a disk of 96 MiB that somebody fills: `python -m tests.faults.full_disk FOLDER`.

It prints what was broken, or nothing. The disk is a file system of its own, in a namespace of its
own (`run_on_small_disk`), so that no other file of this machine is in danger.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lockgate_release.instants import utc_now
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.faults.bench import APP
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess
from tests.simulators.server_scene import Scene, Sight

__all__ = ["can_make_a_disk", "run_on_small_disk"]

_COMMAND = str(Path(sys.executable).with_name("lockgate"))
_DISK = "96m"
_LARGE_BYTES = 200 << 20
_TIMEOUT_S = 180
_IN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
_MOUNT = f'mount -t tmpfs -o size={_DISK} none "$1"'


def can_make_a_disk(folder: Path) -> bool:
    """Return whether this machine lets us make a small file system."""
    tried = [*_IN_NAMESPACE, _MOUNT, "sh", str(folder)]
    try:
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def run_on_small_disk(folder: Path) -> str:
    """Run the ordeal on a small disk at an empty folder; return what was broken, or ""."""
    script = f'{_MOUNT} && exec "$2" -m tests.faults.full_disk "$1"'
    ran = subprocess.run(
        [*_IN_NAMESPACE, script, "sh", str(folder), sys.executable],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return (ran.stdout + (ran.stderr if ran.returncode else "")).strip()


class _Scene:
    """A server on the small disk, whoever types, and a file that takes the room away."""

    def __init__(self, disk: Path, server: ServerProcess) -> None:
        self._ballast = disk / "ballast"
        # Builds lie elsewhere: it is the server's disk that is full.
        self._desk = disk.with_name(f"{disk.name}-desk")
        self._desk.mkdir(exist_ok=True)
        self._server = server

    def type(self, *arguments: str) -> tuple[int, str]:
        said = {"LOCKGATE_SERVER": self._server.api, "LOCKGATE_TOKEN": self._server.token}
        own = {"XDG_CACHE_HOME": str(self._desk / "cache"), "XDG_STATE_HOME": str(self._desk)}
        ran = subprocess.run(
            [_COMMAND, *arguments],
            cwd=self._desk,
            env={**os.environ, **said, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stderr

    def publish(self, version: str, size_bytes: int = 1000) -> tuple[int, str]:
        path = self._desk / f"{version}.bin"
        with path.open("wb") as file:
            file.write(version.encode())
            file.truncate(size_bytes)
        said = ("--channel", "stable", "--artifact", f"any={path.name}", "--entrypoint", path.name)
        return self.type("publish", "--app", APP, *said, "--version", version)

    def revoke(self, version: str) -> tuple[int, str]:
        return self.type("revoke", APP, version, "--reason", "it eats files", "--yes")

    def fill(self) -> None:
        """Take every byte that is left."""
        with self._ballast.open("wb", buffering=0) as file:
            for piece in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(piece)):
                        pass

    def clear(self) -> None:
        self._ballast.unlink()

    def look(self) -> Sight:
        root = (self._desk / "keys" / "root.json").read_bytes()
        store = DirectoryStore(self._server.data / "objects")
        publisher = PublisherSimulator(root=root)
        return Scene(folder=self._desk, store=store, publisher=publisher, now=utc_now()).look()


def _ordeal(disk: Path) -> str:
    with ServerProcess(disk / "data") as server:
        scene = _Scene(disk, server)
        begun = (scene.type("init", APP, "--keys", "keys"), scene.publish("1.0.0"),
                 scene.publish("1.1.0"))  # fmt: skip
        wrong = "".join(words for code, words in begun if code) or _fill(scene, server)
        return wrong or _clear(scene, server)


def _fill(scene: _Scene, server: ServerProcess) -> str:
    before = scene.look().numbers()
    code, words = scene.publish("1.2.0", _LARGE_BYTES)
    if "too little room is left" not in words:
        return f"an artifact larger than the disk: {code}, {words}"
    scene.fill()
    refused = [scene.publish("1.3.0"), scene.revoke("1.1.0")]
    if any(not code or "Traceback" in words for code, words in refused):
        return f"on a full disk: {refused}"
    if scene.look().numbers() != before:
        return "clients see something new"
    answer = server.call("GET", f"/{APP}/metadata/timestamp.json", side="public")
    return "" if answer.status == 200 else "clients are not served"


def _clear(scene: _Scene, server: ServerProcess) -> str:
    scene.clear()
    again = [scene.revoke("1.1.0"), scene.publish("1.3.0")]
    if any(code for code, _ in again):
        return f"with room again: {again}"
    sight = scene.look()
    ledger = SqliteLedger(server.data / "ledger.sqlite3")
    broken_at = ledger.verify_audit()
    ledger.close()
    is_right = "1.1.0" in sight.revoked() and sight.offers()[0] == ("1.3.0", 10_000)
    if broken_at is not None or not is_right:
        return f"offered: {sight.offers()}, revoked: {sight.revoked()}, log broken at: {broken_at}"
    return ""


if __name__ == "__main__":
    print(_ordeal(Path(sys.argv[1])))
