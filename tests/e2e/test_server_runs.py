"""A real server, from an empty folder to the end of its life."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ExitCode
from lockgate_release.layout import artifact_path
from tests.simulators.log_reader import read_log
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import CALL_TIMEOUT_S, ServerProcess, run_command

SLOW_CLIENTS = 200
BIG_BYTES = 64 << 20
"""More than fits into what the kernel holds for a socket: the sender must wait for the reader."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


def new_publisher(app: str) -> PublisherSimulator:
    return PublisherSimulator(app, now=datetime.now(UTC).replace(microsecond=0))


def test_an_empty_folder_becomes_a_server_that_publishes_and_revokes(
    server: ServerProcess,
) -> None:
    publisher = new_publisher("first")
    server.register(publisher)
    server.publish(publisher, publisher.build("1.0.0"))
    said = server.publish(publisher, publisher.build("1.1.0"), exposure_bp=1_000)
    assert said["offer"]["rollout"]["exposure_bp"] == 1_000
    revoke = {"version": "1.1.0", "reason": "it eats files"}
    answer = server.call("POST", "/api/v1/apps/first/revocations", revoke)
    assert answer.json()["goes_to"] == {"stable": "1.0.0"}
    channel = server.channel(publisher)
    assert [offer["version"] for offer in channel["offers"]] == ["1.0.0"]
    assert [item["version"] for item in channel["revoked"]] == ["1.1.0"]
    assert server.call("GET", "/health/ready").json()["status"] == "ready"
    assert server.call("GET", "/health/snapshot", side="public").json()["status"] == "ready"
    token = {"Authorization": f"Bearer {server.token}"}
    assert server.call("GET", "/health/snapshot", headers=token).json()["apps"] >= 1
    assert b"lockgate_releases{" in server.call("GET", "/health/metrics", headers=token).body


def test_both_sides_know_each_other(server: ServerProcess) -> None:
    wrong = server.call("GET", "/api/v1/", side="public")
    assert wrong.status == 421
    assert wrong.json()["api_port"] == urlsplit(server.api).port
    assert server.call("GET", "/api/v1/").json()["side"] == "api"


def test_a_real_file_is_sent_whole_in_part_and_not_at_all(server: ServerProcess) -> None:
    publisher = new_publisher("files")
    server.register(publisher)
    data = os.urandom(3 << 20)
    server.publish(publisher, publisher.build("1.0.0", {"any": data}))
    path = f"/files/{artifact_path(digest_bytes(data))}"
    for side in ("public", "api"):
        whole = server.call("GET", path, side=side)
        assert whole.body == data
        end = server.call("GET", path, side=side, headers={"Range": f"bytes={len(data) - 7}-"})
        assert (end.status, end.body) == (206, data[-7:])
        middle = server.call("GET", path, side=side, headers={"Range": "bytes=1000-1999"})
        assert (middle.status, middle.body) == (206, data[1000:2000])
        known = server.call(
            "GET", path, side=side, headers={"If-None-Match": whole.headers["ETag"]}
        )
        assert (known.status, known.body) == (304, b"")
        head = server.call("HEAD", path, side=side)
        assert (head.headers["Content-Length"], head.body) == (str(len(data)), b"")


def test_two_hundred_slow_downloads_do_not_delay_a_revocation(server: ServerProcess) -> None:
    publisher = new_publisher("slow")
    server.register(publisher)
    data = os.urandom(1 << 20) * (BIG_BYTES >> 20)
    server.publish(publisher, publisher.build("1.0.0", {"any": data}))
    address = urlsplit(server.public)
    request = (
        f"GET /slow/{artifact_path(digest_bytes(data))} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
    ).encode()
    readers = []
    try:
        for _ in range(SLOW_CLIENTS):
            reader = socket.create_connection((str(address.hostname), address.port or 0))
            readers.append(reader)
            reader.sendall(request)
        # Some have begun: the server has sent headers to them and waits for them to read on.
        readers[0].settimeout(CALL_TIMEOUT_S)
        assert readers[0].recv(12) == b"HTTP/1.1 200"
        revoke = {"version": "1.0.0", "reason": "it eats files"}
        answer = server.call("POST", "/api/v1/apps/slow/revocations", revoke)
        assert answer.status == 200
        assert answer.json()["changed"]
        for reader in readers:
            assert _is_open(reader)
    finally:
        for reader in readers:
            reader.close()
    assert server.channel(publisher)["revoked"][0]["version"] == "1.0.0"


def _is_open(reader: socket.socket) -> bool:
    reader.setblocking(False)
    try:
        return reader.recv(1) != b""
    except BlockingIOError:
        return True


