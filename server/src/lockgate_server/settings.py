"""Where one server keeps things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ServerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where a server keeps things.

    Attributes:
        data: Its folder: database, keys, and files unless `storage` says otherwise.
        storage: The address of the object store, or "" for a folder below `data`.
    """

    data: Path
    storage: str = ""

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
