"""`policy.json`: what each channel demands. A target of the maintainers, checked by clients.

It names the order of versions for the app, and for each channel the bar that a release must meet to
be offered there:

1. Its path matches one of the channel's patterns. The path tells the role that signed it.
2. `signatures`: so many of these publishers' keys have signed the list that holds it. Whoever lets
   the list be signed by fewer breaks every channel that demands more: other bars are other roles.
3. `approvals`: so many of these keys have approved this very release for this channel.
4. `attestations`: who built an artifact is proven (`attestation_rules`): by the server for all of
   a release's, by a client for its own, before it is fetched. Not by `shortfall`: it takes files.

The default policy lets every channel take `releases/*/release.json` and demands no more than that.
A rule that demands more names it in `critical`, so that older clients take nothing unchecked.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from lockgate_release.documents.common import (
    open_document,
    rest_of,
    with_unknown,
)
from lockgate_release.documents.trusted import Count, Standing
from lockgate_release.names import AppName, ChannelName, is_channel_name
from lockgate_release.strict_json import Fields, Json, JsonObject, dump_json, parse_json
from lockgate_release.versions import VersionScheme

if TYPE_CHECKING:
    from lockgate_release.documents.attestation_rules import AttestationRule

__all__ = [
    "DEFAULT_CHANNEL",
    "TYPE",
    "ApprovalRule",
    "ChannelPolicy",
    "ManualCheck",
    "PolicyDocument",
    "Shortfall",
    "SignatureRule",
    "parse_policy",
]

TYPE = "lockgate.policy"
DEFAULT_CHANNEL = "*"
"""The name under which the rule for every channel without one of its own stands."""

_DEFAULT_PATHS = ("releases/*/release.json",)
_MOST_KEYS = 100
_KEY_ID = re.compile(r"[\x21-\x7e]{1,128}")
# `fnmatch` knows more patterns than `*`; clients in other languages may not.
_PATTERN = re.compile(r"[A-Za-z0-9.+!_*-]+(/[A-Za-z0-9.+!_*-]+)+")


class ManualCheck(StrEnum):
    """What a person who asks for an update meets at the gate of a rollout."""

    THROUGH = "pass"
    """It lets them through, if it is open at all."""
    WAIT = "wait"
    """They wait for their turn, like everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureRule:
    """How many publishers must have signed the list that holds a release.

    Attributes:
        threshold: How many, > 0.
        keys: The ids of those that count, in so far as they still speak for the list's role; empty
            for all that do.
    """

    threshold: int
    keys: tuple[str, ...] = ()
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the rule as it stands in the document."""
        known: dict[str, Json] = {"threshold": self.threshold}
        if self.keys:
            known["keys"] = list(self.keys)
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """Who approves releases for the channel, and how many of them must.

    Attributes:
        threshold: How many; 0 names those who may, and demands nothing yet.
        keys: Their public keys, each as TUF metadata has it, by its id.
    """

    threshold: int
    keys: Mapping[str, JsonObject]
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the rule as it stands in the document."""
        known: dict[str, Json] = {"threshold": self.threshold, "keys": dict(self.keys)}
        return with_unknown(known, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What a release lacks of a channel's bar, in words for people."""

    what: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPolicy:
    """What one channel demands of a release.

    Attributes:
        paths: Patterns over the paths of release documents; a path part is matched by `*` alone,
            and the path tells which role, and so which keys, must have signed.
        manual_check: What a person who asks meets at the gate. A halt, a pause and a revocation
            let nobody through, whatever stands here.
        signatures: Which publishers must have signed; None: as many as their role demands.
        approvals: Who must have approved; None: nobody.
        attestations: Which proofs of origin its artifacts need; None: none.
    """

    paths: tuple[str, ...] = _DEFAULT_PATHS
    manual_check: ManualCheck = ManualCheck.THROUGH
    signatures: SignatureRule | None = None
    approvals: ApprovalRule | None = None
    attestations: AttestationRule | None = None
    unknown: JsonObject = field(default_factory=dict)

    def allows_path(self, path: str) -> bool:
        """Whether a release document at `path` may be offered in the channel."""
        return any(_matches(path, pattern) for pattern in self.paths)

    @property
    def lets_people_pass(self) -> bool:
        """Whether a person who asks passes the gate of a rollout."""
        return self.manual_check is ManualCheck.THROUGH

    @property
    def has_bar(self) -> bool:
        """Whether more is demanded than the release's path shows."""
        return self.signatures is not None or (
            self.approvals is not None and self.approvals.threshold > 0
        )

    def shortfall(self, path: str, standing: Standing) -> Shortfall | None:
        """Return what a release lacks of this bar, or None where it meets it (rules 1 to 3).

        Args:
            path: Of its document.
            standing: What was verified of it against this very rule.
        """
        if not self.allows_path(path):
            return Shortfall(
                what="the policy does not allow its path in this channel",
                expected=", ".join(self.paths),
                found=path,
            )
        if self.signatures is not None and not _is_met(standing.signatures):
            return _too_few("publishers have signed it", self.signatures, standing.signatures)
        approvals = self.approvals
        if approvals is not None and approvals.threshold and not _is_met(standing.approvals):
            return _too_few("people have approved it", approvals, standing.approvals)
        return None

    def in_words(self) -> tuple[str, ...]:
        """Return what it demands, a sentence for each part, for people."""
        lines = [f"it takes {' and '.join(self.paths) or 'nothing'}"]
        if self.signatures is not None:
            who = ", ".join(map(_short, self.signatures.keys)) or "any of the role's publishers"
            lines.append(f"signed by {self.signatures.threshold} of {who}")
        if self.approvals is not None:
            who = ", ".join(map(_short, self.approvals.keys))
            lines.append(f"approved by {self.approvals.threshold} of {who}")
        if self.attestations is not None:
            lines.extend(self.attestations.in_words())
        return tuple(lines)

    def to_json(self) -> JsonObject:
        """Return the rule as it stands in the document."""
        demanded: dict[str, Json] = {}
        if self.signatures is not None:
            demanded["signatures"] = self.signatures.to_json()
        if self.approvals is not None:
            demanded["approvals"] = self.approvals.to_json()
        if self.attestations is not None:
            demanded["attestations"] = self.attestations.to_json()
        known: dict[str, Json] = {
            "paths": list(self.paths),
            "manual_check": self.manual_check.value,
            **demanded,
        }
        if demanded:
            # Read already: it is an array of texts.
            said = self.unknown.get("critical", ())
            assert isinstance(said, Sequence)
            known["critical"] = sorted({*map(str, said), *demanded})
        return with_unknown(known, self.unknown)


def _is_met(count: Count | None) -> bool:
    return count is not None and count.is_enough


def _too_few(what: str, rule: SignatureRule | ApprovalRule, count: Count | None) -> Shortfall:
    found = () if count is None else count.found
    named = f" of {', '.join(_short(keyid) for keyid in sorted(rule.keys))}" if rule.keys else ""
    return Shortfall(
        what=f"too few {what} for this channel",
        expected=f"{rule.threshold}{named}",
        found=", ".join(_short(keyid) for keyid in found) or "none",
    )


def _short(keyid: str) -> str:
    """Return as much of a key's id as tells it from others, for people."""
    return keyid[:8]


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
    signatures = fields.object("signatures", optional=True)
    approvals = fields.object("approvals", optional=True)
    return ChannelPolicy(
        paths=paths,
        manual_check=manual_check,
        signatures=_read_signatures(signatures) if fields.has("signatures") else None,
        approvals=_read_approvals(approvals) if fields.has("approvals") else None,
        attestations=_read_attestations(fields.object("attestations", optional=True)),
        unknown=rest_of(fields),
    )


def _read_attestations(fields: Fields) -> AttestationRule | None:
    """Return the rule, or None where the object is empty: then nothing is demanded."""
    if not fields.names():
        return None
    from lockgate_release.documents.attestation_rules import (  # noqa: PLC0415 (checks elsewhere)
        read_attestation_rule,
    )

    return read_attestation_rule(fields)


def _read_signatures(fields: Fields) -> SignatureRule:
    keys = fields.texts("keys", most=_MOST_KEYS, optional=True)
    most = len(keys) or _MOST_KEYS
    for index, keyid in enumerate(keys):
        _check_key_id(fields, f"keys[{index}]", keyid)
    if len(set(keys)) != len(keys):
        fields.fail("keys", "a key named twice", expected="each key once")
    return SignatureRule(
        threshold=fields.integer("threshold", minimum=1, maximum=most),
        keys=keys,
        unknown=rest_of(fields),
    )


def _read_approvals(fields: Fields) -> ApprovalRule:
    named = fields.object("keys")
    keys = {name: _read_key(named, name) for name in named.names()}
    if len(keys) > _MOST_KEYS:
        fields.fail("keys", "too long", expected=f"at most {_MOST_KEYS} keys")
    # One person under two ids would count for two.
    if len({_content_of(key) for key in keys.values()}) != len(keys):
        fields.fail("keys", "the same key under two ids", expected="each key once")
    return ApprovalRule(
        threshold=fields.integer("threshold", maximum=len(keys)),
        keys=MappingProxyType(keys),
        unknown=rest_of(fields),
    )


def _content_of(key: JsonObject) -> str:
    """Return what a key that was read is, whatever else stands beside it."""
    keyval = key["keyval"]
    assert isinstance(keyval, Mapping)
    return "".join(str(keyval["public"]).split()).lower()


def _read_key(fields: Fields, name: str) -> JsonObject:
    _check_key_id(fields, name, name)
    key = fields.object(name)
    key.text("keytype", max_length=128)
    key.text("scheme", max_length=128)
    key.object("keyval").text("public", max_length=10_000)
    return key.raw()


def _check_key_id(fields: Fields, name: str, keyid: str) -> None:
    if _KEY_ID.fullmatch(keyid) is None:
        fields.fail(name, "wrong value", expected="a key's id", found=repr(keyid[:80]))
