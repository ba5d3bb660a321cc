"""Whether a version that is live already is what somebody publishes again."""

from __future__ import annotations

from collections.abc import Mapping

from lockgate_cli.repository import Stored
from lockgate_release.documents import ReleaseDocument
from lockgate_release.errors import ConflictError
from lockgate_release.layout import extras_path, release_path
from lockgate_release.strict_json import Json

__all__ = ["check_same", "check_same_notes"]


def check_same(stored: Stored, document: ReleaseDocument) -> None:
    """Refuse to publish other content under a version that is live.

    Raises:
        ConflictError: It is other content; the message names the first field that differs.
    """
    if document.is_same_publish(stored.document):
        return
    field_name, old, new = _first_difference(
        stored.document.to_json(), document.with_moment_of(stored.document).to_json(), ""
    )
    raise ConflictError(
        "this version is published already, with other content",
        subject=f"{release_path(document.version)}: {field_name}",
        expected=old,
        found=new,
        hint="A release never changes: publish under a new version.",
    )


def check_same_notes(stored: Stored, version: str, notes: str | None) -> None:
    """Refuse to publish other notes under a version that is live; None says nothing of them.

    Raises:
        ConflictError: They are others.
    """
    known = stored.extras.notes if stored.extras else ""
    if notes is not None and notes != known:
        raise ConflictError(
            "this version is published already, with other notes",
            subject=f"{extras_path(version)}: notes",
            expected=repr(known[:60]),
            found=repr(notes[:60]),
            hint="Leave --notes out to keep those that are published.",
        )


def _first_difference(old: Json, new: Json, path: str) -> tuple[str, str, str]:
    """Return where two documents differ first, and how."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                return _first_difference(
                    old.get(name), new.get(name), f"{path}.{name}" if path else name
                )
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            if one != other:
                return _first_difference(one, other, f"{path}[{index}]")
    return path, repr(old)[:200], repr(new)[:200]
