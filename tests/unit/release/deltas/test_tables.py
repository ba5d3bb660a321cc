"""Tables of addresses: where every entry changed, nothing in the bytes tells which became which."""

from __future__ import annotations

import io

from lockgate_release.deltas.codec import decode_solid, encode_solid
from tests.unit.release.deltas.programs import X86_64, program


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def read_at(self, offset: int, size: int, /) -> bytes:
        assert 0 <= offset <= offset + size <= self.size
        return self._data[offset : offset + size]


def encoded(old: bytes, new: bytes) -> bytes:
    out = io.BytesIO()
    encode_solid(Bytes(old), Bytes(new), out, memory_bytes=200 << 20)
    return out.getvalue()


def test_a_table_in_another_order_is_found_though_each_address_in_it_changed() -> None:
    old = program(X86_64)
    straight = program(X86_64, inserted_bytes=16)
    turned = program(X86_64, inserted_bytes=16, turned=150)
    patch = encoded(old, turned)
    made = b"".join(decode_solid(Bytes(old), io.BytesIO(patch), size_bytes=len(turned)))
    assert made == turned
    # 400 addresses: matched by their bytes alone, they cost 150 bytes more.
    assert len(patch) < len(encoded(old, straight)) + 50
