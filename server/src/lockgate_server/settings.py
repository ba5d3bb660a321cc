"""Where one server keeps things."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lockgate_release.errors import UsageError

__all__ = ["ServerSettings", "UploadRoute", "parse_upload_route"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where a server keeps things.

    Attributes:
        data: Its folder: database, keys, and files unless `storage` says otherwise.
        storage: The address of the object store, or "" for a folder below `data`.
        uploads: Which way artifacts come: straight to the store where that can be done (`auto`),
            in no other way (`direct`), or always through this server (`server`).
    """

    data: Path
    storage: str = ""
    uploads: UploadRoute = UploadRoute.AUTO

    @property
    def store_address(self) -> str:
        """The address of the object store."""
        return self.storage or f"{(self.data / 'objects').resolve().as_uri()}"

    @property
    def ledger_path(self) -> Path:
        """The database's file."""
        return self.data / "ledger.sqlite3"

    @property
    def run_file(self) -> Path:
        """Where the addresses of a running server stand."""
        return self.data / "run.json"
