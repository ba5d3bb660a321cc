"""What a solid delta makes of old bytes, and what a hostile one cannot do."""

from __future__ import annotations

import random
import struct

import pytest

from lockgate_release.errors import ArchiveError
from tests.unit.release.deltas.rows import decoded, encoded


def program(seed: int, *, words: int = 20_000, shift: int = 0) -> bytes:
    """Return something like a program: bytes of chance with addresses in between, all moved."""
    chance = random.Random(seed)
    out = []
    for index in range(words):
        out.append(chance.randbytes(4))
        if not index % 5:
            out.append(struct.pack("<I", 0x400000 + chance.randrange(1 << 20) + shift))
    return b"".join(out)


OLD = program(1)
CASES = {
    "nothing from nothing": (b"", b""),
    "nothing from something": (OLD, b""),
    "something from nothing": (b"", OLD),
    "the same": (OLD, OLD),
    "one byte": (b"a", b"b"),
    "all addresses moved": (OLD, program(1, shift=0x1234)),
    "addresses that carry": (OLD, program(1, shift=-0xFF01)),
    "another beginning and end": (OLD, b"new head" + OLD[1000:90_000] + b"new tail"),
    "parts in another order": (OLD, OLD[50_000:] + OLD[:50_000] + OLD[20_000:30_000]),
    "nothing in common": (OLD, program(2)),
    "differences at the edges of covers": (
        OLD,
        b"".join(OLD[at : at + 997] + b"x" for at in range(0, 90_000, 1000)),
    ),
}


@pytest.mark.parametrize(("old", "new"), CASES.values(), ids=CASES)
def test_what_is_made_is_the_new_bytes(old: bytes, new: bytes) -> None:
    assert decoded(old, encoded(old, new), len(new)) == new


def test_the_same_bytes_give_the_same_delta() -> None:
    new = program(1, shift=64)
    assert encoded(OLD, new) == encoded(OLD, new)


def test_moved_addresses_cost_far_less_than_the_words_they_stand_in() -> None:
    assert len(encoded(OLD, program(1, shift=0x1234))) < len(OLD) // 50


def test_bytes_that_do_not_fit_the_ceiling_are_cut_into_blocks_and_made_all_the_same() -> None:
    old = program(3, words=300_000)
    new = old[:700_000] + b"inserted" + old[700_000:]
    patch = encoded(old, new, memory_bytes=51 << 20)
    assert decoded(old, patch, len(new)) == new
    assert len(patch) < len(new) // 50


def test_a_delta_that_is_cut_off_anywhere_is_refused() -> None:
    new = program(1, shift=64)
    patch = encoded(OLD, new)
    for size in [*range(0, len(patch), 37), len(patch) - 1]:
        with pytest.raises(ArchiveError):
            decoded(OLD, patch[:size], len(new))


def test_a_delta_of_another_size_than_was_signed_is_refused() -> None:
    new = program(1, shift=64)
    patch = encoded(OLD, new)
    for size in (len(new) - 1, len(new) + 1):
        with pytest.raises(ArchiveError):
            decoded(OLD, patch, size)


def test_old_bytes_that_are_too_short_are_never_read_past_their_end() -> None:
    new = program(1, shift=64)
    patch = encoded(OLD, new)
    with pytest.raises(ArchiveError, match="outside"):
        decoded(OLD[: len(OLD) // 2], patch, len(new))


def test_a_flipped_byte_gives_an_error_or_other_bytes_of_the_same_size() -> None:
    new = OLD[:5000] + b"inserted" + program(1, shift=64)[5000:9000]
    patch = encoded(OLD, new)
    for at in range(len(patch)):
        flipped = bytearray(patch)
        flipped[at] ^= 1 << at % 8
        try:
            made = decoded(OLD, bytes(flipped), len(new))
        except ArchiveError:
            continue
        assert len(made) == len(new)
