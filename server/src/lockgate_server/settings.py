"""Where one server keeps things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from lockgate_release.durations import format_duration, parse_duration
from lockgate_release.errors import UsageError
from lockgate_server.backing import Backing
from lockgate_server.patience import Patience
from lockgate_server.reporting import Reporting
from lockgate_server.serving import Serving

__all__ = [
    "ServerSettings",
    "UploadRoute",
    "parse_daily",
    "parse_grace",
    "parse_start_needs",
    "parse_upload_route",
]


class UploadRoute(StrEnum):
    """Which way artifacts come."""

    AUTO = "auto"
    DIRECT = "direct"
    SERVER = "server"


def parse_upload_route(text: str | None) -> UploadRoute:
    """Return which way artifacts come; nothing said means `auto`.

    Raises:
        UsageError: It is no such way.
    """
    try:
        return UploadRoute(text or UploadRoute.AUTO)
    except ValueError as exc:
        expected = ", ".join(UploadRoute)
        raise UsageError(
            "not a way for uploads", subject="uploads", expected=expected, found=repr(text)
        ) from exc


def parse_daily(text: str | None) -> bool:
    """Return whether garbage is collected every day; nothing said means that it is not.

    Raises:
        UsageError: It is neither `daily` nor `off`.
    """
    if text not in {None, "", "off", "daily"}:
        raise UsageError("not a rule", subject="gc", expected="daily or off", found=repr(text))
    return text == "daily"


def parse_grace(text: str | None) -> timedelta:
    """Return how old an object must be before it is collected; nothing said means 7 days.

    Raises:
        UsageError: It is no span of time.
    """
    return timedelta(seconds=parse_duration(text)) if text else timedelta(days=7)


def parse_start_needs(text: str | None) -> int:
    """Return how many people it takes to start what was stopped; nothing said means one.

    Raises:
        UsageError: It is neither 1 nor 2.
    """
    if text not in {None, "", "1", "2"}:
        raise UsageError(
            "not a number of people", subject="start_needs", expected="1 or 2", found=repr(text)
        )
    return int(text or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where a server keeps things.

    Attributes:
        data: Its folder: database, keys, and files unless `storage` says otherwise.
        storage: The address of the object store, or "" for a folder below `data`.
        uploads: Which way artifacts come: straight to the store where that can be done (`auto`),
            in no other way (`direct`), or always through this server (`server`).
        gc_daily: Whether the worker collects garbage once a day.
        gc_grace: How old an object must be before it is collected.
        start_needs: How many people it takes to start what was stopped, 1 or 2.
        serving: How the public is served.
        reporting: How reports are taken in.
        backing: How backups are made.
        patience: For how long caches are waited for when keys change.
    """

    data: Path
    storage: str = ""
    uploads: UploadRoute = UploadRoute.AUTO
    gc_daily: bool = False
    gc_grace: timedelta = timedelta(days=7)
    start_needs: int = 1
    serving: Serving = field(default_factory=Serving)
    reporting: Reporting = field(default_factory=Reporting)
    backing: Backing = field(default_factory=Backing)
    patience: Patience = field(default_factory=Patience)

    def to_environ(self) -> Mapping[str, str]:
        """Return what the settings say, but for the folder, as an environment says it."""
        return {
            "LOCKGATE_STORAGE": self.storage,
            "LOCKGATE_UPLOADS": self.uploads.value,
            "LOCKGATE_GC": "daily" if self.gc_daily else "off",
            "LOCKGATE_START_NEEDS": str(self.start_needs),
            "LOCKGATE_GC_GRACE": format_duration(int(self.gc_grace.total_seconds())),
            **self.serving.to_environ(),
            **self.reporting.to_environ(),
            **self.backing.to_environ(),
            **self.patience.to_environ(),
        }

    @property
    def store_address(self) -> str:
        """The address of the object store."""
        return self.storage or f"{(self.data / 'objects').resolve().as_uri()}"

    @property
    def ledger_path(self) -> Path:
        """The database's file."""
        return self.data / "ledger.sqlite3"

    @property
    def reports_path(self) -> Path:
        """The file of report counts."""
        return self.data / "reports.sqlite3"

    @property
    def restore_file(self) -> Path:
        """What is there while a backup is being restored into the folder."""
        return self.data / "restoring.json"

    @property
    def backup_file(self) -> Path:
        """Where it stands how the newest backup by the worker went."""
        return self.data / "backup.json"

    @property
    def run_file(self) -> Path:
        """Where the addresses of a running server stand."""
        return self.data / "run.json"
