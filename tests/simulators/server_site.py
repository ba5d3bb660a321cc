"""A server's folder whose server is down, its people's own files beside it, and its commands.

site = ServerSite(tmp_path)
site.publish("1.0.0")
site.type("backup", site.backups, "--data", site.data)
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from lockgate_server.backups.manifest import Manifest, parse_manifest
from lockgate_server.backups.places import find_backup
from lockgate_server.command.group import main
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.server_scene import Scene

__all__ = ["Ended", "ServerSite", "manifest_of", "type_command"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended and what it left on its two streams."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The data on stdout."""
        return json.loads(self.out)


def type_command(*words: str | Path, **environ: str) -> Ended:
    """Type `lockgate-server …` where nobody sits, in this process."""
    out, err = io.StringIO(), io.StringIO()
    ours = {name for name in os.environ if name.startswith("LOCKGATE_")}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    code = 0
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.dict(os.environ, {**kept, **environ}, clear=True),
    ):
        try:
            main([str(word) for word in words])
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else 1
    return Ended(code=code, out=out.getvalue(), err=err.getvalue())


class ServerSite:
    """A folder, and who works with it.

    Attributes:
        data: The server's folder.
        backups: Where its backups go.
        scene: The people, on the folder's own store and ledger.
        root: What clients are shipped with.
        environ: The environment of what is typed.
    """

    def __init__(self, folder: Path) -> None:
        """Make a server with one app and one release."""
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.backups = folder / "backups"
        self.root = folder / "root.json"
        self.environ: dict[str, str] = {}
        self.scene = Scene(folder=self.data)
        self.open()
        self.scene.pass_time(datetime.now(UTC).replace(microsecond=0))
        self.scene.register()
        self.root.write_bytes(self.scene.publisher.root)
        self.scene.publish("1.0.0")

    @property
    def ledger_path(self) -> Path:
        """The database's file."""
        return self.data / "ledger.sqlite3"

    @property
    def objects(self) -> Path:
        """What clients read."""
        return self.data / "objects"

    def open(self, data: Path | None = None) -> None:
        """Use the store and the ledger of a folder."""
        self.data = data or self.data
        self.scene.folder = self.data
        self.scene.store = DirectoryStore(self.objects)
        self.scene.ledger = SqliteLedger(self.ledger_path)

    def close(self) -> None:
        """Let go of both."""
        self.scene.store.close()
        self.scene.ledger.close()

    def number(self) -> int:
        """The number of the state that clients see."""
        return self.scene.look().chain.timestamp.version

    # What people type.

    def type(self, *words: str | Path, code: int = 0, says: str = "", **environ: str) -> Ended:
        """Type a command, and hold it to how it ends and what it says."""
        ended = type_command(*words, **{**self.environ, **environ})
        assert ended.code == code, ended.err or ended.out
        assert says in ended.out + ended.err, ended.err or ended.out
        return ended

    def back_up(self, *more: str, **environ: str) -> Path:
        """Make a backup, and return its folder."""
        self.environ |= environ
        ended = self.type("backup", self.backups, "--data", self.data, "--json", *more)
        return self.backups / str(ended.json()["name"])

    def restore(self, *more: str | Path, code: int = 0, says: str = "") -> Ended:
        """Put the newest backup back."""
        words = ("restore", self.backups, "--data", self.data, *more)
        return self.type(*words, code=code, says=says)

    # What goes wrong.

    def lose_database(self) -> None:
        """Remove the database."""
        self.close()
        for path in self.data.glob("ledger.sqlite3*"):
            path.unlink()

    def lose_objects(self) -> None:
        """Remove what clients read."""
        self.close()
        shutil.rmtree(self.objects)

    @contextmanager
    def kept_objects(self) -> Iterator[None]:
        """Put the objects back, after the block, to what they were before it."""
        kept = self.folder / "older"
        shutil.copytree(self.objects, kept)
        yield
        shutil.rmtree(self.objects)
        kept.rename(self.objects)


def manifest_of(backup: Path) -> Manifest:
    """What a backup says of itself."""
    with find_backup(str(backup)) as held:
        return parse_manifest(b"".join(held.chunks("manifest.json")), subject=str(backup))
