"""`lockgate publish`, `upload` and `promote` against the real api app."""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, EnvironBuilder

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import parse_extras, parse_release
from lockgate_release.errors import ExitCode
from lockgate_release.layout import artifact_key, extras_path, release_path, target_key
from lockgate_release.names import Sha256Hex
from lockgate_server.ports import Scope
from tests.simulators.api_server import serve_app
from tests.simulators.archives import make_archive, make_tar_of
from tests.simulators.command_line import CommandLine
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


def stored(desk: ReleaseDesk, path: str) -> bytes:
    """The bytes of a document as the state in force names it."""
    target = desk.chain().target(path)
    assert target is not None
    return desk.files()[target_key(APP, path, Sha256Hex(target.hashes["sha256"]))]


# What a publish leaves.


def test_a_release_is_on_the_server_signed_and_offered(desk: ReleaseDesk) -> None:
    (desk.folder / "notes.md").write_text("# Words\n")
    ended = desk.publish(
        "1.0.0", "--entrypoint", "bin/app", "--health", "bin/app --check", "--notes", "notes.md"
    )
    document = parse_release(stored(desk, release_path("1.0.0")))
    (artifact,) = document.artifacts
    assert desk.files()[artifact_key(APP, artifact.sha256)] == desk.build("1.0.0").read_bytes()
    assert document.install.entrypoint == "bin/app"
    assert document.install.health.command == ("bin/app", "--check")
    assert parse_extras(stored(desk, extras_path("1.0.0"))).notes == "# Words\n"
    assert desk.offers() == {"1.0.0": 10_000}
    assert "+ 1.0.0 appears" in ended.err


def test_data_is_on_stdout_and_words_are_not(desk: ReleaseDesk) -> None:
    ended = desk.publish("1.0.0", "--json")
    said = ended.json()
    assert said["appears"] == ["1.0.0"]
    assert said["changed"] is True
    assert said["releases_version"] == desk.chain().releases.version


def test_what_the_settings_say_holds_for_every_publish(desk: ReleaseDesk) -> None:
    settings = desk.folder / "lockgate.toml"
    settings.write_text(
        settings.read_text()
        + '[publish]\nentrypoint = "bin/app"\ntries = 5\n[floors]\nstable = "1.0.0"\n'
    )
    desk.publish("1.0.0", "--tries", "2")
    document = parse_release(stored(desk, release_path("1.0.0")))
    assert (document.install.entrypoint, document.install.health.tries) == ("bin/app", 2)
    assert desk.chain().entries()[release_path("1.0.0")].floors == {"stable": "1.0.0"}


