"""Documents: each is read strictly, named to the field when it is wrong, and written back whole."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.documents import (
    parse_channel,
    parse_entry,
    parse_extras,
    parse_policy,
    parse_release,
)
from lockgate_release.errors import DocumentError
from tests.unit.release.builders import (
    full_channel,
    full_entry,
    full_extras,
    full_policy,
    full_release,
)

Value = dict[str, Any]
Place = tuple[str | int, ...]


def _release(value: Value) -> Value:
    found: Value = json.loads(parse_release(json.dumps(value).encode()).to_bytes())
    return found


def _channel(value: Value) -> Value:
    envelope = {"signed": value, "signatures": [{"keyid": "k", "sig": "s"}]}
    document = parse_channel(json.dumps(envelope).encode())
    found: Value = json.loads(document.to_envelope([]))["signed"]
    return found


def _policy(value: Value) -> Value:
    found: Value = json.loads(parse_policy(json.dumps(value).encode()).to_bytes())
    return found


def _extras(value: Value) -> Value:
    found: Value = json.loads(parse_extras(json.dumps(value).encode()).to_bytes())
    return found


def _entry(value: Value) -> Value:
    found: Value = dict(parse_entry(value, subject="custom").to_json())
    return found


RoundTrip = Callable[[Value], Value]
KINDS: dict[str, tuple[Value, RoundTrip]] = {
    "release": (full_release(), _release),
    "channel": (full_channel(), _channel),
    "policy": (full_policy(), _policy),
    "extras": (full_extras(), _extras),
    "entry": (full_entry(), _entry),
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


def _places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every field and every element, the document itself left out, without those named x."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if key == "x":
            continue
        yield (*here, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*here, key))


def _text(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _dotted(place: Place) -> str:
    return ".".join(part for part in place if isinstance(part, str))


def _at(value: Any, place: Place) -> Any:
    for part in place:
        value = value[part]
    return value


def _put(value: Value, place: Place, new: Any) -> Value:
    changed = copy.deepcopy(value)
    _at(changed, place[:-1])[place[-1]] = new
    return changed


def _without(value: Value, place: Place) -> Value:
    changed = copy.deepcopy(value)
    del _at(changed, place[:-1])[place[-1]]
    return changed


ALL = [(kind, place) for kind, (value, _) in KINDS.items() for place in _places(value)]
FIELDS = [(kind, place) for kind, place in ALL if isinstance(place[-1], str)]


def _name(case: object) -> str:
    return _text(case) if isinstance(case, tuple) else str(case)


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_with_fields_from_the_future_survives_a_round_trip(kind: str) -> None:
    value, trip = KINDS[kind]
    assert trip(value) == value
    assert trip(trip(value)) == value


@pytest.mark.parametrize(("kind", "place"), FIELDS, ids=_name)
def test_a_missing_field_has_a_default_or_is_named(kind: str, place: Place) -> None:
    value, trip = KINDS[kind]
    if _dotted(place) in OPTIONAL[kind]:
        trip(_without(value, place))
        return
    with pytest.raises(DocumentError) as caught:
        trip(_without(value, place))
    assert caught.value.what == "missing field"
    assert caught.value.subject.endswith(_text(place))


@pytest.mark.parametrize(("kind", "place"), ALL, ids=_name)
def test_a_field_of_a_wrong_type_is_named(kind: str, place: Place) -> None:
    value, trip = KINDS[kind]
    right = type(_at(value, place))
    wrongs: list[Any] = [None, True, 7, "text", [], {}]
    for wrong in wrongs:
        if type(wrong) is right:
            continue
        with pytest.raises(DocumentError) as caught:
            trip(_put(value, place, wrong))
        assert caught.value.what == "wrong type"
        assert caught.value.subject.endswith(_text(place))


WRONG_VALUES: list[tuple[str, Place, Any]] = [
    *[(kind, ("_type",), "lockgate.other") for kind in ("release", "channel", "policy", "extras")],
    *[(kind, ("_type",), "targets") for kind in ("release", "channel", "policy", "extras")],
    *[(kind, ("app",), wrong) for kind in ("release", "channel") for wrong in ("", "Demo", "api")],
    *[(kind, ("version",), wrong) for kind in ("release", "extras") for wrong in ("", "a/b", "..")],
    ("release", ("released_at",), "2026-01-31"),
    ("release", ("artifacts",), []),
    ("release", ("artifacts", 0, "platform"), "Linux"),
    *[
        ("release", ("artifacts", 0, "name"), wrong)
        for wrong in ("", ".hidden", "..", "a/b", "a\\b", "a\0", "a\nb", "x" * 256)
    ],
    *[("release", ("artifacts", 0, "kind"), wrong) for wrong in ("", "Tar", "-x", "x" * 33)],
    ("release", ("artifacts", 0, "size"), -1),
    ("release", ("artifacts", 0, "size"), 2**53 + 1),
    ("release", ("artifacts", 0, "chunks", "size_bytes"), 2**20 - 1),
    ("release", ("artifacts", 0, "chunks", "size_bytes"), 0),
    *[
        ("release", ("artifacts", 0, "chunks", "sha256"), wrong)
        for wrong in ([], ["ab" * 32], ["ab" * 32] * 3, ["ab" * 32] * 129)
    ],
    ("release", ("artifacts", 0, "chunks", "sha256", 1), "AB" * 32),
    ("release", ("artifacts", 0, "tree_size"), -1),
    ("release", ("artifacts", 0, "sha256"), "AB" * 32),
    ("release", ("artifacts", 0, "tree_sha256"), "ab" * 31),
    *[
        ("release", ("artifacts", 0, "path"), wrong)
        for wrong in ("", "artifacts/ab/" + "ab" * 32, "../x", "https://elsewhere.invalid/x")
    ],
    *[
        ("release", ("install", "entrypoint"), wrong)
        for wrong in ("/bin/sh", "../sh", "a//b", "a/./b", "a/..", "a/", "a\0b")
    ],
    *[
        ("release", ("install", "health", "command", 0), wrong)
        for wrong in ("/bin/sh", "../sh", "")
    ],
    ("release", ("install", "health", "command"), ["x"] * 101),
    *[("release", ("install", "health", "timeout_s"), wrong) for wrong in (0, -1, 3601)],
    *[("release", ("install", "health", "tries"), wrong) for wrong in (0, -1, 21)],
    ("release", ("requires", "from_version"), "a/b"),
    ("release", ("requires", "capabilities"), ["x"] * 101),
    ("channel", ("channel",), "Stable"),
    ("channel", ("sequence",), 0),
    ("channel", ("issued_at",), "now"),
    ("channel", ("expires_at",), "2026-03-02T08:00:00+00:00"),
    ("channel", ("offers", 0, "version"), "a b"),
    *[
        ("channel", ("offers", 0, "path"), wrong)
        for wrong in ("", "release.json", "/a/b", "a//b", "a/../b", "a/b c", "a/" + "b" * 200)
    ],
    ("channel", ("offers", 0, "sha256"), ""),
    ("channel", ("offers", 0, "rollout", "salt"), "0" * 31),
    ("channel", ("offers", 0, "rollout", "exposure_bp"), 10_001),
    ("channel", ("offers", 0, "rollout", "exposure_bp"), -1),
    ("channel", ("offers", 0, "rollout", "control_bp"), 9001),
    ("channel", ("offers", 0, "rollout", "epoch"), 0),
    ("channel", ("offers", 0, "rollout", "state"), "done"),
    ("channel", ("once_full",), ["a/b"]),
    ("channel", ("once_full",), ["1.0"] * 1001),
    ("channel", ("revoked", 0, "version"), ""),
    ("channel", ("revoked", 0, "reason"), "x" * 1001),
    ("channel", ("revoked", 0, "remedy"), "ignore"),
    ("channel", ("revoked", 0, "at"), "2026-01-31T25:00:00Z"),
    ("channel", ("check_interval_s",), 59),
    ("channel", ("check_interval_s",), 86_401),
    ("policy", ("versions",), "calver"),
    ("policy", ("channels", "stable", "manual_check"), "maybe"),
    *[
        ("policy", ("channels", "stable", "paths"), [wrong])
        for wrong in ("", "releases/[0-9]*/release.json", "releases/?/release.json", "/x", "a//b")
    ],
    ("policy", ("channels", "stable", "paths"), ["releases/*/release.json"] * 101),
    ("extras", ("notes",), "x" * 100_001),
    ("extras", ("deltas", 0, "platform"), "Linux"),
    ("extras", ("deltas", 0, "from_version"), "a/b"),
    ("extras", ("deltas", 0, "from_tree_sha256"), "AB" * 32),
    *[("extras", ("deltas", 0, "algorithm"), wrong) for wrong in ("", "Some", "a_b", "x" * 33)],
    ("extras", ("deltas", 0, "size"), 0),
    ("extras", ("deltas", 0, "size"), 2**53 + 1),
    ("extras", ("deltas", 0, "memory_bytes"), -1),
    ("extras", ("deltas", 0, "scratch_bytes"), -1),
    *[
        ("extras", (items, 0, "path"), wrong)
        for items in ("deltas", "attestations")
        for wrong in ("", "artifacts/ee/" + "ee" * 32, "../x", "metadata/timestamp.json")
    ],
    *[("extras", ("attestations", 0, "kind"), wrong) for wrong in ("", "Sigstore", "a b")],
    ("extras", ("attestations", 0, "sha256"), "ab" * 31),
    ("extras", ("attestations", 0, "size"), 0),
    ("extras", ("attestations", 0, "artifacts"), ["ab" * 32] * 1001),
    ("extras", ("attestations", 0, "artifacts", 0), "AB" * 32),
    ("extras", ("attestations", 0, "predicate_type"), "x" * 1001),
    ("entry", ("version",), "a/b"),
    ("entry", ("channels",), ["Stable"]),
    ("entry", ("lifted",), {"a b": "2026-01-30T08:00:00Z"}),
    ("entry", ("lifted", "beta"), "soon"),
    ("entry", ("targets",), -1),
    ("entry", ("floor", "stable"), "a/b"),
]


@pytest.mark.parametrize(("kind", "place", "wrong"), WRONG_VALUES)
def test_a_wrong_value_is_named(kind: str, place: Place, wrong: Any) -> None:
    value, trip = KINDS[kind]
    if isinstance(wrong, int) and wrong > 2**53:
        with pytest.raises(DocumentError, match="integer out of range"):
            trip(_put(value, place, wrong))
        return
    with pytest.raises(DocumentError) as caught:
        trip(_put(value, place, wrong))
    assert _text(place) in caught.value.subject
    assert caught.value.expected or caught.value.what == "empty"
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("kind", "place"), [("policy", ("channels", "Stable")), ("entry", ("floor", "Stable"))]
)
def test_a_channel_that_cannot_be_one_is_named(kind: str, place: Place) -> None:
    value, trip = KINDS[kind]
    good = _at(value, (place[0], "stable"))
    with pytest.raises(DocumentError, match="expected a channel name"):
        trip(_put(value, place, good))


def test_two_artifacts_for_one_platform_are_refused() -> None:
    value = full_release()
    value["artifacts"] *= 2
    with pytest.raises(DocumentError, match="two artifacts for one platform; found 'linux-x86_64'"):
        _release(value)


def test_a_version_offered_twice_is_refused() -> None:
    value = full_channel()
    value["offers"] *= 2
    with pytest.raises(DocumentError, match=r"signed\.offers: a version offered twice"):
        _channel(value)


def test_an_empty_entrypoint_and_no_health_command_are_good() -> None:
    value = full_release()
    value["install"] = {"entrypoint": "", "health": {"command": []}}
    document = parse_release(json.dumps(value).encode())
    assert (document.install.entrypoint, document.install.health.command) == ("", ())
    assert (document.install.health.timeout_s, document.install.health.tries) == (60, 3)


@pytest.mark.parametrize(
    "envelope",
    [{}, {"signed": full_channel()}, {"signatures": []}, {"signed": [], "signatures": []}],
)
def test_a_channel_document_without_its_envelope_is_refused(envelope: Value) -> None:
    with pytest.raises(DocumentError, match=r"signatures|signed"):
        parse_channel(json.dumps(envelope).encode())


@pytest.mark.parametrize("custom", [None, {}])
def test_an_entry_without_the_publishers_mark_is_refused(custom: Value | None) -> None:
    with pytest.raises(DocumentError, match=r"releases/1/release\.json: custom\."):
        parse_entry(custom, subject="releases/1/release.json")


@pytest.mark.parametrize("custom", ["floor", ["floor"], 7, [], "", 0])
def test_an_entry_whose_mark_is_no_object_is_refused(custom: Any) -> None:
    with pytest.raises(DocumentError, match="custom"):
        parse_entry(custom, subject="releases/1/release.json")


# -- Critical -------------------------------------------------------------------------------


def _objects(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every object that this version reads, the document itself included."""
    if isinstance(value, dict):
        yield here
    for place in _places(value, here):
        inner = _at(value, place[len(here) :])
        if isinstance(inner, dict) and not set(place) & {"floor", "lifted"}:
            yield place


