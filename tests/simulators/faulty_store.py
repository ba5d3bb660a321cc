"""An object store that misbehaves by plan, around any other store.

Without a plan it is the store it wraps, and passes the same contract. A fault strikes the calls it
names, before the wrapped store is asked or after it has answered:

    store.plan(time_out(Moment.AFTER, "put", "*/timestamp.json"))   # written, but nobody says so
    store.plan(lose("put", "*/timestamp.json"))                     # somebody else was faster
    store.plan(kill(Moment.BEFORE, WRITE, skip=3))                  # the fourth write never happens
    store.plan(meanwhile("put", "*/timestamp.json", other_writer))  # another writer gets in between
    store.break_off("app/artifacts/*", after_bytes=100)             # a body ends in an error
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import BinaryIO, TypeVar

from lockgate_release.errors import TransportError
from lockgate_server.ports import (
    Condition,
    Etag,
    IfAbsent,
    LostRaceError,
    ObjectInfo,
    ObjectStore,
    StoredObject,
)

T = TypeVar("T")

WRITE = "write"
"""As a fault's verb: `put`, `copy` and `delete` alike, and counted together."""

_WRITES = frozenset({"put", "copy", "delete"})


class Moment(Enum):
    BEFORE = "before"
    AFTER = "after"


class KilledError(BaseException):
    """The process ends here: no code under test may catch it."""


@dataclass
class Fault:
    """What happens at some calls. `skip` of those that fit go well first; then `times` strike."""

    verb: str
    key: str
    moment: Moment
    act: Callable[[str], None]
    skip: int = 0
    times: int = 1

    def fits(self, verb: str, key: str) -> bool:
        same = verb == self.verb or (self.verb == WRITE and verb in _WRITES)
        return same and fnmatchcase(key, self.key)

    def strikes(self, verb: str, key: str, moment: Moment) -> bool:
        """Whether it is this fault's turn. Counts down, so ask once a call."""
        if moment is not self.moment or self.times == 0 or not self.fits(verb, key):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


def time_out(moment: Moment, verb: str, key: str = "*", *, skip: int = 0, times: int = 1) -> Fault:
    """The store does not answer: BEFORE, nothing was done; AFTER, everything was."""

    def act(subject: str) -> None:
        raise TransportError("the object store did not answer", subject=subject)

    return Fault(verb, key, moment, act, skip, times)


def lose(verb: str, key: str = "*", *, skip: int = 0, times: int = 1) -> Fault:
    """The condition does not hold, though nobody has written."""

    def act(subject: str) -> None:
        raise LostRaceError("somebody else wrote it first", subject=subject)

    return Fault(verb, key, Moment.BEFORE, act, skip, times)


def kill(moment: Moment, verb: str, key: str = "*", *, skip: int = 0) -> Fault:
    """The process that calls ends."""

    def act(subject: str) -> None:
        raise KilledError(f"{moment.value} {verb} of {subject}")

    return Fault(verb, key, moment, act, skip)


def meanwhile(
    verb: str,
    key: str,
    act: Callable[[], object],
    *,
    moment: Moment = Moment.BEFORE,
    skip: int = 0,
    times: int = 1,
) -> Fault:
    """Something else happens at that moment, such as another writer's write."""

    def act_once(_: str) -> None:
        act()

    return Fault(verb, key, moment, act_once, skip, times)


@dataclass(frozen=True)
class Call:
    """One call that was made, with its key; for a copy the target's."""

    verb: str
    key: str


@dataclass
class FaultyStore:
    """Every call goes by the plan, and then to `inner`."""

    inner: ObjectStore
    calls: list[Call] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _broken: dict[str, int] = field(default_factory=dict)

    def plan(self, *faults: Fault) -> None:
        """Let these happen, besides what is planned already."""
        self._faults.extend(faults)

    def break_off(self, key: str, *, after_bytes: int) -> None:
        """Let every body of a key that fits end in a TransportError."""
        self._broken[key] = after_bytes

    def heal(self) -> None:
        """Forget the plan."""
        self._faults.clear()
        self._broken.clear()

    def writes(self) -> list[Call]:
        """The calls so far that wanted to change something."""
        return [call for call in self.calls if call.verb in _WRITES]

    def _strike(self, verb: str, key: str, moment: Moment) -> None:
        # All are asked, so that one fault's turn does not stop another from counting.
        for fault in [fault for fault in self._faults if fault.strikes(verb, key, moment)]:
            fault.act(key)

    def _around(self, verb: str, key: str, ask: Callable[[], T]) -> T:
        self.calls.append(Call(verb, key))
        self._strike(verb, key, Moment.BEFORE)
        answer = ask()
        self._strike(verb, key, Moment.AFTER)
        return answer

    def head(self, key: str) -> ObjectInfo | None:
        return self._around("head", key, lambda: self.inner.head(key))

    def open(self, key: str, *, start: int = 0, stop: int | None = None) -> StoredObject | None:
        found = self._around("open", key, lambda: self.inner.open(key, start=start, stop=stop))
        if found is None:
            return None
        for pattern, after_bytes in self._broken.items():
            if fnmatchcase(key, pattern):
                return _BrokenBody(found, after_bytes)
        return found

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        condition: Condition,
        *,
        content_type: str = "application/octet-stream",
        cache_control: str = "no-cache",
    ) -> Etag:
        def ask() -> Etag:
            return self.inner.put(
                key, body, condition, content_type=content_type, cache_control=cache_control
            )

        return self._around("put", key, ask)

    def copy(
        self, source: str, target: str, condition: IfAbsent, *, source_etag: Etag | None = None
    ) -> Etag:
        def ask() -> Etag:
            return self.inner.copy(source, target, condition, source_etag=source_etag)

        return self._around("copy", target, ask)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._around("list", prefix, lambda: self.inner.list(prefix))

    def delete(self, key: str) -> None:
        self._around("delete", key, lambda: self.inner.delete(key))

    def close(self) -> None:
        self.inner.close()


class _BrokenBody:
    """A body that ends in an error, after so many bytes of what was asked for."""

    def __init__(self, inner: StoredObject, after_bytes: int) -> None:
        self.info = inner.info
        self._inner = inner
        self._left = after_bytes

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self, size_bytes: int = 1 << 18) -> Iterator[bytes]:
        for chunk in self._inner.chunks(size_bytes):
            if len(chunk) > self._left:
                yield chunk[: self._left]
                raise TransportError("the object store broke off", subject=self.info.key)
            self._left -= len(chunk)
            yield chunk

    def local_file(self) -> BinaryIO | None:
        return None

    def __enter__(self) -> "_BrokenBody":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._inner.__exit__(*exc_info)
