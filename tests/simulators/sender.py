"""Somebody who sends files to a server, with a token and a cache folder."""

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lockgate_cli.api import Api
from lockgate_cli.http import Http
from lockgate_cli.progress import Progress
from lockgate_cli.uploading.sending import Rules
from lockgate_cli.uploading.session import Outgoing, Uploads, open_uploads
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import LockgateError
from lockgate_release.names import AppName, Sha256Hex
from tests.simulators.upload_server import SECRET, TOKEN, UploadServer

APP = AppName("demo")
MODES = pytest.mark.parametrize("mode", ["direct", "server"])
"""For what holds whether parts go to the store or to the server."""

PART = 1 << 16
"""The size of the parts that the tests' server asks for."""


class Sender:
    """Waiting takes them no time; `waited_s` says how long it would have been."""

    def __init__(self, server: UploadServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.cache = folder / "cache"
        self.parallel = 4
        self.waited_s: list[float] = []

    def write(self, name: str = "app.zip", size: int = 6 * PART + 5, seed: int = 1) -> Outgoing:
        data = random.Random(seed).randbytes(size)
        path = self.folder / name
        path.write_bytes(data)
        sha256 = Sha256Hex(hashlib.sha256(data).hexdigest())
        return Outgoing(path=path, name=name, sha256=sha256, size_bytes=size)

    @contextmanager
    def open(self) -> Iterator[Uploads]:
        waits = WaitRules(sleep=self.waited_s.append, jitter=lambda: 1.0, attempts=4)
        rules = Rules(
            parallel=self.parallel,
            waits=waits,
            clock=time.monotonic,
            now_s=time.time(),
            journals=self.cache,
        )
        with Http(token=TOKEN, waits=waits) as http:
            api = Api(http=http, base=self.server.api.address)
            progress = Progress(clock=time.monotonic, watched=False, quiet=True)
            with open_uploads(api, APP, rules=rules, progress=progress) as uploads:
                yield uploads

    def send(self, *files: Outgoing) -> list[bool]:
        with self.open() as uploads:
            return list(uploads.complete(files).values())

    def fail(self, kind: type[LockgateError], *files: Outgoing) -> str:
        """Send, be refused, and return the words."""
        with pytest.raises(kind) as caught:
            self.send(*files)
        assert SECRET not in str(caught.value)
        assert TOKEN not in str(caught.value)
        return str(caught.value)

    def journals(self) -> list[Path]:
        return sorted(self.cache.glob("*")) if self.cache.exists() else []


def kept(server: UploadServer, *files: Outgoing) -> bool:
    """Whether the server holds just these, and nothing of uploads is left."""
    wanted = {file.sha256: file.path.read_bytes() for file in files}
    return server.artifacts == wanted and not server.uploads
