"""A mirror made over a network that misbehaves: what is put in place is right, or nothing is."""

import os
import posixpath
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_cli.mirroring.contents import Blob, Contents, blobs_of, others_in
from lockgate_cli.mirroring.fetching import Fetching, fetch_all
from lockgate_cli.mirroring.folder import MirrorFolder
from lockgate_cli.mirroring.pruning import unreached
from lockgate_cli.waits import WaitRules
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ExtrasDocument
from lockgate_release.errors import DigestMismatchError, ExitCode
from lockgate_release.instants import utc_now
from lockgate_release.layout import artifact_path, target_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.sign import Document
from tests.simulators.command_line import CommandLine
from tests.simulators.extras import a_delta, an_attestation
from tests.simulators.faults import Kind
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import RepositorySimulator

ARTIFACT = random.Random(4).randbytes(1_000_000)
PLACE = artifact_path(digest_bytes(ARTIFACT))


@pytest.fixture
def repository() -> RepositorySimulator:
    made = RepositorySimulator()
    made.publish("1.0.0", archive=ARTIFACT)
    return made


@pytest.fixture
def server(repository: RepositorySimulator) -> Iterator[Server]:
    with serve(repository) as running:
        yield running


@pytest.fixture
def person(tmp_path: Path, repository: RepositorySimulator) -> CommandLine:
    (tmp_path / "root.json").write_bytes(repository.root_bytes)
    environ = {"LOCKGATE_APP": repository.app, "LOCKGATE_ROOT": "root.json"}
    return CommandLine(folder=tmp_path, environ=environ, now=utc_now())


def arguments(server: Server) -> list[str]:
    return ["mirror", "copy", "--from", server.address]


def served(person: CommandLine) -> set[str]:
    root = person.folder / "copy" / "demo"
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def ranges(server: Server) -> list[str]:
    return [seen["Range"] for seen in server.headers_seen if "Range" in seen]


def test_a_line_that_breaks_again_and_again_is_gone_on_with(
    person: CommandLine, server: Server, repository: RepositorySimulator
) -> None:
    repository.spoil("artifacts/", Kind.CUT, 300_000)
    person.must(*arguments(server))
    assert (person.folder / "copy" / "demo" / PLACE).read_bytes() == ARTIFACT
    assert len(ranges(server)) == 3
    assert len(person.waited_s) == 3


def test_an_artifact_comes_from_where_the_server_sends_us(
    person: CommandLine, server: Server
) -> None:
    with serve(server.repository) as cdn:
        server.redirects[f"/demo/{PLACE}"] = f"{cdn.address}/demo/{PLACE}"
        person.must(*arguments(server))
    assert (person.folder / "copy" / "demo" / PLACE).read_bytes() == ARTIFACT


def test_a_server_that_knows_no_ranges_serves_as_well(
    person: CommandLine, server: Server, repository: RepositorySimulator
) -> None:
    server.honours_ranges = False
    repository.spoil("artifacts/", Kind.CUT, 300_000)
    person.must_end(ExitCode.TRANSPORT, arguments(server))
    assert served(person) == set()
    repository.faults.clear()
    person.must(*arguments(server))
    assert (person.folder / "copy" / "demo" / PLACE).read_bytes() == ARTIFACT


def test_the_next_run_fetches_only_what_is_missing(
    person: CommandLine, server: Server, repository: RepositorySimulator
) -> None:
    repository.spoil("artifacts/", Kind.CUT, 200_000)
    person.must_end(ExitCode.TRANSPORT, arguments(server))
    repository.faults.clear()
    person.must(*arguments(server))
    first, *_, last = ranges(server)
    assert (first, last) == ("bytes=196608-", "bytes=786432-")
    assert (person.folder / "copy" / "demo" / PLACE).read_bytes() == ARTIFACT


@pytest.mark.parametrize(
    ("kind", "number"), [(Kind.CORRUPT, 700_000), (Kind.TRUNCATE, 700_000), (Kind.ENDLESS, 0)]
)
def test_wrong_bytes_are_never_put_in_place(
    person: CommandLine,
    server: Server,
    repository: RepositorySimulator,
    kind: Kind,
    number: int,
) -> None:
    repository.spoil("artifacts/", kind, number)
    person.must_end(ExitCode.REFUSED, arguments(server), "not the bytes that were signed")
    assert served(person) == set()
    repository.faults.clear()
    person.must(*arguments(server))
    assert (person.folder / "copy" / "demo" / PLACE).read_bytes() == ARTIFACT


@pytest.mark.parametrize("part", ["timestamp", "snapshot", "release.json", "policy.json", "art"])
@pytest.mark.parametrize("status", [500, 404])
def test_a_file_that_does_not_come_leaves_the_state_before(
    person: CommandLine, server: Server, repository: RepositorySimulator, part: str, status: int
) -> None:
    person.must(*arguments(server))
    pointer = person.folder / "copy" / "demo" / "metadata" / "timestamp.json"
    before = pointer.read_bytes()
    repository.publish("1.1.0", archive=ARTIFACT[::-1])
    repository.spoil(part, Kind.STATUS, status)
    if part == "policy.json":
        person.must(*arguments(server))  # it is here already
        return
    ended = person.run(*arguments(server))
    assert ended.code in {ExitCode.TRANSPORT, ExitCode.REFUSED}
    assert pointer.read_bytes() == before


def test_a_key_that_was_rotated_does_not_hold_a_copy_to_its_numbers(
    person: CommandLine, server: Server, repository: RepositorySimulator
) -> None:
    for _ in range(5):
        repository.resign()
    person.must(*arguments(server))
    repository.rotate_online_key()
    ended = person.must(*arguments(server))
    assert "counts for nothing" in ended.err
    assert "metadata/2.root.json" in served(person)


