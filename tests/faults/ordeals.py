"""`python -m tests.faults.ordeals [NAME …]`: what a server in service may meet, and what was lost.

A real server under load on a real S3 service: readers follow the whole chain all the time, and
whatever they get must verify. Each ordeal is met, the server comes back by itself or by the one
command that the table names, and then: what was acknowledged is in force, the command that was cut
off has ended well by itself or does when it is typed again, the audit log is whole, and the next
change goes through.
"""

# ruff: noqa: T201 (it is a command: it prints)

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lockgate_release.errors import ExitCode
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.crash.tally import Sample, Tally, timed
from tests.faults.bench import APP, BUCKET, session
from tests.faults.full_disk import can_make_a_disk, run_on_small_disk
from tests.faults.readers import Readers
from tests.faults.site import Running, Site, open_site
from tests.simulators.fault_proxy import Fault, Gate, Trouble
from tests.simulators.s3_server import s3_server
from tests.simulators.server_process import ServerProcess, run_command

__all__ = ["ORDEALS", "Ground", "open_ground", "run_ordeal"]

_PATIENCE_S = 120.0
_KEYS = f"*/{APP}/*"


@dataclass(kw_only=True)
class Ground:
    """Where ordeals are met: one server, its bucket, and who reads meanwhile.

    Attributes:
        site: The server, its bucket and its people.
        readers: Who reads meanwhile.
        outage_s: For how long what can be down is down.
        count: How many versions there were.
    """

    site: Site
    readers: Readers
    outage_s: float = 20.0
    count: int = 0

    @property
    def server(self) -> ServerProcess:
        """The server."""
        return self.site.servers[0]

    def next_version(self) -> str:
        """A version that was never published here."""
        self.count += 1
        return f"1.1.{self.count}"


@contextmanager
def open_ground(folder: Path, service: str) -> Iterator[Ground]:
    """Publish 1.0.0, and let readers begin."""
    with open_site(folder, service, servers=1) as site, Readers(site) as readers:
        yield Ground(site=site, readers=readers)


# The changes that a server is killed in.


@dataclass(frozen=True, kw_only=True)
class _Change:
    """Something people do.

    Attributes:
        prepare: Returns the version that it is done to.
        act: Starts the command.
        is_done: Whether what is in force says so.
    """

    prepare: Callable[[Ground], str]
    act: Callable[[Ground, str], Running]
    is_done: Callable[[Ground, str], bool]


def _published(ground: Ground, *more: str) -> str:
    version = ground.next_version()
    ground.site.must(ground.site.publish(version, *more))
    return version


def _is_offered(ground: Ground, version: str) -> bool:
    return ground.site.look().offers()[:1] == [(version, 10_000)]


def _revoke(ground: Ground, version: str) -> Running:
    return ground.site.run("revoke", APP, "--reason", "it eats files", "--yes", version)


def _widen(ground: Ground, version: str) -> Running:
    said = ("--channel", "stable", "--exposure", "20%", "--app", APP)
    return ground.site.run("rollout", "set", *said, version)


_CHANGES = {
    "publish": _Change(
        prepare=Ground.next_version,
        act=lambda ground, version: ground.site.publish(version),
        is_done=_is_offered,
    ),
    "revoke": _Change(
        prepare=_published,
        act=_revoke,
        is_done=lambda ground, version: version in ground.site.look().revoked(),
    ),
    "rollout step": _Change(
        prepare=lambda ground: _published(ground, "--exposure", "10%"),
        act=_widen,
        is_done=lambda ground, version: (version, 2_000) in ground.site.look().offers(),
    ),
}


@dataclass
class _Killing(Gate):
    """Whoever comes here kills the server; before the store the request goes no further."""

    server: ServerProcess
    behind: bool
    struck: bool = field(default=False, init=False)

    def pass_through(self) -> None:
        """Kill every process of the server at once."""
        self.server.kill()
        self.struck = True
        if not self.behind:
            raise ConnectionAbortedError


def _killed_at_each_write(name: str, ground: Ground, sample: Sample) -> Tally:
    change = _CHANGES[name]
    with timed("killed at each write of a", name) as tally:
        writes = _writes_of(ground, change)
        points = [(index, behind) for index in range(writes) for behind in (False, True)]
        tally.points = len(points)
        for index, behind in sample.of(points):
            where = f"write {index}, {'behind' if behind else 'before'} it"
            tally.add(where, _try_kill(ground, change, index, behind=behind))
    return tally


def _writes_of(ground: Ground, change: _Change) -> int:
    version = change.prepare(ground)
    proxy = ground.site.proxies[0]
    proxy.forget()
    ground.site.must(change.act(ground, version))
    return len([seen for seen in proxy.writes() if f"/{APP}/" in seen.path])


def _try_kill(ground: Ground, change: _Change, index: int, *, behind: bool) -> str:
    version = change.prepare(ground)
    killing = _Killing(ground.server, behind)
    ground.site.proxies[0].plan(Fault(killing, "write", _KEYS, skip=index, behind=behind))
    running = change.act(ground, version)
    deadline = time.monotonic() + _PATIENCE_S
    while not killing.struck and running.process.poll() is None:
        assert time.monotonic() < deadline, "nobody came"
        time.sleep(0.01)
    ground.site.proxies[0].heal()
    if not killing.struck:
        code, words = running.end()
        return f"the write never came: {code}, {words}"
    ground.server.restart()
    return _after(ground, change, version, running)


def _after(ground: Ground, change: _Change, version: str, running: Running) -> str:
    """Return what is wrong once the server is back, or ""."""
    code, words = running.end()
    if "Traceback" in words:
        return words
    if code == ExitCode.OK and not change.is_done(ground, version):
        return "said to be done, and is not"
    if code != ExitCode.OK:
        code, words = change.act(ground, version).end()
        if code != ExitCode.OK or not change.is_done(ground, version):
            return f"again: {code}, {words}"
    return _health(ground)


