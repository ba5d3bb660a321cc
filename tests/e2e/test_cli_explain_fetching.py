"""`lockgate explain` says by how many bytes clients come to what they are offered."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.instants import utc_now
from tests.simulators.archives import make_archive
from tests.simulators.client import CLIENT_ID
from tests.simulators.demanding_desk import KEYLESS, open_demanding_desk
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk, open_desk
from tests.simulators.sigstore import serve_sigstore

NOISE = random.Random(5).randbytes(100_000)
EXPLAIN = ("explain", "--client-id", CLIENT_ID, "--platform", PLATFORM)


def tree(version: str) -> dict[str, bytes]:
    return {"bin/app": b"#!/bin/sh\nexit 0\n", "data": NOISE, "version": version.encode()}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path, utc_now()) as desk:
        desk.init()
        yield desk


def publish(desk: ReleaseDesk, version: str, *more: str) -> dict[str, Any]:
    (desk.folder / f"{APP}-{version}.tar.gz").write_bytes(make_archive(tree(version)))
    said: dict[str, Any] = desk.publish(version, "--json", *more).json()
    return said


def fetching(desk: ReleaseDesk, *more: str) -> Any:
    return desk.person.must(*EXPLAIN, *more, "--json").json()["fetching"]


def test_each_version_is_told_with_its_way_by_the_archive_one_delta_or_several(
    desk: ReleaseDesk,
) -> None:
    publish(desk, "1.0.0")
    second = publish(desk, "1.1.0", "--deltas", "1")["deltas"][0]["size"]
    said = publish(desk, "1.2.0", "--deltas", "1")
    third, whole = said["deltas"][0]["size"], said["artifacts"][0]["size"]
    found = fetching(desk, "--installed", "0.9.0")
    assert (found["version"], found["archive_bytes"], found["no_deltas"]) == ("1.2.0", whole, "")
    assert found["ways"] == [
        {"installed": "0.9.0", "kind": "full", "fetch_bytes": whole, "over": []},
        {"installed": "1.1.0", "kind": "delta", "fetch_bytes": third, "over": []},
        {"installed": "1.0.0", "kind": "chain", "fetch_bytes": second + third, "over": ["1.1.0"]},
    ]
    lines = desk.person.must(*EXPLAIN).out.splitlines()[-3:]
    assert lines[0].startswith(f"to fetch of 1.2.0, {PLATFORM}: ")
    assert [line.partition(", ")[2] for line in lines] == [
        f"{PLATFORM}: {lines[0].partition(': ')[2]}",
        "one delta",
        "2 deltas, over 1.1.0",
    ]
    assert fetching(desk, "--installed", "1.2.0") is None


def test_no_delta_counts_to_a_tree_that_nobody_vouches_for(tmp_path: Path) -> None:
    trees = {version: tree(version) for version in ("1.0.0", "2.0.0")}
    with serve_sigstore() as sigstore, open_demanding_desk(tmp_path, sigstore, trees) as desk:
        archive = (desk.folder / f"{APP}-2.0.0.tar.gz").read_bytes()
        (desk.folder / "one.json").write_bytes(sigstore.sign(archive))
        desk.publish("2.0.0", "--attestation", "one.json")
        found = fetching(desk, "--installed", "1.0.0")
        assert [way["kind"] for way in found["ways"]] == ["full"]
        assert "who vouches for the tree of 2.0.0 is not proven" in found["no_deltas"]
        assert "  no delta counts: who vouches" in desk.person.must(*EXPLAIN).out
        desk.person.must("attest", "add", "2.0.0", *KEYLESS)
        found = fetching(desk, "--installed", "1.0.0")
        assert ([way["kind"] for way in found["ways"]], found["no_deltas"]) == (["delta"], "")


def test_extras_that_cannot_be_read_leave_the_archive_as_they_do_for_clients(
    desk: ReleaseDesk,
) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0", "--deltas", "1")
    publish(desk, "1.2.0", "--deltas", "1")
    objects = desk.server.store.objects

    def lose_extras(version: str) -> None:
        for key in [key for key in objects if f"/{version}/" in key and "extras" in key]:
            del objects[key]

    lose_extras("1.1.0")
    assert [way["installed"] for way in fetching(desk)["ways"]] == ["1.1.0"]
    lose_extras("1.2.0")
    found = fetching(desk, "--installed", "1.1.0")
    assert [way["kind"] for way in found["ways"]] == ["full"]
    assert "cannot be read" in found["no_deltas"]
