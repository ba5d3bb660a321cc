"""Uploads straight to a store that fail as planned: the port around an adapter, as `FaultyStore`.

Its one verb with two moments is `complete`; a fault is any call, before or after it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from lockgate_release.uploads import ArrivedPart
from lockgate_server.ports.uploads import DirectUploads, StoreUploadId, UnfinishedUpload

__all__ = ["FaultyUploads"]


def _nothing() -> None:
    return


@dataclass
class FaultyUploads:
    """Calls `before` and `after` around every `complete`, and counts them."""

    inner: DirectUploads
    before: Callable[[], object] = _nothing
    after: Callable[[], object] = _nothing
    completed: list[str] = field(default_factory=list)

    def begin(self, key: str, *, content_type: str, cache_control: str) -> StoreUploadId:
        return self.inner.begin(key, content_type=content_type, cache_control=cache_control)

    def part_url(
        self, key: str, store_id: StoreUploadId, number: int, size_bytes: int, *, expires_s: int
    ) -> str:
        return self.inner.part_url(key, store_id, number, size_bytes, expires_s=expires_s)

    def parts(self, key: str, store_id: StoreUploadId) -> tuple[ArrivedPart, ...]:
        return self.inner.parts(key, store_id)

    def complete(self, key: str, store_id: StoreUploadId, etags: Mapping[int, str]) -> None:
        self.completed.append(key)
        self.before()
        self.inner.complete(key, store_id, etags)
        self.after()

    def abort(self, key: str, store_id: StoreUploadId) -> None:
        self.inner.abort(key, store_id)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        return self.inner.unfinished(prefix)
