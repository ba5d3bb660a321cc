"""Tags and commits as git knows them, in repositories made for the test."""

import subprocess
from pathlib import Path

import pytest

from lockgate_cli.noting.tags import (
    check_tag,
    ci_tag,
    commits_between,
    newest_before,
    version_in_tag,
)
from lockgate_release.errors import LocalError, UsageError
from lockgate_release.names import AppName
from lockgate_release.versions import VersionScheme

APP = AppName("demo")
SEMVER = VersionScheme.SEMVER


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str) -> None:
    with (folder / "file").open("a") as stream:
        stream.write(message)
    git(folder, "add", "file")
    git(folder, "commit", "-m", message)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--initial-branch", "main")
    commit(tmp_path, "feat: begin")
    git(tmp_path, "tag", "v1.0.0")
    commit(tmp_path, "feat: more")
    git(tmp_path, "tag", "v1.1.0-rc.1")
    commit(tmp_path, "fix: less")
    git(tmp_path, "tag", "demo-v1.1.0")
    return tmp_path


@pytest.mark.parametrize("tag", ["1.4.2", "v1.4.2", "demo-1.4.2", "demo-v1.4.2", "demo/v1.4.2",
                                 "demo@1.4.2"])  # fmt: skip
def test_a_tag_names_a_version_with_or_without_the_app(tag: str) -> None:
    assert version_in_tag(tag, APP) == "1.4.2"


def test_the_tag_that_is_checked_out_passes(repository: Path) -> None:
    check_tag(repository, "demo-v1.1.0", "1.1.0", APP)


@pytest.mark.parametrize(
    ("tag", "version", "words"),
    [
        ("v1.1.0", "1.1.0", "no such tag"),
        ("v1.0.0", "1.0.0", "another commit"),
        ("demo-v1.1.0", "1.1.1", "another version"),
        ("other-v1.1.0", "1.1.0", "another version"),
        ("v1.1.0", "v1.1.0", "another version"),
        ("--all", "--all", "not a tag"),
    ],
)
def test_a_tag_that_is_not_what_is_published_is_refused(
    repository: Path, tag: str, version: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_tag(repository, tag, version, APP)


def test_changed_files_are_refused_and_new_ones_are_not(repository: Path) -> None:
    (repository / "built").write_text("new")
    check_tag(repository, "demo-v1.1.0", "1.1.0", APP)
    (repository / "file").write_text("changed")
    with pytest.raises(UsageError, match="files differ"):
        check_tag(repository, "demo-v1.1.0", "1.1.0", APP)


def test_the_release_before_is_no_pre_release_and_no_other_branchs(repository: Path) -> None:
    git(repository, "switch", "--detach", "v1.0.0")
    commit(repository, "fix: aside")
    git(repository, "tag", "v1.0.9")
    git(repository, "switch", "main")
    found = newest_before(repository, SEMVER.parse("1.1.0"), APP)
    assert found is not None
    assert found[0] == "v1.0.0"
    later = newest_before(repository, SEMVER.parse("1.2.0"), APP)
    assert later is not None
    assert later[0] == "demo-v1.1.0"
    assert newest_before(repository, SEMVER.parse("1.0.0"), APP) is None


def test_commits_come_oldest_first(repository: Path) -> None:
    assert [it.text for it in commits_between(repository, "v1.0.0")] == ["more", "less"]
    assert [it.text for it in commits_between(repository, "")] == ["begin", "more", "less"]


@pytest.mark.parametrize("since", ["v9.9.9", "--output=/dev/null", "a b"])
def test_what_names_no_commit_is_refused(repository: Path, since: str) -> None:
    with pytest.raises(UsageError, match="no such commit"):
        commits_between(repository, since)


def test_outside_a_repository_git_says_so(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="git cannot be asked"):
        commits_between(tmp_path, "")


@pytest.mark.parametrize(
    ("environ", "tag"),
    [
        ({"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.0.0"}, "v1.0.0"),
        ({"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "v1.0.0"}, ""),
        ({"CI_COMMIT_TAG": "v1.0.0"}, "v1.0.0"),
        ({}, ""),
    ],
)
def test_the_tag_that_a_ci_service_builds(environ: dict[str, str], tag: str) -> None:
    assert ci_tag(environ) == tag
