"""Over a real loopback server: what comes, what breaks off, what is resumed, and what is told."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact
from lockgate_release.errors import DigestMismatchError, TransportError
from lockgate_release.names import Platform
from lockgate_release.trust.verify import NotFoundError
from lockgate_updater import Event
from lockgate_updater.fetch.download import download_artifact
from lockgate_updater.fetch.network import parse_retry_after
from lockgate_updater.fetch.transport import (
    FolderTransport,
    HttpTransport,
    Limits,
    open_transport,
)
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.faults import Kind
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import HEALTHY, RepositorySimulator

CONTENT = bytes(range(256)) * 2000
QUICK = Limits(connect_s=2, silence_s=0.3, grace_s=0.2, min_speed_bytes_s=1 << 30)


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator()
    repository.files["demo/file"] = CONTENT
    return repository


@pytest.fixture
def server(repository: RepositorySimulator) -> Iterator[Server]:
    with serve(repository) as server:
        yield server


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    transport = HttpTransport(environ={}, limits=Limits(silence_s=0.5))
    yield transport
    transport.close()


def _artifact(content: bytes = CONTENT) -> Artifact:
    sha256 = digest_bytes(content)
    return Artifact(
        platform=Platform("any"),
        name="file",
        kind="file",
        size=len(content),
        sha256=sha256,
        tree_sha256=sha256,
        tree_size=len(content),
        path=f"artifacts/{sha256[:2]}/{sha256}",
    )


def _download(
    transport: HttpTransport, server: Server, part: Path, artifact: Artifact | None = None
) -> list[Event]:
    events: list[Event] = []
    url = f"{server.address}/demo/file"
    download_artifact(
        transport, (url,), artifact or _artifact(), part, version="1", observe=events.append
    )
    return events


def test_a_body_comes_whole(server: Server, transport: HttpTransport) -> None:
    assert b"".join(transport(f"{server.address}/demo/file")) == CONTENT


def test_one_connection_serves_a_whole_check(server: Server, transport: HttpTransport) -> None:
    for _ in range(3):
        assert b"".join(transport(f"{server.address}/demo/file")) == CONTENT
    assert server.connections == 1


def test_requests_carry_no_identity(server: Server, transport: HttpTransport) -> None:
    b"".join(transport(f"{server.address}/demo/file"))
    (headers,) = server.headers_seen
    assert set(headers) == {"Host", "Accept-Encoding", "User-Agent"}
    assert headers["User-Agent"] == "lockgate-updater"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_not_there_is_not_found(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, status: int
) -> None:
    repository.spoil("file", Kind.STATUS, status)
    with pytest.raises(NotFoundError):
        transport(f"{server.address}/demo/file")


@pytest.mark.parametrize("status", [500, 502, 429, 304, 204])
def test_any_other_answer_is_a_failure(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, status: int
) -> None:
    repository.spoil("file", Kind.STATUS, status)
    with pytest.raises(TransportError, match=str(status)):
        transport(f"{server.address}/demo/file")


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [(429, "120", 120), (503, "7", 7), (503, "", None), (503, "soon", None), (500, "120", None)],
)
def test_a_server_that_asks_to_be_left_alone_is_heard(
    repository: RepositorySimulator,
    server: Server,
    transport: HttpTransport,
    status: int,
    said: str,
    seconds: int | None,
) -> None:
    server.refusal_headers = {"Retry-After": said} if said else {}
    repository.spoil("file", Kind.STATUS, status)
    with pytest.raises(TransportError) as caught:
        transport(f"{server.address}/demo/file")
    assert caught.value.retry_after_s == seconds
    assert len(repository.requests) == 1, "a server that is busy is not asked again"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Sat, 31 Jan 2026 08:02:00 GMT", 120),
        ("Sat, 31 Jan 2026 07:00:00 GMT", 0),
        ("-5", None),
        ("1" * 30, None),
        ("1.5", None),
    ],
)
def test_a_moment_to_come_back_is_read_against_the_servers_own_clock(
    said: str, seconds: int | None
) -> None:
    headers = {"Retry-After": said, "Date": "Sat, 31 Jan 2026 08:00:00 GMT"}
    assert parse_retry_after(headers) == seconds
    assert parse_retry_after({"Retry-After": said}) is None


def test_a_server_that_is_not_there_is_a_failure(transport: HttpTransport) -> None:
    with pytest.raises(TransportError):
        transport("http://127.0.0.1:9/x")


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.STALL])
def test_a_body_that_stops_is_a_failure(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, kind: Kind
) -> None:
    repository.spoil("file", kind, 1000)
    with pytest.raises(TransportError):
        b"".join(transport(f"{server.address}/demo/file"))


def test_a_body_that_only_drips_is_given_up(server: Server) -> None:
    clock = itertools.count()
    transport = HttpTransport(environ={}, limits=QUICK, monotonic=lambda: float(next(clock)))
    with pytest.raises(TransportError, match="too slow"):
        b"".join(transport(f"{server.address}/demo/file"))
    transport.close()


def test_a_proxy_is_taken_from_the_environment_and_no_proxy_is_heard(server: Server) -> None:
    proxied = HttpTransport(environ={"http_proxy": server.address})
    assert b"".join(proxied("http://elsewhere.test/demo/file")) == CONTENT
    assert server.paths_seen[-1] == "http://elsewhere.test/demo/file"
    proxied.close()
    direct = HttpTransport(environ={"all_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"})
    assert b"".join(direct(f"{server.address}/demo/file")) == CONTENT
    direct.close()


def test_a_proxy_set_by_a_request_header_is_not_heard(server: Server) -> None:
    transport = HttpTransport(environ={"HTTP_PROXY": "http://127.0.0.1:9"})
    assert b"".join(transport(f"{server.address}/demo/file")) == CONTENT
    transport.close()


def test_a_download_is_resumed_where_it_broke_off(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    repository.spoil("file", Kind.CUT, 100_000)
    with pytest.raises(TransportError):
        _download(transport, server, part)
    assert part.read_bytes() == CONTENT[:100_000]
    repository.faults.clear()
    _download(transport, server, part)
    assert part.read_bytes() == CONTENT
    assert server.headers_seen[-1]["Range"] == "bytes=100000-"


def test_a_server_without_ranges_sends_it_all_again(
    server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    server.honours_ranges = False
    part = tmp_path / "part"
    part.write_bytes(CONTENT[:100_000])
    _download(transport, server, part)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "planted", [b"\0" * 5000, CONTENT[:-1] + b"!", CONTENT + b"more", b"\0" * len(CONTENT)]
)
def test_wrong_bytes_of_an_earlier_process_cost_time_and_nothing_else(
    server: Server, transport: HttpTransport, tmp_path: Path, planted: bytes
) -> None:
    part = tmp_path / "part"
    part.write_bytes(planted)
    _download(transport, server, part)
    assert part.read_bytes() == CONTENT


def test_a_range_beyond_the_end_is_asked_again_from_the_start(
    server: Server, transport: HttpTransport
) -> None:
    body = transport.open(f"{server.address}/demo/file", offset=len(CONTENT) + 5)
    assert body.start == 0
    assert b"".join(body.chunks) == CONTENT


def test_a_finished_part_is_not_asked_for_again(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT)
    _download(transport, server, part)
    assert repository.requests == []


def test_wrong_bytes_are_refused_and_removed(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    repository.spoil("file", Kind.CORRUPT, 5)
    with pytest.raises(DigestMismatchError):
        _download(transport, server, tmp_path / "part")
    assert list(tmp_path.iterdir()) == []


def test_an_endless_body_is_cut_at_the_signed_size(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    repository.spoil("file", Kind.ENDLESS)
    with pytest.raises(DigestMismatchError, match="more bytes"):
        _download(transport, server, tmp_path / "part")
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_is_too_short_is_kept_for_the_next_time(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    repository.spoil("file", Kind.TRUNCATE, 1000)
    with pytest.raises(TransportError, match="ended early"):
        _download(transport, server, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size == 1000


def test_an_empty_artifact_is_downloaded(
    repository: RepositorySimulator, server: Server, transport: HttpTransport, tmp_path: Path
) -> None:
    repository.files["demo/file"] = b""
    _download(transport, server, tmp_path / "part", _artifact(b""))
    assert (tmp_path / "part").read_bytes() == b""


def test_files_of_a_folder_are_found_or_not(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"0123456789")
    transport = open_transport((f"file://{tmp_path}",), {}, "")
    address = f"file://{tmp_path}/a%20b"
    assert b"".join(transport(address)) == b"0123456789"
    assert b"".join(transport.open(address, offset=4).chunks) == b"456789"
    with pytest.raises(NotFoundError):
        b"".join(transport(f"file://{tmp_path}/none"))
    with pytest.raises(TransportError):
        b"".join(transport(f"file://{tmp_path}"))
    transport.close()


def test_a_client_updates_over_http(server: Server, tmp_path: Path) -> None:
    repository = server.repository
    repository.publish("1.0.0", HEALTHY)
    client: SimulatedClient = make_client(repository, tmp_path / "home", address=server.address)
    from lockgate_updater import Updater

    updater = Updater.open(client.home, environ={})
    assert updater.update().outcome == "updated"
    assert client.runs() == "1.0.0"


def test_a_pipe_in_a_folder_that_was_carried_here_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransportError, match="not a plain file"):
        list(FolderTransport()((tmp_path / "pipe").as_uri()))
