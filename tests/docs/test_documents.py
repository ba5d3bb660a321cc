"""The page of the documents: its examples parse, and its tables say what the parsers do."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lockgate_release.documents import (
    ManualCheck,
    Remedy,
    RolloutState,
    parse_channel,
    parse_entry,
    parse_extras,
    parse_policy,
    parse_release,
)
from lockgate_release.errors import DocumentError
from lockgate_release.strict_json import dump_json
from lockgate_release.versions import VersionScheme
from tests.docs.tables import examples, page, rows, section

PAGE = page("documents.md")
EXAMPLES: dict[str, Any] = {name: json.loads(text) for name, text in examples(PAGE).items()}
HEADINGS = {
    "release": "## Release",
    "entry": "## The publishers' mark",
    "extras": "## Extras",
    "channel": "## Channel",
    "policy": "## Policy",
}
# Objects whose fields are named by channels, not by this format.
_BY_CHANNEL = {("entry", "floor"), ("entry", "lifted"), ("policy", "channels")}
# Objects whose fields stand on a page of their own.
_ELSEWHERE = {("channel", "offers[].rollout.progress")}
_REFUSED = "refused"


def _signed(name: str, value: Any) -> Any:
    return value["signed"] if name == "channel" else value


def _read_channel(value: Any) -> Any:
    envelope = {"signed": value, "signatures": []}
    return parse_channel(json.dumps(envelope).encode()).to_json()


READERS: dict[str, Callable[[Any], Any]] = {
    "release": lambda value: parse_release(json.dumps(value).encode()).to_json(),
    "entry": lambda value: parse_entry(value, subject="entry").to_json(),
    "extras": lambda value: json.loads(parse_extras(json.dumps(value).encode()).to_bytes()),
    "channel": _read_channel,
    "policy": lambda value: json.loads(parse_policy(json.dumps(value).encode()).to_bytes()),
}


def _table(name: str) -> dict[str, tuple[str, str]]:
    cells = rows(section(PAGE, HEADINGS[name]), "field")
    return {field: (shape, without) for field, shape, without in cells}


def _fields(name: str, value: Any, path: str = "") -> Iterator[str]:
    """The fields of an example, as the tables name them."""
    for key, inner in value.items():
        here = f"{path}.{key}" if path else key
        yield here
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield from _fields(name, inner[0], f"{here}[]")
        elif (name, here) in _BY_CHANNEL:
            for item in inner.values():
                yield from _fields(name, item, f"{here}.*") if isinstance(item, dict) else ()
        elif isinstance(inner, dict) and (name, here) not in _ELSEWHERE:
            yield from _fields(name, inner, here)


def _holders(value: Any, field: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in which a field of a table stands."""
    first, _, rest = field.partition(".")
    if not rest:
        yield value, field
        return
    key = first.removesuffix("[]")
    inner = value.values() if key == "*" else [value[key]]
    for item in inner:
        for one in item if isinstance(item, list) else [item]:
            yield from _holders(one, rest)


def test_every_document_has_an_example() -> None:
    assert EXAMPLES.keys() == HEADINGS.keys() == READERS.keys()


@pytest.mark.parametrize("name", HEADINGS)
def test_the_example_is_read_and_written_back_whole(name: str) -> None:
    value = _signed(name, EXAMPLES[name])
    assert json.loads(dump_json(READERS[name](value))) == value
    if name == "channel":
        assert parse_channel(json.dumps(EXAMPLES[name]).encode()).app == "myapp"


@pytest.mark.parametrize("name", HEADINGS)
def test_the_table_names_the_fields_that_the_example_has(name: str) -> None:
    assert set(_table(name)) == set(_fields(name, _signed(name, EXAMPLES[name])))


@pytest.mark.parametrize("name", HEADINGS)
def test_the_table_names_the_fields_that_are_written(name: str) -> None:
    written = READERS[name](_signed(name, EXAMPLES[name]))
    assert set(_fields(name, json.loads(dump_json(written)))) == set(_table(name))


ALL = [(name, field) for name in HEADINGS for field in _table(name)]


@pytest.mark.parametrize(("name", "field"), ALL)
def test_what_a_missing_field_means_is_what_the_table_says(name: str, field: str) -> None:
    value = copy.deepcopy(_signed(name, EXAMPLES[name]))
    _, without = _table(name)[field]
    for holder, key in _holders(value, field):
        del holder[key]
    if without == _REFUSED:
        with pytest.raises(DocumentError, match="missing field"):
            READERS[name](value)
        return
    written = json.loads(dump_json(READERS[name](value)))
    if without.startswith("all of its defaults"):
        return
    expected = json.loads(without.strip("`").partition("`")[0])
    for holder, key in _holders(written, field):
        left_out = expected if expected in ([], {}, False) else None
        assert holder.get(key, left_out) == expected


def test_the_words_that_a_field_may_hold_are_all_named() -> None:
    for name, field, words in (
        ("channel", "offers[].rollout.state", [state.value for state in RolloutState]),
        ("channel", "revoked[].remedy", [remedy.value for remedy in Remedy]),
        ("policy", "versions", [scheme.value for scheme in VersionScheme]),
        ("policy", "channels.*.manual_check", [check.value for check in ManualCheck]),
    ):
        shape, _ = _table(name)[field]
        assert all(f"`{word}`" in shape for word in words), field


LIMITS = [
    ("release", "artifacts", 200),
    ("release", "install.health.command", 100),
    ("release", "requires.capabilities", 100),
    ("channel", "offers", 100),
    ("channel", "once_full", 1000),
    ("channel", "revoked", 10_000),
    ("policy", "channels.*.paths", 100),
]


@pytest.mark.parametrize(("name", "field", "most"), LIMITS)
def test_an_array_may_be_as_long_as_the_table_says(name: str, field: str, most: int) -> None:
    shape, _ = _table(name)[field]
    assert f" {most} " in shape
    value = copy.deepcopy(_signed(name, EXAMPLES[name]))
    holder, key = next(_holders(value, field))
    item = holder[key][0]
    holder[key] = [_varied(item, at) for at in range(most)]
    READERS[name](value)
    holder[key].append(_varied(item, most))
    with pytest.raises(DocumentError, match=f"too long; expected at most {most}"):
        READERS[name](value)


def _varied(item: Any, at: int) -> Any:
    """Another element like this one: no two for one platform, none offered twice."""
    if not isinstance(item, dict):
        return item
    changes = {"platform": f"any-{at}", "version": f"1.0.{at}"}
    return item | {key: new for key, new in changes.items() if key in item}


def test_the_depth_and_the_size_are_what_the_page_says() -> None:
    assert "nested at most 23 levels deep" in PAGE
    value = copy.deepcopy(EXAMPLES["extras"])
    inner: Any = 1
    for _ in range(22):
        inner = [inner]
    READERS["extras"]({**value, "x": inner})
    with pytest.raises(DocumentError, match="nested too deeply"):
        READERS["extras"]({**value, "x": [inner]})
