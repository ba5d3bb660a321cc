"""A server's settings as a backup tells them: values that are no secret, else the names alone."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate_release.strict_json import JsonObject
from lockgate_server.settings import ServerSettings

__all__ = ["describe_settings", "key_variables"]

_KEYS = "LOCKGATE_ONLINE_KEY_"
_PUBLIC = "_PUBLIC"
_PLAIN = (
    "LOCKGATE_LISTEN",
    "LOCKGATE_API_LISTEN",
    "LOCKGATE_PUBLIC_WORKERS",
    "LOCKGATE_PUBLIC_THREADS",
    "LOCKGATE_API_WORKERS",
    "LOCKGATE_API_THREADS",
)
_OURS = ("LOCKGATE_", "AWS_")


def key_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that hold a key of the server."""
    return tuple(
        name for name in sorted(environ) if name.startswith(_KEYS) and not name.endswith(_PUBLIC)
    )


def describe_settings(settings: ServerSettings, environ: Mapping[str, str]) -> JsonObject:
    """Return what the settings are, as variables, and which others are set: those by name only."""
    told = {
        "LOCKGATE_DATA": str(settings.data),
        **settings.to_environ(),
        **{name: environ[name] for name in _PLAIN if name in environ},
    }
    others = [name for name in sorted(environ) if name.startswith(_OURS) and name not in told]
    return {"settings": {**told}, "set_elsewhere": others}
