"""How large the files are that documents name, asked of the store many at a time, in bounds.

A release for ten platforms with deltas and proofs names a hundred files, and a bucket takes some
20 ms to answer for each. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lockgate_release.layout import artifact_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_server.ports import ObjectStore

__all__ = ["AT_ONCE", "sizes_in_store"]

AT_ONCE: Final = 8
"""How many requests are under way at once for one change: the store serves others meanwhile."""


def sizes_in_store(
    store: ObjectStore, app: AppName, digests: Iterable[Sha256Hex]
) -> Mapping[Sha256Hex, int | None]:
    """Return the size in bytes of each file, or None where there is none; each is asked for once.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The disk is in the way.
    """
    wanted = sorted(set(digests))

    def ask(sha256: Sha256Hex) -> int | None:
        info = store.head(artifact_key(app, sha256))
        return None if info is None else info.size_bytes

    if len(wanted) <= 1:
        return {sha256: ask(sha256) for sha256 in wanted}
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted)), thread_name_prefix="sizes") as pool:
        return dict(zip(wanted, pool.map(ask, wanted), strict=True))
