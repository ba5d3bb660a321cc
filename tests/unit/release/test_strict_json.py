"""Strict JSON: what parsers disagree on is refused, and the message names the place."""

import itertools
import json
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.errors import DocumentError
from lockgate_release.strict_json import MAX_INTEGER, Fields, dump_json, parse_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=5)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def _fields(value: dict[str, Any]) -> Fields:
    return parse_json(json.dumps(value).encode(), subject="a.json")


def _refusal(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_json(data, subject="a.json")
    assert caught.value.subject.startswith("a.json")
    return str(caught.value)


# -- Bytes ----------------------------------------------------------------------------------


@given(OBJECTS)
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    data = dump_json(value)
    assert parse_json(data, subject="a").raw() == value
    assert dump_json(parse_json(data, subject="a").raw()) == data


@given(OBJECTS)
def test_equal_values_are_equal_bytes(value: dict[str, Any]) -> None:
    assert dump_json(dict(reversed(value.items()))) == dump_json(value)


def test_what_is_written_is_compact_sorted_and_ends_with_a_newline() -> None:
    written = dump_json({"b": [1, True, None], "a": MappingProxyType({"ä": "\n"})})
    assert written == '{"a":{"ä":"\\n"},"b":[1,true,null]}\n'.encode()


def test_what_has_no_place_in_a_document_is_a_bug_of_ours() -> None:
    with pytest.raises(TypeError, match="datetime has no place"):
        dump_json({"at": datetime(2026, 1, 1, tzinfo=UTC)})  # type: ignore[dict-item]


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(data: bytes) -> None:
    try:
        found = parse_json(data, subject="a")
    except DocumentError:
        return
    assert parse_json(dump_json(found.raw()), subject="a").raw() == found.raw()


@given(st.text(st.sampled_from('{}[]",:0123456789.eE-+ntrufalse \\ud8"'), max_size=40))
def test_any_text_like_json_is_an_object_or_refused(text: str) -> None:
    try:
        found = parse_json(text.encode(), subject="a")
    except DocumentError:
        return
    assert parse_json(dump_json(found.raw()), subject="a").raw() == found.raw()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": 1, "a": 1}', "duplicate key; found 'a'"),
        (b'{"b": {"a": 1, "a": 2}}', "duplicate key; found 'a'"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate key; found 'a'"),
        (b'{"a": 1.0}', "not an integer; expected integers only; found 1.0"),
        (b'{"a": 1e2}', "not an integer"),
        (b'{"a": NaN}', "not an integer; expected integers only; found NaN"),
        (b'{"a": -Infinity}', "not an integer"),
        (b'{"a": 9007199254740993}', "integer out of range; expected at most 2**53"),
        (b'{"a": -9007199254740993}', "integer out of range"),
        (b'{"a": 99999999999999999}', "integer out of range"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "integer out of range"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": 1}{"b": 2}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": "\x01"}', "not JSON"),
        (b"", "not JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8; found byte 0xff at 7"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"a": ["\\udfff\\ud800"]}', "half a character"),
        (b'{"\\ud800": 1}', "half a character"),
        (b"[]", "expected a JSON object; found an array"),
        (b"1", "found the integer 1"),
        (b"null", "found null"),
        (b"true", "found the boolean true"),
        (b'"x"', "found the text 'x'"),
        (b'{"a":' * 24 + b"1" + b"}" * 24, "nested too deeply; expected 24 levels"),
        (b'{"a":' + b"[" * 24 + b"]" * 24 + b"}", "nested too deeply"),
        (b'{"a":' * 200_000, "not JSON"),
        (b"[" * 200_000 + b"]" * 200_000, "not JSON"),
    ],
    ids=itertools.count(),
)
def test_what_parsers_disagree_on_is_refused(data: bytes, words: str) -> None:
    assert words in _refusal(data)


def test_the_message_does_not_grow_with_the_input() -> None:
    for data in (b'{"a": 1.' + b"0" * 100_000 + b"}", b'{"a": ' + b"9" * 100_000 + b"}"):
        assert len(_refusal(data)) < 300


def test_whole_characters_beyond_the_first_plane_are_read() -> None:
    assert parse_json(b'{"a": "\\ud83d\\ude00"}', subject="a").text("a") == "\U0001f600"


def test_the_largest_integers_and_the_deepest_document_are_read() -> None:
    data = b'{"a": 9007199254740992, "b": -9007199254740992, "c": -0}'
    assert parse_json(data, subject="a").raw() == {"a": 2**53, "b": -(2**53), "c": 0}
    assert parse_json(b'{"a":' * 23 + b"1" + b"}" * 23, subject="a").names() == ("a",)


# -- Fields ---------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "text": "x",
    "integer": 3,
    "boolean": True,
    "instant": "2026-01-31T08:00:00Z",
    "choice": "red",
    "object": {"inner": 1},
    "objects": [{"inner": 1}],
    "texts": ["x"],
}
READERS: dict[str, Any] = {
    "text": lambda fields: fields.text("text"),
    "integer": lambda fields: fields.integer("integer"),
    "boolean": lambda fields: fields.boolean("boolean"),
    "instant": lambda fields: fields.instant("instant"),
    "choice": lambda fields: fields.choice("choice", Colour),
    "object": lambda fields: fields.object("object"),
    "objects": lambda fields: fields.objects("objects"),
    "texts": lambda fields: fields.texts("texts"),
}
WRONG: list[Any] = [None, "text", 7, False, [], {}]


