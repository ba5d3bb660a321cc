"""Which experiments are made on which store, and that nothing of them stays.

1. Everything is written below `health/probe/`, under a name of its own for each run, and removed
   at the end; what a run that was killed has left is removed by the first one a day later.
2. A server makes the short probe at each start: two experiments, and on a bucket two small races.
   It costs about 80 small requests and no memory of it is kept, because a bucket's settings change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from lockgate_release.errors import LockgateError
from lockgate_server.ports import Always, ObjectStore
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.probing.findings import Experiment, Finding, carry_out, refuse_weak
from lockgate_server.stores.probing.port import PortProbe

__all__ = ["Surroundings", "check_store", "refuse_weak_store"]

_ROOT = "health/probe/"
_LEFT_OVER = timedelta(days=1)
_RACERS_AT_START, _ROUNDS_AT_START = 8, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a probe takes from outside.

    Attributes:
        run: A name for the run that no other run has, of hex digits.
        now: The present.
        sleep: Waits so many seconds.
    """

    run: str
    now: Callable[[], datetime]
    sleep: Callable[[float], None]


def check_store(store: ObjectStore, around: Surroundings) -> Iterator[Finding]:
    """Yield everything that can be found out about a store, as it is found.

    Raises:
        TransportError: The store does not answer at all.
        LocalError: The store cannot be asked: no credentials, no bucket.
    """
    with _own_prefix(store, around) as prefix:
        experiments = PortProbe(store=store, prefix=prefix, now=around.now).all()
        yield from carry_out([*experiments, *_of_bucket(store, prefix, around)])


def refuse_weak_store(store: ObjectStore, subject: str, around: Surroundings) -> None:
    """Return when a server may run on a store.

    Raises:
        WeakStoreError: The store lacks something that is needed.
        TransportError: The store does not answer.
        LocalError: The store cannot be asked.
    """
    with _own_prefix(store, around) as prefix:
        # A disk that is full, or a right that is missing, says so itself: it is no weakness.
        store.put(f"{prefix}write", b"", Always())
        probe = PortProbe(
            store=store,
            prefix=prefix,
            now=around.now,
            racers=_RACERS_AT_START,
            rounds=_ROUNDS_AT_START,
        )
        # In a directory the operating system decides races; its promises need no proof.
        races = [] if isinstance(store, DirectoryStore) else probe.races()
        refuse_weak(list(carry_out([*probe.at_start(), *races])), subject)


def _of_bucket(store: ObjectStore, prefix: str, around: Surroundings) -> list[Experiment]:
    if isinstance(store, DirectoryStore):
        return []
    # boto3 is slow to import, which a directory need not pay for.
    from lockgate_server.stores.probing.s3 import S3Probe  # noqa: PLC0415
    from lockgate_server.stores.s3 import S3Store  # noqa: PLC0415

    if not isinstance(store, S3Store):
        return []
    return S3Probe(bucket=store.bucket, prefix=prefix, sleep=around.sleep).all()


@contextmanager
def _own_prefix(store: ObjectStore, around: Surroundings) -> Iterator[str]:
    """Yield what keys may begin with, and leave none of them behind."""
    prefix = f"{_ROOT}{around.run}-"
    before = around.now() - _LEFT_OVER
    for info in list(store.list(_ROOT)):
        if info.modified_at < before:
            store.delete(info.key)
    try:
        yield prefix
    finally:
        # What cannot be removed now is removed by another run.
        with suppress(LockgateError):
            for info in list(store.list(prefix)):
                store.delete(info.key)
