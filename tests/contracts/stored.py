"""What a store holds, and streams that come as sockets give them."""

import io
from typing import BinaryIO

from lockgate_server.ports import ObjectStore

KEY = "app/metadata/timestamp.json"


def content(store: ObjectStore, key: str = KEY) -> bytes | None:
    found = store.open(key)
    if found is None:
        return None
    with found:
        return found.read()


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


class Trickle(io.RawIOBase):
    """A stream that gives less than it is asked for, as sockets do, and can break."""

    def __init__(self, data: bytes, *, breaks_after: int | None = None) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._left = len(data) + 1 if breaks_after is None else breaks_after

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left <= 0:
            raise ConnectionResetError("the client went away")
        data = self._data.read(min(len(buffer), 70_001, self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def trickle(data: bytes, *, breaks_after: int | None = None) -> BinaryIO:
    return Trickle(data, breaks_after=breaks_after)  # type: ignore[return-value]