def test_a_token_made_while_the_server_runs_is_known_at_once(server: ServerProcess) -> None:
    made = run_command(
        "token", "create", "--data", str(server.data), "--scope", "read", "--label", "eyes",
        "--json",
    )  # fmt: skip
    token = json.loads(made.stdout)
    assert token["scope"] == "read"
    headers = {"Authorization": f"Bearer {token['token']}"}
    assert server.call("GET", "/api/v1/apps", headers=headers).status == 200
    assert server.call("POST", "/api/v1/apps/x/online-key", headers=headers).status == 403
    listed = run_command("token", "list", "--data", str(server.data))
    assert f"{token['id']}  read" in listed.stdout
    assert token["token"] not in listed.stdout
    revoked = run_command("token", "revoke", token["id"], "--data", str(server.data))
    assert revoked.returncode == 0
    assert server.call("GET", "/api/v1/apps", headers=headers).status == 401
    again = run_command("token", "revoke", token["id"], "--data", str(server.data))
    assert again.returncode == ExitCode.USAGE


def test_every_line_of_the_log_is_json_and_shows_no_token(server: ServerProcess) -> None:
    server.call("GET", f"/api/v1/apps/{server.token}", headers={"X-Request-Id": "look-for-me"})
    lines = read_log(server.said())
    mine = [line for line in lines if line.get("request_id") == "look-for-me"]
    assert [line["status"] for line in mine] == [400]
    assert mine[0]["part"] == "api"
    assert mine[0]["path"] == "/api/v1/apps/lg_[masked]"
    assert server.token not in server.said()
    (started,) = (line for line in lines if line["event"] == "server.started")
    assert server.public in started["addresses"]
    assert server.api in started["addresses"]


def test_nothing_on_the_disk_says_who_asked(server: ServerProcess) -> None:
    who = {
        "User-Agent": "agent-of-somebody/1.0",
        "X-Forwarded-For": "198.51.100.88",
        "Forwarded": "for=198.51.100.88",
        "Referer": "http://intranet.somebody.example/",
        "Cookie": "session=of-somebody",
    }
    for path in ("/demo/metadata/timestamp.json", "/demo/nothing?q=somebody", "/health/ready"):
        server.call("GET", path, side="public", headers=who)
    server.call("POST", "/demo/reports", b"{}", side="public", headers=who)
    server.call("GET", "/api/v1/apps", headers=who)
    kept = [path for path in server.data.rglob("*") if path.is_file()]
    assert any(path.name.startswith("ledger.sqlite3") for path in kept)
    for file in (*kept, server.log):
        data = file.read_bytes()
        assert not [mark for mark in (b"somebody", b"198.51.100") if mark in data], file


def test_what_is_no_request_leaves_short_lines_that_name_nobody(server: ServerProcess) -> None:
    address = urlsplit(server.public)
    odd = [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n",
        b'GET / HTTP/1.1\r\nHost: x\r\nBad Name: {"event": "x"}\r\n\r\n',
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\n b\r\n\r\n",
        b"GET /" + b"A" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"B" * 1_000_000 + b"\r\n\r\n",
    ]
    for sent in odd:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((address.hostname, address.port), CALL_TIMEOUT_S) as line,
        ):
            line.sendall(sent)
            assert line.recv(64).startswith(b"HTTP/1.1 4"), sent[:40]
    found = [line for line in read_log(server.said()) if line["event"] == "library.said"]
    assert any("Invalid request from ip=[address]" in line["text"] for line in found)
    assert all(len(json.dumps(line)) < 12_000 for line in found)
    lines = [line for line in read_log(server.said()) if line["event"] != "server.started"]
    assert "127.0.0.1" not in json.dumps(lines)


def test_a_child_that_dies_is_started_again_at_the_same_address(server: ServerProcess) -> None:
    before = server.api
    (api,) = children_of(server.pid, "children.api")
    os.kill(api, signal.SIGKILL)
    deadline = time.monotonic() + CALL_TIMEOUT_S
    while children_of(server.pid, "children.api") in ([], [api]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.call("GET", "/api/v1/").status == 200
    assert server.api == before
    assert '"child": "api"' in server.said()


def children_of(pid: int, name: str) -> list[int]:
    """The living children of a process whose command line has this in it."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=,args=", "--ppid", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [int(row[0]) for row in rows if name in row[2] and not row[1].startswith("Z")]


def test_keys_and_database_are_for_nobody_else(server: ServerProcess) -> None:
    publisher = new_publisher("private")
    server.register(publisher)
    for path in (server.data, server.data / "keys"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (server.data / "keys" / "private.pem", server.data / "ledger.sqlite3"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_server_stops_when_asked_and_its_children_with_it(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        children = children_of(server.pid, "lockgate_server")
        assert len(children) == 3
        assert server.stop() == ExitCode.OK
        assert not server.run_file.exists()
        for child in children:
            with pytest.raises(ProcessLookupError):
                os.kill(child, 0)


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        children = children_of(server.pid, "lockgate_server")
        os.kill(server.pid, signal.SIGKILL)
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while any(_is_alive(child) for child in children):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
