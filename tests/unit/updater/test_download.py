"""Chunk by chunk: what is asked for, what is refused when, and what lies on the disk then."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact
from lockgate_release.errors import DigestMismatchError, TransportError
from lockgate_release.names import Platform
from lockgate_updater.events import Event, Progress
from lockgate_updater.fetch.chunks import open_chunked
from lockgate_updater.fetch.download import download_artifact
from lockgate_updater.fetch.transport import HttpTransport, Limits
from tests.simulators.archives import chunks_of
from tests.simulators.faults import Kind
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import ADDRESS, RepositorySimulator

MIB = 1 << 20
CONTENT = random.Random(7).randbytes(4 * MIB + 12345)
GOOD, OTHER = f"{ADDRESS}/demo/file", f"{ADDRESS}/mirror/file"


def _artifact() -> Artifact:
    sha256 = digest_bytes(CONTENT)
    return Artifact(
        platform=Platform("any"),
        name="file",
        kind="file",
        size=len(CONTENT),
        sha256=sha256,
        tree_sha256=sha256,
        tree_size=len(CONTENT),
        path=f"artifacts/{sha256[:2]}/{sha256}",
        chunks=chunks_of(CONTENT),
    )


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator()
    repository.files["demo/file"] = CONTENT
    repository.files["mirror/file"] = CONTENT
    return repository


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "part"


@pytest.fixture
def server(repository: RepositorySimulator) -> Iterator[Server]:
    with serve(repository) as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpTransport]:
    transport = HttpTransport(environ={}, limits=Limits(silence_s=2))
    yield transport
    transport.close()


def _download(
    repository: RepositorySimulator | HttpTransport, part: Path, urls: Sequence[str] = (GOOD,)
) -> list[Event]:
    seen: list[Event] = []
    download_artifact(repository, tuple(urls), _artifact(), part, version="1", observe=seen.append)
    return seen


@pytest.mark.parametrize("at", [0, 5, MIB - 1, MIB, 2 * MIB + 7, len(CONTENT) - 1])
def test_a_bad_chunk_is_found_before_the_rest_is_fetched(
    repository: RepositorySimulator, part: Path, at: int
) -> None:
    repository.spoil("demo/file", Kind.CORRUPT, at)
    with pytest.raises(DigestMismatchError, match=f"chunk {at // MIB + 1} of 5"):
        _download(repository, part)
    good = at // MIB * MIB
    assert repository.body_bytes <= min(good + MIB, len(CONTENT)), "not a byte behind the chunk"
    assert repository.requests == ["demo/file"]
    left = part.read_bytes() if part.exists() else b""
    assert left == CONTENT[:good], "what was verified stays, and nothing else"


def test_a_bad_chunk_closes_the_connection(
    repository: RepositorySimulator, server: Server, http: HttpTransport, part: Path
) -> None:
    """Over a real socket: the next request needs another connection."""
    repository.spoil("demo/file", Kind.CORRUPT, MIB + 1)
    url = f"{server.address}/demo/file"
    with pytest.raises(DigestMismatchError):
        _download(http, part, [url])
    repository.faults.clear()
    _download(http, part, [url])
    assert server.connections == 2
    assert server.headers_seen[-1]["Range"] == f"bytes={MIB}-"
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("planted", "asked_from"),
    [
        (CONTENT[: 2 * MIB + 9], 2 * MIB + 9),
        (CONTENT[: 2 * MIB], 2 * MIB),
        (CONTENT[: MIB + 5] + bytes(3 * MIB), MIB),
        (bytes(len(CONTENT)), 0),
        (CONTENT[:-1] + b"!", 4 * MIB),
        (b"", 0),
    ],
)
def test_the_longest_verified_beginning_counts_and_no_length(
    repository: RepositorySimulator, part: Path, planted: bytes, asked_from: int
) -> None:
    part.write_bytes(planted)
    seen = _download(repository, part)
    assert part.read_bytes() == CONTENT
    assert repository.requests == ["demo/file"]
    assert repository.body_bytes == len(CONTENT) - asked_from
    assert isinstance(seen[0], Progress)
    assert seen[0].received_bytes == asked_from


def test_a_wrong_tail_of_an_earlier_process_costs_one_chunk_and_blames_nobody(
    repository: RepositorySimulator, part: Path
) -> None:
    part.write_bytes(CONTENT[: 2 * MIB] + bytes(1000))
    _download(repository, part)
    assert part.read_bytes() == CONTENT
    assert repository.requests == ["demo/file", "demo/file"]
    assert repository.body_bytes <= len(CONTENT) - 2 * MIB + MIB


@pytest.mark.parametrize("planted", [CONTENT, CONTENT + b"more"])
def test_a_file_that_is_all_there_is_not_asked_for(
    repository: RepositorySimulator, part: Path, planted: bytes
) -> None:
    part.write_bytes(planted)
    _download(repository, part)
    assert part.read_bytes() == CONTENT
    assert repository.requests == []


@pytest.mark.parametrize(
    "planted", [b"", CONTENT[: 2 * MIB + 5], CONTENT[: 2 * MIB] + b"bad", CONTENT]
)
def test_right_chunks_of_another_file_are_refused_wherever_they_came_from(
    repository: RepositorySimulator, part: Path, planted: bytes
) -> None:
    part.write_bytes(planted)
    artifact = replace(_artifact(), sha256=digest_bytes(b"what builders vouch for"))
    with pytest.raises(DigestMismatchError, match="chunks are those of another file") as caught:
        download_artifact(repository, (GOOD,), artifact, part, version="1", observe=lambda _: None)
    assert caught.value.found == digest_bytes(CONTENT)
    assert not part.exists()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what is read")
@pytest.mark.parametrize("here_bytes", [0, MIB, len(CONTENT)])
def test_what_arrives_is_not_read_again_and_what_is_here_is_read_once(
    repository: RepositorySimulator, part: Path, here_bytes: int
) -> None:
    part.write_bytes(CONTENT[:here_bytes])
    before = _read_bytes()
    _download(repository, part)
    assert here_bytes <= _read_bytes() - before < here_bytes + MIB // 2


def _read_bytes() -> int:
    """How much this process has read from files so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_server_without_ranges_sends_all_and_what_was_verified_is_kept_meanwhile(
    repository: RepositorySimulator, server: Server, http: HttpTransport, part: Path
) -> None:
    server.honours_ranges = False
    part.write_bytes(CONTENT[: 2 * MIB + 77])
    repository.spoil("demo/file", Kind.CUT, MIB)
    with pytest.raises(TransportError):
        _download(http, part, [f"{server.address}/demo/file"])
    assert part.read_bytes() == CONTENT[: 2 * MIB]
    repository.faults.clear()
    _download(http, part, [f"{server.address}/demo/file"])
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kind", "number", "twice_bytes"),
    [
        (Kind.CUT, MIB + 9, 0),
        (Kind.STATUS, 404, 0),
        (Kind.STATUS, 500, 0),
        (Kind.TRUNCATE, 3 * MIB, 0),
        (Kind.CORRUPT, 2 * MIB, MIB),
    ],
)
def test_the_next_source_goes_on_from_the_same_byte(
    repository: RepositorySimulator, part: Path, kind: Kind, number: int, twice_bytes: int
) -> None:
    """Only a bad chunk comes twice; everything else comes once."""
    repository.spoil("demo/file", kind, number)
    _download(repository, part, [GOOD, OTHER])
    assert part.read_bytes() == CONTENT
    assert repository.requests == ["demo/file", "mirror/file"]
    assert repository.body_bytes == len(CONTENT) + twice_bytes


