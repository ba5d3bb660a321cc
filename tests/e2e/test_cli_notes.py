"""Notes, tags and pre-releases of `lockgate publish` and `promote`, against the real api app."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n- Soon.\n\n## [1.0.0] - 2026-05-04\n\n- A door.\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        (made.folder / "CHANGELOG.md").write_text(CHANGELOG)
        yield made


def notes(desk: ReleaseDesk, version: str) -> object:
    shown = desk.person.must("releases", "show", version, "--app", APP, "--json").json()
    return shown["extras"]["notes"]


def test_the_changelogs_section_becomes_the_notes_and_is_shown_before(desk: ReleaseDesk) -> None:
    ended = desk.publish("1.0.0", "--changelog", "CHANGELOG.md")
    assert "notes:" in ended.err
    assert "- A door." in ended.err
    assert notes(desk, "1.0.0") == "- A door.\n"
    assert "Nothing to do" in desk.publish("1.0.0", "--changelog", "CHANGELOG.md").err


def test_a_release_that_the_changelog_does_not_know_is_not_published(desk: ReleaseDesk) -> None:
    desk.refuse(
        ExitCode.USAGE, "1.1.0", "--changelog", "CHANGELOG.md", words="no section of this release"
    )


def test_the_settings_name_the_changelog_once_for_all(desk: ReleaseDesk) -> None:
    with (desk.folder / "lockgate.toml").open("a") as stream:
        stream.write('\n[publish]\nchangelog = "CHANGELOG.md"\nprereleases = ["beta"]\n')
    desk.publish("1.0.0")
    assert notes(desk, "1.0.0") == "- A door.\n"
    desk.publish("1.1.0-rc.1", "--channel", "beta")
    assert notes(desk, "1.1.0-rc.1") == "- Soon.\n"
    (desk.folder / "own.md").write_text("Own words.\n")
    desk.publish("1.2.0", "--notes", "own.md")
    assert notes(desk, "1.2.0") == "Own words.\n"
    desk.refuse(ExitCode.USAGE, "1.3.0-rc.1", "--channel", "nightly", words="takes none")


def test_two_sources_of_notes_are_refused(desk: ReleaseDesk) -> None:
    both = ("--changelog", "CHANGELOG.md", "--notes", "CHANGELOG.md")
    desk.refuse(ExitCode.USAGE, "1.0.0", *both, words="notes come from one place")


def test_a_pre_release_gets_into_stable_only_when_it_is_meant(desk: ReleaseDesk) -> None:
    desk.refuse(ExitCode.USAGE, "1.0.0-rc.1", words="the channel takes none")
    desk.publish("1.0.0-rc.1", "--channel", "beta")
    promote = ["promote", "1.0.0-rc.1", "--app", APP, "--from", "beta", "--to", "stable"]
    desk.person.must_end(ExitCode.USAGE, promote, "--allow-prerelease")
    desk.person.must(*promote, "--allow-prerelease")
    assert desk.offers() == {"1.0.0-rc.1": 10_000}


def test_tag_and_commits_hold_the_version(desk: ReleaseDesk) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        command = ["git", *identity, *arguments]
        subprocess.run(command, cwd=desk.folder, check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "feat: begin")
    git("tag", "v1.0.0")
    git("commit", "--allow-empty", "-m", "feat(ui): a window")
    git("tag", "v1.0.1")
    auto = ("--commits", "auto")
    desk.refuse(ExitCode.USAGE, "1.0.1", *auto, "--tag", "v1.0.1", words="at least 1.1.0")
    desk.refuse(ExitCode.USAGE, "1.1.0", *auto, "--tag", "v1.0.1", words="names another version")
    desk.refuse(ExitCode.USAGE, "1.1.0", *auto, "--tag", "ci", words="no tag is being built")
    git("tag", "--delete", "v1.0.1")
    git("tag", "v1.1.0")
    desk.person.environ["CI_COMMIT_TAG"] = "v1.1.0"
    desk.publish("1.1.0", *auto, "--tag", "ci")
    assert notes(desk, "1.1.0") == "### Added\n\n- **ui**: a window\n"