OBJECTS = [
    (kind, place)
    for kind, (value, _) in KINDS.items()
    for place in _objects(value)
    if place != ("channels",) or kind != "policy"
]


@pytest.mark.parametrize(("kind", "place"), OBJECTS, ids=_name)
def test_an_unknown_field_called_critical_is_refused_at_every_level(
    kind: str, place: Place
) -> None:
    value, trip = KINDS[kind]
    harmless = _put(value, (*place, "critical"), [])
    assert trip(harmless) == harmless
    for present in (True, False):
        changed = _put(value, (*place, "critical"), ["version", "w"])
        if present:
            changed = _put(changed, (*place, "w"), 1)
        with pytest.raises(DocumentError) as caught:
            trip(changed)
        # `version` is known to some objects only; either is reason enough.
        assert "critical field that this version does not know" in str(caught.value)
        assert caught.value.subject.endswith(
            tuple(_text((*place, name)) for name in ("w", "version"))
        )


@pytest.mark.parametrize(("kind", "place"), OBJECTS, ids=_name)
def test_a_list_of_critical_fields_that_is_none_is_refused_at_every_level(
    kind: str, place: Place
) -> None:
    value, trip = KINDS[kind]
    with pytest.raises(DocumentError, match="wrong type"):
        trip(_put(value, (*place, "critical"), "w"))


