"""How long to wait before something is tried again: decided from what happened, without a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

__all__ = ["WaitRules"]

_MAX_WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRules:
    """How failures are waited out.

    Attributes:
        sleep: Waits so many seconds.
        jitter: Returns a number from 0 to 1, drawn anew each time.
        attempts: How often something is tried at most, > 0.
        first_wait_s: The longest first wait; each further one may be twice as long.
    """

    sleep: Callable[[float], None]
    jitter: Callable[[], float]
    attempts: int = 4
    first_wait_s: float = 0.5

    def wait_s(self, failures: int, headers: Mapping[str, str] | None = None) -> float:
        """Return how long to wait after so many failures, > 0, within a minute.

        Args:
            failures: How often it has failed, this time included.
            headers: Those of the answer, names in lower case; None where none came.

        Source: RFC 9110, 10.2.3: `Retry-After` is in seconds, or a date.
        """
        asked = _asked_s(headers or {})
        if asked is not None:
            return min(asked, _MAX_WAIT_S)
        longest = min(self.first_wait_s * 2.0 ** (failures - 1), _MAX_WAIT_S)
        return longest * (0.5 + self.jitter() / 2)


def _asked_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks to be left alone, or None where it says nothing of use.

    A date is taken against the server's own, so that this machine's clock does not matter.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked)
    try:
        moment = parsedate_to_datetime(asked)
        return max((moment - parsedate_to_datetime(headers.get("date", ""))).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