def test_an_exposure_reaches_the_server_as_it_was_said(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--exposure", "0.5%")
    assert desk.offers() == {"1.1.0": 50, "1.0.0": 10_000}


def test_every_channel_that_is_named_offers_it(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0", "--channel", "stable", "--channel", "beta")
    assert desk.offers("stable") == desk.offers("beta") == {"1.0.0": 10_000}


def test_ci_publishes_with_what_init_told_it_to_keep_secret(desk: ReleaseDesk) -> None:
    keys = desk.folder / "keys"
    ci = desk.elsewhere(
        "ci",
        LOCKGATE_TOKEN=desk.server.token(Scope.PUBLISH),
        LOCKGATE_SERVER=desk.api,
        LOCKGATE_APP=APP,
        LOCKGATE_ROOT="root.json",
        LOCKGATE_KEYS="env:LOCKGATE_PUBLISHER_KEY",
        LOCKGATE_PUBLISHER_KEY=(keys / "publisher" / "publisher-1.pem").read_text(),
    )
    (ci.folder / "root.json").write_bytes((keys / "root.json").read_bytes())
    (ci.folder / "app").write_bytes(b"#!/bin/sh\n")
    ci.must("publish", "--version", "1.0.0", "--channel", "stable", "--artifact", "any=app")
    assert desk.versions() == {"1.0.0"}


# Again, and otherwise.


def test_the_same_again_changes_nothing_and_says_so(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    before = desk.files()
    desk.pass_time(hours=1)
    again = desk.publish("1.0.0")
    assert "Nothing to do" in again.err
    assert desk.files() == before


def test_the_same_again_does_not_throw_a_rollout_back(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--exposure", "10%")
    desk.person.must("rollout", "set", APP, "1.1.0", "--channel", "stable", "--exposure", "50%")
    assert "Nothing to do" in desk.publish("1.1.0", "--exposure", "10%").err
    assert desk.offers()["1.1.0"] == 5000
    desk.refuse(ExitCode.USAGE, "1.1.0", "--exposure", "60%", words="rollout set")


def test_the_same_version_with_other_bytes_is_refused_before_anything_is_sent(
    desk: ReleaseDesk,
) -> None:
    desk.publish("1.0.0")
    desk.build("1.0.0", content="changed")
    refused = desk.refuse(ExitCode.CONFLICT, "1.0.0", words="artifacts[0]")
    assert "release.json" in refused.err
    assert "new version" in refused.err


def test_the_same_version_with_other_instructions_or_notes_is_refused(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.refuse(ExitCode.CONFLICT, "1.0.0", "--entrypoint", "bin/app", words="install.entrypoint")
    (desk.folder / "notes.md").write_text("other")
    desk.refuse(ExitCode.CONFLICT, "1.0.0", "--notes", "notes.md", words="notes")


def test_the_same_bytes_in_another_channel_are_a_promotion(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0", "--channel", "beta")
    document = stored(desk, release_path("1.0.0"))
    desk.pass_time(hours=1)
    ended = desk.publish("1.0.0", "--channel", "stable")
    assert "may be offered in stable too" in ended.err
    assert stored(desk, release_path("1.0.0")) == document
    assert desk.offers("stable") == desk.offers("beta") == {"1.0.0": 10_000}


def test_a_dry_run_shows_the_plan_and_does_nothing(desk: ReleaseDesk) -> None:
    before = desk.files()
    ended = desk.publish("1.0.0", "--dry-run")
    assert "+ 1.0.0 appears" in ended.out
    assert "> stable offers 1.0.0 to 100%" in ended.out
    assert desk.files() == before


def test_a_dry_run_needs_neither_token_nor_key(desk: ReleaseDesk) -> None:
    keys = desk.folder / "keys"
    other = desk.elsewhere("other")
    (other.folder / "root.json").write_bytes((keys / "root.json").read_bytes())
    (other.folder / "app").write_bytes(b"#!/bin/sh\n")
    ended = other.must(
        *["publish", "--app", APP, "--version", "1.0.0", "--channel", "stable", "--dry-run"],
        *["--artifact", "any=app", "--server", desk.api, "--root", "root.json"],
    )
    assert "will need 1" in ended.err


# Retiring and floors on the way.


def test_what_lies_beyond_keep_vanishes_and_is_named(desk: ReleaseDesk) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        desk.publish(version)
    ended = desk.publish("1.3.0", "--keep", "2")
    assert "- 1.0.0 vanishes" in ended.err
    assert desk.versions() == {"1.1.0", "1.2.0", "1.3.0"}, "1.1.0 is where 1.2.0 would go back to"
    assert extras_path("1.0.0") not in desk.chain().releases.signed.targets


def test_a_person_is_asked_before_something_vanishes(desk: ReleaseDesk) -> None:
    desk.publish("0.9.0")
    desk.publish("1.0.0")
    desk.person.watched = True
    desk.person.answers = ["n", "y"]
    desk.publish("1.1.0")
    desk.refuse(ExitCode.USAGE, "1.2.0", "--keep", "1", words="not confirmed")
    desk.publish("1.2.0", "--keep", "1")
    assert "0.9.0" in desk.person.questions[0]
    assert desk.versions() == {"1.0.0", "1.1.0", "1.2.0"}


def test_a_floor_is_raised_carried_on_and_never_lowered(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--floor", "1.0.0")
    desk.publish("1.2.0")
    floors = {entry.floors["stable"] for entry in desk.chain().entries().values()}  # type: ignore[index]
    assert floors == {"1.0.0"}
    desk.refuse(ExitCode.USAGE, "1.3.0", "--floor", "0.9.0", words="never sinks")
    desk.refuse(ExitCode.USAGE, "0.9.0", "--channel", "stable", words="below the floor")


# Bad input.


@pytest.mark.parametrize("version", ["one", "1.0", "1.0.0/../2", "v1.0.0", ""])
def test_what_is_no_version_is_refused(desk: ReleaseDesk, version: str) -> None:
    desk.build("1.0.0")
    arguments = ["publish", "--version", version, "--channel", "stable"]
    arguments += ["--artifact", f"{PLATFORM}=demo-1.0.0.tar.gz"]
    before = desk.files()
    desk.person.must_end(ExitCode.USAGE, arguments, "version: not a version", repr(version))
    assert desk.files() == before


@pytest.mark.parametrize("exposure", ["half", "101%", "-1", "1.234%", "\u0661\u0660"])
def test_what_is_no_percentage_is_refused(desk: ReleaseDesk, exposure: str) -> None:
    desk.refuse(
        ExitCode.USAGE, "1.0.0", f"--exposure={exposure}", words="--exposure: not a percentage"
    )


def test_a_channel_that_is_none_is_refused(desk: ReleaseDesk) -> None:
    desk.refuse(
        ExitCode.USAGE, "1.0.0", "--channel", "Not One", words="--channel: not a channel name"
    )


def test_an_archive_with_a_way_out_is_refused_by_name(desk: ReleaseDesk) -> None:
    path = desk.build("1.0.0")
    path.write_bytes(make_tar_of([(tarfile.TarInfo("../outside"), b"x")]))
    desk.refuse(ExitCode.REFUSED, "1.0.0", words=path.name)


def test_two_artifacts_for_one_platform_are_refused_before_either_is_read(
    desk: ReleaseDesk,
) -> None:
    path = desk.build("1.0.0")
    twice = ("--artifact", f"{PLATFORM}={path.name}")
    refused = desk.refuse(ExitCode.USAGE, "1.0.0", *twice, words="two artifacts for one platform")
    assert "reading" not in refused.err


@pytest.mark.parametrize("option", ["--entrypoint", "--health"])
@pytest.mark.parametrize("program", ["bin/missing", "share/version", "../bin/app"])
def test_a_program_that_could_never_start_is_refused(
    desk: ReleaseDesk, option: str, program: str
) -> None:
    desk.refuse(ExitCode.USAGE, "1.0.0", option, program, words="no such program")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--tries", "0", "install.health.tries"),
        ("--health-timeout", "99999", "install.health.timeout_s"),
        ("--requires-from", "one", "requires.from_version"),
    ],
)
def test_an_instruction_out_of_range_is_refused_by_its_field(
    desk: ReleaseDesk, option: str, value: str, words: str
) -> None:
    desk.refuse(ExitCode.USAGE, "1.0.0", option, value, words=words)


def test_notes_that_are_not_text_are_refused(desk: ReleaseDesk) -> None:
    (desk.folder / "notes.md").write_bytes(b"\xff\xfe")
    desk.refuse(ExitCode.USAGE, "1.0.0", "--notes", "notes.md", words="not UTF-8")
    (desk.folder / "notes.md").write_text("x" * 100_001)
    desk.refuse(ExitCode.USAGE, "1.0.0", "--notes", "notes.md", words="100000")
    desk.refuse(ExitCode.USAGE, "1.0.0", "--notes", "missing.md", words="missing.md")


def test_a_release_that_would_reach_nobody_is_refused(desk: ReleaseDesk) -> None:
    desk.publish("1.1.0")
    desk.refuse(ExitCode.USAGE, "1.0.0", words="reach nobody")


# Keys and trust.


def test_no_signature_is_refused_with_how_many_are_missing(tmp_path: Path) -> None:
    with open_desk(tmp_path) as desk:
        desk.init("--publishers", "3", "--publisher-threshold", "2")
        settings = desk.folder / "lockgate.toml"
        lines = settings.read_text("utf-8").splitlines(keepends=True)
        settings.write_text("".join(line for line in lines if not line.startswith("keys")))
        one = "keys/publisher/publisher-1.pem"
        two = "keys/publisher/publisher-2.pem"
        stranger = "keys/root/maintainer-1.pem"
        desk.refuse(ExitCode.USAGE, "1.0.0", words="0, so 2 missing")
        desk.refuse(ExitCode.USAGE, "1.0.0", words="--unsigned")
        more = ("--key", one, "--key", stranger)
        desk.refuse(ExitCode.USAGE, "1.0.0", *more, words="1, so 1 missing; not keys of this role")
        desk.publish("1.0.0", "--key", one, "--key", two)


def test_a_key_that_is_no_publisher_s_is_named(desk: ReleaseDesk) -> None:
    key = "keys/root/maintainer-1.pem"
    desk.refuse(ExitCode.USAGE, "1.0.0", "--key", key, words="maintainer-1.pem")


def test_a_key_that_cannot_be_read_is_this_machine_s_fault(desk: ReleaseDesk) -> None:
    desk.refuse(ExitCode.LOCAL, "1.0.0", "--key", "missing.pem", words="missing.pem")


def test_another_root_than_the_pinned_one_is_refused(desk: ReleaseDesk, tmp_path: Path) -> None:
    with open_desk(tmp_path / "other") as other:
        other.init()
        path = other.folder / "keys" / "root.json"
        desk.refuse(ExitCode.REFUSED, "1.0.0", "--root", str(path), words="cannot be verified")


def test_a_server_that_changes_a_document_is_not_built_upon(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    path = target_key(APP, "policy.json", _digest_of(desk, "policy.json"))
    found = desk.server.store.objects[path]
    object.__setattr__(found, "data", found.data.replace(b"semver", b"pep440"))
    desk.refuse(ExitCode.REFUSED, "1.1.0", words="policy.json")


def _digest_of(desk: ReleaseDesk, path: str) -> Sha256Hex:
    target = desk.chain().target(path)
    assert target is not None
    return Sha256Hex(target.hashes["sha256"])


def test_expired_metadata_is_not_built_upon(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.pass_time(days=8)
    desk.refuse(ExitCode.REFUSED, "1.1.0", words="timestamp")


def test_a_token_that_may_only_read_is_refused(desk: ReleaseDesk) -> None:
    token = desk.server.token(Scope.READ)
    ended = desk.refuse(ExitCode.DENIED, "1.0.0", "--token", token, words="does not allow")
    assert token not in ended.err


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
    document = parse_release(stored(desk, release_path("1.0.0")))
    assert [(item.platform, item.name, item.kind) for item in document.artifacts] == [
        ("linux-x86_64", "demo-1.0.0-linux-x86_64.zip", "zip"),
        ("macos-aarch64", "app", "file"),
    ]


def test_an_upload_described_is_the_artifact_that_is_published(desk: ReleaseDesk) -> None:
    path = desk.build("1.0.0")
    described = desk.person.must("upload", path.name, "--json").json()
    assert described.pop("uploaded") is True
    desk.publish("1.0.0")
    (artifact,) = parse_release(stored(desk, release_path("1.0.0"))).artifacts
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


# Two at once.


def test_two_jobs_that_publish_at_once_both_end_well(desk: ReleaseDesk) -> None:
    for version in ("0.9.0", "1.0.0", "1.1.0"):
        desk.publish(version)

    def overtake() -> str:
        desk.publish("1.2.0")
        return "y"

    slow = CommandLine(folder=desk.folder, environ=desk.person.environ, watched=True)
    slow.answers = [overtake]
    ended = slow.must(*desk.publish_arguments("1.3.0", "--keep", "2"))
    assert "somebody else published first" in ended.err
    assert "found 5. Reading the state again" in ended.err
    assert "- 1.0.0 vanishes" in ended.err
    assert desk.versions() == {"1.1.0", "1.2.0", "1.3.0"}
    assert desk.offers() == {"1.3.0": 10_000}


def test_the_same_version_published_by_another_job_meanwhile_is_a_conflict(
    desk: ReleaseDesk,
) -> None:
    for version in ("0.9.0", "1.0.0", "1.1.0"):
        desk.publish(version)
    (desk.folder / "mine").write_bytes(b"#!/bin/sh\n")
    arguments = ["publish", "--version", "1.2.0", "--channel", "stable", "--keep", "1"]

    def overtake() -> str:
        desk.publish("1.2.0")
        return "y"

    slow = CommandLine(folder=desk.folder, environ=desk.person.environ, watched=True)
    slow.answers = [overtake]
    slow.must_end(ExitCode.CONFLICT, [*arguments, "--artifact", "any=mine"], "other content")
    assert desk.offers() == {"1.2.0": 10_000}


class Gateway:
    """Stands before the api app, and spoils the answers to what it is told to spoil."""

    def __init__(self, app: Flask, path: str) -> None:
        self.app = app
        self.path = path
        self.spoils = 0
        self.lets_through = True

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if self.spoils and environ["PATH_INFO"].endswith(self.path):
            self.spoils -= 1
            if self.lets_through:
                # The app has done it; only its answer is lost.
                Client(self.app).open(EnvironBuilder.from_environ(environ))
            start_response("502 Bad Gateway", [("Content-Length", "0")])
            return [b""]
        return self.app(environ, start_response)


@pytest.fixture
def gateway(desk: ReleaseDesk) -> Iterator[Gateway]:
    made = Gateway(desk.server.api(), "/publish")
    with serve_app(made) as address:
        desk.person.environ["LOCKGATE_SERVER"] = address
        yield made


def test_a_lost_answer_is_found_to_have_been_a_yes(desk: ReleaseDesk, gateway: Gateway) -> None:
    gateway.spoils = 1
    assert "Reading the state again" in desk.publish("1.0.0").err
    assert desk.offers() == {"1.0.0": 10_000}
    assert desk.chain().releases.version == 2


def test_a_publish_that_was_cut_off_shows_clients_the_old_state_and_is_finished_by_the_next(
    desk: ReleaseDesk, gateway: Gateway
) -> None:
    desk.publish("1.0.0")
    gateway.spoils, gateway.lets_through = 99, False
    ended = desk.person.run(*desk.publish_arguments("1.1.0"))
    assert ended.code == ExitCode.TRANSPORT
    assert desk.offers() == {"1.0.0": 10_000}
    gateway.spoils = 0
    assert "already on the server" in desk.publish("1.1.0").err
    assert desk.offers() == {"1.1.0": 10_000}


def test_a_publish_cut_off_between_two_channels_is_finished_by_the_next(
    desk: ReleaseDesk, gateway: Gateway
) -> None:
    desk.publish("1.0.0", "--channel", "stable")
    gateway.spoils, gateway.lets_through = 99, False
    both = ("--channel", "stable", "--channel", "beta")
    assert desk.person.run(*desk.publish_arguments("1.0.0", *both)).code == ExitCode.TRANSPORT
    gateway.spoils = 0
    desk.publish("1.0.0", *both)
    assert desk.offers("stable") == desk.offers("beta") == {"1.0.0": 10_000}
