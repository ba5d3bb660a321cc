"""A server that is killed in the middle of a publish, and started again on the same folder."""

import http.client
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate_release.names import AppName
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import CALL_TIMEOUT_S, ServerProcess
from tests.simulators.server_scene import Scene, Sight

APP = AppName("demo")


def look(server: ServerProcess, publisher: PublisherSimulator) -> Sight:
    """What a client would see on the disk of the dead server, and that all of it is there."""
    store = DirectoryStore(server.data / "objects")
    try:
        scene = Scene(folder=server.data, store=store, publisher=publisher, now=publisher.now)
        return scene.look()
    finally:
        store.close()


def when(server: ServerProcess, pattern: str) -> Callable[[], bool]:
    folder = server.data / "objects" / APP
    before = set(folder.rglob(pattern))
    return lambda: set(folder.rglob(pattern)) != before


@pytest.mark.parametrize("pattern", ["*.release.json", "*.releases.json", "*.snapshot.json"])
def test_a_publish_that_is_killed_is_old_or_new_and_the_same_again_finishes_it(
    tmp_path: Path, pattern: str
) -> None:
    publisher = PublisherSimulator(APP, now=datetime.now(UTC).replace(microsecond=0))
    server = ServerProcess(tmp_path / "data")
    with server:
        server.register(publisher)
        server.publish(publisher, publisher.build("1.0.0"))
        build = publisher.build("1.1.0")
        server.upload(publisher, build)
        request = publisher.publish(server.chain(publisher), build).to_json()
        is_time = when(server, pattern)
        sender = threading.Thread(target=_send, args=(server, request))
        sender.start()
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while not is_time():
            assert time.monotonic() < deadline
        server.kill()
        sender.join()

    sight = look(server, publisher)
    assert sight.offers() in ([("1.0.0", 10_000)], [("1.1.0", 10_000)])

    with server:
        answer = server.call("POST", f"/api/v1/apps/{APP}/publish", request)
        assert answer.status == 200, answer.body
    assert look(server, publisher).offers() == [("1.1.0", 10_000)]
    ledger = SqliteLedger(server.data / "ledger.sqlite3")
    try:
        assert ledger.verify_audit() is None
        newest = ledger.highest(APP)
        assert newest is not None
        assert newest.timestamp == look(server, publisher).chain.timestamp.version
    finally:
        ledger.close()


def _send(server: ServerProcess, request: object) -> None:
    # The connection may break, or the address be gone: that is what a power cut looks like.
    try:
        server.call("POST", f"/api/v1/apps/{APP}/publish", request)
    except (OSError, http.client.HTTPException):
        return
