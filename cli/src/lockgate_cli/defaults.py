"""What `lockgate.toml` says about every publish: the tables `[publish]` and `[floors]`.

[publish]
entrypoint = "bin/app"
wheels = "wheels"                     # a Python application: the folder of its wheels
python_requires = ">=3.11"
health = ["bin/app", "--version"]     # or one text, split as a shell would
health_timeout_s = 60
tries = 3
reaches_server = true                 # a release that cuts a machine off from updates is left
requires_from = "1.0.0"
capabilities = ["archive/zip"]
keep = 50
deltas = 3                            # from how many releases, for each platform; 0: none
delta_memory = "2GB"                  # what making them may take
delta_algorithm = "lockgate-columns-1"
sigstore = true                       # sign each artifact by Sigstore
trust_config = "sigstore.json"        # with a private instance
bundle_dir = "dist"                   # where *.sigstore.json lie
changelog = "CHANGELOG.md"            # where the notes of a release are
tag = "ci"                            # what is published is the tag that CI builds
prereleases = ["beta", "nightly"]     # the channels that take pre-releases; else all but stable

[floors]
stable = "1.2.0"
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from lockgate_cli.fields import parse_field
from lockgate_release.capabilities import PYTHON_WHEELS
from lockgate_release.documents import HealthCheck, Install, PythonWheels, Requirements
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName, parse_channel_name
from lockgate_release.settings import Settings

__all__ = ["DEFAULT_KEEP", "PublishOptions", "parse_options", "read_floors", "split_command"]

DEFAULT_KEEP = 50
"""How many of the newest releases a publish keeps live, unless something else is said."""

_TABLE = "publish"
_FLOORS = "floors"
_TYPES: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "entrypoint": ("a text", str),
    "wheels": ("a folder in the artifact", str),
    "python_requires": ("a text", str),
    "health": ("a command", (str, list)),
    "health_timeout_s": ("a number of seconds", int),
    "tries": ("a number", int),
    "reaches_server": ("true or false", bool),
    "requires_from": ("a version", str),
    "capabilities": ("a list of texts", list),
    "keep": ("a number", int),
    "deltas": ("a number", int),
    "delta_memory": ("a size", str),
    "delta_algorithm": ("a name", str),
    "sigstore": ("true or false", bool),
    "trust_config": ("a file", str),
    "bundle_dir": ("a folder", str),
    "changelog": ("a file", str),
    "tag": ("a tag, or ci", str),
    "prereleases": ("a list of channels", list),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """What flags or the file say of every publish; None: nothing."""

    entrypoint: str | None = None
    wheels: str | None = None
    python_requires: str | None = None
    health: tuple[str, ...] | None = None
    health_timeout_s: int | None = None
    tries: int | None = None
    reaches_server: bool | None = None
    requires_from: str | None = None
    capabilities: tuple[str, ...] | None = None
    keep: int | None = None
    deltas: int | None = None
    delta_memory: str | None = None
    delta_algorithm: str | None = None
    sigstore: bool | None = None
    trust_config: str | None = None
    bundle_dir: str | None = None
    changelog: str | None = None
    tag: str | None = None
    prereleases: tuple[str, ...] | None = None

    def over(self, other: PublishOptions) -> PublishOptions:
        """Return these, and the other's where these say nothing."""
        names = (name for name in _TYPES if getattr(self, name) is not None)
        return PublishOptions(
            **{
                **{name: getattr(other, name) for name in _TYPES},
                **{name: getattr(self, name) for name in names},
            }
        )

    def install(self) -> Install:
        """Return what to do with the unpacked tree.

        Raises:
            UsageError: A Python is asked for, and no wheels are named.
        """
        plain = HealthCheck()
        python = None
        if self.wheels:
            python = PythonWheels(wheels=self.wheels, requires=self.python_requires or "")
        elif self.python_requires:
            raise UsageError(
                "says which Python, and not where the wheels are",
                subject="python_requires",
                expected="--wheels, or `wheels` in the table [publish], too",
            )
        return Install(
            entrypoint=self.entrypoint or "",
            python=python,
            health=HealthCheck(
                command=self.health or (),
                timeout_s=plain.timeout_s
                if self.health_timeout_s is None
                else self.health_timeout_s,
                tries=plain.tries if self.tries is None else self.tries,
                reaches_server=bool(self.reaches_server),
            ),
        )

    def requires(self) -> Requirements:
        """Return what must hold before the release may be installed."""
        needed = {PYTHON_WHEELS} if self.wheels else set()
        return Requirements(
            from_version=self.requires_from or "",
            capabilities=tuple(sorted(needed.union(self.capabilities or ()))),
        )


def parse_options(settings: Settings) -> PublishOptions:
    """Return what the file's table `[publish]` says.

    Raises:
        UsageError: It holds something else than the names above, or another type.
    """
    table = _table(settings, _TABLE)
    for name, value in table.items():
        expected, kind = _TYPES.get(name, ("", ()))
        if not expected:
            raise UsageError(
                "no such setting",
                subject=f"{settings.origin}: {_TABLE}.{name}",
                expected=f"one of {', '.join(_TYPES)}",
            )
        texts = value if isinstance(value, list) else []
        if (
            not isinstance(value, kind)
            or (isinstance(value, bool) and kind is not bool)
            or not all(isinstance(text, str) for text in texts)
        ):
            raise UsageError(
                "wrong type of setting",
                subject=f"{settings.origin}: {_TABLE}.{name}",
                expected=expected,
                found=repr(value),
            )
    options = dict(table)
    if "health" in options:
        options["health"] = split_command(options["health"])
    for name in ("capabilities", "prereleases"):
        if name in options:
            options[name] = tuple(options[name])  # type: ignore[arg-type]
    return PublishOptions(**options)  # type: ignore[arg-type]  # checked above, one by one


def split_command(said: object) -> tuple[str, ...]:
    """Return a command's program and arguments.

    Args:
        said: One text, split as a shell would, or a list that is split already.

    Raises:
        UsageError: A quotation does not end.
    """
    if isinstance(said, list):
        return tuple(said)
    try:
        return tuple(shlex.split(str(said)))
    except ValueError as exc:
        raise UsageError("not a command", subject="health", found=f"{said!r}: {exc}") from exc


def read_floors(settings: Settings) -> dict[ChannelName, str]:
    """Return what the file's table `[floors]` says: for each channel, the lowest version.

    Raises:
        UsageError: It holds something else.
    """
    floors = {}
    for name, floor in _table(settings, _FLOORS).items():
        if not isinstance(floor, str):
            raise UsageError(
                "wrong type of setting",
                subject=f"{settings.origin}: {_FLOORS}.{name}",
                expected='a version in quotes, such as "1.2.0"',
                found=repr(floor),
            )
        floors[parse_field(f"{settings.origin}: {_FLOORS}", parse_channel_name, name)] = floor
    return floors


def _table(settings: Settings, name: str) -> Mapping[str, object]:
    table = settings.table.get(name, {})
    if not isinstance(table, Mapping):
        raise UsageError(
            "wrong type of setting", subject=f"{settings.origin}: {name}", expected="a table"
        )
    return table
