"""Ids that one side makes and another side logs: of a request, and of a run of a command.

Neither is a secret, and neither proves anything: whoever knows one may send it too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lockgate_release.errors import UsageError

__all__ = ["OPERATION_HEADER", "REQUEST_HEADER", "choose_operation", "is_id"]

REQUEST_HEADER: Final = "X-Request-Id"
OPERATION_HEADER: Final = "X-Operation-Id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_id(text: str) -> bool:
    """Whether `text` may be an id: 1 to 64 letters, digits, dots, hyphens and underscores."""
    return _ID.fullmatch(text) is not None


def choose_operation(said: str | None, new_id: Callable[[], str]) -> str:
    """Return the id of this run: what somebody said, or a new one.

    Raises:
        UsageError: What was said can be no id.
    """
    if not said:
        return new_id()
    if not is_id(said):
        raise UsageError(
            "no id of a run",
            subject="operation",
            expected="1 to 64 letters, digits, dots, hyphens and underscores",
            found=repr(said[:80]),
        )
    return said
