"""A release's section of a changelog, as [Keep a Changelog](https://keepachangelog.com) has it.

A section begins with a heading of the first to third level that holds a version, and ends where
the next one begins: `## [1.4.2] - 2026-05-04`, `## v1.4.2`, `## 1.4.2 (2026-05-04)`,
`### [1.4.2](https://…)`. `## [Unreleased]` is one too. Headings in fenced code are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lockgate_cli.noting.finals import final_of
from lockgate_release.errors import UsageError, VersionError
from lockgate_release.versions import Version, VersionScheme

__all__ = ["Section", "notes_from_changelog", "sections_of"]

_HEADING = re.compile(r"(?P<marks>#{1,3})\s+(?P<text>\S.*?)\s*#*\s*")
_NAME = re.compile(r"(?P<open>\[)?(?:v(?=[0-9]))?(?P<name>[0-9A-Za-z][0-9A-Za-z.+!_-]*)")
_FENCE = re.compile(r"\s{0,3}(?P<marks>`{3,}|~{3,})")
_REFERENCE = re.compile(r"\s{0,3}\[[^\]]+\]:\s+\S+.*")
_UNRELEASED = "unreleased"
_YANKED = "[yanked]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of a changelog.

    Attributes:
        heading: As it is written, without the marks.
        version: The version that it speaks of, or None for what is unreleased.
        body: What stands below the heading, without empty lines around it.
    """

    heading: str
    version: Version | None
    body: str

    @property
    def is_yanked(self) -> bool:
        """Whether the heading takes the release back."""
        return self.heading.lower().endswith(_YANKED)


def sections_of(text: str, scheme: VersionScheme) -> tuple[Section, ...]:
    """Return the sections of a changelog, in its order; what stands before the first is no one's.

    Args:
        text: The file, Markdown.
        scheme: How the app's versions are written.
    """
    sections: list[Section] = []
    for heading, version, lines in _split(text, scheme):
        sections.append(Section(heading=heading, version=version, body=_trim(lines)))
    return tuple(sections)


def _split(text: str, scheme: VersionScheme) -> Iterator[tuple[str, Version | None, list[str]]]:
    begun: tuple[str, Version | None] | None = None
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        found = None
        if fence:
            fence = "" if line.strip().startswith(fence) else fence
        elif opened := _FENCE.match(line):
            fence = opened["marks"]
        else:
            found = _read_heading(line, scheme)
        if found is None:
            lines.append(line)
            continue
        if begun is not None:
            yield *begun, lines
        begun, lines = found, []
    if begun is not None:
        yield *begun, lines


def _read_heading(line: str, scheme: VersionScheme) -> tuple[str, Version | None] | None:
    """Return a section's heading and version, or None where this line begins no section."""
    heading = _HEADING.fullmatch(line)
    name = heading and _NAME.match(heading["text"])
    if heading is None or name is None:
        return None
    if name["name"].lower() == _UNRELEASED:
        return heading["text"], None
    # `### 3 more fixes` is a heading within a section, also where `3` is a version.
    if len(heading["marks"]) == 3 and not name["open"]:
        return None
    try:
        return heading["text"], scheme.parse(name["name"])
    except VersionError:
        return None


def _trim(lines: list[str]) -> str:
    """Return the lines as a text, without empty lines around it and link definitions at its end."""
    last = len(lines)
    while last and (not lines[last - 1].strip() or _REFERENCE.fullmatch(lines[last - 1])):
        last -= 1
    return "\n".join(lines[:last]).strip("\n")


def notes_from_changelog(text: str, version: Version, *, subject: str) -> str:
    """Return what a changelog says of a release, ending with a newline.

    A pre-release that has no section takes that of the release it leads to, or what is unreleased;
    a release takes its own and no other.

    Args:
        text: The changelog.
        version: The release.
        subject: The file, for messages.

    Raises:
        UsageError: It says nothing of this release, or twice, or that it was yanked.
    """
    sections = sections_of(text, version.scheme)
    found = [section for section in sections if section.version == version]
    if not found and version.is_prerelease:
        final = final_of(version)
        found = [section for section in sections if section.version == final]
        found = found or [section for section in sections if section.version is None]
    if not found:
        raise UsageError(
            "the changelog has no section of this release",
            subject=subject,
            expected=f"a heading such as ## [{version}] - 2026-05-04",
            found=", ".join(section.heading for section in sections[:5]) or "no section",
            hint="Give what is unreleased its version and date before it is published.",
        )
    if len(found) > 1:
        raise UsageError(
            "the changelog has two sections of this release",
            subject=subject,
            found=", ".join(section.heading for section in found),
        )
    if found[0].is_yanked:
        raise UsageError(
            "the changelog says that this release was yanked",
            subject=subject,
            found=found[0].heading,
        )
    if not found[0].body.strip():
        raise UsageError(
            "the changelog's section of this release is empty",
            subject=subject,
            found=found[0].heading,
        )
    return found[0].body + "\n"
