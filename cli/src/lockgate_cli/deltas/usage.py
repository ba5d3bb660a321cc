"""Which versions clients use, as the server tells it from their reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lockgate_cli.answers import number_of, objects, text_of
from lockgate_cli.api import Api, JsonDict
from lockgate_cli.output import warn
from lockgate_release.errors import LockgateError
from lockgate_release.names import AppName

__all__ = ["read_usage"]


class _UsageApi(Api):
    """The same server's API: what clients use."""

    def installed(self, app: AppName) -> JsonDict:
        """Return which versions clients use, by the day.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("GET", f"apps/{app}/installed")


def read_usage(api: Api, app: AppName) -> Mapping[str, int]:
    """Return how many days clients have spent on each version in the last week.

    It only chooses what is worth making: where it cannot be read, nothing is known, and that is
    said.
    """
    days: Counter[str] = Counter()
    try:
        answer = _UsageApi(http=api.http, base=api.base).installed(app)
        for day in objects(answer, "days"):
            for count in objects(day, "counts"):
                days[text_of(count, "version")] += number_of(count, "clients")
    except LockgateError as exc:
        warn(f"which versions clients use is not known: {exc}")
        return {}
    return days
