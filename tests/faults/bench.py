"""One app in a bucket behind a proxy that misbehaves, its server, who publishes, and one client.

Everything is real but time and the network's far side: the command, the API over HTTP, the S3
adapter, a service that speaks S3, and an updater that installs what it is offered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import boto3

from lockgate_release.digests import digest_bytes
from lockgate_release.instants import utc_now
from lockgate_release.names import AppName
from lockgate_server.api import ApiDeps, create_api_app
from lockgate_server.keys import KeyRing
from lockgate_server.ports import ObjectStore, Scope
from lockgate_server.public import PublicDeps, create_public_app
from lockgate_server.services.read.health import Health
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.open_uploads import OpenUploads
from lockgate_server.stores.factory import find_uploads
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address, Style
from lockgate_server.stores.s3_client import S3Limits
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.stores.sqlite_reports import SqliteReportLedger
from lockgate_server.views.api.context import ApiContext
from lockgate_updater import Updater, init
from tests.simulators.api_server import serve_app
from tests.simulators.archives import make_archive
from tests.simulators.command_line import CommandLine, Ended
from tests.simulators.fault_proxy import FaultProxy, fault_proxy
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.s3_server import ACCESS_KEY, SECRET_KEY
from tests.simulators.server_scene import Scene, Sight

__all__ = ["APP", "BUCKET", "Bench", "open_bench", "open_store", "session"]

APP = AppName("demo")
BUCKET = "releases"
_PLATFORM = "linux-x86_64"


def session() -> boto3.session.Session:
    """The credentials that every simulated service knows."""
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1"
    )


@dataclass(kw_only=True)
class Bench:
    """What a trial needs.

    Attributes:
        proxy: Between the server and its bucket.
        store: The bucket as it is, past the proxy.
        ledger: The server's.
        person: Who publishes.
        home: The client's.
    """

    proxy: FaultProxy
    store: ObjectStore
    ledger: SqliteLedger
    person: CommandLine
    home: Path
    _count: int = 0

    def next_version(self) -> str:
        """A version that was never published here, whose artifact lies ready."""
        self._count += 1
        version = f"1.0.{self._count}"
        script = f"#!/bin/sh\necho {version}\n".encode()
        path = self.person.folder / f"{APP}-{version}.tar.gz"
        path.write_bytes(make_archive({"bin/app": script, "pad": secrets.token_bytes(2000)}))
        return version

    def publish(self, version: str, *channels: str) -> Ended:
        """Type the command, for `stable` where no channels are named."""
        artifact = f"{_PLATFORM}={APP}-{version}.tar.gz"
        return self.person.run(
            *("publish", "--app", APP, "--version", version, "--artifact", artifact),
            *(word for name in channels or ("stable",) for word in ("--channel", name)),
            *("--keep", "3"),
        )

    def elsewhere(self) -> CommandLine:
        """Somebody else in the same folder."""
        person = self.person
        return CommandLine(folder=person.folder, environ=person.environ, now=person.now)

    def revoke(self, version: str) -> Ended:
        """Type the command."""
        return self.person.run("revoke", APP, version, "--reason", "it eats files", "--yes")

    @staticmethod
    def must(ended: Ended) -> None:
        """Fail where a command did."""
        assert ended.code == 0, ended.err

    def look(self) -> Sight:
        """Follow the chain past the proxy, from the trust anchor, and check all that it names."""
        publisher = PublisherSimulator(
            root=(self.person.folder / "keys" / "root.json").read_bytes()
        )
        return Scene(folder=self.home, store=self.store, publisher=publisher, now=utc_now()).look()

    def update(self) -> str:
        """Let the client update, and return the version that it would start."""
        updater = Updater.open(self.home, environ={}, clock=utc_now)
        updater.update()
        return updater.status().runs


class _CountedEachTime(OpenUploads):
    """Remembers nothing, so that a publish always lists the open uploads, and can be misled."""

    def take_one(self, app: AppName, limit: int, now: datetime) -> bool:  # noqa: ARG002
        return False


@contextmanager
def open_bench(
    folder: Path, service: str, *, attempts: int = 1, read_timeout_s: float = 0.5
) -> Iterator[Bench]:
    """Register an app, publish 1.0.1, and install it.

    Args:
        folder: An empty one.
        service: The address of a service that has the bucket `BUCKET`.
        attempts: How often the S3 adapter sends what may be repeated.
        read_timeout_s: How long it waits for an answer.
    """
    limits = S3Limits(connect_timeout_s=5.0, read_timeout_s=read_timeout_s, attempts=attempts)
    with ExitStack() as stack:
        proxy = stack.enter_context(fault_proxy(service))
        prefix = f"{secrets.token_hex(4)}/"
        faulty = open_store(proxy.endpoint, prefix, limits)
        store = open_store(service, prefix, S3Limits())
        ledger = SqliteLedger(folder / "ledger.sqlite3")
        stack.callback(ledger.close)
        stack.callback(faulty.close)
        stack.callback(store.close)
        desk = folder / "desk"
        desk.mkdir()
        api = stack.enter_context(serve_app(create_api_app(_api(folder, faulty, ledger))))
        public = stack.enter_context(serve_app(create_public_app(_public(store, ledger))))
        environ = {"LOCKGATE_TOKEN": _token(ledger)}
        person = CommandLine(folder=desk, environ=environ, now=utc_now())
        bench = Bench(proxy=proxy, store=store, ledger=ledger, person=person, home=folder / "home")
        person.must("init", APP, "--server", api, "--keys", "keys")
        bench.must(bench.publish(bench.next_version()))
        init(
            bench.home,
            app=APP,
            repository=public,
            channel="stable",
            root=(desk / "keys" / "root.json").read_bytes(),
            client_id="00000000-0000-4000-8000-000000000001",
        )
        assert bench.update() == "1.0.1"
        yield bench


def open_store(endpoint: str, prefix: str, limits: S3Limits) -> S3Store:
    """Open the bucket at this address."""
    address = S3Address(bucket=BUCKET, prefix=prefix, endpoint=endpoint, style=Style.PATH)
    return S3Store(address, limits=limits, session=session())


def _token(ledger: SqliteLedger) -> str:
    secret = f"lg_{secrets.token_hex(16)}"
    ledger.create_token(
        scope=Scope.ADMIN, label="ci", secret_sha256=digest_bytes(secret.encode()), now=utc_now()
    )
    return secret


def _api(folder: Path, store: ObjectStore, ledger: SqliteLedger) -> ApiDeps:
    write = WriteDeps(
        store=store,
        ledger=ledger,
        keys=KeyRing(folder / "online", {}),
        now=utc_now,
        random_hex=secrets.token_hex,
        sleep=lambda _: None,
        reports=SqliteReportLedger(folder / "reports.sqlite3"),
        uploads=find_uploads(store),
        parts=find_uploads(store),
        open_uploads=_CountedEachTime(),
    )
    context = ApiContext(write=write, version="0.1.0")
    return ApiDeps(context=context, health=_health(store, ledger), new_id=lambda: "request-1")


def _public(store: ObjectStore, ledger: SqliteLedger) -> PublicDeps:
    return PublicDeps(
        store=store, health=_health(store, ledger), api_port=1, new_id=lambda: "request-2"
    )


def _health(store: ObjectStore, ledger: SqliteLedger) -> Health:
    return Health(store=store, ledger=ledger, now=utc_now, started_at=utc_now(), version="0.1.0")
