"""From a file to what a release says of it."""

import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from lockgate_cli.artifacts import describe_file, parse_source
from lockgate_cli.progress import Progress
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Chunks
from lockgate_release.errors import ArchiveError, LocalError, UsageError
from tests.simulators.archives import make_archive, make_tar_of, tree_digest

TREE = {"bin/app": b"#!/bin/sh\nexit 0\n", "share/data": b"data"}
QUIET = Progress(clock=lambda: 0.0, watched=False)


@pytest.mark.parametrize(("kind", "name"), [("tar.gz", "app.tgz"), ("zip", "app.whl")])
def test_an_archive_is_described_as_clients_will_unpack_it(
    tmp_path: Path, kind: str, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(make_archive(TREE, kind))
    facts = describe_file(path, name=name, progress=QUIET)
    artifact = facts.artifact
    assert (artifact.name, artifact.kind) == (name, kind)
    assert artifact.sha256 == digest_bytes(path.read_bytes())
    assert artifact.size == path.stat().st_size
    assert artifact.tree_sha256 == tree_digest(TREE).sha256
    assert artifact.tree_size == tree_digest(TREE).size_bytes
    assert facts.programs == {"bin/app"}


def test_a_single_file_is_a_program_by_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "app"
    path.write_bytes(b"anything")
    facts = describe_file(path, name="app", progress=QUIET)
    assert facts.artifact.kind == "file"
    assert facts.programs == {"app"}


def test_a_large_artifact_is_described_chunk_by_chunk(tmp_path: Path) -> None:
    content = random.Random(3).randbytes((2 << 20) + 5)
    path = tmp_path / "app"
    path.write_bytes(content)
    artifact = describe_file(path, name="app", progress=QUIET).artifact
    pieces = [content[at : at + (1 << 20)] for at in range(0, len(content), 1 << 20)]
    assert artifact.sha256 == digest_bytes(content)
    assert artifact.chunks == Chunks(size_bytes=1 << 20, sha256=tuple(map(digest_bytes, pieces)))


def test_a_small_artifact_is_one_chunk_and_lists_none(tmp_path: Path) -> None:
    path = tmp_path / "app"
    path.write_bytes(bytes(1 << 20))
    assert describe_file(path, name="app", progress=QUIET).artifact.chunks is None


def test_what_never_ends_or_can_be_read_only_once_is_no_artifact(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(UsageError, match="not a plain file"):
            describe_file(path, name="app", progress=QUIET)
    with pytest.raises(UsageError, match="a folder"):
        describe_file(tmp_path, name="app", progress=QUIET)


def test_an_archive_that_leaves_its_folder_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "app.tar.gz"
    path.write_bytes(make_tar_of([(tarfile.TarInfo("../outside"), b"x")]))
    with pytest.raises(ArchiveError, match=r"app\.tar\.gz.*\.\./outside"):
        describe_file(path, name="app.tar.gz", progress=QUIET)
    assert [item.name for item in tmp_path.iterdir()] == ["app.tar.gz"]


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "app.zip"
    path.write_bytes(make_archive(TREE, "zip")[:-30])
    with pytest.raises(ArchiveError, match="damaged"):
        describe_file(path, name="app.zip", progress=QUIET)


def test_what_is_not_there_or_no_file_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            describe_file(path, name="x", progress=QUIET)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "app"
    path.write_bytes(b"first")

    class Meddling(io.StringIO):
        """Somebody who writes to the file as soon as it is said that it is being read."""

        def write(self, text: str) -> int:
            path.write_bytes(b"second")
            return super().write(text)

    from contextlib import redirect_stderr

    with redirect_stderr(Meddling()), pytest.raises(LocalError, match="changed while"):
        describe_file(path, name="app", progress=QUIET)


def test_an_artifact_is_a_platform_and_a_file(tmp_path: Path) -> None:
    source = parse_source("linux-x86_64=build/app=1.tar.gz", tmp_path)
    assert source.platform == "linux-x86_64"
    assert source.path == tmp_path / "build/app=1.tar.gz"


def test_an_artifact_may_be_named_by_its_digest(tmp_path: Path) -> None:
    source = parse_source(f"any=sha256:{'a' * 64}@app.zip", tmp_path)
    assert (source.path, source.sha256, source.name) == (None, "a" * 64, "app.zip")


@pytest.mark.parametrize(
    "text", ["app.zip", "=app.zip", "any=", "Not A Tag=x", "any=sha256:abc", "any=sha256:"]
)
def test_an_artifact_in_another_form_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text, tmp_path)