@pytest.mark.parametrize("kind", ["release", "channel", "policy", "extras", "entry"])
def test_a_known_field_may_be_called_critical(kind: str) -> None:
    value, trip = KINDS[kind]
    known = sorted(set(value) - {"x"} | {name for name in OPTIONAL[kind] if "." not in name})
    changed = _put(value, ("critical",), known)
    assert trip(changed) == changed


# -- Mutations ------------------------------------------------------------------------------

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**54),
    st.text(max_size=5),
    st.sampled_from(["1.0.0", "stable", "..", "ab" * 32, "2026-01-31T08:00:00Z", "\ud800"]),
    st.floats(),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, Value]:
    kind, place = draw(st.sampled_from(ALL))
    value, _ = KINDS[kind]
    match draw(st.sampled_from(["replace", "remove", "add", "twice"])):
        case "replace":
            return kind, _put(value, place, draw(ANYTHING))
        case "remove":
            return kind, _without(value, place)
        case "add":
            name = draw(st.sampled_from(["critical", "x", "y", ""]) | st.text(max_size=4))
            inner = _at(value, place)
            target = place if isinstance(inner, dict) else ()
            return kind, _put(value, (*target, name), draw(ANYTHING))
        case _:
            inner = _at(value, place)
            return kind, _put(value, place, inner * 2 if isinstance(inner, list | str) else [inner])


