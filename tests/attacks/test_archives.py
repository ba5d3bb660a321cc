"""A hostile archive, signed and all: it leaves its folder, or is another tree than was signed."""

import tarfile
from pathlib import Path

import pytest

from tests.attacks.claims import assert_artifact_refused
from tests.simulators.archives import make_archive, make_tar_of
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import HEALTHY, RepositorySimulator


def _member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = link
    member.mode = 0o755
    return member


ESCAPES = {
    "parent": [(_member("../../escaped"), b"x")],
    "absolute": [(_member("/tmp/lockgate-escaped"), b"x")],
    "link out": [(_member("out", kind=tarfile.SYMTYPE, link="../../../etc"), b"")],
    "through a link": [
        (_member("in", kind=tarfile.SYMTYPE, link="."), b""),
        (_member("in/../../escaped"), b"x"),
    ],
    "device": [(_member("null", kind=tarfile.CHRTYPE), b"")],
    "pipe": [(_member("pipe", kind=tarfile.FIFOTYPE), b"")],
    "twice": [(_member("a"), b"1"), (_member("A"), b"2")],
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_archive_cannot_leave_its_folder(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path, escape: str
) -> None:
    archive = make_tar_of([(_member("bin/app"), b"#!/bin/sh\nexit 0\n"), *ESCAPES[escape]])
    repository.publish("2.0.0", archive=archive, tree_size=1 << 20)
    outside = sorted(path.name for path in tmp_path.iterdir())
    assert_artifact_refused(client, "repository.archive")
    assert sorted(path.name for path in tmp_path.iterdir()) == outside
    assert not list(tmp_path.rglob("escaped"))


def test_another_tree_than_the_signed_one_is_refused(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    archive = make_archive({**HEALTHY, "planted": b"x"})
    repository.publish("2.0.0", HEALTHY, archive=archive, tree_size=1 << 20)
    assert_artifact_refused(client, "repository.digest")


def test_an_archive_that_unpacks_to_more_than_was_signed_is_refused(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    bomb = make_archive({"bin/app": b"#!/bin/sh\nexit 0\n", "zeros": bytes(4 << 20)})
    repository.publish("2.0.0", archive=bomb, tree_size=1000)
    assert_artifact_refused(client, "repository.archive")


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_file_that_is_no_archive_is_refused(
    client: SimulatedClient, repository: RepositorySimulator, kind: str
) -> None:
    repository.publish("2.0.0", archive=b"not an archive at all", kind=kind)
    assert_artifact_refused(client, "repository.archive")
