"""What a release of Lockgate must have before it is built: a clean tree, a version, notes."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

from lockgate_cli.noting.changelog import notes_from_changelog, sections_of
from lockgate_cli.noting.tags import version_in_tag
from lockgate_release.errors import UsageError
from lockgate_release.names import AppName
from lockgate_release.versions import VersionScheme
from releasing.building import ROOT, ReleaseError

__all__ = ["check_tag", "check_tree", "notes", "version"]

_SCHEME = VersionScheme.SEMVER


def version(root: Path = ROOT) -> str:
    """Return the version that the distributions have.

    Raises:
        ReleaseError: It is no SemVer.
    """
    found: str = tomllib.loads((root / "release" / "pyproject.toml").read_text())["project"][
        "version"
    ]
    try:
        _SCHEME.parse(found)
    except UsageError as exc:
        raise ReleaseError(str(exc)) from exc
    return found


def check_tree(root: Path = ROOT) -> str:
    """Return the commit that is checked out; refuse files that differ from it.

    Raises:
        ReleaseError: Something was changed and not committed.
    """
    changed = _git(root, "status", "--porcelain")
    if changed:
        raise ReleaseError(f"not committed:\n{changed}")
    return _git(root, "rev-parse", "HEAD")


def check_tag(root: Path = ROOT) -> str:
    """Return the release tag of what is checked out, or "" where none has been set yet.

    Raises:
        ReleaseError: A tag here names another version than the distributions have.
    """
    tags = [tag for tag in _git(root, "tag", "--points-at", "HEAD").split() if tag.startswith("v")]
    for tag in tags:
        if version_in_tag(tag, AppName("lockgate")) != version(root):
            raise ReleaseError(f"the tag {tag} is here, and the distributions say {version(root)}")
    return tags[0] if tags else ""


def notes(root: Path = ROOT, *, closed: bool = False) -> str:
    """Return the notes of the release to come, out of `CHANGELOG.md`.

    Args:
        root: The repository.
        closed: The section must have the version; otherwise what is unreleased will do.

    Raises:
        ReleaseError: There are none.
    """
    text = (root / "CHANGELOG.md").read_text()
    parsed = _SCHEME.parse(version(root))
    sections = sections_of(text, _SCHEME)
    if not closed and not any(section.version == parsed for section in sections):
        body = next((section.body for section in sections if section.version is None), "")
        if body.strip():
            return body + "\n"
    try:
        return notes_from_changelog(text, parsed, subject="CHANGELOG.md")
    except UsageError as exc:
        raise ReleaseError(str(exc)) from exc


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ReleaseError(done.stderr.strip())
    return done.stdout.strip()
