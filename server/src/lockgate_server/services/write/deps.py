"""What a change needs from outside, and who wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from securesystemslib.signer import Key, Signer

from lockgate_release.names import AppName
from lockgate_server.ports import Ledger, ObjectStore
from lockgate_server.ports.reports import ReportLedger
from lockgate_server.ports.uploads import DirectUploads

__all__ = ["Caller", "OnlineKeys", "WriteDeps"]


class OnlineKeys(Protocol):
    """The server's own keys, one for each app."""

    def create(self, app: AppName) -> Key:
        """Return the public half of the app's key, making one where there is none.

        Raises:
            LocalError: It can be neither read nor written.
        """
        ...

    def signer(self, app: AppName, known_keys: Iterable[Key]) -> Signer:
        """Return the app's key, ready to sign.

        Args:
            app: The app.
            known_keys: The public keys it may have, from metadata.

        Raises:
            LocalError: There is none, or it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteDeps:
    """What a change needs from outside.

    Attributes:
        store: Where the files are.
        ledger: What people did, and how far each app has got.
        keys: The server's own.
        now: The present, aware and in whole seconds.
        random_hex: Returns as many random bytes as asked, in hexadecimal.
        sleep: Waits for as many seconds, between two tries.
        reports: What clients reported.
        uploads: How clients send parts straight to the store; None where they come here.
        room: Returns how many bytes more the store has for uploads; None where nobody can tell.
    """

    store: ObjectStore
    ledger: Ledger
    keys: OnlineKeys
    now: Callable[[], datetime]
    random_hex: Callable[[int], str]
    sleep: Callable[[float], None]
    reports: ReportLedger
    uploads: DirectUploads | None = None
    room: Callable[[], int | None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who wants a change.

    Attributes:
        actor: The token's label and id, or the operating system's user.
        request_id: The request it came with, or "".
        operation_id: The run of a command that the request belongs to, or "".
    """

    actor: str
    request_id: str = ""
    operation_id: str = ""