def _health(ground: Ground) -> str:
    """Return what is wrong with the audit log, the recorded numbers, or what readers saw."""
    ledger = SqliteLedger(ground.server.data / "ledger.sqlite3")
    try:
        if ledger.verify_audit() is not None:
            return f"the audit log is broken at {ledger.verify_audit()}"
        highest = ledger.highest(APP)
    finally:
        ledger.close()
    in_force = ground.site.look().chain.timestamp.version
    if highest is None or highest.timestamp != in_force:
        return f"the ledger knows {highest}, {in_force} is in force"
    return ground.readers.complaint()


# The other ordeals: one point each.


def _once(scenario: str, ordeal: Callable[[Ground], str], ground: Ground, _sample: Sample) -> Tally:
    with timed("under load", scenario) as tally:
        tally.points = 1
        tally.add("once", ordeal(ground) or _health(ground))
    return tally


def _bucket_down(ground: Ground) -> str:
    """Every request to the bucket fails for a while; then a publish that waited goes through."""
    proxy = ground.site.proxies[0]
    proxy.plan(Fault(Trouble.ERROR, times=-1))
    running = ground.site.publish(ground.next_version())
    ready = ground.server.call("GET", "/health/live").status
    time.sleep(ground.outage_s)
    proxy.heal()
    code, words = running.end()
    again = 0 if code == 0 else ground.site.publish(running.version).end()[0]
    if ready != 200:
        return f"the server was not live: {ready}"
    if (code not in {ExitCode.OK, ExitCode.TRANSPORT}) or again:
        return f"ended with {code}, then {again}: {words}"
    return "" if _is_offered(ground, running.version) else "not in force"


def _database_locked(ground: Ground) -> str:
    """Somebody holds the database: nothing is lost, and the same again goes through."""
    with closing(sqlite3.connect(ground.server.data / "ledger.sqlite3", timeout=30)) as other:
        other.isolation_level = None
        other.execute("BEGIN EXCLUSIVE")
        running = ground.site.publish(ground.next_version())
        time.sleep(ground.outage_s)
        other.execute("ROLLBACK")
    code, words = running.end()
    if code != ExitCode.OK:
        code, words = ground.site.publish(running.version).end()
    return "" if code == ExitCode.OK else f"ended with {code}: {words}"


def _database_damaged(ground: Ground) -> str:
    """The database is rubbish: clients are served, nothing is signed, a backup brings it back."""
    server, site = ground.server, ground.site
    backup = site.desk / "backup"
    made = run_command("backup", str(backup), "--data", str(server.data), **server.environ)
    if made.returncode:
        return f"the backup failed: {made.stderr}"
    after = ground.next_version()
    site.must(site.publish(after))
    server.stop()
    for path in server.data.glob("ledger.sqlite3*"):
        path.unlink()
    (server.data / "ledger.sqlite3").write_bytes(b"rubbish " * 4096)
    refused = run_command("run", "--data", str(server.data), **server.environ)
    if refused.returncode != ExitCode.LOCAL or "Traceback" in refused.stderr:
        return f"a server on rubbish: {refused.returncode}, {refused.stderr[-500:]}"
    (server.data / "ledger.sqlite3").unlink()
    newest = str(site.look().chain.timestamp.version)
    where = ("--data", str(server.data))
    restored = run_command("restore", str(backup), "--at", newest, *where, **server.environ)
    if restored.returncode:
        return f"the restore failed: {restored.stderr}"
    server.restart()
    code, words = site.publish(ground.next_version()).end()
    if code:
        return f"after the restore: {code}, {words}"
    return "" if after in site.look().live() else "what was published after the backup is gone"


def _disk_full(ground: Ground) -> str:
    """The server's disk is full: nothing is signed, clients are served, the same again goes on."""
    disk = ground.site.desk.with_name("disk")
    disk.mkdir()
    if not can_make_a_disk(disk):
        return "this machine lets nobody make a small disk"
    return run_on_small_disk(disk)


ORDEALS: Mapping[str, Callable[[Ground, Sample], Tally]] = {
    **{f"kill {name}": partial(_killed_at_each_write, name) for name in _CHANGES},
    "bucket down": partial(_once, "bucket down", _bucket_down),
    "database locked": partial(_once, "database locked", _database_locked),
    "database damaged": partial(_once, "database damaged", _database_damaged),
    "disk full": partial(_once, "disk full", _disk_full),
}


def run_ordeal(ground: Ground, name: str, sample: Sample) -> Tally:
    """Meet one ordeal; the tally says what was broken."""
    return ORDEALS[name](ground, sample)


def main() -> int:
    """Run what was asked for; 1 if anything was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.ordeals", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(ORDEALS))
    parser.add_argument("--every", type=int, default=1, help="try every N-th point only")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lockgate-ordeals-"))
    broken: list[str] = []
    row = "{:42} {:>7} {:>7} {:>7} {:>8}"
    print(row.format("ordeal", "points", "tried", "broken", "seconds"), flush=True)
    try:
        with s3_server() as service:
            client = session().client("s3", endpoint_url=service)
            client.create_bucket(Bucket=BUCKET)
            client.close()
            for number, name in enumerate(options.names or ORDEALS):
                own = folder / str(number)
                own.mkdir()
                with open_ground(own, service) as ground:
                    tally = run_ordeal(ground, name, Sample(every=options.every, seed=options.seed))
                counts = (tally.points, tally.tried, len(tally.broken), round(tally.seconds))
                print(row.format(f"{tally.campaign} {tally.scenario}", *counts), flush=True)
                broken += tally.broken
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
