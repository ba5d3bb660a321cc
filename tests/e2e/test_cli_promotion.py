"""`lockgate upload` and `lockgate promote`: bytes that are there become a release, and go on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import parse_release
from lockgate_release.errors import ExitCode
from lockgate_release.layout import artifact_key, release_path
from lockgate_release.names import Sha256Hex
from tests.simulators.archives import make_archive
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


# A build matrix.


def _upload(desk: ReleaseDesk, name: str, data: bytes) -> str:
    (desk.folder / name).write_bytes(data)
    said = desk.person.must("upload", name).out.strip()
    assert said == f"sha256:{digest_bytes(data)}"
    return said


def test_uploads_gather_into_one_publish(desk: ReleaseDesk) -> None:
    archive = _upload(desk, "app.zip", make_archive({"bin/app": b"#!/bin/sh\n"}, "zip"))
    program = _upload(desk, "app", b"#!/bin/sh\necho\n")
    desk.person.must(
        *["publish", "--version", "1.0.0", "--channel", "stable"],
        *["--artifact", f"linux-x86_64={archive}", "--artifact", f"macos-aarch64={program}@app"],
    )
    document = parse_release(desk.stored(release_path("1.0.0")))
    assert [(item.platform, item.name, item.kind) for item in document.artifacts] == [
        ("linux-x86_64", "demo-1.0.0-linux-x86_64.zip", "zip"),
        ("macos-aarch64", "app", "file"),
    ]


def test_an_upload_described_is_the_artifact_that_is_published(desk: ReleaseDesk) -> None:
    path = desk.build("1.0.0")
    described = desk.person.must("upload", path.name, "--json").json()
    assert described.pop("uploaded") is True
    desk.publish("1.0.0")
    (artifact,) = parse_release(desk.stored(release_path("1.0.0"))).artifacts
    assert described.items() <= dict(artifact.to_json()).items()
    again = desk.person.must("upload", path.name, "--json").json()
    assert again["uploaded"] is False


def test_an_upload_that_is_no_archive_needs_its_name(desk: ReleaseDesk) -> None:
    said = _upload(desk, "app", b"#!/bin/sh\n")
    arguments = ["publish", "--version", "1.0.0", "--channel", "stable", "--artifact"]
    desk.person.must_end(ExitCode.USAGE, [*arguments, f"any={said}"], "@NAME")


def test_a_digest_that_nobody_uploaded_is_refused(desk: ReleaseDesk) -> None:
    arguments = ["publish", "--version", "1.0.0", "--channel", "stable", "--artifact"]
    source = f"any=sha256:{'0' * 64}"
    desk.person.must_end(ExitCode.USAGE, [*arguments, source], "lockgate upload FILE")
    assert desk.versions() == set()


def test_an_upload_that_the_server_spoilt_is_refused(desk: ReleaseDesk) -> None:
    said = _upload(desk, "app.zip", make_archive({"bin/app": b"#!/bin/sh\n"}, "zip"))
    key = artifact_key(APP, Sha256Hex(said.removeprefix("sha256:")))
    found = desk.server.store.objects[key]
    object.__setattr__(found, "data", bytes(len(found.data)))
    arguments = ["publish", "--version", "1.0.0", "--channel", "stable", "--artifact"]
    desk.person.must_end(ExitCode.REFUSED, [*arguments, f"any={said}"], "not the bytes")
    assert desk.versions() == set()


# Promotion.


def test_a_promotion_takes_signatures_and_no_bytes(desk: ReleaseDesk) -> None:
    path = desk.build("1.0.0")
    desk.publish("1.0.0", "--channel", "beta")
    path.unlink()
    desk.person.must(
        "promote", APP, "1.0.0", "--from", "beta", "--to", "stable", "--exposure", "20%"
    )
    assert desk.offers("stable") == {"1.0.0": 2000}
    again = desk.person.must("promote", APP, "1.0.0", "--from", "beta", "--to", "stable")
    assert "Nothing to do" in again.err


def test_a_promotion_is_signed_draws_lots_of_its_own_and_follows_a_plan(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0", "--channel", "stable")
    desk.publish("1.1.0", "--channel", "beta", "--exposure", "10%")
    desk.publish("1.0.1", "--channel", "stable", "--exposure", "10%")
    before = _rollouts(desk)
    desk.person.must(
        "promote", APP, "1.1.0", "--from", "beta", "--to", "stable", "--rollout", "canary"
    )
    after = _rollouts(desk)
    entry = desk.chain().entries()[release_path("1.1.0")]
    assert entry.channels == ("beta", "stable"), "the publishers signed the added name"
    promoted = after["stable", "1.1.0"]
    assert promoted["progress"]["name"] == "canary"
    assert promoted["exposure_bp"] == 100
    # Who was in the unfinished rollout here stays in; who was in at the source has no part in it.
    assert promoted["salt"] == before["stable", "1.0.1"]["salt"]
    assert promoted["salt"] != before["beta", "1.1.0"]["salt"]
    assert after["beta", "1.1.0"] == before["beta", "1.1.0"]


def _rollouts(desk: ReleaseDesk) -> dict[tuple[str, str], Any]:
    found = desk.person.must("status", "--json").json()["channels"]
    return {
        (item["channel"], offer["version"]): offer["rollout"]
        for item in found
        for offer in item["offers"]
    }


@pytest.mark.parametrize(
    ("version", "source", "words"),
    [("1.0.0", "nightly", "not in that channel"), ("2.0.0", "beta", "not a live release")],
)
def test_what_is_not_there_cannot_be_promoted(
    desk: ReleaseDesk, version: str, source: str, words: str
) -> None:
    desk.publish("1.0.0", "--channel", "beta")
    before = desk.files()
    arguments = ["promote", APP, version, "--from", source, "--to", "stable"]
    desk.person.must_end(ExitCode.USAGE, arguments, words)
    assert desk.files() == before
