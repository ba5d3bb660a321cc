"""Notes and the least version out of conventional commits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_cli.noting.commits import (
    Commit,
    Step,
    check_step,
    notes_from_commits,
    read_commit,
    step_of,
)
from lockgate_release.errors import UsageError
from lockgate_release.versions import VersionScheme

SEMVER = VersionScheme.SEMVER


@pytest.mark.parametrize(
    ("message", "commit"),
    [
        ("feat: a door", Commit(kind="feat", scope="", text="a door")),
        ("Fix(api):  twice", Commit(kind="fix", scope="api", text="twice")),
        ("feat!: new door", Commit(kind="feat", scope="", text="new door", breaking="new door")),
        ("Merge the branch", Commit(kind="", scope="", text="Merge the branch")),
        ("feat:no space", Commit(kind="", scope="", text="feat:no space")),
        (
            "fix(io): close\n\nWhy.\n\nBREAKING CHANGE: read returns\n  bytes\nReviewed-by: Z",
            Commit(kind="fix", scope="io", text="close", breaking="read returns bytes"),
        ),
        ("chore: x\n\nBREAKING-CHANGE: no more", Commit(
            kind="chore", scope="", text="x", breaking="no more")),
    ],
)  # fmt: skip
def test_a_message_is_read_as_the_convention_has_it(message: str, commit: Commit) -> None:
    assert read_commit(message) == commit


def test_what_breaks_is_told_first_and_what_is_internal_not_at_all() -> None:
    said = notes_from_commits(
        map(
            read_commit,
            (
                "fix: a leak",
                "chore: tidy",
                "feat(ui): a button",
                "feat!: another button",
                "refactor: y\n\nBREAKING CHANGE: z is gone",
                "Words without a type",
                "fix: a leak",
            ),
        )
    )
    assert said == (
        "### Breaking\n\n- another button\n- z is gone\n\n### Added\n\n- **ui**: a button\n\n"
        "### Fixed\n\n- a leak\n\n### Changed\n\n- Words without a type\n"
    )


def test_commits_that_users_do_not_notice_make_no_notes() -> None:
    assert notes_from_commits([read_commit("docs: words"), read_commit("ci: faster")]) == ""


@pytest.mark.parametrize(
    ("before", "message", "version", "least"),
    [
        ("1.4.2", "fix: x", "1.4.3", ""),
        ("1.4.2", "feat: x", "1.5.0", ""),
        ("1.4.2", "feat: x", "1.4.3", "1.5.0"),
        ("1.4.2", "feat!: x", "1.5.0", "2.0.0"),
        ("1.4.2", "feat!: x", "2.0.0", ""),
        ("1.4.2", "feat!: x", "2.0.0-rc.1", ""),
        ("1.4.2", "feat!: x", "1.5.0-rc.1", "2.0.0"),
        ("0.4.2", "feat!: x", "0.5.0", ""),
        ("0.4.2", "feat!: x", "0.4.3", "0.5.0"),
        ("0.4.2", "feat: x", "0.4.3", ""),
    ],
)
def test_a_version_is_at_least_what_its_commits_make_it(
    before: str, message: str, version: str, least: str
) -> None:
    commits = [read_commit("fix: y"), read_commit(message)]
    if not least:
        check_step(SEMVER.parse(before), SEMVER.parse(version), commits)
        return
    with pytest.raises(UsageError, match=f"at least {least}"):
        check_step(SEMVER.parse(before), SEMVER.parse(version), commits)


def test_pep440_versions_are_held_to_the_same_steps() -> None:
    pep440 = VersionScheme.PEP440
    check_step(pep440.parse("1.4"), pep440.parse("1.5rc1"), [read_commit("feat: x")])
    with pytest.raises(UsageError, match=r"at least 1\.5\.0"):
        check_step(pep440.parse("1.4"), pep440.parse("1.4.1"), [read_commit("feat: x")])


@given(st.text())
def test_no_message_breaks_the_reader(message: str) -> None:
    commit = read_commit(message)
    assert step_of([commit]) in Step
    notes_from_commits([commit])
