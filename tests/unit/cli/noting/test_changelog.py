"""A release's notes out of a changelog: its own section, all of it, and nobody else's."""

import pytest

from lockgate_cli.noting.changelog import notes_from_changelog, sections_of
from lockgate_release.errors import UsageError
from lockgate_release.versions import VersionScheme

SEMVER, PEP440 = VersionScheme.SEMVER, VersionScheme.PEP440
CHANGELOG = """\
# Changelog

All notable changes. Versions such as 1.0.0 are explained elsewhere.

## [Unreleased]

- Not yet.

## [1.4.0] - 2026-05-04

### Added

- A button.

```
## [9.9.9] is what a heading looks like
```

### 3 fixes

- One.

## v1.3.0

- Older.

## 1.2.0 (2026-01-02) [YANKED]

- Broken.

## [1.1.0](https://releases.example.com/1.1.0)

## 1.0.0
First.

[Unreleased]: https://releases.example.com/compare
[1.4.0]: https://releases.example.com/1.4.0
"""


def notes(version: str, text: str = CHANGELOG, scheme: VersionScheme = SEMVER) -> str:
    return notes_from_changelog(text, scheme.parse(version), subject="CHANGELOG.md")


def refusal(version: str, text: str = CHANGELOG) -> str:
    with pytest.raises(UsageError) as caught:
        notes(version, text)
    return str(caught.value)


def test_the_section_ends_where_the_next_release_begins() -> None:
    said = notes("1.4.0")
    assert said.startswith("### Added\n\n- A button.\n")
    assert said.endswith("### 3 fixes\n\n- One.\n")


def test_a_heading_in_fenced_code_is_text() -> None:
    assert "[9.9.9] is what" in notes("1.4.0")
    assert "no section of this release" in refusal("9.9.9")


@pytest.mark.parametrize("fence", ["```", "````", "~~~"])
def test_a_fence_ends_only_at_its_own_marks(fence: str) -> None:
    text = f"## 2.0.0\n{fence}sh\n## 1.0.0\n{fence}\nafter\n## 1.0.0\nold\n"
    assert notes("2.0.0", text).endswith("after\n")
    assert notes("1.0.0", text) == "old\n"


@pytest.mark.parametrize("version", ["1.3.0", "1.0.0"])
def test_a_heading_needs_no_brackets_and_may_have_a_v(version: str) -> None:
    assert notes(version) in {"- Older.\n", "First.\n"}


def test_definitions_of_links_at_the_end_are_nobodys_notes() -> None:
    assert notes("1.0.0") == "First.\n"


def test_a_release_never_takes_what_is_unreleased() -> None:
    said = refusal("1.5.0")
    assert "[1.5.0]" in said
    assert "[Unreleased], [1.4.0] - 2026-05-04" in said


@pytest.mark.parametrize(
    ("version", "starts"), [("1.5.0-rc.1", "- Not yet."), ("1.4.0-rc.2", "### Added")]
)
def test_a_pre_release_takes_its_releases_section_or_what_is_unreleased(
    version: str, starts: str
) -> None:
    assert notes(version).startswith(starts)


def test_a_pre_release_with_a_section_of_its_own_takes_that() -> None:
    text = "## 2.0.0\nnew\n## 2.0.0-rc.1\nfirst try\n"
    assert notes("2.0.0-rc.1", text) == "first try\n"


def test_a_yanked_release_is_refused() -> None:
    assert "was yanked" in refusal("1.2.0")


def test_an_empty_section_is_refused() -> None:
    assert "is empty" in refusal("1.1.0")


def test_two_sections_of_one_release_are_refused() -> None:
    assert "two sections" in refusal("1.0.0", "## 1.0.0\na\n## [1.0.0]\nb\n")


@pytest.mark.parametrize("version", ["1.4", "1.4.0", "1.4.0.post0"])
def test_versions_are_compared_by_the_apps_scheme(version: str) -> None:
    text = "## [1.4.0]\nnew\n## [1.4.post0]\nagain\n"
    assert notes(version, text, PEP440) == ("again\n" if "post" in version else "new\n")


def test_a_pep440_pre_release_leads_to_its_release() -> None:
    assert notes("2.0rc1", "## 2.0.0\nnew\n", PEP440) == "new\n"


def test_the_third_level_counts_only_where_it_is_a_link() -> None:
    text = "## 2.0.0\nnew\n### [1.9.1](https://releases.example.com)\nold\n"
    found = sections_of(text, SEMVER)
    assert [str(section.version) for section in found] == ["2.0.0", "1.9.1"]


def test_a_changelog_without_sections_says_so() -> None:
    assert "found no section" in refusal("1.0.0", "words\n")
