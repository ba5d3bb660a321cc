"""Where a client keeps everything, what it is configured to be, and how a home is made.

<home>/lockgate.toml, root.json     what this client is, and what it trusts at first
<home>/versions/<version>-<sha8>/   immutable trees
<home>/current -> versions/…        the only pointer
<home>/environments/<version>-<sha8>/   the Python environment of that tree, if it holds wheels
<home>/cache/<version>-<sha8>/      what the program of that tree may write
<home>/state/                       journal, memory, identity, receipts, metadata, downloads, lock

The state folder is treated as hostile: it must belong to us, and no symbolic link in it is
followed. Reads and writes the disk.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lockgate_release.errors import LocalError, UsageError
from lockgate_release.names import (
    AppName,
    ChannelName,
    Platform,
    parse_app_name,
    parse_channel_name,
    parse_platform,
)
from lockgate_release.platforms import current_platform
from lockgate_release.settings import SETTINGS_FILE, Settings, load_settings
from lockgate_updater.fetch.network import Network, parse_address, read_network
from lockgate_updater.state.durable import local_errors, read_own_file, write_durably

__all__ = ["Configuration", "Home", "IfRevoked", "init", "load_configuration"]

DEFAULT_KEEP = 2
_FOLDER_MODE = 0o700
_ROOT_LINK = re.compile(r"root_history/\d+\.root\.json")
_MAX_ROOT_BYTES = 512_000


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one client's home."""

    root: Path

    @classmethod
    def at(cls, folder: Path | str) -> Home:
        """Return the home in `folder`, where `~` is this user's own folder."""
        return cls(Path(folder).expanduser().absolute())

    @property
    def settings(self) -> Path:
        """What this client is."""
        return self.root / SETTINGS_FILE

    @property
    def anchor(self) -> Path:
        """The root that was shipped with the client."""
        return self.root / "root.json"

    @property
    def versions(self) -> Path:
        """The folder of installed trees."""
        return self.root / "versions"

    @property
    def current(self) -> Path:
        """The only pointer to the tree that runs."""
        return self.root / "current"

    @property
    def state(self) -> Path:
        """The folder of records and caches."""
        return self.root / "state"

    @property
    def journal(self) -> Path:
        """The record of what is going on."""
        return self.state / "journal.json"

    @property
    def memory(self) -> Path:
        """What must outlive the cache."""
        return self.state / "memory.json"

    @property
    def identity(self) -> Path:
        """The client's random id."""
        return self.state / "identity.json"

    @property
    def receipts(self) -> Path:
        """What is known of each tree."""
        return self.state / "receipts"

    @property
    def downloads(self) -> Path:
        """Partial downloads."""
        return self.state / "downloads"

    @property
    def cache(self) -> Path:
        """What the programs of trees may write, a folder for each tree."""
        return self.root / "cache"

    @property
    def health(self) -> Path:
        """How the last checks went."""
        return self.state / "health.json"

    @property
    def environments(self) -> Path:
        """The folder of Python environments, one for each tree that holds wheels."""
        return self.root / "environments"

    @property
    def lock(self) -> Path:
        """The lock that every updater of this home takes."""
        return self.state / "lock"

    def tree(self, folder: str) -> Path:
        """Return where the tree called `folder` lies."""
        return self.versions / folder

    def prepare(self) -> None:
        """Make the folders that are missing, and refuse what somebody else has planted.

        Raises:
            LocalError: A folder cannot be made, belongs to somebody else, or holds a link.
        """
        for folder in self._folders():
            with local_errors("cannot be made", folder):
                folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            if self._check_folder(folder) & 0o077:
                with local_errors("cannot be closed to others", folder):
                    folder.chmod(_FOLDER_MODE)
        for path in self._state_entries():
            _refuse_link(path)

    def is_ours(self) -> bool:
        """Whether every folder is there and ours alone, and no link is planted. Changes nothing."""
        try:
            alone = all(self._check_folder(folder) & 0o077 == 0 for folder in self._folders())
            for path in self._state_entries():
                _refuse_link(path)
        except LocalError:
            return False
        return alone

    def _folders(self) -> tuple[Path, ...]:
        return (self.root, self.versions, self.state, self.receipts, self.downloads)

    def _check_folder(self, folder: Path) -> int:
        """Return the folder's mode, if it is a folder of ours."""
        with local_errors("cannot be read", folder):
            found = folder.stat() if folder == self.root else folder.lstat()
            if not stat.S_ISDIR(found.st_mode):
                raise LocalError("not a folder of ours", subject=str(folder), expected="a folder")
            if found.st_uid != os.geteuid():
                raise LocalError(
                    "belongs to somebody else",
                    subject=str(folder),
                    expected=f"owner {os.geteuid()}",
                    found=f"owner {found.st_uid}",
                )
            return stat.S_IMODE(found.st_mode)

    def _state_entries(self) -> Iterator[Path]:
        """Yield everything below the state folder; link-free folders only are entered."""
        pending = [self.state]
        while pending:
            with local_errors("cannot be read", pending[-1]), os.scandir(pending.pop()) as found:
                for item in found:
                    if item.is_dir(follow_symlinks=False):
                        pending.append(Path(item.path))
                    yield Path(item.path)


