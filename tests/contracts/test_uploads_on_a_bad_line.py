"""An upload where any one request of the server to the store goes wrong: asked again, it ends."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_key
from lockgate_release.uploads import ArrivedPart
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_client import S3Limits
from lockgate_server.stores.s3_uploads import S3Uploads
from tests.contracts.conftest import BUCKET, Service, emptied
from tests.simulators.bare_sender import Said, Sender, put_to
from tests.simulators.fault_proxy import Fault, FaultProxy, Trouble, fault_proxy
from tests.simulators.server_scene import APP, Scene, read_all

TROUBLES = [
    Trouble.ERROR,
    Trouble.SLOW_DOWN,
    Trouble.FULL,
    Trouble.RESET,
    Trouble.LOST_ANSWER,
    Trouble.ERROR_AFTER,
    Trouble.TRUNCATED,
]
TRIES = 4


@pytest.fixture
def place(r2: Service) -> Service:
    return r2.apart()


@pytest.fixture
def clean(place: Service) -> Iterator[S3Store]:
    """The same place without the bad line, to look at what is there."""
    with closing(place.open(BUCKET, S3Limits())) as store, emptied(store):
        yield store


@pytest.fixture
def proxy(place: Service) -> Iterator[FaultProxy]:
    assert place.address.endpoint is not None
    with fault_proxy(place.address.endpoint) as proxy:
        yield proxy


@pytest.fixture
def scene(tmp_path: Path, place: Service, proxy: FaultProxy) -> Iterator[Scene]:
    address = replace(place.address, endpoint=proxy.endpoint)
    # Sent once each, so that every trouble reaches the use case.
    store = S3Store(address, limits=S3Limits(attempts=1), session=place.session)
    scene = Scene(folder=tmp_path, store=store, uploads=S3Uploads(store.bucket))
    scene.register()
    yield scene
    store.close()


def patiently(ask: Callable[[], Said]) -> Said:
    """Ask again after a 503."""
    answer = ask()
    for _ in range(TRIES):
        if answer.status_code < 500:
            return answer
        answer = ask()
    return answer


def deliver(sender: Sender) -> Said:
    """As a client does: begin, send, finish, each again after a failure."""
    begun = patiently(lambda: sender.api("POST", f"/apps/{APP}/uploads", sender.request()))
    (given,) = begun.get_json()["urls"]
    for _ in range(TRIES):
        with suppress(OSError, HTTPException):
            status, etag = put_to(given["url"], sender.data)
            if status == 200:
                sender.parts[1] = ArrivedPart(number=1, etag=etag)
                break
    return patiently(sender.finish)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_request_goes_wrong_the_rerun_ends_with_the_artifact_and_nothing_else(
    scene: Scene, clean: S3Store, proxy: FaultProxy, trouble: Trouble
) -> None:
    for skip in range(40):
        data = f"{trouble} {skip}".encode()
        sender = Sender(scene.api(), data)
        proxy.plan(Fault(trouble, skip=skip))
        answer = deliver(sender)
        all_happened = proxy.heal()
        assert answer.status_code in {200, 201}, (skip, answer.get_data())
        assert read_all(clean, artifact_key(APP, digest_bytes(data))) == data, skip
        assert list(clean.list(f"{APP}/uploads/")) == [], skip
        if not all_happened:
            assert skip > 8  # every request of an upload has been struck once
            return
    raise AssertionError("an upload takes too many requests")
