"""Reading the server's answers: JSON that should have a shape, and may not."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate_release.errors import TransportError

__all__ = ["number_of", "objects", "table_of", "text_of", "texts_of"]


def objects(answer: Mapping[str, object], name: str) -> list[dict[str, object]]:
    """Return the objects in an array of the answer.

    Raises:
        TransportError: There is none: this is not the server we know.
    """
    value = answer.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TransportError(
            "an unexpected answer",
            subject=name,
            expected="an array of objects",
            found=repr(value)[:60],
        )
    return value


def text_of(answer: Mapping[str, object], name: str) -> str:
    """Return a value of the answer as text; "" where there is none."""
    value = answer.get(name)
    return "" if value is None else str(value)


def number_of(answer: Mapping[str, object], name: str, default: int = 0) -> int:
    """Return a whole number of the answer, or the default where there is none."""
    value = answer.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def texts_of(answer: Mapping[str, object], name: str) -> list[str]:
    """Return the texts in an array of the answer; none where there is none."""
    value = answer.get(name)
    return [str(item) for item in value] if isinstance(value, list) else []


def table_of(answer: Mapping[str, object], name: str) -> dict[str, object]:
    """Return an object of the answer; an empty one where there is none."""
    value = answer.get(name)
    return value if isinstance(value, dict) else {}
