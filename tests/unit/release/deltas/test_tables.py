"""Tables of addresses: where every entry changed, nothing in the bytes tells which became which."""

from __future__ import annotations

from tests.unit.release.deltas.programs import X86_64, program
from tests.unit.release.deltas.rows import decoded, encoded


def test_a_table_in_another_order_is_found_though_each_address_in_it_changed() -> None:
    old = program(X86_64)
    straight = program(X86_64, inserted_bytes=16)
    turned = program(X86_64, inserted_bytes=16, turned=150)
    patch = encoded(old, turned)
    assert decoded(old, patch, len(turned)) == turned
    # 400 addresses: matched by their bytes alone, they cost 150 bytes more.
    assert len(patch) < len(encoded(old, straight)) + 50
