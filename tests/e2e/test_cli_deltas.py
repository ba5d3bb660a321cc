"""Deltas made by a publish and afterwards, against the real api app and in real processes."""

import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.archives import ArchiveKind, Limits, unpack
from lockgate_release.deltas.applying import apply_delta
from lockgate_release.digests import digest_tree
from lockgate_release.errors import ExitCode
from lockgate_release.layout import artifact_key
from lockgate_release.names import ChannelName, Platform, Sha256Hex
from lockgate_release.reports import Active
from lockgate_server.ports.reports import Admitted
from tests.simulators.api_server import serve_app
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk, open_desk
from tests.simulators.signers import open_team

PROGRAM_BYTES = 200_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


def program(version: str) -> bytes:
    """A program that no archive makes smaller, of which each version changes a little."""
    data = bytearray(random.Random(7).randbytes(PROGRAM_BYTES))
    drawn = random.Random(version)
    for _ in range(20):
        at = drawn.randrange(len(data))
        data[at : at + 4] = drawn.randbytes(4)
    return bytes(data)


def build(folder: Path, version: str, *, data: bytes | None = None) -> Path:
    """Make an artifact of this version and return its path."""
    path = folder / f"{APP}-{version}.tar.gz"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in (
            ("bin/app", program(version) if data is None else data),
            ("share/version", version.encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(out.getvalue(), 1, mtime=0))
    return path


def publish(desk: ReleaseDesk, version: str, *more: str) -> Any:
    build(desk.folder, version)
    return desk.publish(version, "--json", *more).json()


def listed(desk: ReleaseDesk, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.person.must(
        "deltas", "list", "--app", APP, "--json", *more
    ).json()["deltas"]
    return found


def steps(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["from_version"], item["version"]) for item in found]


def used(desk: ReleaseDesk, version: str, clients: int) -> None:
    """So many clients say today that they use this version."""
    now = desk.server.now
    report = Active(
        channel=ChannelName("stable"),
        version=version,
        platform=Platform(PLATFORM),
        last_counted=None,
    )
    admitted = Admitted(app=APP, report=report, until=now + timedelta(days=2))
    desk.server.write_deps().reports.add([admitted] * clients, {}, now=now)


def test_a_publish_brings_deltas_that_lead_from_the_live_releases_to_the_new_one(
    desk: ReleaseDesk, tmp_path: Path
) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0")
    before = desk.chain()
    said = publish(desk, "1.2.0")
    assert [item["from_version"] for item in said["deltas"]] == ["1.1.0", "1.0.0"]
    after = desk.chain()
    assert after.timestamp.version == before.timestamp.version + 1
    files = desk.files()
    for item in said["deltas"]:
        assert item["size"] < 0.1 * PROGRAM_BYTES
        delta, old, new = (tmp_path / item["from_version"] / name for name in ("d", "old", "new"))
        old.mkdir(parents=True)
        new.mkdir()
        delta.write_bytes(files[artifact_key(APP, Sha256Hex(item["sha256"]))])
        archive = desk.folder / f"{APP}-{item['from_version']}.tar.gz"
        unpack(archive, ArchiveKind.TAR_GZ, old, name=archive.name)
        assert digest_tree(old).sha256 == item["from_tree_sha256"]
        apply_delta(delta, old, new, limits=Limits())
        assert digest_tree(new).sha256 == said["artifacts"][0]["tree_sha256"]
    assert steps(listed(desk)) == [("1.1.0", "1.2.0"), ("1.0.0", "1.2.0"), ("1.0.0", "1.1.0")]


def test_status_says_from_which_of_the_last_releases_deltas_lead_to_what_is_offered(
    desk: ReleaseDesk,
) -> None:
    publish(desk, "1.0.0")
    assert "deltas to" not in desk.person.must("status").out
    publish(desk, "1.1.0", "--deltas", "0")
    words = "deltas to 1.1.0 in stable: none (0 of the last 1 before it)"
    assert words in desk.person.must("status").out.splitlines()
    publish(desk, "1.2.0", "--deltas", "1")
    words = "deltas to 1.2.0 in stable: from 1.1.0 (1 of the last 2 before it)"
    assert words in desk.person.must("status").out.splitlines()
    said = {"channel": "stable", "version": "1.2.0", "recent": ["1.1.0", "1.0.0"]}
    assert desk.person.must("status", "--json").json()["deltas"] == [
        {**said, "with_delta": ["1.1.0"]}
    ]


def test_the_same_publish_again_makes_no_delta_and_changes_nothing(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0")
    before = desk.files()
    assert publish(desk, "1.1.0")["changed"] is False
    assert desk.files() == before


def test_who_wants_none_gets_none_by_flag_or_by_setting(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    assert publish(desk, "1.1.0", "--deltas", "0")["deltas"] == []
    settings = desk.folder / "lockgate.toml"
    settings.write_text(settings.read_text() + "\n[publish]\ndeltas = 0\n")
    assert publish(desk, "1.2.0")["deltas"] == []
    assert [d["from_version"] for d in publish(desk, "1.3.0", "--deltas", "1")["deltas"]] == [
        "1.2.0"
    ]


def test_a_dry_run_says_what_it_would_make_and_makes_nothing(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    build(desk.folder, "1.1.0")
    before = desk.files()
    shown = desk.publish("1.1.0", "--dry-run").out
    assert f"delta from 1.0.0 for {PLATFORM}, to be made" in shown
    said = desk.publish("1.1.0", "--dry-run", "--json").json()
    assert said["planned"] == [{"from_version": "1.0.0", "platform": PLATFORM}]
    assert (said["deltas"], desk.files()) == ([], before)


def test_what_clients_report_to_use_is_where_deltas_begin(desk: ReleaseDesk) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        publish(desk, version, "--deltas", "0")
    used(desk, "1.0.0", 900)
    used(desk, "1.2.0", 3)
    said = publish(desk, "1.4.0", "--deltas", "2")
    # 1.3.0 is offered to everybody: its clients are on their way there.
    assert [item["from_version"] for item in said["deltas"]] == ["1.3.0", "1.0.0"]


def test_a_release_of_what_was_uploaded_before_gets_deltas_too(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    path = build(desk.folder, "1.1.0")
    digest = desk.person.must("upload", "--app", APP, path.name).out.strip()
    path.unlink()
    said = desk.person.must(
        *("publish", "--app", APP, "--version", "1.1.0", "--channel", "stable", "--json"),
        *("--artifact", f"{PLATFORM}={digest}@{path.name}"),
    ).json()
    assert [item["from_version"] for item in said["deltas"]] == ["1.0.0"]


def test_a_server_that_does_not_know_what_clients_use_stops_no_publish(
    desk: ReleaseDesk,
) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0", "--deltas", "0")
    build(desk.folder, "1.2.0")
    api: Any = desk.server.api()

    def older(environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"].endswith("/installed"):
            environ = {**environ, "PATH_INFO": "/api/v1/nothing"}
        return api(environ, start)

    with serve_app(older) as address:
        ended = desk.publish("1.2.0", "--json", "--deltas", "1", "--server", address)
    assert [item["from_version"] for item in ended.json()["deltas"]] == ["1.1.0"]
    assert "which versions clients use is not known" in ended.err


def test_an_answer_about_clients_that_nobody_understands_stops_no_publish(
    desk: ReleaseDesk,
) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0", "--deltas", "0")
    build(desk.folder, "1.2.0")
    api: Any = desk.server.api()

    def confused(environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"].endswith("/installed"):
            start("200 OK", [("Content-Type", "application/json")])
            return [b'{"days": [{"counts": 5}]}']
        return api(environ, start)

    with serve_app(confused) as address:
        ended = desk.publish("1.2.0", "--json", "--deltas", "1", "--server", address)
    assert [item["from_version"] for item in ended.json()["deltas"]] == ["1.1.0"]
    assert "which versions clients use is not known" in ended.err


def test_an_earlier_release_that_cannot_be_read_costs_its_delta_only(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0", "--deltas", "0")
    (key,) = (name for name in desk.files() if "releases/1.1.0/" in name and "release.json" in name)
    stored = desk.server.store.objects[key]
    object.__setattr__(stored, "data", b"{}")
    build(desk.folder, "1.2.0")
    ended = desk.publish("1.2.0", "--json")
    assert [item["from_version"] for item in ended.json()["deltas"]] == ["1.0.0"]
    assert "no delta from 1.1.0" in ended.err


def test_a_person_is_asked_before_deltas_are_dropped(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0")
    before = desk.files()
    desk.person.watched = True
    desk.person.answers = ["no", "yes"]
    drop = ["deltas", "drop", "1.1.0", "--app", APP]
    desk.person.must_end(ExitCode.USAGE, drop, "nothing was done")
    assert desk.files() == before
    assert "has other deltas now" in desk.person.must(*drop).err
    assert "no deltas" in desk.person.must("deltas", "list", "1.1.0", "--app", APP).err
    assert listed(desk) == []


def test_a_delta_that_saves_too_little_is_not_published(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    build(desk.folder, "2.0.0", data=random.Random(2).randbytes(PROGRAM_BYTES))
    ended = desk.publish("2.0.0", "--json")
    assert ended.json()["planned"] == [{"from_version": "1.0.0", "platform": PLATFORM}]
    assert ended.json()["deltas"] == []
    assert "no delta from 1.0.0" in ended.err
    assert "% of the archive, and 70 % is the most" in ended.err
    assert desk.versions() == {"1.0.0", "2.0.0"}


def test_an_earlier_artifact_that_somebody_has_changed_stops_no_publish(
    desk: ReleaseDesk,
) -> None:
    old = publish(desk, "1.0.0")["artifacts"][0]["sha256"]
    key = artifact_key(APP, Sha256Hex(old))
    stored = desk.server.store.objects[key]
    object.__setattr__(stored, "data", b"x" * len(stored.data))
    build(desk.folder, "1.1.0")
    ended = desk.publish("1.1.0", "--json")
    assert ended.json()["deltas"] == []
    assert "no delta from 1.0.0" in ended.err
    assert "not the bytes that were signed" in ended.err
    assert desk.offers() == {"1.1.0": 10_000}


def test_deltas_are_added_listed_and_dropped_without_publishing_again(
    desk: ReleaseDesk,
) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0", "--deltas", "0")
    pinned = desk.chain().target("releases/1.1.0/release.json")
    command = ["deltas", "add", "1.1.0", "--app", APP]
    assert "to be made" in desk.person.must(*command, "--dry-run").out
    assert listed(desk) == []
    added = desk.person.must(*command, "--from", "1.0.0", "--json").json()
    assert [item["from_version"] for item in added["deltas"]] == ["1.0.0"]
    assert steps(listed(desk, "1.1.0")) == [("1.0.0", "1.1.0")]
    before = desk.files()
    assert "Nothing to do" in desk.person.must(*command).err
    assert desk.files() == before
    shown = desk.person.must("releases", "show", "1.1.0", "--app", APP).out
    assert "delta from" in shown
    table = desk.person.must("deltas", "list", "--app", APP).out
    assert "lockgate-columns-1" in table
    assert "%" in table
    drop = ["deltas", "drop", "1.1.0", "--app", APP]
    assert "goes" in desk.person.must(*drop, "--dry-run").out
    assert desk.files() == before
    desk.person.must_end(ExitCode.USAGE, [*drop, "--from", "0.1"], "no such delta")
    assert len(desk.person.must(*drop, "--json").json()["dropped"]) == 1
    assert listed(desk) == []
    assert desk.chain().target("releases/1.1.0/release.json") == pinned


def test_deltas_for_clients_of_a_channel_are_there_before_the_release_is_promoted_there(
    desk: ReleaseDesk,
) -> None:
    def publish_to(channel: str, version: str) -> None:
        artifact = f"{PLATFORM}={build(desk.folder, version).name}"
        command = ("publish", "--app", APP, "--version", version, "--channel", channel)
        desk.person.must(*command, "--artifact", artifact)

    publish_to("stable", "1.0.0")
    publish_to("beta", "1.0.5")
    publish_to("beta", "1.1.0")
    command = ["deltas", "add", "1.1.0", "--app", APP]
    assert "Nothing to do" in desk.person.must(*command).err
    desk.person.must_end(ExitCode.USAGE, [*command, "--for", "nightly"], "beta or stable")
    desk.person.must_end(ExitCode.USAGE, [*command, "--for", "beta", "--from", "1.0.0"], "either")
    added = desk.person.must(*command, "--for", "stable", "--json").json()
    assert [item["from_version"] for item in added["deltas"]] == ["1.0.0"]
    desk.person.must("promote", "1.1.0", "--app", APP, "--from", "beta", "--to", "stable")
    assert sorted(steps(listed(desk))) == [("1.0.0", "1.1.0"), ("1.0.5", "1.1.0")]


def test_both_algorithms_stand_beside_each_other(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0")
    more = ["--delta-algorithm", "lockgate-zstd-1", "--from", "1.0.0"]
    desk.person.must("deltas", "add", "1.1.0", "--app", APP, *more)
    assert {item["algorithm"] for item in listed(desk)} == {
        "lockgate-columns-1",
        "lockgate-zstd-1",
    }


def test_the_same_delta_made_twice_is_the_same_file(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    (first,) = publish(desk, "1.1.0")["deltas"]
    desk.person.must("deltas", "drop", "1.1.0", "--app", APP, "--yes")
    command = ["deltas", "add", "1.1.0", "--app", APP, "--json", "--delta-memory", "300MiB"]
    (second,) = desk.person.must(*command).json()["deltas"]
    assert second["sha256"] == first["sha256"]


def test_a_delta_that_was_named_and_cannot_be_made_is_an_error(desk: ReleaseDesk) -> None:
    publish(desk, "1.0.0")
    publish(desk, "1.1.0", "--deltas", "0")
    for version in ("1.1.0", "9.9.9"):
        command = ["deltas", "add", "1.1.0", "--app", APP, "--from", version]
        desk.person.must_end(ExitCode.USAGE, command, "another live release")
    command = ["deltas", "add", "1.1.0", "--app", APP, "--delta-algorithm", "unknown-9"]
    desk.person.must_end(ExitCode.USAGE, command, "cannot be made here")
    command = ["deltas", "add", "1.1.0", "--app", APP, "--delta-memory", "7"]
    desk.person.must_end(ExitCode.USAGE, command, "not a size to make deltas in")


def test_with_two_of_three_keys_the_signers_see_the_deltas_before_they_sign(
    tmp_path: Path,
) -> None:
    def first(desk: ReleaseDesk) -> None:
        build(desk.folder, "0.9.0")
        keys = [f"keys/publisher/publisher-{number}.pem" for number in (1, 2)]
        desk.publish("0.9.0", "--key", keys[0], "--key", keys[1])

    with open_team(tmp_path, first) as team:
        build(team.desk.folder, "1.0.0")
        begun = team.begin("1.0.0", "--json").json()
        (delta,) = begun["deltas"]
        shown = team.ann.must("sign", APP, "1.0.0", "--dry-run").out
        assert f"1.0.0 delta from 0.9.0 for {PLATFORM}" in shown
        assert delta["sha256"] in shown
        again = team.desk.publish("1.0.0", "--unsigned", "--json").json()
        assert again["pending"]["change"] == begun["pending"]["change"]
        used(team.desk, "0.9.0", 5)
        team.desk.person.pass_time(minutes=1)
        later = team.desk.publish("1.0.0", "--unsigned", "--deltas", "0")
        assert "waits for signatures already, just so" in later.err
        team.sign_all("1.0.0")
        assert json.dumps(listed(team.desk)).count(delta["sha256"]) == 2
