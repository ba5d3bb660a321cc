"""A real `lockgate-server run`, with its children, its sockets and its folder.

with ServerProcess(folder) as server:
    server.register(publisher)
    server.publish(publisher, publisher.build("1.0.0"))
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from securesystemslib.signer import Key

from lockgate_release.trust.chain import Chain, load_chain
from tests.simulators.bare_sender import OverHttp, Sender
from tests.simulators.publisher import Build, PublisherSimulator
from tests.simulators.server_site import type_command

__all__ = ["COMMAND", "Answer", "ServerProcess", "run_command"]

COMMAND = str(Path(sys.executable).with_name("lockgate-server"))
READY_TIMEOUT_S = 90.0
CALL_TIMEOUT_S = 60.0


def run_command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `lockgate-server` to its end, as a process: `type_command` takes a fiftieth of that."""
    return subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=READY_TIMEOUT_S,
        env={**os.environ, **environ},
        check=False,
    )


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class ServerProcess:
    """A server on a folder, in a process group of its own."""

    def __init__(self, data: Path, **environ: str) -> None:
        """Use `data` as the server's folder; nothing is started yet."""
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.token = ""
        self.environ = {**os.environ, **environ}
        self._process: subprocess.Popen[bytes] | None = None
        self._addresses: dict[str, Any] = {}

    def __enter__(self) -> ServerProcess:
        """Start, and make a token if there is none."""
        self.start()
        if not self.token:
            made = type_command("token", "create", "--data", self.data, "--scope", "admin")
            assert made.code == 0, made.err
            self.token = made.out.strip()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # Its life.

    def restart(self) -> None:
        """Start again at the addresses that it had: whoever waits for it finds it there."""
        sides = ("public", "api")
        public, api = (urlsplit(self._addresses[side]).netloc for side in sides)
        self.start("--listen", public, "--api-listen", api)

    def start(self, *where: str) -> None:
        """Start, and wait until it says that it is ready.

        Args:
            where: Options that say at which addresses; free ones where nothing is said.
        """
        listen = where or ("--listen", "127.0.0.1:0")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [COMMAND, "run", "--data", str(self.data), *listen],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ,
                start_new_session=True,
            )
        self.run_file.unlink(missing_ok=True)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.run_file.exists():
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        self._addresses = json.loads(self.run_file.read_text("utf-8"))

    @property
    def run_file(self) -> Path:
        """Where its addresses stand."""
        return self.data / "run.json"

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """Everything it has logged so far."""
        return self.log.read_text("utf-8", "replace")

    def stop(self) -> int:
        """Ask it to stop, wait, and return the exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(READY_TIMEOUT_S)
        self._process = None
        return code

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(READY_TIMEOUT_S)
        self._process = None

    # Its addresses.

    @property
    def public(self) -> str:
        """The public side's address."""
        return self._address("public")

    @property
    def api(self) -> str:
        """The API's address."""
        return self._address("api")

    def _address(self, side: str) -> str:
        address: str = json.loads(self.run_file.read_text("utf-8"))[side]
        return address

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        side: str = "api",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request; bytes go as they are, everything else as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.token}"} if path.startswith("/api/") else {}
        parts = urlsplit(self._address(side))
        connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=CALL_TIMEOUT_S
        )
        try:
            connection.request(method, path, data, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    # What people do with it.

    def register(self, publisher: PublisherSimulator) -> None:
        """Register the publisher's app."""
        said = self.call("POST", f"/api/v1/apps/{publisher.app}/online-key").json()
        request = publisher.register(Key.from_dict(said["keyid"], dict(said["key"])))
        answer = self.call("PUT", f"/api/v1/apps/{publisher.app}", request.to_json())
        assert answer.status == 201, answer.body

    def upload(self, publisher: PublisherSimulator, build: Build) -> None:
        """Upload the build's artifacts."""
        for data in build.artifacts.values():
            answer = Sender(OverHttp(self), data, publisher.app).deliver()
            assert answer.status_code in {200, 201}, answer.get_data()

    def publish(self, publisher: PublisherSimulator, build: Build, **how: Any) -> Any:
        """Upload and publish a build."""
        self.upload(publisher, build)
        request = publisher.publish(self.chain(publisher), build, **how)
        answer = self.call("POST", f"/api/v1/apps/{publisher.app}/publish", request.to_json())
        assert answer.status == 200, answer.body
        return answer.json()

    def chain(self, publisher: PublisherSimulator) -> Chain:
        """What a client of the public side sees, verified."""

        def read(name: str) -> bytes | None:
            answer = self.call("GET", f"/{publisher.app}/metadata/{name}", side="public")
            return answer.body if answer.status == 200 else None

        return load_chain(read, publisher.root, now=publisher.now)

    def channel(self, publisher: PublisherSimulator, channel: str = "stable") -> Any:
        """What the copy at a channel's stable address says."""
        path = f"/{publisher.app}/channels/{channel}/version.json"
        return self.call("GET", path, side="public").json()["signed"]
