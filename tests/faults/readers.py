"""Readers who follow the whole chain over the public side, again and again, whatever happens."""

from __future__ import annotations

import http.client
import threading
from typing import Self
from urllib.parse import urlsplit

from lockgate_release.errors import RepositoryError
from lockgate_release.trust.chain import load_chain
from tests.faults.bench import APP
from tests.faults.site import Site

__all__ = ["Readers"]

_READERS = 1
_TIMEOUT_S = 10.0
_PAUSE_S = 0.5


class _UnreachableError(Exception):
    """No answer, or one that says that there is none now: a client asks again later."""


class Readers:
    """Read what clients read. A state that does not verify is a complaint."""

    def __init__(self, site: Site) -> None:
        """Read from the site's first server."""
        self._server = site.servers[0]
        self._root = site.scene.publisher.root
        self._address = urlsplit(self._server.public)
        self._stop = threading.Event()
        self._complaints: list[str] = []
        self._threads = [threading.Thread(target=self._read_on) for _ in range(_READERS)]
        self.verified = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def complaint(self) -> str:
        """Return what a reader met first, or ""."""
        return self._complaints[0] if self._complaints else ""

    def _read_on(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            try:
                load_chain(self._file, self._root, now=None)
                self.verified += 1
            except _UnreachableError:
                continue
            except RepositoryError as exc:
                self._complaints.append(f"a reader met {exc}")

    def _file(self, name: str) -> bytes | None:
        connection = http.client.HTTPConnection(
            str(self._address.hostname), self._address.port, timeout=_TIMEOUT_S
        )
        try:
            connection.request("GET", f"/{APP}/metadata/{name}")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise _UnreachableError from exc
        finally:
            connection.close()
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise _UnreachableError
        return body
