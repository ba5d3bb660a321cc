"""A cache between a client and the public app that is as stale as it is allowed to be.

It implements the updater's `Transport`. What the server calls immutable is kept for ever; the
pointer is handed out for `pointer` after it was fetched, however often it was replaced since; that
there is no such file is said for `missing` after the server said so once.

    cache = StaleCache(ask=ask, now=lambda: scene.now, pointer=…, missing=…)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from lockgate_release.errors import TransportError
from lockgate_release.trust.verify import NotFoundError

__all__ = ["SITE", "Answer", "StaleCache"]

SITE = "http://cached.test"


@dataclass(frozen=True)
class Answer:
    """What the server said, and when."""

    status: int
    body: bytes
    at: datetime


@dataclass(frozen=True)
class _Body:
    start: int
    chunks: Iterator[bytes]


@dataclass
class StaleCache:
    """Answers from what it holds, for as long as that is allowed; else it asks, and keeps.

    Attributes:
        ask: Asks the server for a path; returns the status and the body.
        now: What time it is.
        pointer: For how long `timestamp.json` is kept.
        missing: For how long it is kept that a file is not there.
        asked: The paths that went through to the server.
    """

    ask: Callable[[str], tuple[int, bytes]]
    now: Callable[[], datetime]
    pointer: timedelta
    missing: timedelta
    asked: list[str] = field(default_factory=list)
    server_time: datetime | None = None
    _kept: dict[str, Answer] = field(default_factory=dict)

    def __call__(self, url: str) -> Iterator[bytes]:
        return self.open(url).chunks

    def open(self, url: str, **_: int | None) -> _Body:
        """Answer a request; with the whole file."""
        path = urlsplit(url).path
        found = self._kept.get(path)
        if found is None or self.now() - found.at >= self._kept_for(path, found):
            found = self._fetch(path)
        if found.status == 404:
            raise NotFoundError("no such file", subject=path)
        if found.status != 200:
            raise TransportError("the server failed", subject=path, found=str(found.status))
        return _Body(0, (data for data in (found.body,)))

    def close(self) -> None:
        """Nothing to give back."""

    def _fetch(self, path: str) -> Answer:
        self.asked.append(path)
        status, body = self.ask(path)
        found = Answer(status=status, body=body, at=self.now())
        self._kept[path] = found
        return found

    def _kept_for(self, path: str, found: Answer) -> timedelta:
        if found.status == 404:
            return self.missing
        return self.pointer if path.endswith("/timestamp.json") else timedelta.max
