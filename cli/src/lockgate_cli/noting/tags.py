"""What git knows: which tag names which version, and what was committed between two of them.

Reads with the program `git`, in the folder where the command runs. Writes nothing.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lockgate_cli.noting.commits import Commit, read_commit
from lockgate_release.errors import LocalError, UsageError, VersionError
from lockgate_release.names import AppName
from lockgate_release.versions import Version, VersionScheme

__all__ = ["check_tag", "ci_tag", "commits_between", "newest_before", "version_in_tag"]

_MOST_COMMITS = 10_000
_SAFE = re.compile(r"[^-\s~^:?*\[\\\x00-\x1f][^\s~^:?*\[\\\x00-\x1f]*")


def ci_tag(environ: Mapping[str, str]) -> str:
    """Return the tag that a CI service says it builds, or "": GitHub's, Gitea's and GitLab's."""
    if environ.get("GITHUB_REF_TYPE") == "tag":
        return environ.get("GITHUB_REF_NAME", "")
    return environ.get("CI_COMMIT_TAG", "")


def version_in_tag(tag: str, app: AppName) -> str:
    """Return the version in a tag: `1.4.2` or `v1.4.2`, also after `APP-`, `APP/` or `APP@`."""
    for joint in ("-", "/", "@"):
        tag = tag.removeprefix(f"{app}{joint}")
    return tag[1:] if re.match(r"v[0-9]", tag) else tag


def check_tag(folder: Path, tag: str, version: str, app: AppName) -> None:
    """Refuse to publish anything but what a tag names.

    Args:
        folder: In the repository.
        tag: Its name.
        version: The release.
        app: The app, as tags may name it too.

    Raises:
        UsageError: The tag names another version or commit, does not exist, or files differ.
        LocalError: git cannot be asked.
    """
    said = version_in_tag(tag, app)
    if said != version:
        raise UsageError(
            "the tag names another version",
            subject=tag,
            expected=f"v{version}, {version}, or {app}-v{version}",
            found=said,
        )
    if _SAFE.fullmatch(tag) is None:
        raise UsageError("not a tag", subject=repr(tag[:80]))
    tagged = _ask(folder, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
    if not tagged:
        raise UsageError(
            "no such tag here",
            subject=tag,
            hint="Fetch it: git fetch --tags; or make it: git tag -s.",
        )
    head = _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if head != tagged:
        raise UsageError(
            "the tag names another commit than the one that is checked out",
            subject=tag,
            expected=tagged[:12],
            found=head[:12],
        )
    changed = _ask(folder, "status", "--porcelain", "--untracked-files=no")
    if changed:
        raise UsageError(
            "files differ from what the tag names",
            subject=tag,
            found=", ".join(line[3:] for line in changed.splitlines()[:3]),
            hint="Build and publish from a clean checkout.",
        )


def newest_before(folder: Path, version: Version, app: AppName) -> tuple[str, Version] | None:
    """Return the tag of the newest release below this one that leads to HEAD, and its version.

    Pre-releases are passed over: what a release brings, it brings since the release before it.

    Raises:
        LocalError: git cannot be asked.
    """
    found = []
    for tag in _ask(folder, "tag", "--merged", "HEAD").splitlines():
        known = _parse(version.scheme, version_in_tag(tag, app))
        if known is not None and known < version and not known.is_prerelease:
            found.append((known, tag))
    if not found:
        return None
    newest = max(known for known, _ in found)
    return next((tag, known) for known, tag in found if known == newest)


def _parse(scheme: VersionScheme, text: str) -> Version | None:
    try:
        return scheme.parse(text)
    except VersionError:
        return None


def commits_between(folder: Path, since: str) -> tuple[Commit, ...]:
    """Return what was committed after `since` up to HEAD, oldest first, merges left out.

    Args:
        folder: In the repository.
        since: A tag or another name of a commit; "" takes everything.

    Raises:
        UsageError: There is no such commit.
        LocalError: git cannot be asked.
    """
    span = "HEAD"
    if since:
        known = _SAFE.fullmatch(since) and _ask(
            folder, "rev-parse", "--verify", "--quiet", f"{since}^{{commit}}"
        )
        if not known:
            raise UsageError("no such commit here", subject=since, hint="git fetch --tags")
        span = f"{known}..HEAD"
    told = _ask(
        folder, "log", "--no-merges", "--reverse", f"--max-count={_MOST_COMMITS}",
        "--format=%B%x00", span, "--",
    )  # fmt: skip
    return tuple(read_commit(text) for text in told.split("\x00") if text.strip())


def _ask(folder: Path, *arguments: str) -> str:
    """Return what git prints, or "" where it quietly says no.

    Raises:
        LocalError: It is not installed, or this is no repository.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 (the git that a person has)
            cwd=folder,
            capture_output=True,
            check=False,
        )
    except OSError as exc:
        raise LocalError("git cannot be asked", subject="git", found=exc.strerror or "") from exc
    complaint = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0 and complaint:
        raise LocalError(
            "git cannot be asked", subject=str(folder), found=complaint.splitlines()[0][:200]
        )
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
