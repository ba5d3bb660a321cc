"""What only Cloudflare's own emulator can show: TLS, signatures, and a service that is killed."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from lockgate_release.errors import LocalError, TransportError
from lockgate_server.ports import IfAbsent, IfMatch, LostRaceError
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address
from lockgate_server.stores.s3_client import S3Limits
from tests.contracts.conftest import BUCKET, Service
from tests.simulators.buckets import BucketAt
from tests.simulators.r2_server import R2Server, need_r2
from tests.simulators.s3_server import ACCESS_KEY

IMPATIENT = S3Limits(connect_timeout_s=2, attempts=1)


def test_a_service_that_an_unknown_authority_vouches_for_is_not_talked_to(r2_tls: Service) -> None:
    stranger = replace(r2_tls, authority=None)
    with (
        closing(stranger.open(BUCKET, IMPATIENT)) as store,
        pytest.raises(TransportError, match="certificate"),
    ):
        store.put("app/x", b"x", IfAbsent())


def test_a_wrong_secret_is_refused(r2: Service) -> None:
    session = boto3.session.Session(
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key="wrong", region_name="auto"
    )
    with (
        closing(replace(r2, session=session).open(BUCKET, IMPATIENT)) as store,
        pytest.raises(LocalError, match="SignatureDoesNotMatch"),
    ):
        store.put("app/x", b"x", IfAbsent())


def test_what_was_acknowledged_outlives_a_kill_and_the_store_goes_on(
    tmp_path: Path, s3_session: boto3.session.Session
) -> None:
    need_r2()
    with R2Server(tmp_path / "r2", BUCKET) as server:
        service = Service(address=_address(server), session=s3_session)
        with closing(service.open(BUCKET, IMPATIENT)) as store:
            etag = store.put("app/pointer", b"1", IfAbsent())
            with ThreadPoolExecutor(4) as pool:
                tries = pool.map(lambda number: _write(store, server, number), range(60))
                acknowledged = list(tries)
            with pytest.raises(TransportError):
                store.put("app/pointer", b"2", IfMatch(etag))
            server.start()
            listed = {info.key for info in store.list("app/objects/")}
            assert {f"app/objects/{n}" for n, told in enumerate(acknowledged) if told} <= listed
            assert not all(acknowledged)
            assert store.put("app/pointer", b"2", IfMatch(etag)) != etag
            with pytest.raises(LostRaceError):
                store.put("app/pointer", b"3", IfMatch(etag))


def _write(store: S3Store, server: R2Server, number: int) -> bool:
    if number == 30:
        server.kill()
    try:
        store.put(f"app/objects/{number}", b"%d" % number, IfAbsent())
    except TransportError:
        return False
    return True


def _address(server: R2Server) -> S3Address:
    return S3Address.parse(BucketAt(server.endpoint).address)


def test_the_emulator_ends_with_the_tests_that_started_it(tmp_path: Path) -> None:
    need_r2()
    script = (
        "import os, pathlib, sys\n"
        "from tests.simulators.r2_server import R2Server\n"
        "server = R2Server(pathlib.Path(sys.argv[1]), 'releases')\n"
        "server.start()\n"
        "print(server.endpoint, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -9, done.stderr
    bucket = BucketAt(done.stdout.strip())
    session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b")
    service = Service(address=S3Address.parse(bucket.address), session=session)
    with closing(service.open(BUCKET, IMPATIENT)) as store:
        # Ending is asked for, and takes a moment.
        assert any(_is_gone(store) for _ in range(1000))


def _is_gone(store: S3Store) -> bool:
    try:
        store.head("app/x")
    except TransportError:
        return True
    except LocalError:
        time.sleep(0.01)
    return False
