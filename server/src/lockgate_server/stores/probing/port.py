"""Experiments on any object store, through the port that the server uses it by."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from lockgate_release.errors import UsageError
from lockgate_server.ports import (
    Always,
    Condition,
    Etag,
    IfAbsent,
    IfMatch,
    LostRaceError,
    ObjectStore,
)
from lockgate_server.stores.probing.findings import Experiment, LackingError, expect
from lockgate_server.stores.probing.races import run_race

__all__ = ["PortProbe"]

_MAX_CLOCK_S = 60
_MAX_WRITERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PortProbe:
    """Experiments on keys that begin alike; none of them is there at first.

    Attributes:
        store: What is asked.
        prefix: What every key begins with.
        now: The present.
        racers: How many writers there are in a race.
        rounds: How many races there are.
        large_bytes: Size of an object that does not fit into one part, in bytes.
    """

    store: ObjectStore
    prefix: str
    now: Callable[[], datetime]
    racers: int = 16
    rounds: int = 10
    large_bytes: int = (16 << 20) + 1

    def at_start(self) -> list[Experiment]:
        """Return the few that decide whether a server may run."""
        return [
            _needed(
                "create-only", "create only where nothing is (If-None-Match)", self.create_only
            ),
            _needed("replace-only", "replace only what was read (If-Match)", self.replace_only),
        ]

    def races(self) -> list[Experiment]:
        """Return those that need many requests at the same moment."""
        return [
            _needed("create-race", "one winner when many create", self.race_to_create),
            _needed("replace-race", "one winner when many replace", self.race_to_replace),
        ]

    def all(self) -> list[Experiment]:
        """Return every one."""
        return [
            _needed("round-trip", "write, read and remove", self.round_trip),
            *self.at_start(),
            *self.races(),
            _needed("range", "read a range", self.read_range),
            _needed("list", "list what was just written, in order", self.list_in_order),
            _needed("large", "take large objects in parts", self.large_object),
            _needed("copy", "copy inside the store", self.copy),
            Experiment(
                code="clock",
                name="a clock like this machine's",
                is_needed=False,
                run=self.clock,
            ),
        ]

    def round_trip(self) -> str:
        """Write, read, remove."""
        key = f"{self.prefix}object"
        etag = self.store.put(key, b"first", Always(), content_type="text/plain")
        expect(self._read(key) == b"first", "the bytes that are read are not those written")
        info = self.store.head(key)
        expect(info is not None and info.etag == etag, "a read has another ETag than the write")
        self.store.put(key, b"second", Always())
        expect(self._read(key) == b"second", "an old state is read after a write")
        self.store.delete(key)
        expect(self._read(key) is None, "an object is read after it was removed")
        self.store.delete(key)
        return "reads see the last write at once"

    def create_only(self) -> str:
        """Create, and create again."""
        key = f"{self.prefix}create"
        self.store.put(key, b"first", IfAbsent())
        expect(self._is_refused(key, IfAbsent()), "the second write was taken as well")
        expect(self._read(key) == b"first", "refused, and written all the same")
        return "the second write is refused"

    def replace_only(self) -> str:
        """Replace the newest state, an older one, and nothing."""
        key = f"{self.prefix}replace"
        old = self.store.put(key, b"first", Always())
        try:
            self.store.put(key, b"second", IfMatch(old))
        except LostRaceError as exc:
            raise LackingError(f"the ETag in force is refused ({exc.found})") from exc
        expect(self._read(key) == b"second", "accepted, and not written")
        expect(self._is_refused(key, IfMatch(old)), "an ETag that is no longer in force is taken")
        expect(self._read(key) == b"second", "refused, and written all the same")
        missing = f"{self.prefix}missing"
        expect(self._is_refused(missing, IfMatch(Etag("0" * 32))), "it replaces what is not there")
        return "only the newest state is replaced"

    def race_to_create(self) -> str:
        """Let many create the same object."""

        def one_round(number: int) -> int:
            return run_race(
                self.store, f"{self.prefix}create-race-{number}", IfAbsent(), self.racers
            )

        return self._rounds(one_round)

    def race_to_replace(self) -> str:
        """Let many replace the same state."""

        def one_round(number: int) -> int:
            key = f"{self.prefix}replace-race-{number}"
            etag = self.store.put(key, b"before", Always())
            return run_race(self.store, key, IfMatch(etag), self.racers)

        return self._rounds(one_round)

    def _rounds(self, one_round: Callable[[int], int]) -> str:
        # Rounds are about different keys; a store that makes writers of one key wait does not
        # make those of another wait too.
        with ThreadPoolExecutor(max(1, _MAX_WRITERS // self.racers)) as pool:
            ended = list(pool.map(partial(_try_round, one_round), range(self.rounds)))
        broken = [said for said in ended if isinstance(said, str)]
        if broken:
            worst = max(broken, key=lambda said: (len(said), said))
            raise LackingError(f"{worst}; wrong in {len(broken)} of {self.rounds} rounds")
        won = sum(said for said in ended if isinstance(said, int))
        expect(won > 0, "nobody ever won")
        return f"one of {self.racers} won in {won} of {self.rounds} rounds, never more"

    def read_range(self) -> str:
        """Read the middle, the end, and beyond."""
        key = f"{self.prefix}range"
        self.store.put(key, b"0123456789", Always())
        expect(self._read(key, 2, 5) == b"234", "the middle is not what was asked for")
        expect(self._read(key, 7) == b"789", "the end is not what was asked for")
        try:
            self._read(key, 10)
        except UsageError:
            return "the middle, the end, and nothing beyond"
        raise LackingError("there is something beyond the end")

    def list_in_order(self) -> str:
        """Write, list, remove, list."""
        names = [f"{self.prefix}list-{name}" for name in ("b", "a.b", "a-b", "B", "a_b", "a0")]
        for name in names:
            self.store.put(name, b"x", Always())
        found = [info.key for info in self.store.list(f"{self.prefix}list-")]
        expect(set(found) >= set(names), "a list lacks what was just written")
        expect(found == sorted(names), "a list is in another order than that of the bytes")
        self.store.delete(names[0])
        found = [info.key for info in self.store.list(f"{self.prefix}list-")]
        expect(names[0] not in found, "a list holds what was just removed")
        return "complete, and in the order of the bytes"

    def large_object(self) -> str:
        """Write a stream that does not fit into one part."""
        key = f"{self.prefix}large"
        self.store.put(key, io.BytesIO(bytes(self.large_bytes)), IfAbsent())
        info = self.store.head(key)
        expect(info is not None and info.size_bytes == self.large_bytes, "it has another size")
        expect(self._read(key, self.large_bytes - 1) == b"\0", "its end cannot be read")
        return f"{self.large_bytes} bytes"

    def copy(self) -> str:
        """Copy, and copy again."""
        source, target = f"{self.prefix}source", f"{self.prefix}target"
        self.store.put(source, b"bytes", Always())
        self.store.copy(source, target, IfAbsent())
        expect(self._read(target) == b"bytes", "the copy has other bytes")
        try:
            self.store.copy(source, target, IfAbsent())
        except LostRaceError:
            return "without the bytes passing through here"
        raise LackingError("the second copy was made as well")

    def clock(self) -> str:
        """Compare the time of a write with this machine's."""
        key = f"{self.prefix}clock"
        before = self.now().replace(microsecond=0)
        self.store.put(key, b"", Always())
        info = self.store.head(key)
        if info is None:
            raise LackingError("what was written is not there")
        # S3 tells the time in whole seconds.
        off_s = round((info.modified_at - before).total_seconds())
        found = f"{abs(off_s)} s {'ahead' if off_s > 0 else 'behind'}"
        expect(abs(off_s) <= _MAX_CLOCK_S, f"{found}: addresses may be dead when they are made")
        return found if abs(off_s) > 1 else "the same"

    def _read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        found = self.store.open(key, start=start, stop=stop)
        if found is None:
            return None
        with found:
            return found.read()

    def _is_refused(self, key: str, condition: Condition) -> bool:
        try:
            self.store.put(key, b"refused", condition)
        except LostRaceError:
            return True
        return False


def _try_round(one_round: Callable[[int], int], number: int) -> int | str:
    """Return how many won, or what was wrong."""
    try:
        return one_round(number)
    except LackingError as exc:
        return str(exc)


def _needed(code: str, name: str, run: Callable[[], str]) -> Experiment:
    return Experiment(code=code, name=name, is_needed=True, run=run)
