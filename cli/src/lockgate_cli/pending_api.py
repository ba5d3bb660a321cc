"""What the server is asked about changes that wait for signatures."""

from __future__ import annotations

import json

from lockgate_cli.answers import objects
from lockgate_cli.api import Api, JsonDict
from lockgate_cli.http import Care
from lockgate_release.names import AppName
from lockgate_release.pending_requests import (
    PendingContent,
    PendingRequest,
    SignaturesRequest,
    WithdrawRequest,
)

__all__ = ["PendingApi"]

_REPEATABLE = Care(repeatable=True)
"""Each of these ends the same however often it is asked: a lost answer may have been a yes."""


class PendingApi(Api):
    """The same server's API: the calls about changes that wait."""

    @classmethod
    def of(cls, api: Api) -> PendingApi:
        """Return it for the server that `api` speaks with."""
        return cls(http=api.http, base=api.base)

    def begin(self, app: AppName, request: PendingRequest) -> JsonDict:
        """Have a next list kept until enough publishers have signed it.

        Raises:
            PendingError: Another one waits.
            ConflictError: It does not follow the list in force.
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/pending", request.to_json(), _REPEATABLE)

    def waiting(self, app: AppName) -> list[JsonDict]:
        """Return what waits, as the server tells it.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return objects(self._ask("GET", f"apps/{app}/pending"), "pending")

    def content(self, app: AppName, change: str) -> PendingContent:
        """Return a change with every byte of it; nothing of that is verified.

        Raises:
            DocumentError: The answer is none.
            LockgateError: The server refused, or could not be reached.
        """
        body = self._ask("GET", f"apps/{app}/pending/{change}")
        return PendingContent.parse(json.dumps(body).encode())

    def sign(self, app: AppName, change: str, request: SignaturesRequest) -> JsonDict:
        """Add signatures to a change, and return what has become of it.

        Raises:
            ConflictError: It waits no more, or can never come into force.
            LockgateError: The server refused, or could not be reached.
        """
        path = f"apps/{app}/pending/{change}/signatures"
        return self._ask("POST", path, request.to_json(), _REPEATABLE)

    def withdraw(self, app: AppName, change: str, request: WithdrawRequest) -> JsonDict:
        """Drop a change.

        Raises:
            ConflictError: It is in force.
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/pending/{change}/withdraw", request.to_json())