def test_bad_bytes_from_every_source_are_the_repositorys_fault(
    repository: RepositorySimulator, part: Path
) -> None:
    repository.spoil("file", Kind.CORRUPT, MIB)
    with pytest.raises(DigestMismatchError):
        _download(repository, part, [GOOD, OTHER])
    assert part.read_bytes() == CONTENT[:MIB]


def test_a_source_that_may_come_back_is_worth_another_try(
    repository: RepositorySimulator, part: Path
) -> None:
    repository.spoil("demo", Kind.CORRUPT, MIB)
    repository.spoil("mirror", Kind.STATUS, 500)
    with pytest.raises(TransportError):
        _download(repository, part, [GOOD, OTHER])
    assert part.read_bytes() == CONTENT[:MIB]


def test_a_chunked_file_reads_like_the_file_and_fetches_only_what_is_read(
    repository: RepositorySimulator,
) -> None:
    with open_chunked(repository, [GOOD], _artifact()) as stream:
        assert stream.seek(-10, 2) == len(CONTENT) - 10
        assert stream.read(100) == CONTENT[-10:]
        assert stream.read(100) == b""
        assert stream.fetched_bytes == len(CONTENT) - 4 * MIB
        stream.seek(MIB - 3)
        assert stream.read(3) == CONTENT[MIB - 3 : MIB]
        stream.seek(5)
        assert stream.read(20) == CONTENT[5:25]
        assert stream.fetched_bytes == len(CONTENT) - 3 * MIB
        stream.seek(0)
        assert hashlib.sha256(stream.read()).hexdigest() == _artifact().sha256
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-1)


def test_a_chunked_file_hands_out_no_byte_of_a_bad_chunk(repository: RepositorySimulator) -> None:
    repository.spoil("demo/file", Kind.CORRUPT, MIB + MIB // 2)
    with open_chunked(repository, [GOOD], _artifact()) as stream:
        assert stream.read(10) == CONTENT[:10]
        stream.seek(MIB)
        with pytest.raises(DigestMismatchError, match="chunk 2 of 5"):
            stream.read(10)
    with open_chunked(repository, [GOOD, OTHER], _artifact()) as stream:
        stream.seek(MIB)
        assert stream.read(10) == CONTENT[MIB : MIB + 10]


@pytest.mark.parametrize("honours_ranges", [True, False])
def test_a_chunked_file_comes_over_http_in_single_ranges(
    server: Server, http: HttpTransport, honours_ranges: bool
) -> None:
    server.honours_ranges, server.tells_tags = honours_ranges, True
    with open_chunked(http, [f"{server.address}/demo/file"], _artifact()) as stream:
        stream.seek(2 * MIB)
        assert stream.read(4) == CONTENT[2 * MIB : 2 * MIB + 4]
        stream.seek(MIB)
        assert stream.read(4) == CONTENT[MIB : MIB + 4]
    first, second = server.headers_seen
    assert first["Range"] == f"bytes={2 * MIB}-{3 * MIB - 1}"
    assert "If-Range" not in first
    assert second["If-Range"].startswith('"')


def test_a_file_that_changes_between_two_ranges_is_not_mixed(
    repository: RepositorySimulator, server: Server, http: HttpTransport
) -> None:
    server.tells_tags = True
    url = f"{server.address}/demo/file"
    assert b"".join(http.open(url, offset=5, length_bytes=5).chunks) == CONTENT[5:10]
    repository.files["demo/file"] = b"another file"
    body = http.open(url, offset=5)
    assert (body.start, b"".join(body.chunks)) == (0, b"another file")
