"""Large files brought into the folder, several at a time; each goes on where it broke off.

A file that has come in part is read again from its beginning: its length proves nothing. Where the
whole has another digest than was signed, it is fetched once more from its beginning, and then
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import IO

from lockgate_cli.mirroring.contents import Blob
from lockgate_cli.mirroring.folder import MirrorFolder, sha256_of
from lockgate_cli.mirroring.sources import Source
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import DigestMismatchError, TransportError
from lockgate_release.names import AppName
from lockgate_release.trust.verify import NotFoundError

__all__ = ["Fetching", "fetch_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """What it takes to fetch.

    Attributes:
        app: The app.
        source: Where from.
        folder: Where to.
        waits: How failures of the network are waited out.
        parallel: How many files come at once.
        advance: Is told of each piece that has come, in bytes; several threads tell it.
        ended: Set when nothing more is to be fetched.
    """

    app: AppName
    source: Source
    folder: MirrorFolder
    waits: WaitRules
    parallel: int
    advance: Callable[[int], None]
    ended: Event = field(default_factory=Event)


def fetch_all(fetching: Fetching, blobs: Sequence[Blob]) -> None:
    """Bring all of these into the folder. The first failure ends it; what has come stays.

    Raises:
        DigestMismatchError: The repository holds other bytes than were signed.
        TransportError: One does not come.
        LocalError: The disk is in the way.
    """
    with ThreadPoolExecutor(fetching.parallel) as pool:
        try:
            for _ in pool.map(partial(_fetch, fetching), blobs):
                pass
        except BaseException:
            # Somebody waits at a terminal: what is on its way stops at its next piece.
            fetching.ended.set()
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(fetching: Fetching, blob: Blob) -> None:
    for failures in range(1, fetching.waits.attempts + 1):
        try:
            _fetch_once(fetching, blob)
        except NotFoundError:
            raise
        except TransportError:
            if failures == fetching.waits.attempts or fetching.ended.is_set():
                raise
            fetching.waits.sleep(fetching.waits.wait_s(failures, {}))
        else:
            fetching.folder.finish(blob)
            return


def _fetch_once(fetching: Fetching, blob: Blob) -> None:
    with fetching.folder.begun(blob) as stream:
        came_before = _go_on(fetching, blob, stream)
        if came_before is None:
            return
        stream.truncate(0)
        if came_before and _go_on(fetching, blob, stream) is None:
            return
        stream.truncate(0)
        raise DigestMismatchError(
            "not the bytes that were signed", subject=blob.path, expected=f"sha256 {blob.sha256}"
        )


def _go_on(fetching: Fetching, blob: Blob, stream: IO[bytes]) -> int | None:
    """Add what is missing. Return None if all is right, else how much had come before."""
    stream.seek(0)
    digest = sha256_of(stream)
    came_before = held = stream.tell()
    fetching.advance(held)
    if held < blob.size_bytes:
        for chunk in fetching.source.stream(fetching.app, blob.path, held):
            if fetching.ended.is_set():
                raise TransportError("given up, as another file failed", subject=blob.path)
            held += len(chunk)
            if held > blob.size_bytes:
                break
            stream.write(chunk)
            digest.update(chunk)
            fetching.advance(len(chunk))
    stream.flush()
    return None if digest.hexdigest() == blob.sha256 else came_before
