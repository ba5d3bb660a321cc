"""Caches between a client and the public app that are as stale as they are allowed to be.

It implements the updater's `Transport`. What the server calls immutable is kept for ever; the
pointer is handed out for `pointer` after it was fetched, however often it was replaced since; that
there is no such file is said for `missing` after the server said so once.

    cache = StaleCache(ask=ask, now=lambda: scene.now, pointer=…, missing=…)

`ManyNodes` is worse: a network of caches of which each request meets another one, so that answers
are old independently of each other, and may go back and forth.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from lockgate_release.errors import TransportError
from lockgate_release.trust.verify import NotFoundError
from tests.simulators.memory_store import MemoryObject

__all__ = ["SITE", "Answer", "History", "ManyNodes", "StaleCache"]

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


class History(dict[str, MemoryObject]):
    """The objects of a `MemoryStore`, which knows what each one was before, and from when on."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now
        self.written: dict[str, list[tuple[datetime, bytes]]] = {}

    def __setitem__(self, key: str, item: MemoryObject) -> None:
        super().__setitem__(key, item)
        self.written.setdefault(key, []).append((self._now(), item.data))


@dataclass
class ManyNodes:
    """Each request is answered by a cache of its own, as stale as chance will have it.

    Attributes:
        history: What the server has ever held.
        now: What time it is.
        pointer: For how long `timestamp.json` is handed out after it was replaced.
        missing: For how long a root may be called missing after it was written.
        chance: Decides.
    """

    history: History
    now: Callable[[], datetime]
    pointer: timedelta
    missing: timedelta
    chance: random.Random
    server_time: datetime | None = None

    def __call__(self, url: str) -> Iterator[bytes]:
        return self.open(url).chunks

    def open(self, url: str, **_: int | None) -> _Body:
        """Answer with any of the bytes that some cache may still have."""
        key = urlsplit(url).path.removeprefix("/")
        answers = list(self._possible(key))
        found = self.chance.choice(answers) if answers else None
        if found is None:
            raise NotFoundError("no such file", subject=key)
        return _Body(0, (data for data in (found,)))

    def _possible(self, key: str) -> Iterator[bytes | None]:
        written = self.history.written.get(key, [])
        kept = self.pointer if key.endswith("/timestamp.json") else timedelta(0)
        for (_, data), (replaced_at, _) in itertools.pairwise(written):
            if replaced_at + kept > self.now():
                yield data
        if written:
            yield written[-1][1]
        if key.endswith(".root.json") and written and written[0][0] + self.missing > self.now():
            yield None

    def close(self) -> None:
        """Nothing to give back."""
