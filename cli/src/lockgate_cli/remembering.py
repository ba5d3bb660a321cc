"""How far each app had got when it was last read here, so that an older state is noticed.

1. What is remembered is read before the state is: read later, it could be newer than an honest
   state, for another run may publish in between.
2. Nothing is signed on top of a state in which root, targets or the list of releases has a lower
   number than one that was verified here, or that was signed here and accepted.
3. What the online key said (timestamp and snapshot) counts only while root names that key: a thief
   who drives these numbers up stops nobody for longer than the key lives.
4. A machine without a place for this remembers nothing, and says nothing about it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lockgate_cli.context import Call
from lockgate_cli.repository import Base, FileReader, load_base, read_chain
from lockgate_release.digests import digest_bytes
from lockgate_release.errors import LocalError, StaleMirrorError
from lockgate_release.names import AppName
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.roles import Role

__all__ = [
    "Remembered",
    "check_not_older",
    "join_remembered",
    "load_newest_base",
    "note_signed",
    "numbers_of",
    "read_newest_chain",
]

_OFFLINE = ("root", "targets", "releases")
_ONLINE = ("timestamp", "snapshot")
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The highest numbers that were verified, 0 where none was.

    Attributes:
        online_key: The id of the key that timestamp and snapshot were signed with; of several,
            one after the other.
    """

    root: int = 0
    targets: int = 0
    releases: int = 0
    timestamp: int = 0
    snapshot: int = 0
    online_key: str = ""


def numbers_of(chain: Chain) -> Remembered:
    """Return how far a verified state has got."""
    numbers = {name: getattr(chain, name).version for name in (*_OFFLINE, *_ONLINE)}
    return Remembered(**numbers, online_key=_online_key(chain))


def _online_key(chain: Chain) -> str:
    return " ".join(chain.online_key_ids())


def join_remembered(one: Remembered, other: Remembered) -> Remembered:
    """Return the higher of the numbers; of the online key's, those of `other`'s key (rule 3)."""
    numbers = {name: max(getattr(one, name), getattr(other, name)) for name in _OFFLINE}
    same = one.online_key == other.online_key
    for name in _ONLINE:
        numbers[name] = max(getattr(one, name) if same else 0, getattr(other, name))
    return Remembered(**numbers, online_key=other.online_key)


def check_not_older(app: AppName, remembered: Remembered, found: Remembered, path: Path) -> None:
    """Refuse a state that lies before one that is remembered (rules 2 and 3).

    Raises:
        StaleMirrorError: It does.
    """
    same = remembered.online_key == found.online_key
    for name in (*_OFFLINE, *_ONLINE) if same else _OFFLINE:
        newest, current = getattr(remembered, name), getattr(found, name)
        if current < newest:
            raise StaleMirrorError(
                "an older state than was verified here before",
                subject=f"{app}: {name}",
                expected=f"at least {newest}",
                found=str(current),
                hint="The server's files were put back, or a cache on the way is old. Nothing is "
                "signed on top of it: bring the newest files back. Only if the older state is "
                f"meant to stand, remove {path}.",
            )


def load_newest_base(call: Call, api: FileReader, app: AppName, pinned: bytes) -> Base:
    """Return the app's verified state, which is none that was left behind here before.

    Raises:
        RepositoryError: It cannot be verified, or is older than one that was.
        TransportError: It could not be fetched.
        LocalError: What is remembered cannot be read.
    """
    path = _path_of(call, app, pinned)
    remembered = _load(path)
    base = load_base(api, app, pinned, now=call.around.now())
    _keep(app, path, remembered, numbers_of(base.chain))
    return base


def read_newest_chain(call: Call, api: FileReader, app: AppName, pinned: bytes) -> Chain:
    """Return the app's verified metadata, however old; but none that was left behind here before.

    Raises:
        RepositoryError: It cannot be verified, or is older than one that was.
        TransportError: It could not be fetched.
        LocalError: What is remembered cannot be read.
    """
    path = _path_of(call, app, pinned)
    remembered = _load(path)
    chain = read_chain(api, app, pinned, now=None)
    _keep(app, path, remembered, numbers_of(chain))
    return chain


def note_signed(call: Call, base: Base, role: str = Role.RELEASES.value) -> None:
    """Remember that the list of releases that follows `base` was signed here, and accepted.

    Of a further role's list nothing is remembered: the server holds its number against its own.

    Raises:
        LocalError: What is remembered cannot be read.
    """
    if role != Role.RELEASES:
        return
    path = _path_of(call, base.app, call.pinned_root())
    accepted = Remembered(
        releases=base.chain.releases.version + 1, online_key=_online_key(base.chain)
    )
    _store(path, join_remembered(_load(path), accepted))


def _keep(app: AppName, path: Path | None, remembered: Remembered, found: Remembered) -> None:
    if path is None:
        return
    check_not_older(app, remembered, found, path)
    # Read again: another run may have come further meanwhile.
    newest = _load(path)
    if newest.online_key == found.online_key or newest == remembered:
        _store(path, join_remembered(newest, found))


def _path_of(call: Call, app: AppName, pinned: bytes) -> Path | None:
    said = call.settings.get("memory")
    folder = call.settings.path(said) if said else _default_folder(call.around.environ)
    return folder and folder / f"{app}-{digest_bytes(pinned)[:_DIGITS]}.json"


def _default_folder(environ: Mapping[str, str]) -> Path | None:
    # Source: XDG Base Directory Specification 0.8: a relative XDG_STATE_HOME says nothing.
    said, home = Path(environ.get("XDG_STATE_HOME", "")), Path(environ.get("HOME", ""))
    if said.is_absolute():
        return said / "lockgate" / "seen"
    return home / ".local" / "state" / "lockgate" / "seen" if home.is_absolute() else None


def _load(path: Path | None) -> Remembered:
    if path is None:
        return Remembered()
    try:
        found = json.loads(path.read_bytes())
        known = {name.name: found[name.name] for name in fields(Remembered)}
    except FileNotFoundError:
        return Remembered()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise _unreadable(path, str(exc)) from exc
    numbers = [known[name] for name in (*_OFFLINE, *_ONLINE)]
    if not isinstance(known["online_key"], str) or not all(type(n) is int for n in numbers):
        raise _unreadable(path, "other types")
    return Remembered(**known)


def _unreadable(path: Path, found: str) -> LocalError:
    return LocalError(
        "what was verified before cannot be read",
        subject=str(path),
        found=found,
        hint="Remove it if it is damaged; the next run begins it anew.",
    )


def _store(path: Path | None, newest: Remembered) -> None:
    if path is None:
        return
    # Where nothing can be kept, nothing is remembered: that must not stop a publish.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as stream:
            json.dump(asdict(newest), stream)
        Path(stream.name).replace(path)
