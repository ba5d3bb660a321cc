"""The order of versions, by the scheme the app's maintainers have signed into its policy.

Two schemes: SemVer 2.0.0 (through `semver`) and PEP 440 (through `packaging`). Build metadata
takes no part in SemVer's order: `1.0.0+a` and `1.0.0+b` compare equal, so only one can be live.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, total_ordering
from typing import Any, assert_never

from lockgate_release.errors import VersionError

__all__ = ["Version", "VersionScheme", "is_version_text"]

# Versions become folder names and URL path parts, so they keep to this alphabet in both schemes.
_TEXT = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.+!_-]{0,62}[0-9A-Za-z])?")


def is_version_text(text: str) -> bool:
    """Whether `text` may stand where a version does: its alphabet and length, not its scheme."""
    return _TEXT.fullmatch(text) is not None and ".." not in text


class VersionScheme(StrEnum):
    """How an app's versions are written and ordered."""

    SEMVER = "semver"
    PEP440 = "pep440"

    def parse(self, text: str) -> Version:
        """Return `text` as a version of this scheme.

        Raises:
            VersionError: It is not one, or uses characters that cannot stand in a path.
        """
        if not is_version_text(text):
            raise VersionError(
                "not a version",
                expected=f"{self._example()}, 1 to 64 of A-Z a-z 0-9 . + ! _ -",
                found=repr(text[:80]),
            )
        return Version(text=text, scheme=self, _key=self._order_key(text))

    def _example(self) -> str:
        return "SemVer such as 1.4.2" if self is VersionScheme.SEMVER else "PEP 440 such as 1.4.2"

    # The libraries are imported here and not above: each client pays only for its app's scheme.
    def _order_key(self, text: str) -> Any:  # noqa: ANN401 (each library has its own ordered type)
        match self:
            case VersionScheme.SEMVER:
                import semver  # noqa: PLC0415 (as above)

                try:
                    return semver.Version.parse(text).replace(build=None)
                except ValueError as exc:
                    raise self._refuse(text) from exc
            case VersionScheme.PEP440:
                from packaging.version import InvalidVersion  # noqa: PLC0415
                from packaging.version import Version as Pep440Version  # noqa: PLC0415

                try:
                    return Pep440Version(text)
                except InvalidVersion as exc:
                    raise self._refuse(text) from exc
            case _:
                assert_never(self)

    def _refuse(self, text: str) -> VersionError:
        return VersionError("not a version", expected=self._example(), found=repr(text))


@total_ordering
@dataclass(frozen=True, eq=False, kw_only=True)
class Version:
    """One version, ordered among those of its scheme. Equal means equal in order, not in text."""

    text: str
    scheme: VersionScheme
    _key: Any = field(repr=False)

    def __str__(self) -> str:
        """Return the version as it was written."""
        return self.text

    def __eq__(self, other: object) -> bool:
        """Whether both stand at the same place in the order."""
        if not isinstance(other, Version):
            return NotImplemented
        return bool(self.scheme is other.scheme and self._key == other._key)

    def __hash__(self) -> int:
        """Agree with `==`."""
        return hash((self.scheme, self._hashable))

    def __lt__(self, other: Version) -> bool:
        """Whether this version comes first.

        Raises:
            ValueError: The versions are of different schemes.
        """
        if self.scheme is not other.scheme:
            raise ValueError(f"{self.scheme} and {other.scheme} versions have no common order")
        return bool(self._key < other._key)

    @cached_property
    def _hashable(self) -> object:
        return self._key.to_tuple() if self.scheme is VersionScheme.SEMVER else self._key

    @property
    def is_prerelease(self) -> bool:
        """Whether the scheme calls this version a pre-release."""
        if self.scheme is VersionScheme.SEMVER:
            return bool(self._key.prerelease)
        return bool(self._key.is_prerelease)
