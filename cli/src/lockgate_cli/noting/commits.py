"""Notes from commits that follow [Conventional Commits](https://www.conventionalcommits.org) 1.0.

`feat` and `fix` say what users get, and so do `perf`, `security` and `revert`; `docs`, `chore`,
`ci`, `test`, `build`, `style` and `refactor` are not told to them. What breaks is told first,
whatever its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from lockgate_cli.noting.finals import final_of, numbers_of
from lockgate_release.errors import UsageError
from lockgate_release.versions import Version

__all__ = ["Commit", "Step", "check_step", "notes_from_commits", "read_commit", "step_of"]

_HEADER = re.compile(
    r"(?P<type>[A-Za-z]+)(?:\((?P<scope>[^()\n]*)\))?(?P<mark>!)?: +(?P<text>\S.*)"
)
_BREAKING = re.compile(r"BREAKING[ -]CHANGE: +(?P<text>.+)")
_FOOTER = re.compile(r"(?:[A-Za-z-]+|BREAKING CHANGE)(?:: | #).*")
_TITLES = {
    "feat": "Added",
    "fix": "Fixed",
    "perf": "Faster",
    "security": "Security",
    "revert": "Taken back",
}
_OTHER = "Changed"
_UNTOLD = frozenset({"build", "chore", "ci", "docs", "refactor", "style", "test"})


class Step(IntEnum):
    """By how much a version must grow."""

    PATCH = 0
    MINOR = 1
    MAJOR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit as it says itself.

    Attributes:
        kind: Its type in lower case; empty where it follows no convention.
        scope: What it is about, or "".
        text: What it does.
        breaking: What it breaks, or "".
    """

    kind: str
    scope: str
    text: str
    breaking: str = ""


def read_commit(message: str) -> Commit:
    """Return what a commit's message says."""
    header, _, rest = message.strip().partition("\n")
    found = _HEADER.fullmatch(header.strip())
    if found is None:
        return Commit(kind="", scope="", text=header.strip())
    breaking = _read_breaking(rest) or (found["text"] if found["mark"] else "")
    return Commit(
        kind=found["type"].lower(),
        scope=(found["scope"] or "").strip(),
        text=found["text"].strip(),
        breaking=breaking,
    )


def _read_breaking(rest: str) -> str:
    """Return the footer that tells what breaks, its further lines included, or ""."""
    told: list[str] = []
    for line in rest.splitlines():
        if begun := _BREAKING.fullmatch(line.strip()):
            told.append(begun["text"])
        elif told and (not line.strip() or _FOOTER.fullmatch(line)):
            break
        elif told:
            told.append(line.strip())
    return " ".join(told)


def notes_from_commits(commits: Iterable[Commit]) -> str:
    """Return the notes as Markdown, ending with a newline; "" where nothing is told to users."""
    groups: dict[str, list[str]] = {}
    for commit in commits:
        for title, line in _told(commit):
            lines = groups.setdefault(title, [])
            if line not in lines:
                lines.append(line)
    order = ("Breaking", *_TITLES.values(), _OTHER)
    parts = [
        "\n".join((f"### {title}", "", *(f"- {line}" for line in groups[title])))
        for title in order
        if title in groups
    ]
    return "\n\n".join(parts) + "\n" if parts else ""


def _told(commit: Commit) -> Iterator[tuple[str, str]]:
    """Yield under which title a commit is told, and how."""
    scope = f"**{commit.scope}**: " if commit.scope else ""
    if commit.breaking:
        yield "Breaking", scope + commit.breaking
        if commit.breaking == commit.text:
            return
    if commit.kind not in _UNTOLD:
        yield _TITLES.get(commit.kind, _OTHER), scope + commit.text


def step_of(commits: Iterable[Commit]) -> Step:
    """Return by how much the version must grow, by Semantic Versioning."""
    most = Step.PATCH
    for commit in commits:
        if commit.breaking:
            return Step.MAJOR
        if commit.kind == "feat":
            most = Step.MINOR
    return most


def check_step(before: Version, version: Version, commits: Iterable[Commit]) -> None:
    """Refuse a version that says less than its commits do.

    Below 1.0.0 anything may break, as Semantic Versioning has it: a break is a minor step there,
    and a new feature a patch. A pre-release is held to the release that it leads to.

    Args:
        before: The release before, no pre-release.
        version: The release.
        commits: What lies between them.

    Raises:
        UsageError: It must grow by more.
    """
    step = step_of(commits)
    old = numbers_of(before)
    if old[0] == 0:
        step = Step(max(step - 1, 0))
    least = {
        Step.MAJOR: (old[0] + 1, 0, 0),
        Step.MINOR: (old[0], old[1] + 1, 0),
        Step.PATCH: (old[0], old[1], old[2] + 1),
    }[step]
    if numbers_of(final_of(version)) < least:
        raise UsageError(
            f"the commits since {before} make a {step.name.lower()} step",
            subject="--version",
            expected=f"at least {'.'.join(map(str, least))}",
            found=str(version),
            hint="A commit with ! or BREAKING CHANGE breaks; one of type feat adds.",
        )
