"""A bounded number of threads that do what they are handed, in turn.

Unlike those of `concurrent.futures` they do not hold up the end of the process: somebody who
interrupts a command does not wait for a server that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

__all__ = ["Crew"]

_T = TypeVar("_T")


class Crew:
    """Threads that are started when there is work for them."""

    def __init__(self, threads: int) -> None:
        """Do so many things at once, > 0."""
        self._most = threads
        self._lock = Lock()
        self._threads: list[Thread] = []
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, function: Callable[[], _T]) -> Future[_T]:
        """Have something done when its turn comes; what it returns or raises is the future's."""
        future: Future[_T] = Future()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function()
            except BaseException as exc:  # noqa: BLE001 (it is the future's, not this thread's)
                future.set_exception(exc)
            else:
                future.set_result(result)

        self._work.put(do)
        with self._lock:
            if len(self._threads) < self._most:
                thread = Thread(target=self._run, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def end(self) -> None:
        """Wait until all work is done, and let the threads go."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