@pytest.mark.parametrize("name", READERS)
def test_a_good_field_is_read(name: str) -> None:
    found = READERS[name](_fields(GOOD))
    if name == "instant":
        assert found == datetime(2026, 1, 31, 8, tzinfo=UTC)
    elif name == "object":
        assert found.integer("inner") == 1
    elif name == "objects":
        assert [item.integer("inner") for item in found] == [1]
    elif name == "texts":
        assert found == ("x",)
    else:
        assert found == GOOD[name]


@pytest.mark.parametrize("name", READERS)
def test_a_missing_field_is_named_with_its_path(name: str) -> None:
    inner = _fields({"outer": {}}).object("outer")
    with pytest.raises(DocumentError, match=rf"a\.json: outer\.{name}: missing field; expected a"):
        READERS[name](inner)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_field_of_another_type_is_named_with_its_path(name: str, wrong: Any) -> None:
    if isinstance(wrong, type(GOOD[name])) and not isinstance(wrong, bool):
        wrong = 1.5  # the one wrong type that strict JSON cannot hold; values can come otherwise
    if name == "boolean" and wrong is False:
        wrong = 0
    fields = Fields({name: wrong}, subject="a.json", path="outer")
    with pytest.raises(DocumentError, match=rf"a\.json: outer\.{name}: wrong type; expected a"):
        READERS[name](fields)


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (lambda f: f.text("a", max_length=3), "abcd", "too long; expected at most 3 char"),
        (lambda f: f.text("a", pattern="x+"), "xxy", "wrong value; expected a text matching x+"),
        (lambda f: f.text("a", pattern="x+"), "xx\n", "wrong value"),
        (
            lambda f: f.checked("a", str.isupper, "capitals"),
            "low",
            "wrong value; expected capitals",
        ),
        (lambda f: f.choice("a", Colour), "green", "wrong value; expected one of red, blue"),
        (lambda f: f.integer("a", minimum=2), 1, "out of range; expected an integer from 2 to"),
        (lambda f: f.integer("a", maximum=2), 3, "out of range; expected an integer from 0 to 2"),
        (lambda f: f.integer("a"), -1, "out of range"),
        (lambda f: f.instant("a"), "yesterday", "wrong value; expected an instant such as"),
        (lambda f: f.objects("a", most=1), [{}, {}], "too long; expected at most 1 elem"),
        (lambda f: f.texts("a", most=1), ["x", "y"], "too long; expected at most 1 elem"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(read: Any, value: Any, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(_fields({"a": value}))
    assert f"a.json: a: {words}" in str(caught.value)


def test_the_place_in_an_array_is_named() -> None:
    fields = _fields({"o": {"objects": [{}, 1], "texts": ["x", None]}}).object("o")
    with pytest.raises(DocumentError, match=r"o\.objects\[1\]: wrong type.*the integer 1"):
        fields.objects("objects")
    with pytest.raises(DocumentError, match=r"o\.texts\[1\]: wrong type.*found null"):
        fields.texts("texts")
    inner = _fields({"l": [{"a": 1}]}).objects("l")[0]
    with pytest.raises(DocumentError, match=r"a\.json: l\[0\]\.a: wrong type"):
        inner.text("a")


def test_a_default_stands_for_a_missing_field_and_not_for_a_wrong_one() -> None:
    fields = _fields({})
    assert fields.text("a", default="x") == "x"
    assert fields.integer("a", default=4) == 4
    assert fields.boolean("a", default=True) is True
    assert fields.choice("a", Colour, default=Colour.BLUE) is Colour.BLUE
    assert fields.object("a", optional=True).names() == ()
    assert fields.objects("a", optional=True) == []
    assert fields.texts("a", optional=True) == ()
    wrong = _fields({"a": None})
    for read in (
        lambda: wrong.text("a", default="x"),
        lambda: wrong.integer("a", default=4),
        lambda: wrong.boolean("a", default=True),
        lambda: wrong.choice("a", Colour, default=Colour.RED),
        lambda: wrong.object("a", optional=True),
        lambda: wrong.objects("a", optional=True),
        lambda: wrong.texts("a", optional=True),
    ):
        with pytest.raises(DocumentError, match="found null"):
            read()


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(DocumentError) as caught:
        _fields({"a": "x" * 4000}).choice("a", Colour)
    assert len(str(caught.value)) < 300


def test_a_hostile_field_name_can_neither_fill_nor_steer_the_terminal() -> None:
    name = "\x1b[2J\n" + "x" * 100_000
    with pytest.raises(DocumentError) as caught:
        _fields({name: 1}).text(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_what_nobody_read_is_unknown_and_stays() -> None:
    fields = _fields({"a": 1, "b": 2, "c": None})
    fields.integer("a")
    fields.text("d", default="")
    assert fields.unknown() == {"b": 2, "c": None}
    assert fields.names() == ("a", "b", "c")
    assert fields.raw() == {"a": 1, "b": 2, "c": None}


def test_a_field_that_is_null_is_not_there() -> None:
    fields = _fields({"a": 0, "b": None})
    assert [fields.has(name) for name in "abc"] == [True, False, False]


def test_failing_on_the_document_itself_names_only_the_document() -> None:
    with pytest.raises(DocumentError, match=r"^a\.json: odd$"):
        _fields({}).fail("", "odd")
    with pytest.raises(DocumentError, match=r"^a\.json: o: odd$"):
        _fields({"o": {}}).object("o").fail("", "odd")