def test_a_repository_that_lost_its_newest_root_is_refused(
    person: CommandLine, server: Server, repository: RepositorySimulator
) -> None:
    older = repository.checkpoint()
    repository.rotate_online_key()
    person.must(*arguments(server))
    repository.restore(older)
    held = (person.folder / "copy" / "demo" / "metadata" / "timestamp.json").read_bytes()
    person.must_end(ExitCode.REFUSED, arguments(server))
    assert (person.folder / "copy" / "demo" / "metadata" / "timestamp.json").read_bytes() == held


def test_a_place_that_cannot_be_written_is_this_machines_fault(
    person: CommandLine, server: Server
) -> None:
    (person.folder / "copy").write_text("a file", "utf-8")
    person.must_end(ExitCode.LOCAL, arguments(server), "cannot be written")


def test_an_address_that_is_none_is_refused(person: CommandLine) -> None:
    for address in ("releases.example.com", "ftp://releases.example.com", "file:", "http://"):
        said = ["mirror", "copy", "--from", address]
        person.must_end(ExitCode.USAGE, said, "not a repository's address")


# Patches and proofs of origin.


def test_patches_and_proofs_are_copied_with_their_release() -> None:
    one, two = digest_bytes(b"1"), digest_bytes(b"2")
    document = RepositorySimulator().publish("1.0.0")
    extras = ExtrasDocument(
        app=document.app,
        version="1.0.0",
        deltas=(a_delta(one, size=7),),
        attestations=(an_attestation(two, size=8),),
    )
    _, delta, proof = blobs_of(document, extras)
    assert (delta.path, delta.size_bytes) == (artifact_path(one), 7)
    assert (proof.path, proof.size_bytes) == (artifact_path(two), 8)


def test_what_only_a_newer_version_has_a_word_for_is_copied_too_and_never_pruned(
    tmp_path: Path,
) -> None:
    sized, bare, free = (digest_bytes(data) for data in (b"1", b"2", b"3"))
    document = RepositorySimulator().publish("1.0.0")
    unknown: JsonObject = {
        "sboms": [{"path": artifact_path(sized), "sha256": sized, "size": 9}],
        "icon": artifact_path(bare),
    }
    extras = ExtrasDocument(app=document.app, version="1.0.0", unknown=unknown)
    _, blob = blobs_of(document, extras)
    assert (blob.path, blob.size_bytes) == (artifact_path(sized), 9)
    named = {one.sha256 for one in others_in(document, extras)}
    assert named - {one.sha256 for one in document.artifacts} == {sized, bare}
    folder = tmp_path / "copy" / document.app
    for sha256 in (sized, bare, free):
        place = folder / artifact_path(sha256)
        place.parent.mkdir(parents=True)
        place.write_bytes(b"x")
    contents = Contents(
        pointer=b"",
        files={},
        copies={},
        blobs=(blob,),
        kept=frozenset(map(artifact_path, named)),
        roots_missing=(),
    )
    held = MirrorFolder(tmp_path / "copy", document.app)
    assert unreached(held, document.app, contents, utc_now()) == (artifact_path(free),)


@pytest.mark.parametrize("steps", ["../../../../..", "..", "."])
def test_a_path_that_a_stolen_key_signed_does_not_lead_out_of_the_folder(
    person: CommandLine, server: Server, repository: RepositorySimulator, steps: str
) -> None:
    document = repository.files["demo/channels/stable/version.json"]
    path = f"channels/{steps}/escaped/version.json"
    channels = repository._channels
    assert channels is not None
    channels.signed.targets[path] = Document(path=path, data=document).to_target()
    repository.resign()
    place = target_key(AppName("demo"), path, digest_bytes(document))
    repository.files[place] = document
    # As an address of the web it is another one.
    repository.files[posixpath.normpath(place).lstrip("./")] = document
    person.must_end(ExitCode.REFUSED, arguments(server), "not the address")
    assert not list(person.folder.rglob("escaped"))
    assert not list(person.folder.parent.glob("escaped"))
    assert served(person) == set()


class EndlessSource:
    """A repository that sends without end."""

    def __init__(self) -> None:
        self.sent_bytes = 0

    def read_file(self, app: AppName, path: str) -> bytes | None:
        del app, path
        return None

    def stream(self, app: AppName, path: str, start_bytes: int) -> Iterator[bytes]:
        del app, path, start_bytes
        while True:
            self.sent_bytes += 1 << 20
            yield bytes(1 << 20)


def test_a_repository_that_sends_without_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    app, source = AppName("demo"), EndlessSource()
    folder = MirrorFolder(tmp_path / "copy", app)
    blob = Blob(sha256=digest_bytes(b"a proof"), size_bytes=5 << 20, label="a proof")
    fetching = Fetching(
        app=app,
        source=source,
        folder=folder,
        waits=WaitRules(sleep=lambda _: None, jitter=lambda: 0.0),
        parallel=1,
        advance=lambda _: None,
    )
    with folder.locked(), pytest.raises(DigestMismatchError):
        fetch_all(fetching, [blob])
    assert source.sent_bytes <= 6 << 20
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) < 1 << 20


def test_a_pipe_in_a_folder_that_was_carried_here_keeps_nobody_waiting(
    person: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "disk" / "demo" / "metadata").mkdir(parents=True)
    os.mkfifo(tmp_path / "disk" / "demo" / "metadata" / "timestamp.json")
    carried = ["mirror", "copy", "--from", (tmp_path / "disk").as_uri()]
    person.must_end(ExitCode.TRANSPORT, carried, "not a plain file")
