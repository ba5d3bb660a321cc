"""A server killed in the middle of finishing an upload: asked again, it ends as if nothing were."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from http.client import HTTPException

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_path
from tests.simulators.bare_sender import OverHttp, Sender
from tests.simulators.buckets import BucketAt, r2_bucket
from tests.simulators.fault_proxy import FaultProxy, fault_proxy
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess

MOMENTS = {
    "before the parts are an object": ("POST", "*/uploads/*.data", False),
    "after the parts are an object": ("POST", "*/uploads/*.data", True),
    "while it is read": ("GET", "*/uploads/*.data", False),
    "before it is copied": ("PUT", "*/artifacts/*", False),
    "after it is copied": ("PUT", "*/artifacts/*", True),
    "after the record is gone": ("DELETE", "*/uploads/*.json", True),
}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketAt]:
    with r2_bucket(tmp_path_factory.mktemp("r2")) as bucket:
        yield bucket


@pytest.fixture(scope="module")
def running(
    bucket: BucketAt, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, FaultProxy]]:
    with ExitStack() as stack:
        proxy = stack.enter_context(fault_proxy(bucket.endpoint))
        environ = BucketAt(proxy.endpoint).environ
        data = tmp_path_factory.mktemp("server") / "data"
        server = stack.enter_context(ServerProcess(data, **environ))
        server.register(PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0)))
        yield server, proxy


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_killed_in_a_finish_ends_it_when_asked_again(
    running: tuple[ServerProcess, FaultProxy], bucket: BucketAt, moment: str
) -> None:
    server, proxy = running
    data = os.urandom(100_000)
    key = artifact_path(digest_bytes(data))
    sender = Sender(OverHttp(server), data)
    sender.begin()
    sender.send(1)
    assert sender.mode == "direct"
    method, pattern, behind = MOMENTS[moment]
    gate = proxy.hold(method, pattern, behind=behind)

    def finish() -> None:
        with suppress(OSError, HTTPException):  # nobody is left to answer
            sender.finish()

    asking = threading.Thread(target=finish)
    asking.start()
    gate.wait_until_reached()
    server.kill()
    gate.open()
    asking.join()
    keys = bucket.keys()
    held = [found for found in keys if found.endswith(key)]
    # The line lets the request that it held go on, though nobody waits for its answer.
    assert bool(held) == ("copied" in moment or "record" in moment)
    server.start()
    assert sender.finish().status_code == (200 if held else 201)
    assert server.call("GET", f"/demo/{key}", side="public").body == data
    assert sender.finish().status_code == 200
    keys = bucket.keys()
    assert [found for found in keys if sender.upload_id in found] == []
