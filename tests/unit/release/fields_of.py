"""Every kind of document, and the places in one."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from lockgate_release.documents import (
    parse_channel,
    parse_entry,
    parse_extras,
    parse_policy,
    parse_release,
)
from tests.unit.release.builders import (
    full_channel,
    full_entry,
    full_extras,
    full_policy,
    full_release,
)

Value = dict[str, Any]
Place = tuple[str | int, ...]


def round_trip_release(value: Value) -> Value:
    found: Value = json.loads(parse_release(json.dumps(value).encode()).to_bytes())
    return found


def round_trip_channel(value: Value) -> Value:
    envelope = {"signed": value, "signatures": [{"keyid": "k", "sig": "s"}]}
    document = parse_channel(json.dumps(envelope).encode())
    found: Value = json.loads(document.to_envelope([]))["signed"]
    return found


def round_trip_policy(value: Value) -> Value:
    found: Value = json.loads(parse_policy(json.dumps(value).encode()).to_bytes())
    return found


def round_trip_extras(value: Value) -> Value:
    found: Value = json.loads(parse_extras(json.dumps(value).encode()).to_bytes())
    return found


def round_trip_entry(value: Value) -> Value:
    found: Value = dict(parse_entry(value, subject="custom").to_json())
    return found


RoundTrip = Callable[[Value], Value]
KINDS: dict[str, tuple[Value, RoundTrip]] = {
    "release": (full_release(), round_trip_release),
    "channel": (full_channel(), round_trip_channel),
    "policy": (full_policy(), round_trip_policy),
    "extras": (full_extras(), round_trip_extras),
    "entry": (full_entry(), round_trip_entry),
}
# What may be left out, by the path with array places left out.
OPTIONAL = {
    "release": {
        "artifacts.chunks",
        "install",
        "install.entrypoint",
        "install.health",
        "install.health.command",
        "install.health.timeout_s",
        "install.health.tries",
        "requires",
        "requires.from_version",
        "requires.capabilities",
    },
    "channel": {"once_full", "check_interval_s", "retire_at"},
    "policy": {
        "channels",
        "channels.stable",
        "channels.*",
        "channels.stable.manual_check",
        "channels.*.manual_check",
    },
    "extras": {
        "notes",
        "deltas",
        "attestations",
        "attestations.artifacts",
        "attestations.predicate_type",
    },
    "entry": {"floor", "floor.stable", "lifted", "lifted.beta", "targets"},
}


def places_in(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every field and every element, the document itself left out, without those named x."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if key == "x":
            continue
        yield (*here, key)
        if isinstance(inner, dict | list):
            yield from places_in(inner, (*here, key))


def text_of(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def value_at(value: Any, place: Place) -> Any:
    for part in place:
        value = value[part]
    return value


def with_value(value: Value, place: Place, new: Any) -> Value:
    changed = copy.deepcopy(value)
    value_at(changed, place[:-1])[place[-1]] = new
    return changed


def without(value: Value, place: Place) -> Value:
    changed = copy.deepcopy(value)
    del value_at(changed, place[:-1])[place[-1]]
    return changed


ALL = [(kind, place) for kind, (value, _) in KINDS.items() for place in places_in(value)]
FIELDS = [(kind, place) for kind, place in ALL if isinstance(place[-1], str)]


def name_of(case: object) -> str:
    return text_of(case) if isinstance(case, tuple) else str(case)
