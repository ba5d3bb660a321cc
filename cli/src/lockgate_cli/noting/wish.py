"""What a command line and `[publish]` in the settings say about notes, tag and pre-releases."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from lockgate_cli.context import Call, read_file
from lockgate_cli.defaults import PublishOptions
from lockgate_cli.fields import parse_field
from lockgate_cli.noting.changelog import notes_from_changelog
from lockgate_cli.noting.commits import check_step, notes_from_commits
from lockgate_cli.noting.tags import check_tag, ci_tag, commits_between, newest_before
from lockgate_release.errors import UsageError
from lockgate_release.names import AppName, ChannelName
from lockgate_release.versions import VersionScheme

__all__ = ["ALLOW_PRERELEASE", "NotesWish", "check_prerelease", "takes_notes"]

AUTO = "auto"
"""`--commits auto`: since the newest release below this one."""
CI = "ci"
"""`--tag ci`: the tag that the CI service builds."""
_NO_PRERELEASES = ChannelName("stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesWish:
    """Where the notes come from, at most one of three; the tag; and who takes a pre-release.

    Attributes:
        notes: A file that holds them.
        changelog: A changelog that has a section of the release.
        commits: Since which commit, or `auto`.
        tag: The tag's name, or `ci`.
        allow_prerelease: A pre-release is meant, wherever it goes.
        prereleases: The channels that take pre-releases; None: every one but `stable`.
    """

    notes: str | None = None
    changelog: str | None = None
    commits: str | None = None
    tag: str | None = None
    allow_prerelease: bool = False
    prereleases: tuple[str, ...] | None = None

    def check(self) -> None:
        """Refuse more than one source.

        Raises:
            UsageError: Two were named.
        """
        said = [
            f"--{name}"
            for name in ("notes", "changelog", "commits")
            if getattr(self, name) is not None
        ]
        if len(said) > 1:
            raise UsageError(
                "notes come from one place", subject=" and ".join(said), expected="one of them"
            )

    def over(self, settings: PublishOptions) -> NotesWish:
        """Return these, and what the settings say where these say nothing."""
        says = self.notes or self.changelog or self.commits
        return replace(
            self,
            changelog=self.changelog or (None if says else settings.changelog),
            tag=self.tag or settings.tag,
            prereleases=settings.prereleases,
        )

    def check_channels(
        self, version: str, scheme: VersionScheme, channels: Iterable[ChannelName]
    ) -> None:
        """Refuse a pre-release in a channel that is not said to take them.

        Raises:
            UsageError: It is one, and a channel takes none; or it is no version.
        """
        parse_field("--version", scheme.parse, version)
        if not self.allow_prerelease:
            check_prerelease(version, scheme, channels, self.prereleases)

    def find(self, call: Call, version: str, scheme: VersionScheme) -> str | None:
        """Return the notes, or None where nothing is said of them. Checks the tag first.

        Raises:
            UsageError: The tag, the changelog or the commits do not fit the version.
            VersionError: It is none of the app's scheme.
            LocalError: A file cannot be read, or git not be asked.
        """
        folder = call.around.folder
        if self.tag is not None:
            check_tag(folder, _tag_of(self.tag, call), version, call.app)
        if self.notes is not None:
            return _read_text(folder / self.notes)
        if self.changelog is not None:
            text = _read_text(folder / self.changelog)
            return notes_from_changelog(text, scheme.parse(version), subject=self.changelog)
        if self.commits is not None:
            return _from_commits(folder, self.commits, version, scheme, call.app)
        return None


def _tag_of(said: str, call: Call) -> str:
    if said != CI:
        return said
    tag = ci_tag(call.around.environ)
    if not tag:
        raise UsageError(
            "no tag is being built",
            subject="--tag ci",
            expected="GITHUB_REF_TYPE=tag with GITHUB_REF_NAME, or CI_COMMIT_TAG",
            hint="Outside CI, name the tag: --tag v1.4.2.",
        )
    return tag


def _from_commits(
    folder: Path, said: str, version: str, scheme: VersionScheme, app: AppName
) -> str:
    """Return the notes that the commits make, whose step the version must be."""
    parsed = scheme.parse(version)
    before = newest_before(folder, parsed, app)
    since = said if said != AUTO else before[0] if before else ""
    commits = commits_between(folder, since)
    if before is not None:
        check_step(before[1], parsed, commits_between(folder, before[0]))
    notes = notes_from_commits(commits)
    if not notes:
        raise UsageError(
            "no commit tells users anything",
            subject="--commits",
            found=f"{len(commits)} commits since {since or 'the first'}",
            hint="Say what changed with --notes FILE.",
        )
    return notes


def check_prerelease(
    version: str,
    scheme: VersionScheme,
    channels: Iterable[ChannelName],
    taking: Iterable[str] | None,
) -> None:
    """Refuse a pre-release in a channel that is not said to take them.

    A guard against a slip of the hand, not a matter of trust: what clients demand stands in the
    policy.

    Args:
        version: The release.
        scheme: How versions are written.
        channels: Where it would be offered.
        taking: The channels that take pre-releases; None: every one but `stable`.

    Raises:
        UsageError: It is one, and a channel takes none.
        VersionError: It is no version.
    """
    if not scheme.parse(version).is_prerelease:
        return
    for channel in channels:
        takes = channel != _NO_PRERELEASES if taking is None else channel in taking
        if not takes:
            raise UsageError(
                "a pre-release, and the channel takes none",
                subject=f"{version} in {channel}",
                hint="--allow-prerelease, or `prereleases` in the table [publish], if it is meant.",
            )


ALLOW_PRERELEASE = click.option(
    "--allow-prerelease", is_flag=True, help="Also in a channel that takes no pre-releases."
)
_OPTIONS = (
    click.option("--notes", metavar="FILE", help="What changed, in Markdown."),
    click.option(
        "--changelog", metavar="FILE", help="What changed: the release's section of a changelog."
    ),
    click.option(
        "--commits",
        metavar="SINCE",
        help="What changed: conventional commits since a tag, or `auto`. The version must fit.",
    ),
    click.option(
        "--tag",
        metavar="TAG",
        help="It must name this version and what is checked out; `ci`: the one that CI builds.",
    ),
    ALLOW_PRERELEASE,
)


def takes_notes(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where notes come from, as one value called `noted`."""

    @functools.wraps(function)
    def run(
        *arguments: Any,  # noqa: ANN401 (as click has it)
        notes: str | None,
        changelog: str | None,
        commits: str | None,
        tag: str | None,
        allow_prerelease: bool,
        **options: Any,  # noqa: ANN401
    ) -> None:
        noted = NotesWish(
            notes=notes,
            changelog=changelog,
            commits=commits,
            tag=tag,
            allow_prerelease=allow_prerelease,
        )
        noted.check()
        function(*arguments, noted=noted, **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _read_text(path: Path) -> str:
    data = read_file(path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise UsageError(
            "not UTF-8", subject=str(path), found=f"byte {data[exc.start]:#04x} at {exc.start}"
        ) from exc
