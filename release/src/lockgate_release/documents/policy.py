"""`policy.json`: what each channel demands. A target of the maintainers, checked by clients.

It names the order of versions for the app, and for each channel the release paths that may be
offered there. The default policy lets every channel take `releases/*/release.json`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from lockgate_release.documents.common import (
    open_document,
    rest_of,
    with_unknown,
)
from lockgate_release.names import AppName, ChannelName, is_channel_name
from lockgate_release.strict_json import Fields, Json, JsonObject, dump_json, parse_json
from lockgate_release.versions import VersionScheme

__all__ = [
    "DEFAULT_CHANNEL",
    "TYPE",
    "ChannelPolicy",
    "ManualCheck",
    "PolicyDocument",
    "parse_policy",
]

TYPE = "lockgate.policy"
DEFAULT_CHANNEL = "*"
"""The name under which the rule for every channel without one of its own stands."""

_DEFAULT_PATHS = ("releases/*/release.json",)
# `fnmatch` knows more patterns than `*`; clients in other languages may not.
_PATTERN = re.compile(r"[A-Za-z0-9.+!_*-]+(/[A-Za-z0-9.+!_*-]+)+")


class ManualCheck(StrEnum):
    """What a person who asks for an update meets at the gate of a rollout."""

    THROUGH = "pass"
    """It lets them through, if it is open at all."""
    WAIT = "wait"
    """They wait for their turn, like everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPolicy:
    """What one channel demands of a release.

    Attributes:
        paths: Patterns over the paths of release documents; a path part is matched by `*` alone,
            and the path tells which role, and so which keys, must have signed.
        manual_check: What a person who asks meets at the gate. A halt, a pause and a revocation
            let nobody through, whatever stands here.
    """

    paths: tuple[str, ...] = _DEFAULT_PATHS
    manual_check: ManualCheck = ManualCheck.THROUGH
    unknown: JsonObject = field(default_factory=dict)

    def allows_path(self, path: str) -> bool:
        """Whether a release document at `path` may be offered in the channel."""
        return any(_matches(path, pattern) for pattern in self.paths)

    @property
    def lets_people_pass(self) -> bool:
        """Whether a person who asks passes the gate of a rollout."""
        return self.manual_check is ManualCheck.THROUGH

    def to_json(self) -> JsonObject:
        """Return the rule as it stands in the document."""
        known: dict[str, Json] = {
            "paths": list(self.paths),
            "manual_check": self.manual_check.value,
        }
        return with_unknown(known, self.unknown)


def _matches(path: str, pattern: str) -> bool:
    """Match as TUF's delegations do: part by part, so that `*` never crosses a slash."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(
        fnmatch.fnmatchcase(part, one) for part, one in zip(parts, patterns, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """The rules of an app, as its maintainers signed them.

    Attributes:
        app: The app.
        versions: How its versions are written and ordered.
        channels: The rule of each channel that has its own; `*` is everybody else's.
    """

    app: AppName
    versions: VersionScheme = VersionScheme.SEMVER
    channels: Mapping[str, ChannelPolicy] = field(default_factory=dict)
    unknown: JsonObject = field(default_factory=dict)

    def channel(self, name: ChannelName) -> ChannelPolicy:
        """Return the rule of the channel: its own, else `*`, else the default."""
        own = self.channels.get(name)
        return own or self.channels.get(DEFAULT_CHANNEL) or ChannelPolicy()

    def to_bytes(self) -> bytes:
        """Return the document's bytes."""
        known = {
            "_type": TYPE,
            "app": self.app,
            "versions": self.versions.value,
            "channels": {name: rule.to_json() for name, rule in self.channels.items()},
        }
        return dump_json(with_unknown(known, self.unknown))


def parse_policy(data: bytes, *, subject: str = "policy.json") -> PolicyDocument:
    """Return the policy in `data`.

    Raises:
        DocumentError: It is not one; the message names the field.
    """
    fields = parse_json(data, subject=subject)
    app = open_document(fields, TYPE)
    versions = fields.choice("versions", VersionScheme)
    rules = fields.object("channels", optional=True)
    channels = {_read_name(rules, name): _read_rule(rules.object(name)) for name in rules.names()}
    return PolicyDocument(
        app=app,
        versions=versions,
        channels=MappingProxyType(channels),
        unknown=rest_of(fields),
    )


def _read_name(rules: Fields, name: str) -> str:
    if name != DEFAULT_CHANNEL and not is_channel_name(name):
        rules.fail(name, "wrong name", expected="a channel name or *")
    return name


def _read_rule(fields: Fields) -> ChannelPolicy:
    paths = fields.texts("paths", most=100)
    for index, path in enumerate(paths):
        if _PATTERN.fullmatch(path) is None:
            fields.fail(
                f"paths[{index}]",
                "wrong value",
                expected="a path in which `*` is the only pattern",
                found=repr(path[:80]),
            )
    # A rule can demand more than this version knows how to check; it must say so to be heard.
    manual_check = fields.choice("manual_check", ManualCheck, default=ManualCheck.THROUGH)
    return ChannelPolicy(paths=paths, manual_check=manual_check, unknown=rest_of(fields))
