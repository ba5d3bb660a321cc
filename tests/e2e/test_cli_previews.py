"""Preview channels, as CI and a maintainer type them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.instants import utc_now
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.lifetimes import end_due_channels
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

PREVIEW = ("--channel", "pr-123", "--expires", "14d")
CLIENT = "6f1c1c56-5d44-4b58-8f86-3b0a2f3b8f01"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path, utc_now().replace(microsecond=0)) as made:
        made.init()
        made.publish("1.0.0")
        yield made


def end_due(desk: ReleaseDesk) -> None:
    end_due_channels(desk.server.write_deps(), APP, Caller(actor="worker"))


def listed(desk: ReleaseDesk) -> dict[str, dict[str, object]]:
    found = desk.person.must("channels", "list", "--json").json()["channels"]
    return {item["channel"]: item for item in found}


def test_a_preview_is_published_listed_and_cleaned_up(desk: ReleaseDesk) -> None:
    said = desk.publish("1.1.0-pr.123.1", *PREVIEW).err
    assert "pr-123 offers 1.1.0-pr.123.1 to 100% of its clients, and ends in 14d" in said
    table = desk.person.must("channels", "list").out
    assert "for good" in table
    assert f"until {listed(desk)['pr-123']['retire_at']}" in table
    desk.pass_time(days=14)
    desk.sign_again()
    end_due(desk)
    assert desk.offers("pr-123") == {}
    assert "ended" in desk.person.must("channels", "list").out
    said = desk.publish("1.1.0").err
    assert "- 1.1.0-pr.123.1 vanishes: retired" in said
    assert desk.versions() == {"1.0.0", "1.1.0"}


def test_the_same_publish_again_sets_the_end_anew(desk: ReleaseDesk) -> None:
    desk.publish("1.1.0-pr.123.1", *PREVIEW)
    before = listed(desk)["pr-123"]["retire_at"]
    desk.pass_time(days=1)
    desk.publish("1.1.0-pr.123.1", *PREVIEW)
    assert str(listed(desk)["pr-123"]["retire_at"]) > str(before)


def test_a_release_that_is_in_a_lasting_channel_too_stays(desk: ReleaseDesk) -> None:
    desk.publish("1.1.0", *PREVIEW)
    desk.person.must("promote", APP, "1.1.0", "--from", "pr-123", "--to", "beta")
    desk.person.must("channels", "remove", "pr-123", "--yes")
    desk.publish("1.2.0", "--channel", "beta")
    assert "1.1.0" in desk.versions()


def test_a_lasting_channel_gets_no_lifetime(desk: ReleaseDesk) -> None:
    desk.refuse(ExitCode.USAGE, "1.1.0", "--expires", "14d", words="it lasts")


@pytest.mark.parametrize("span", ["", "soon", "-1d", "0d", "59m", "367d", "1.5d"])
def test_what_is_no_lifetime_is_refused(desk: ReleaseDesk, span: str) -> None:
    words = ("--channel", "pr-1", "--expires", span)
    desk.refuse(ExitCode.USAGE, "1.1.0", *words, words="--expires")


def test_a_person_removes_a_channel_by_typing_its_name(desk: ReleaseDesk) -> None:
    desk.publish("1.1.0-pr.1", *PREVIEW)
    remove = ["channels", "remove", "pr-123"]
    desk.person.must_end(ExitCode.USAGE, remove, "--yes")
    desk.person.watched = True
    desk.person.answers = ["yes", "pr-123"]
    desk.person.must_end(ExitCode.USAGE, remove, "nothing was done")
    assert "pr-123 has ended" in desk.person.must(*remove).err
    assert "Nothing to do" in desk.person.must(*remove, "--yes").err
    desk.person.must_end(ExitCode.USAGE, ["channels", "remove", "pr-9", "--yes"], "no such channel")


def test_a_client_of_a_channel_that_has_ended_is_told(desk: ReleaseDesk) -> None:
    desk.publish("1.1.0-pr.1", *PREVIEW)
    desk.person.must("channels", "remove", "pr-123", "--yes")
    arguments = ["--channel", "pr-123", "--platform", "linux-x86_64", "--installed", "1.1.0-pr.1"]
    said = desk.person.must("explain", "--client-id", CLIENT, *arguments, "--json").json()
    assert said["verdict"] == "held (nothing-offered)"
    assert said["reason"] == "channel pr-123 was a preview and has ended: follow another one"
