"""What a service tells systemd, over its socket, in the words of `sd_notify(3)`."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["Notifier"]


class Notifier:
    """Talks to the service manager, or to nobody where there is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Find the manager's socket, and how often it wants to hear of us, in `environ`."""
        address = environ.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with @, and begins with a zero byte.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = environ.get("WATCHDOG_USEC", "") if is_ours else ""
        usec = int(watchdog) if watchdog.isascii() and watchdog.isdigit() else 0
        self.ping_every_s: float | None = usec / 2_000_000 if usec else None

    def say(self, **fields: str | int) -> None:
        """Send fields such as `READY=1`. Whether anybody hears it changes nothing here."""
        if not self._address:
            return
        # One line a field: what a server has said must not become a field of its own.
        lines = (f"{name}={' '.join(str(value).split())[:500]}" for name, value in fields.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            # A manager that does not read must not stop the service.
            wire.settimeout(0)
            wire.sendto("\n".join(lines).encode(), self._address)
