"""The list of what garbage collection is removing at this moment, and why no writer builds on it.

1. Collection writes the list, then moves the pointer, and only then removes. When it is through,
   it takes the list away.
2. A writer reads the state first and the list second. Whoever read the state before the pointer
   moved loses the race for it; whoever read it later sees the list, or finds the objects gone.
3. So nothing that is on the list can come into force, however long either of them is paused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lockgate_release.errors import ConflictError, RepositoryError
from lockgate_release.instants import format_instant
from lockgate_release.layout import condemned_key
from lockgate_release.names import AppName
from lockgate_release.strict_json import dump_json, parse_json
from lockgate_server.ports import Etag, ObjectStore
from lockgate_server.services.objects import read_object

__all__ = ["MAX_CONDEMNED", "CondemnedList", "check_spared", "parse_condemned", "read_condemned"]

MAX_CONDEMNED = 20_000
"""How many objects stand on the list at most; what is beyond waits for the next round."""

_TYPE = "lockgate.condemned"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondemnedList:
    """What is being removed.

    Attributes:
        app: The app.
        since: When the list was written.
        keys: The keys.
        run: Tells the run that wrote it from every other, in hexadecimal.
    """

    app: AppName
    since: datetime
    keys: frozenset[str]
    run: str = ""

    def to_bytes(self) -> bytes:
        """Return the list as it is stored."""
        return dump_json(
            {
                "_type": _TYPE,
                "app": self.app,
                "since": format_instant(self.since),
                "run": self.run,
                "keys": sorted(self.keys),
            }
        )


def parse_condemned(app: AppName, data: bytes) -> CondemnedList:
    """Return the list in `data`.

    Raises:
        DocumentError: It is none.
    """
    fields = parse_json(data, subject=condemned_key(app))
    return CondemnedList(
        app=app,
        since=fields.instant("since"),
        keys=frozenset(fields.texts("keys", most=2 * MAX_CONDEMNED)),
        run=fields.text("run", max_length=64),
    )


def read_condemned(store: ObjectStore, app: AppName) -> tuple[CondemnedList, Etag] | None:
    """Return the list that stands, and the etag it was read under, or None where nothing goes.

    Raises:
        RepositoryError: It is malformed, or too large to be one.
        TransportError: The store cannot be reached.
    """
    found = read_object(store, condemned_key(app))
    return None if found is None else (parse_condemned(app, found.data), found.etag)


def check_spared(store: ObjectStore, app: AppName, keys: Iterable[str]) -> None:
    """Refuse to build on objects that are being removed (rule 2). Read the state before.

    Raises:
        ConflictError: One of them is, or the list is spoilt.
        TransportError: The store cannot be reached.
    """
    wanted = frozenset(keys)
    try:
        found = read_condemned(store, app) if wanted else None
    except RepositoryError as exc:
        raise ConflictError(
            "the list of what is being removed is spoilt",
            subject=condemned_key(app),
            found=str(exc)[:300],
            hint="Run the same command again in a minute: the server's worker puts the list right. "
            "So does lockgate-server gc. Somebody else than Lockgate has written to the store.",
        ) from exc
    if found is None:
        return
    lost = sorted(found[0].keys.intersection(wanted))
    if lost:
        raise ConflictError(
            "being removed at this moment, because nothing in force named it",
            subject=lost[0],
            expected="an object that stays",
            hint="Run the same command again in a minute: it will be uploaded anew. Where that "
            "does not help, lockgate-server gc finishes a collection that broke off.",
        )
