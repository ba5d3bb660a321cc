"""One bucket and several servers of real processes, each with a database and a proxy of its own.

with open_site(folder, service, servers=2) as site:
    first = site.start("1.1.0", server=0, channel="stable")
    assert site.end(first) == 0, first.said()
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.instants import utc_now
from lockgate_server.stores.s3_client import S3Limits
from tests.faults.bench import APP, BUCKET, open_store
from tests.simulators.archives import make_archive
from tests.simulators.fault_proxy import FaultProxy, fault_proxy
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.s3_server import ACCESS_KEY, SECRET_KEY
from tests.simulators.server_process import ServerProcess
from tests.simulators.server_scene import Scene, Sight

__all__ = ["Running", "Site", "open_site"]

_COMMAND = str(Path(sys.executable).with_name("lockgate"))
_PATIENCE_S = 180.0


@dataclass(frozen=True)
class Running:
    """One command, as a process."""

    version: str
    process: subprocess.Popen[str]

    def end(self) -> tuple[int, str]:
        """Wait, and return its exit code and its words."""
        words, _ = self.process.communicate(timeout=_PATIENCE_S)
        return self.process.returncode, words


@dataclass(kw_only=True)
class Site:
    """What a race is run on.

    Attributes:
        servers: The servers; each knows the app.
        proxies: What stands between each and the bucket.
        desk: Where people type: settings, keys and builds.
        scene: Looks into the bucket past every proxy.
    """

    servers: list[ServerProcess]
    proxies: list[FaultProxy]
    desk: Path
    scene: Scene

    def run(self, *arguments: str, server: int = 0, **environ: str) -> Running:
        """Start a command against one of the servers."""
        process = subprocess.Popen(
            [_COMMAND, *arguments],
            cwd=self.desk,
            env={**self._environ(server), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Running(arguments[-1], process)

    def _environ(self, server: int) -> dict[str, str]:
        chosen = self.servers[server]
        cache = str(self.desk / f"cache-{secrets.token_hex(4)}")
        said = {"LOCKGATE_SERVER": chosen.api, "LOCKGATE_TOKEN": chosen.token}
        return {**os.environ, **said, "XDG_CACHE_HOME": cache, "XDG_STATE_HOME": str(self.desk)}

    def publish(
        self, version: str, *more: str, channel: str = "stable", server: int = 0
    ) -> Running:
        """Start a publish."""
        path = self.desk / f"{APP}-{version}.tar.gz"
        path.write_bytes(make_archive({"bin/app": f"#!/bin/sh\necho {version}\n".encode()}))
        artifact = f"linux-x86_64={path.name}"
        options = ["--channel", channel, "--keep", "3", "--artifact", artifact, *more]
        return self.run("publish", "--app", APP, *options, "--version", version, server=server)

    def must(self, running: Running) -> None:
        """Wait for a command that has to go well."""
        code, words = running.end()
        assert code == 0, (code, words)

    def look(self) -> Sight:
        """What clients see, verified from the trust anchor, with all that it names."""
        self.scene.now = utc_now()
        return self.scene.look()

    def pause(self, server: int) -> None:
        """Stop every process of a server in its tracks."""
        os.killpg(self.servers[server].pid, signal.SIGSTOP)

    def go_on(self, server: int) -> None:
        """Let them go on."""
        os.killpg(self.servers[server].pid, signal.SIGCONT)


@contextmanager
def open_site(folder: Path, service: str, *, servers: int = 1) -> Iterator[Site]:
    """Register an app and publish 1.0.0, then let every server know it.

    Each further server gets a copy of the first one's folder, as from a backup: from then on each
    records by itself how far the app has got.
    """
    prefix = secrets.token_hex(4)
    with ExitStack() as stack:
        proxies = [stack.enter_context(fault_proxy(service)) for _ in range(servers)]
        desk = folder / "desk"
        desk.mkdir()
        store = open_store(service, f"{prefix}/", S3Limits())
        stack.callback(store.close)
        scene = Scene(folder=folder, store=store, publisher=PublisherSimulator())
        running = [
            ServerProcess(folder / f"server-{number}", **_environ(proxy, prefix))
            for number, proxy in enumerate(proxies)
        ]
        site = Site(servers=running, proxies=proxies, desk=desk, scene=scene)
        with running[0]:
            site.must(site.run("init", APP, "--keys", "keys"))
            site.must(site.publish("1.0.0"))
        scene.publisher.root = (desk / "keys" / "root.json").read_bytes()
        for server in running[1:]:
            shutil.copytree(running[0].data, server.data)
            server.token = running[0].token
        for server in running:
            stack.enter_context(server)
        yield site


def _environ(proxy: FaultProxy, prefix: str) -> dict[str, str]:
    return {
        "LOCKGATE_STORAGE": f"s3://{BUCKET}/{prefix}?endpoint={proxy.endpoint}&style=path",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
