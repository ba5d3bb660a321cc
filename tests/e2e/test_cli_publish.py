"""`lockgate publish` against the real api app: what it leaves, again and for what was there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.documents import parse_extras, parse_release
from lockgate_release.errors import ExitCode
from lockgate_release.layout import artifact_key, extras_path, release_path
from lockgate_server.ports import Scope
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


# What a publish leaves.


def test_a_release_is_on_the_server_signed_and_offered(desk: ReleaseDesk) -> None:
    (desk.folder / "notes.md").write_text("# Words\n")
    ended = desk.publish(
        "1.0.0", "--entrypoint", "bin/app", "--health", "bin/app --check", "--notes", "notes.md"
    )
    document = parse_release(desk.stored(release_path("1.0.0")))
    (artifact,) = document.artifacts
    assert desk.files()[artifact_key(APP, artifact.sha256)] == desk.build("1.0.0").read_bytes()
    assert document.install.entrypoint == "bin/app"
    assert document.install.health.command == ("bin/app", "--check")
    assert parse_extras(desk.stored(extras_path("1.0.0"))).notes == "# Words\n"
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
    document = parse_release(desk.stored(release_path("1.0.0")))
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
    document = desk.stored(release_path("1.0.0"))
    desk.pass_time(hours=1)
    ended = desk.publish("1.0.0", "--channel", "stable")
    assert "may be offered in stable too" in ended.err
    assert desk.stored(release_path("1.0.0")) == document
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