@given(mutations())
def test_a_mutated_document_is_refused_or_survives_a_round_trip(case: tuple[str, Value]) -> None:
    kind, value = case
    _, trip = KINDS[kind]
    if kind == "entry":
        # The mark comes out of TUF's JSON, not out of ours: what is refused there is not here.
        try:
            value = json.loads(json.dumps(value, allow_nan=False))
        except ValueError:
            return
    try:
        written = trip(value)
    except DocumentError:
        return
    assert trip(written) == written
    for name, inner in value.items():
        if name in {"x", "y", "critical"}:
            assert written[name] == inner


@given(st.sampled_from([name for name in KINDS if name != "entry"]), st.data())
def test_a_document_cut_or_spoilt_anywhere_is_refused_or_read(
    kind: str, data: st.DataObject
) -> None:
    value, _ = KINDS[kind]
    whole = value if kind != "channel" else {"signed": value, "signatures": []}
    good = json.dumps(whole).encode()
    at = data.draw(st.integers(0, len(good) - 1))
    spoilt = data.draw(
        st.sampled_from([good[:at], good[at:], good[:at] + b"\xff" + good[at + 1 :]])
        | st.binary(max_size=3).map(lambda new: good[:at] + new + good[at + 1 :])
    )
    parse: Callable[[bytes], Any] = {
        "release": parse_release,
        "channel": parse_channel,
        "policy": parse_policy,
        "extras": parse_extras,
    }[kind]
    try:
        parse(spoilt)
    except DocumentError as error:
        assert error.subject  # noqa: PT017 (that it is raised at all is not claimed)
