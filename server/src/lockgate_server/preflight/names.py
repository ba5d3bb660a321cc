"""Settings that nothing reads: as a rule a name with a letter missing, and a server without it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from lockgate_release.settings import SettingName
from lockgate_server.preflight.findings import Finding, fine, warning

__all__ = ["OTHER_VARIABLES", "find_unknown"]

_PREFIX = "LOCKGATE_"
_KEYS = "LOCKGATE_ONLINE_KEY_"
_FILE = "_FILE"
OTHER_VARIABLES = frozenset(
    {
        "API_THREADS",
        "API_WORKERS",
        "BACKUP_PASSPHRASE",
        "CACHE",
        "HOME",
        "KEY_PASSPHRASE",
        "KEY_PIN",
        "PUBLIC_THREADS",
        "PUBLIC_WORKERS",
        "PUBLISHER_KEY",
        "TREE",
        "VERSION",
    }
)
"""What is read from the environment alone, without the prefix."""
_TABLES = frozenset({"publish", "floors", "updater"})
"""What `lockgate.toml` may hold for the other programs, beside settings."""
_CLIENT_ONLY = frozenset({"headers", "bandwidth_bytes_s", "keep", "check_interval_s"})


def find_unknown(
    table: Mapping[str, object], environ: Mapping[str, str], origin: str
) -> Iterator[Finding]:
    """Yield what is said and read by nothing, or that there is no such thing.

    Args:
        table: What `lockgate.toml` holds, by name.
        environ: The environment.
        origin: The file, for messages.
    """
    keys: set[str] = {*get_args(SettingName)}
    variables = {name.upper() for name in keys} | OTHER_VARIABLES
    in_file = sorted({*table} - keys - _TABLES - _CLIENT_ONLY)
    said = sorted(name for name in environ if name.startswith(_PREFIX) and not _is_key(name))
    in_environ = [
        name
        for name in said
        if not {name, name.removesuffix(_FILE)} & {f"{_PREFIX}{one}" for one in variables}
    ]
    for name in in_file:
        yield _unknown(f"{origin}: {name}", name, keys)
    for name in in_environ:
        yield _unknown(name, name.removeprefix(_PREFIX), variables, prefix=_PREFIX)
    if not in_file and not in_environ:
        yield fine("settings", f"{len(said)} variables, {len(table)} names in {origin}")


def _is_key(name: str) -> bool:
    return name.startswith(_KEYS)


def _unknown(where: str, name: str, known: Iterable[str], *, prefix: str = "") -> Finding:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"Is {prefix}{near[0]} meant?" if near else "docs/reference/settings.md has every name."
    return warning("settings", f"{where}: nothing reads this", hint)
