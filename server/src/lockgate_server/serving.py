"""How the public is served: from where, and what is signed for copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from lockgate_release.durations import format_duration, parse_duration
from lockgate_release.errors import UsageError

__all__ = ["Serving", "read_serving"]

Name: TypeAlias = Literal["public_url", "artifacts", "mirror_valid_for"]
_PROXY, _REDIRECT = "proxy", "redirect"
_DEFAULT_LIMIT_S = 90 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How the public is served.

    Attributes:
        public_url: The address above the apps' folders at which clients find the files, such as a
            CDN's, without a slash at its end; or "": nobody said.
        redirects_artifacts: Whether who asks for an artifact here is sent there.
        mirror_limit_s: For how long a copy's state may be signed at most, in seconds.
    """

    public_url: str = ""
    redirects_artifacts: bool = False
    mirror_limit_s: int = _DEFAULT_LIMIT_S

    def to_environ(self) -> Mapping[str, str]:
        """Return it as `read_serving` finds it in an environment."""
        return {
            "LOCKGATE_PUBLIC_URL": self.public_url,
            "LOCKGATE_ARTIFACTS": _REDIRECT if self.redirects_artifacts else _PROXY,
            "LOCKGATE_MIRROR_VALID_FOR": format_duration(self.mirror_limit_s),
        }


def read_serving(say: Callable[[Name], str | None]) -> Serving:
    """Return what the settings say; `say` returns the value of one, or nothing.

    Raises:
        UsageError: One makes no sense.
    """
    public_url = (say("public_url") or "").rstrip("/")
    parts = urlsplit(public_url)
    if public_url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise UsageError(
            "not a web address",
            subject="public_url",
            expected="an address such as https://releases.example.com",
            found=repr(public_url),
        )
    artifacts = say("artifacts") or _PROXY
    if artifacts not in {_PROXY, _REDIRECT}:
        raise UsageError(
            "not a way to serve",
            subject="artifacts",
            expected=f"{_PROXY} or {_REDIRECT}",
            found=repr(artifacts),
        )
    if artifacts == _REDIRECT and not public_url:
        raise UsageError("nowhere to redirect to", subject="artifacts", expected="a public_url")
    limit = say("mirror_valid_for")
    return Serving(
        public_url=public_url,
        redirects_artifacts=artifacts == _REDIRECT,
        mirror_limit_s=parse_duration(limit) if limit else _DEFAULT_LIMIT_S,
    )
