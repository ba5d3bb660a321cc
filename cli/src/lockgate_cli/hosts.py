"""What an address says of the machine behind it, and whether one may send us on to another.

Whoever answers can name any address, and a machine that copies a repository often stands where
others cannot reach. What is fetched there is verified and told to nobody, but asking alone can do
something on a machine that trusts its neighbours. So:

1. A redirect is followed to http or https, from https never to http, and a few times at most.
2. A host of the Internet sends nobody to a machine of an inner network: this machine, a private
   network, the addresses that clouds give out secrets at. Who copies from such a network is sent
   about in it.

A name is looked up for that, and again by the connection; who answers differently the second time
gets past rule 2. It takes rights in the name's zone, and a firewall is the answer to it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from lockgate_release.errors import RepositoryError

__all__ = ["MOST_REDIRECTS", "check_redirect", "is_loopback", "look_up"]

MOST_REDIRECTS = 5


def is_loopback(url: str) -> bool:
    """Whether `url` is an address on this machine, going by its host alone."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def look_up(host: str) -> list[str]:
    """Return the addresses of a host, or none where nobody here knows the name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # A proxy may know it; else the connection says that nobody does.
        return []
    return [str(item[4][0]) for item in found]


def check_redirect(source: str, target: str, look_up: Callable[[str], list[str]] = look_up) -> None:
    """Return when who was asked at `source` may send us to `target` (rules 1 and 2).

    Raises:
        RepositoryError: It may not.
    """
    wanted = {"https"} if urlsplit(source).scheme == "https" else {"http", "https"}
    if urlsplit(target).scheme not in wanted or not urlsplit(target).hostname:
        raise _refused(source, target, " or ".join(sorted(wanted)))
    if _is_inside(target, look_up) and not _is_inside(source, look_up):
        raise _refused(source, target, "a host of the Internet")


def _refused(source: str, target: str, expected: str) -> RepositoryError:
    return RepositoryError(
        "redirected to where no repository may send",
        subject=source,
        expected=expected,
        found=repr(target[:200]),
        hint="Copy from that address itself, if it is yours.",
    )


def _is_inside(url: str, look_up: Callable[[str], list[str]]) -> bool:
    """Whether a host is of this machine or an inner network, as far as can be told."""
    return any(not _parse(text).is_global for text in look_up(urlsplit(url).hostname or ""))


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    # The zone of a link-local address is no part of it.
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
