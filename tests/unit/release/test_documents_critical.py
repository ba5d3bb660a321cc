"""A field that a document calls critical is known, or the document is refused, at every level."""

from collections.abc import Iterator
from typing import Any

import pytest

from lockgate_release.errors import DocumentError
from tests.unit.release.fields_of import (
    KINDS,
    OPTIONAL,
    Place,
    name_of,
    places_in,
    text_of,
    value_at,
    with_value,
)


def _objects(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every object that this version reads, the document itself included."""
    if isinstance(value, dict):
        yield here
    for place in places_in(value, here):
        inner = value_at(value, place[len(here) :])
        if isinstance(inner, dict) and not set(place) & {"floor", "lifted"}:
            yield place


OBJECTS = [
    (kind, place)
    for kind, (value, _) in KINDS.items()
    for place in _objects(value)
    if place != ("channels",) or kind != "policy"
]


@pytest.mark.parametrize(("kind", "place"), OBJECTS, ids=name_of)
def test_an_unknown_field_called_critical_is_refused_at_every_level(
    kind: str, place: Place
) -> None:
    value, trip = KINDS[kind]
    harmless = with_value(value, (*place, "critical"), [])
    assert trip(harmless) == harmless
    for present in (True, False):
        changed = with_value(value, (*place, "critical"), ["version", "w"])
        if present:
            changed = with_value(changed, (*place, "w"), 1)
        with pytest.raises(DocumentError) as caught:
            trip(changed)
        # `version` is known to some objects only; either is reason enough.
        assert "critical field that this version does not know" in str(caught.value)
        assert caught.value.subject.endswith(
            tuple(text_of((*place, name)) for name in ("w", "version"))
        )


@pytest.mark.parametrize(("kind", "place"), OBJECTS, ids=name_of)
def test_a_list_of_critical_fields_that_is_none_is_refused_at_every_level(
    kind: str, place: Place
) -> None:
    value, trip = KINDS[kind]
    with pytest.raises(DocumentError, match="wrong type"):
        trip(with_value(value, (*place, "critical"), "w"))


@pytest.mark.parametrize("kind", ["release", "channel", "policy", "extras", "entry"])
def test_a_known_field_may_be_called_critical(kind: str) -> None:
    value, trip = KINDS[kind]
    known = sorted(set(value) - {"x"} | {name for name in OPTIONAL[kind] if "." not in name})
    changed = with_value(value, ("critical",), known)
    assert trip(changed) == changed
