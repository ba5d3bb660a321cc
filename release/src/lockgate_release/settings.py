"""Settings: from flags, then `LOCKGATE_*` in the environment, then `lockgate.toml`.

Reads one file. A command passes what its flags say; a missing value is looked for in the
environment, then in the file; what is in none is None, and the command says what it needs.

Every setting stands in `SettingName`: the type checker holds the code to that list, and a test
holds `docs/reference/settings.md` to it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from lockgate_release.errors import LocalError, UsageError

__all__ = ["SETTINGS_FILE", "SettingName", "Settings", "load_settings"]

SETTINGS_FILE = "lockgate.toml"
_PREFIX = "LOCKGATE_"

SettingName: TypeAlias = Literal[
    # The client
    "app",
    "repository",
    "channel",
    "platform",
    "pin",
    "skip",
    "ca",
    "mirrors",
    "proxy",
    "quiet_hours",
    "if_revoked",
    "reports",
    "reports_url",
    "deltas",
    # CI and maintainers
    "server",
    "token",
    "root",
    "keys",
    "root_keys",
    "memory",
    "upload_parallel",
    # The server
    "log_format",
    "log_level",
    "operation",
    "data",
    "storage",
    "uploads",
    "gc",
    "gc_grace",
    "start_needs",
    "root_waits",
    "key_overlap",
    "listen",
    "api_listen",
    "parts",
    "public_url",
    "artifacts",
    "mirror_valid_for",
    "report_intake",
    "report_share",
    "trusted_proxies",
    "backup_to",
    "backup_every",
    "backup_keep",
    "backup_parts",
]
"""Every setting that environment and file can say alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where values that no flag gave come from.

    Attributes:
        environ: The environment.
        table: What the file holds, by name.
        origin: The file, for messages; relative paths in it are below its folder.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    table: Mapping[str, object] = field(default_factory=dict)
    origin: Path = Path(SETTINGS_FILE)

    def get(self, name: SettingName, flag: str | None = None) -> str | None:
        """Return the value of a text setting, or None.

        Args:
            name: Lower case, such as `server`: `LOCKGATE_SERVER` in the environment.
            flag: What the command line said, if it did.

        Raises:
            UsageError: The file holds something else than a text.
        """
        if flag is not None:
            return flag
        said = self.environ.get(_PREFIX + name.upper())
        if said:
            return said
        value = self.table.get(name)
        if value is not None and not isinstance(value, str):
            raise UsageError(
                "wrong type of setting", subject=f"{self.origin}: {name}", expected="a text"
            )
        return value

    def get_number(self, name: SettingName, flag: str | None = None) -> str | None:
        """Return a setting that is a number, as it was said, or None.

        In the file it is a number, or the same as a text.

        Raises:
            UsageError: The file holds something else.
        """
        value = self.table.get(name)
        is_said_before = flag is not None or bool(self.environ.get(_PREFIX + name.upper()))
        if is_said_before or value is None or isinstance(value, str):
            return self.get(name, flag)
        # In Python, true is a number too.
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(
                "wrong type of setting", subject=f"{self.origin}: {name}", expected="a number"
            )
        return str(value)

    def need(self, name: SettingName, flag: str | None = None) -> str:
        """Return the value of a text setting that the command cannot do without.

        Raises:
            UsageError: It is said nowhere.
        """
        value = self.get(name, flag)
        if not value:
            raise UsageError(
                f"no {name}",
                hint=f"Say --{name.replace('_', '-')}, set {_PREFIX}{name.upper()}, "
                f"or put `{name} = …` into {self.origin}.",
            )
        return value

    def get_all(self, name: SettingName, flags: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the values of a setting that can be said more than once.

        In the environment they are separated by white space, in the file they are an array.

        Raises:
            UsageError: The file holds something else than texts.
        """
        if flags:
            return flags
        said = self.environ.get(_PREFIX + name.upper())
        if said:
            return tuple(said.split())
        value = self.table.get(name, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            raise UsageError(
                "wrong type of setting", subject=f"{self.origin}: {name}", expected="texts"
            )
        return tuple(values)

    def switch(self, name: SettingName, *, unsaid: bool = False) -> bool:
        """Return whether a setting that is on or off is on.

        Args:
            name: The setting.
            unsaid: What it is where nobody says it.

        Raises:
            UsageError: It is neither `true` nor `false`, bare or as a text.
        """
        value: object = self.environ.get(_PREFIX + name.upper()) or self.table.get(name, unsaid)
        if isinstance(value, bool):
            return value
        if value not in ("true", "false"):
            raise UsageError(
                "wrong setting", subject=name, expected="true or false", found=repr(value)
            )
        return value == "true"

    def path(self, text: str) -> Path:
        """Return a path from the file, taken from the file's folder where it is relative."""
        return self.origin.parent / text


def load_settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of `folder`; a missing file is an empty one.

    Raises:
        UsageError: The file is not TOML.
        LocalError: The file cannot be read.
    """
    origin = folder / SETTINGS_FILE
    try:
        table = tomllib.loads(origin.read_text("utf-8"))
    except FileNotFoundError:
        table = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UsageError("not TOML", subject=str(origin), found=str(exc)) from exc
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(origin), found=str(exc)) from exc
    return Settings(environ=environ, table=table, origin=origin)
