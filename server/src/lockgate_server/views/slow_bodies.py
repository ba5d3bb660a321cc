"""Bodies that come slowly: how many are waited for at once, and for how long.

The operating system ends a connection that is silent for a minute; a byte now and then is not
silence, and would hold a thread for hours. So strangers' bodies have a deadline as a whole, and are
fewer than the threads: files are served on whatever comes in.

1. Whoever's body is not there when its time is over has its side of the connection shut. The read
   that waits for it ends at once, and the thread is free.
2. No more than so many bodies are read at a time; who comes then is told to come again.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

__all__ = ["BODY_S", "BodyWatch"]

BODY_S: Final = 20.0
"""How long a body of a report may take: 16 KiB at less than 1 KiB/s, in seconds."""

_TICK_S: Final = 1.0


class BodyWatch:
    """Watches over the bodies that one process waits for. Safe to share between threads."""

    def __init__(
        self, *, most: int, monotonic_s: Callable[[], float], limit_s: float = BODY_S
    ) -> None:
        """Begin with none.

        Args:
            most: How many are waited for at once, > 0.
            monotonic_s: A clock that only goes forward, in seconds.
            limit_s: For how long each is, in seconds.
        """
        self._most = most
        self._monotonic_s = monotonic_s
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._open: dict[object, tuple[float, socket.socket | None]] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def begin(self, sock: socket.socket | None) -> object | None:
        """Begin to wait for a body; None where too many are waited for.

        Args:
            sock: Where it comes; None: it is not shut.
        """
        ticket, until = object(), self._monotonic_s() + self._limit_s
        with self._lock:
            if len(self._open) >= self._most:
                return None
            if self._thread is None:
                # Here, and not sooner: a thread does not survive the fork of a process. Kept only
                # once it runs: where none can be had now, the next body asks for it again.
                watching = threading.Thread(target=self._run, name="slow-bodies", daemon=True)
                watching.start()
                self._thread = watching
            self._open[ticket] = (until, sock)
        return ticket

    def end(self, ticket: object) -> bool:
        """Say that nothing is read any more; False where the time was over."""
        with self._lock:
            return self._open.pop(ticket, None) is not None

    def look(self) -> None:
        """Shut the connections of those whose time is over."""
        now = self._monotonic_s()
        with self._lock:
            late = [one for one, (until, _) in self._open.items() if until <= now]
            for ticket in late:
                _, sock = self._open.pop(ticket)
                if sock is not None:
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(min(_TICK_S, self._limit_s)):
            self.look()
