"""JSON read strictly and written one way.

Reading refuses what JSON parsers disagree on: duplicate keys, floats, integers above 2**53, text
that is not UTF-8, halves of characters, and nesting deeper than a document needs. Each refusal
names the document and the path to the field. Writing sorts keys and adds no white space, so equal
values are equal bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NoReturn, TypeAlias, TypeVar

from lockgate_release.errors import DocumentError
from lockgate_release.instants import parse_instant

__all__ = ["MAX_INTEGER", "Fields", "Json", "JsonObject", "dump_json", "parse_json"]

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]
T = TypeVar("T")

MAX_INTEGER = 2**53
"""Above this, clients in languages whose numbers are doubles would read another value."""

_MAX_DEPTH = 24
_SHOWN = 80
_SHOWN_PATH = 400


def dump_json(value: Json) -> bytes:
    """Return `value` as compact UTF-8 JSON with sorted keys and a final newline."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    )
    return text.encode() + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")


def parse_json(data: bytes, *, subject: str) -> Fields:
    """Return the object in `data`, ready to be read field by field.

    Args:
        data: The bytes as received.
        subject: What the bytes are, for messages: a path or a document's name.

    Raises:
        DocumentError: `data` is not one strict JSON object.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise DocumentError(
            "not UTF-8", subject=subject, found=f"byte {data[exc.start]:#04x} at {exc.start}"
        ) from exc
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique(subject),
            parse_float=_refuse_number(subject),
            parse_constant=_refuse_number(subject),
            parse_int=_parse_integer(subject),
        )
    except (json.JSONDecodeError, RecursionError) as exc:
        raise DocumentError("not JSON", subject=subject, found=str(exc)[:_SHOWN]) from exc
    # Only escapes can write half a character, and nothing is deeper than it has opening brackets.
    if "\\u" in text or text.count("[") + text.count("{") >= _MAX_DEPTH:
        _check_tree(value, subject, _MAX_DEPTH)
    if not isinstance(value, dict):
        raise DocumentError(
            "wrong type", subject=subject, expected="a JSON object", found=_describe(value)
        )
    return Fields(value, subject=subject, path="")


def _unique(subject: str) -> Callable[[list[tuple[str, Json]]], dict[str, Json]]:
    def build(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _value in pairs]
            twice = next(name for place, name in enumerate(names) if name in names[:place])
            raise DocumentError("duplicate key", subject=subject, found=repr(twice))
        return result

    return build


def _refuse_number(subject: str) -> Callable[[str], NoReturn]:
    def refuse(text: str) -> NoReturn:
        raise DocumentError(
            "not an integer", subject=subject, expected="integers only", found=text[:_SHOWN]
        )

    return refuse


def _parse_integer(subject: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # Seventeen characters hold 2**53 and its sign; longer ones are not worth converting.
        if len(text) > len(str(-MAX_INTEGER)) or abs(int(text)) > MAX_INTEGER:
            raise DocumentError(
                "integer out of range",
                subject=subject,
                expected="at most 2**53",
                found=text[:_SHOWN],
            )
        return int(text)

    return parse


def _check_tree(value: Json, subject: str, left: int) -> None:
    if left == 0:
        raise DocumentError("nested too deeply", subject=subject, expected=f"{_MAX_DEPTH} levels")
    if isinstance(value, str):
        _check_text(value, subject)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key, subject)
            _check_tree(inner, subject, left - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_tree(inner, subject, left - 1)


def _check_text(text: str, subject: str) -> None:
    # JSON can escape half of a character; no UTF-8 can hold it, so it could not be written again.
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise DocumentError(
            "half a character", subject=subject, found=ascii(text[exc.start : exc.end])[:_SHOWN]
        ) from exc


def _show_path(path: str) -> str:
    """Return a path for a message: names in it may be hostile, and messages end on terminals."""
    shown = path if len(path) <= _SHOWN_PATH else path[:_SHOWN_PATH] + "…"
    return shown if shown.isprintable() else repr(shown)


def _describe(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int():
            return f"the integer {value}"
        case str():
            shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
            return f"the text {shown!r}"
        case Mapping():
            return "an object"
        case _:
            return "an array"


class Fields:
    """One JSON object that is being read, field by field, with the path to it for messages.

    Every reading method takes the field's name, refuses a missing field unless a `default` is
    given, and remembers that the name is known: `unknown()` returns the rest.
    """

    def __init__(self, value: Mapping[str, Json], *, subject: str, path: str) -> None:
        """Wrap `value`, found at `path` inside the document `subject`."""
        self._value = value
        self._known: set[str] = set()
        self.subject = subject
        self.path = path

    def fail(self, name: str, what: str, *, expected: str = "", found: str = "") -> NoReturn:
        """Raise the error that points at the field `name`.

        Raises:
            DocumentError: Always.
        """
        path = _show_path(self._at(name))
        subject = f"{self.subject}: {path}" if path else self.subject
        raise DocumentError(what, subject=subject, expected=expected, found=found)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else name or self.path

    def has(self, name: str) -> bool:
        """Whether the field is present and not null."""
        return self._value.get(name) is not None

    def _take(self, name: str, expected: str) -> Json:
        self._known.add(name)
        if name not in self._value:
            self.fail(name, "missing field", expected=expected)
        return self._value[name]

    def text(
        self,
        name: str,
        *,
        pattern: str = "",
        max_length: int = 4096,
        default: str | None = None,
    ) -> str:
        """Return a text of at most `max_length` characters that matches `pattern` as a whole."""
        expected = f"a text matching {pattern}" if pattern else "a text"
        if default is not None and name not in self._value:
            self._known.add(name)
            return default
        value = self._take(name, expected)
        if not isinstance(value, str):
            self.fail(name, "wrong type", expected=expected, found=_describe(value))
        if len(value) > max_length:
            self.fail(
                name,
                "too long",
                expected=f"at most {max_length} characters",
                found=f"{len(value)} characters",
            )
        if pattern and re.fullmatch(pattern, value) is None:
            self.fail(name, "wrong value", expected=expected, found=_describe(value))
        return value

    def checked(self, name: str, check: Callable[[str], bool], expected: str) -> str:
        """Return a text for which `check` is true."""
        value = self.text(name)
        if not check(value):
            self.fail(name, "wrong value", expected=expected, found=_describe(value))
        return value

    def choice(self, name: str, choices: type[T], *, default: T | None = None) -> T:
        """Return a member of the `StrEnum` `choices`."""
        if default is not None and name not in self._value:
            self._known.add(name)
            return default
        names = [str(member) for member in choices]  # type: ignore[attr-defined]
        value = self.text(name)
        if value not in names:
            self.fail(
                name, "wrong value", expected="one of " + ", ".join(names), found=_describe(value)
            )
        return choices(value)  # type: ignore[call-arg]

    def integer(
        self, name: str, *, minimum: int = 0, maximum: int = MAX_INTEGER, default: int | None = None
    ) -> int:
        """Return an integer from `minimum` to `maximum`; a boolean is not one."""
        if default is not None and name not in self._value:
            self._known.add(name)
            return default
        expected = f"an integer from {minimum} to {maximum}"
        return self._whole(name, self._take(name, expected), minimum, maximum)

    def integers(self, name: str, *, minimum: int, maximum: int, most: int) -> tuple[int, ...]:
        """Return the integers, from `minimum` to `maximum`, of an array of at most `most`."""
        return tuple(
            self._whole(f"{name}[{index}]", value, minimum, maximum)
            for index, value in enumerate(self._array(name, most, optional=False))
        )

    def _whole(self, name: str, value: Json, minimum: int, maximum: int) -> int:
        expected = f"an integer from {minimum} to {maximum}"
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(name, "wrong type", expected=expected, found=_describe(value))
        if not minimum <= value <= maximum:
            self.fail(name, "out of range", expected=expected, found=_describe(value))
        return value

    def boolean(self, name: str, *, default: bool | None = None) -> bool:
        """Return a boolean."""
        if default is not None and name not in self._value:
            self._known.add(name)
            return default
        value = self._take(name, "a boolean")
        if not isinstance(value, bool):
            self.fail(name, "wrong type", expected="a boolean", found=_describe(value))
        return value

    def instant(self, name: str) -> datetime:
        """Return an aware UTC instant."""
        value = self.text(name)
        try:
            return parse_instant(value)
        except ValueError:
            self.fail(
                name,
                "wrong value",
                expected="an instant such as 2026-01-31T08:00:00Z",
                found=_describe(value),
            )

    def object(self, name: str, *, optional: bool = False) -> Fields:
        """Return the object in the field; an empty one if it is `optional` and missing."""
        if optional and name not in self._value:
            self._known.add(name)
            return Fields({}, subject=self.subject, path=self._at(name))
        value = self._take(name, "an object")
        if not isinstance(value, Mapping):
            self.fail(name, "wrong type", expected="an object", found=_describe(value))
        return Fields(value, subject=self.subject, path=self._at(name))

    def objects(self, name: str, *, most: int = 10_000, optional: bool = False) -> list[Fields]:
        """Return the objects of an array of at most `most`."""
        result = []
        for index, value in enumerate(self._array(name, most, optional=optional)):
            path = f"{self._at(name)}[{index}]"
            if not isinstance(value, Mapping):
                self.fail(
                    f"{name}[{index}]", "wrong type", expected="an object", found=_describe(value)
                )
            result.append(Fields(value, subject=self.subject, path=path))
        return result

    def texts(self, name: str, *, most: int = 1000, optional: bool = False) -> tuple[str, ...]:
        """Return the texts of an array of at most `most`."""
        values = self._array(name, most, optional=optional)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.fail(
                    f"{name}[{index}]", "wrong type", expected="a text", found=_describe(value)
                )
        return tuple(str(value) for value in values)

    def _array(self, name: str, most: int, *, optional: bool) -> Sequence[Json]:
        if optional and name not in self._value:
            self._known.add(name)
            return ()
        value = self._take(name, "an array")
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.fail(name, "wrong type", expected="an array", found=_describe(value))
        if len(value) > most:
            self.fail(name, "too long", expected=f"at most {most} elements", found=str(len(value)))
        return value

    def names(self) -> tuple[str, ...]:
        """Return every field name of the object, in its order."""
        return tuple(self._value)

    def raw(self) -> JsonObject:
        """Return the object as it was read."""
        return MappingProxyType(dict(self._value))

    def knows(self, name: str) -> bool:
        """Whether some reading method was asked for the field, present or not."""
        return name in self._known

    def unknown(self) -> JsonObject:
        """Return the fields nobody has read, to be kept for a round trip."""
        rest = {key: value for key, value in self._value.items() if key not in self._known}
        return MappingProxyType(rest)
