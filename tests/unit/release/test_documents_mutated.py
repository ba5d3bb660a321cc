"""A document that somebody has changed anywhere is refused, or read and written as it is."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.documents import parse_channel, parse_extras, parse_policy, parse_release
from lockgate_release.errors import DocumentError
from tests.unit.release.fields_of import ALL, KINDS, Value, value_at, with_value, without

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
            return kind, with_value(value, place, draw(ANYTHING))
        case "remove":
            return kind, without(value, place)
        case "add":
            name = draw(st.sampled_from(["critical", "x", "y", ""]) | st.text(max_size=4))
            inner = value_at(value, place)
            target = place if isinstance(inner, dict) else ()
            return kind, with_value(value, (*target, name), draw(ANYTHING))
        case _:
            inner = value_at(value, place)
            return kind, with_value(
                value, place, inner * 2 if isinstance(inner, list | str) else [inner]
            )


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