def _refuse_link(path: Path) -> None:
    if not path.is_symlink():
        return
    # python-tuf keeps one link of its own, to the newest root below the same folder.
    if path.name == "root.json" and path.parent.name == "metadata":
        with local_errors("cannot be read", path):
            try:
                target = os.readlink(path)  # noqa: PTH115 (the link's own words)
            except FileNotFoundError:
                return  # It makes the link anew at each look, also in the updater we wait for.
            if _ROOT_LINK.fullmatch(target):
                return
    raise LocalError(
        "a link where none may be",
        subject=str(path),
        hint="Somebody has planted it: look where it leads, and remove it.",
    )


class IfRevoked(StrEnum):
    """What to do where nothing may run that is at hand."""

    RUN = "run"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What one client is.

    Attributes:
        app: The app. Only the home says it: another app needs another home.
        repository: The address that the app's folder lies below.
        network: Proxy, headers and bandwidth.
        mirrors: Where the same files can be had if they cannot be had there, in this order.
        channel: The channel it follows.
        platform: Its platform tag.
        keep: How many good versions stay on the disk, the current one included, 1 or more.
        pinned: The only version its owner wants, or "".
        skipped: Versions its owner does not want.
        ca: A file of certificate authorities to trust instead of the system's, or "".
        if_revoked: What a start does where all that is at hand is revoked or below the floor.
        quiet_hours: When `watch` installs nothing new, such as `22:00-06:00`, or "".
        check_interval_s: How long `watch` waits between checks at most, in seconds, or None.
    """

    app: AppName
    repository: str
    channel: ChannelName
    platform: Platform
    keep: int = DEFAULT_KEEP
    pinned: str = ""
    skipped: frozenset[str] = frozenset()
    ca: str = ""
    if_revoked: IfRevoked = IfRevoked.RUN
    quiet_hours: str = ""
    check_interval_s: int | None = None
    mirrors: tuple[str, ...] = ()
    network: Network = field(default_factory=Network)

    @property
    def sources(self) -> tuple[str, ...]:
        """The repository, and then its mirrors."""
        return (self.repository, *self.mirrors)

    def addresses_of(self, path: str) -> tuple[str, ...]:
        """Return where a file below the app's folder can be had, in the order to ask."""
        return tuple(f"{source}/{self.app}/{path}" for source in self.sources)


def load_configuration(
    home: Home, environ: Mapping[str, str], flags: Mapping[str, str | None] | None = None
) -> Configuration:
    """Return what the client in `home` is: flags, then environment, then the home's file.

    Raises:
        UsageError: The home was never made, or a setting makes no sense.
        LocalError: The file cannot be read.
    """
    if not home.settings.is_file():
        raise UsageError(
            "no client lives here",
            subject=str(home.root),
            expected=SETTINGS_FILE,
            hint="Make one with: lockgate-updater init --home DIR …",
        )
    said = flags or {}
    settings = load_settings(home.root, environ)
    fixed = Settings(table=settings.table, origin=settings.origin)
    ca = settings.get("ca", said.get("ca")) or ""
    platform = settings.get("platform", said.get("platform"))
    return Configuration(
        app=parse_app_name(fixed.need("app")),
        repository=parse_address(settings.need("repository", said.get("repository"))),
        channel=parse_channel_name(settings.need("channel", said.get("channel"))),
        platform=parse_platform(platform) if platform else current_platform(),
        keep=_read_keep(settings),
        pinned=settings.get("pin", said.get("pin")) or "",
        # An option adds: skipping one version more must not bring another one back.
        skipped=frozenset((*settings.get_all("skip"), *(said.get("skip") or "").split())),
        ca=str(settings.path(ca)) if ca else "",
        mirrors=tuple(map(parse_address, settings.get_all("mirrors"))),
        network=read_network(settings, environ),
        if_revoked=_read_if_revoked(settings),
        quiet_hours=settings.get("quiet_hours") or "",
        check_interval_s=_read_interval(settings),
    )


