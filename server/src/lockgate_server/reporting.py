"""How reports are taken in: whether at all, from whom they come, and how much one block may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, TypeAlias

from lockgate_release.errors import UsageError
from lockgate_release.names import format_percentage, parse_percentage

__all__ = ["Network", "Reporting", "read_reporting"]

Name: TypeAlias = Literal["report_intake", "report_share", "trusted_proxies"]
Network: TypeAlias = IPv4Network | IPv6Network

_ON, _OFF = "on", "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """How reports are taken in.

    Attributes:
        is_on: Whether they are.
        share_bp: The share of an arm that one block of addresses may be, in basis points; 0: as
            many as nobody can tell from chance.
        trusted_proxies: Whose `X-Forwarded-For` is believed.
    """

    is_on: bool = True
    share_bp: int = 0
    trusted_proxies: tuple[Network, ...] = ()

    def to_environ(self) -> Mapping[str, str]:
        """Return it as `read_reporting` finds it in an environment."""
        return {
            "LOCKGATE_REPORT_INTAKE": _ON if self.is_on else _OFF,
            "LOCKGATE_REPORT_SHARE": format_percentage(self.share_bp) if self.share_bp else "",
            "LOCKGATE_TRUSTED_PROXIES": " ".join(map(str, self.trusted_proxies)),
        }


def read_reporting(say: Callable[[Name], str | None]) -> Reporting:
    """Return what the settings say; `say` returns the value of one, or nothing.

    Raises:
        UsageError: One makes no sense.
    """
    intake = say("report_intake") or _ON
    if intake not in {_ON, _OFF}:
        raise UsageError(
            "neither on nor off", subject="report_intake", expected="on or off", found=repr(intake)
        )
    share = say("report_share")
    share_bp = parse_percentage(share) if share else 0
    if share and not share_bp:
        raise UsageError(
            "a share of nobody", subject="report_share", expected="0.01% to 100%", found=repr(share)
        )
    return Reporting(
        is_on=intake == _ON,
        share_bp=share_bp,
        trusted_proxies=tuple(
            _read_network(text) for text in (say("trusted_proxies") or "").split()
        ),
    )


def _read_network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as exc:
        raise UsageError(
            "not an address or a network",
            subject="trusted_proxies",
            expected="such as 192.0.2.7 or 10.0.0.0/8, separated by spaces",
            found=repr(text[:80]),
        ) from exc
