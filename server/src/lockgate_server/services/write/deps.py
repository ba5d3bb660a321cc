"""What a change needs from outside, and who wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from lockgate_server.patience import Patience
from lockgate_server.ports import Ledger, ObjectStore
from lockgate_server.ports.reports import ReportLedger
from lockgate_server.ports.uploads import DirectUploads
from lockgate_server.services.write.open_uploads import OpenUploads
from lockgate_server.services.write.origins import OriginMemory
from lockgate_server.services.write.server_keys import OnlineKeys

__all__ = ["Caller", "OnlineKeys", "WriteDeps"]


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
        parts: What the store holds of uploads in parts, to give up what broke off; also where
            clients send here, for the server's own large writes, and what was begun before. None
            where it has no such thing.
        room: Returns how many bytes more the store has for uploads; None where nobody can tell.
        open_uploads: How many uploads were open, as far as this process has counted lately.
        patience: For how long caches must be waited for, when keys change.
        origins: What this process has found out of who built what.
    """

    store: ObjectStore
    ledger: Ledger
    keys: OnlineKeys
    now: Callable[[], datetime]
    random_hex: Callable[[int], str]
    sleep: Callable[[float], None]
    reports: ReportLedger
    uploads: DirectUploads | None = None
    parts: DirectUploads | None = None
    room: Callable[[], int | None] = lambda: None
    open_uploads: OpenUploads = field(default_factory=OpenUploads)
    patience: Patience = field(default_factory=Patience)
    origins: OriginMemory = field(default_factory=OriginMemory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who wants a change.

    Attributes:
        actor: The token's label and id, or the operating system's user.
        request_id: The request it came with, or "".
        operation_id: The run of a command that the request belongs to, or "".
        is_maintainer: Whether the token is of scope admin.
    """

    actor: str
    request_id: str = ""
    operation_id: str = ""
    is_maintainer: bool = False