def _read_if_revoked(settings: Settings) -> IfRevoked:
    text = settings.get("if_revoked") or IfRevoked.RUN
    try:
        return IfRevoked(text)
    except ValueError as exc:
        raise UsageError(
            "wrong setting", subject="if_revoked", expected="run or stop", found=repr(text)
        ) from exc


def _read_interval(settings: Settings) -> int | None:
    value = settings.table.get("check_interval_s")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 60 <= value <= 86_400:
        raise UsageError(
            "wrong setting",
            subject=f"{settings.origin}: check_interval_s",
            expected="seconds from 60 to 86400",
        )
    return value


def _read_keep(settings: Settings) -> int:
    value = settings.table.get("keep", DEFAULT_KEEP)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(
            "wrong setting", subject=f"{settings.origin}: keep", expected="an integer from 1"
        )
    return value


def init(
    folder: Path | str,
    *,
    app: str,
    repository: str,
    channel: str,
    root: bytes,
    client_id: str = "",
) -> None:
    """Make a home for a client; the same again changes nothing.

    Args:
        folder: Where; it is created with mode 0700.
        app: The app's name.
        repository: The address that the app's folder lies below.
        channel: The channel to follow.
        root: The trust anchor: the content of the `root.json` that maintainers hand out.
        client_id: A UUID in lower case, or "" to draw one.

    Raises:
        UsageError: An argument makes no sense, or another client lives there.
        TrustError: `root` is no valid root.
        LocalError: The disk refuses.
    """
    home = Home.at(folder)
    settings = {
        "app": parse_app_name(app),
        "repository": parse_address(repository),
        "channel": parse_channel_name(channel),
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    text = "# What this Lockgate client is.\n" + "".join(lines)
    _check_root(root)
    _refuse_another(home, settings, root)
    home.prepare()
    if client_id:
        _store_client_id(home, client_id)
    if not home.settings.exists():
        write_durably(home.anchor, root)
        write_durably(home.settings, text.encode())


def _check_root(root: bytes) -> None:
    from tuf.api.exceptions import RepositoryError as TufError  # noqa: PLC0415 (init alone needs it)
    from tuf.api.metadata import Metadata, Root  # noqa: PLC0415

    from lockgate_release.errors import TrustError  # noqa: PLC0415

    try:
        found = Metadata[Root].from_bytes(root)
        found.signed.verify_delegate("root", found.signed_bytes, found.signatures)
    except (TufError, AttributeError, ValueError) as exc:
        raise TrustError("not a valid root", subject="root.json", found=str(exc)[:200]) from exc


def _refuse_another(home: Home, settings: Mapping[str, str], root: bytes) -> None:
    if not home.settings.exists():
        return
    table = load_settings(home.root, {}).table
    same = all(table.get(name) == value for name, value in settings.items())
    if not same or read_own_file(home.anchor, limit_bytes=_MAX_ROOT_BYTES) != root:
        raise UsageError(
            "another client lives here",
            subject=str(home.root),
            expected=", ".join(f"{name} {value}" for name, value in settings.items()),
            found=", ".join(f"{name} {table.get(name)}" for name in settings),
            hint="Edit its lockgate.toml, or take another folder.",
        )


def _store_client_id(home: Home, client_id: str) -> None:
    from lockgate_updater.state.identity import machine_identity, store_client_id  # noqa: PLC0415

    store_client_id(home.identity, client_id, machine_identity())
