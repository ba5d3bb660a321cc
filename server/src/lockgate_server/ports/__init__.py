"""The ports: what the use cases ask of storage and of the ledger, in the words of the use cases.

The object store holds what clients see; the ledger holds what people did and how far each app has
got. Losing the ledger loses no release. Every adapter passes `tests/contracts/`.
"""

from __future__ import annotations

from lockgate_server.ports.ledger import (
    AuditEntry,
    Highest,
    Intent,
    Lease,
    Ledger,
    Scope,
    TokenInfo,
)
from lockgate_server.ports.objects import (
    MAX_REPLACED_BYTES,
    Always,
    Condition,
    Etag,
    IfAbsent,
    IfMatch,
    LostRaceError,
    ObjectInfo,
    ObjectStore,
    StoredObject,
    UnsupportedError,
)
from lockgate_server.ports.pending import (
    Attempt,
    PendingChange,
    PendingLedger,
    PendingSignature,
)

__all__ = [
    "MAX_REPLACED_BYTES",
    "Always",
    "Attempt",
    "AuditEntry",
    "Condition",
    "Etag",
    "Highest",
    "IfAbsent",
    "IfMatch",
    "Intent",
    "Lease",
    "Ledger",
    "LostRaceError",
    "ObjectInfo",
    "ObjectStore",
    "PendingChange",
    "PendingLedger",
    "PendingSignature",
    "Scope",
    "StoredObject",
    "TokenInfo",
    "UnsupportedError",
]
