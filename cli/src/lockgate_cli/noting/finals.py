"""The release that a pre-release leads to, and the three numbers of a version."""

from __future__ import annotations

import re

from lockgate_release.versions import Version, VersionScheme

__all__ = ["final_of", "numbers_of"]

_NUMBERS = re.compile(r"(?:[0-9]+!)?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?")


def final_of(version: Version) -> Version:
    """Return the version without what makes it a pre-release; a release is its own.

    `1.4.0-rc.1` leads to `1.4.0`, PEP 440's `1.4.0rc1` and `1.4.0.dev3` too.
    """
    if not version.is_prerelease:
        return version
    if version.scheme is VersionScheme.SEMVER:
        return version.scheme.parse(re.split(r"[-+]", version.text)[0])
    from packaging.version import Version as Pep440Version  # noqa: PLC0415 (for this scheme only)

    return version.scheme.parse(Pep440Version(version.text).base_version)


def numbers_of(version: Version) -> tuple[int, int, int]:
    """Return major, minor and patch; what is not written is 0. An epoch is left out."""
    found = _NUMBERS.match(version.text)
    assert found is not None
    major, minor, patch = (int(number or 0) for number in found.groups())
    return major, minor, patch
