"""`install.python` of a release: it is a Python application, and its tree holds its wheels."""

from __future__ import annotations

from dataclasses import dataclass, field

from lockgate_release.documents.common import rest_of, with_unknown
from lockgate_release.strict_json import Fields, JsonObject

__all__ = ["PythonWheels", "is_inner_path", "read_python_wheels"]

_SPECIFIER = r"[0-9A-Za-z.,<>=!~*+ -]*"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonWheels:
    """How a Python application is installed: its wheels go into an environment of their own.

    Attributes:
        wheels: The folder of wheels, relative to the tree.
        requires: Which Python they need, as `Requires-Python` says it (PEP 440), or "" for any.
    """

    wheels: str
    requires: str = ""
    unknown: JsonObject = field(default_factory=dict)

    def are_for(self, python: str) -> bool:
        """Whether they are for this Python, such as `3.11.7`; one that is not known ("") may be.

        Where `requires` makes no sense they are for none.
        """
        if not self.requires or not python:
            return True
        from packaging.specifiers import (  # noqa: PLC0415 (of all apps only those of wheels pay)
            InvalidSpecifier,
            SpecifierSet,
        )

        try:
            return SpecifierSet(self.requires).contains(python, prereleases=True)
        except InvalidSpecifier:
            return False

    def to_json(self) -> JsonObject:
        """Return it as it stands in the document."""
        return with_unknown({"wheels": self.wheels, "requires": self.requires}, self.unknown)


def is_inner_path(text: str) -> bool:
    """Whether `text` names something inside a tree."""
    parts = text.split("/")
    return all(part not in {"", ".", ".."} for part in parts) and "\0" not in text


def read_python_wheels(fields: Fields) -> PythonWheels:
    """Return what `fields` says.

    Raises:
        DocumentError: The folder lies outside of the tree, or a field has another form.
    """
    return PythonWheels(
        wheels=fields.checked("wheels", is_inner_path, "a path inside the tree"),
        requires=fields.text("requires", default="", pattern=_SPECIFIER, max_length=200),
        unknown=rest_of(fields),
    )
