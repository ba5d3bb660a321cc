"""The gate for many clients at once: the same HMAC, and the same place on the scale of 0 to 9999.

What costs is the HMAC, and that stays the standard library's, client by client; the rest is done
for all of them together. A test holds it to `lockgate_release.gate.bucket`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from lockgate_release.gate import bucket, is_salt
from lockgate_release.names import MAX_EXPOSURE_BP

__all__ = ["BLOCK", "Places", "client_ids", "draw_places", "places_of"]

Places = NDArray[np.int16]
BLOCK = 250_000
"""How many clients are drawn together. Which client is which depends on it."""

_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint8).reshape(256, 2)
_GROUPS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
_DASH = ord("-")
_CHECKED = 50


def client_ids(seed: int, block: int, count: int) -> list[bytes]:
    """Return the ids of the clients in a block, as UUIDs in ASCII.

    Args:
        seed: What chance begins with.
        block: The block's number.
        count: How many.
    """
    raw = np.random.default_rng((seed, block)).integers(0, 256, (count, 16), np.uint8)
    digits = _HEX[raw].reshape(count, 32)
    text = np.full((count, 36), _DASH, np.uint8)
    for place, (begin, end) in enumerate(_GROUPS):
        text[:, begin + place : end + place] = digits[:, begin:end]
    ids: list[bytes] = text.view("S36").ravel().tolist()
    return ids


def places_of(salt: str, ids: Sequence[bytes]) -> Places:
    """Return the place of each client under a salt, as `gate.bucket` does of one.

    Raises:
        ValueError: The salt is malformed, or one of the first ids is.
    """
    if not is_salt(salt):
        raise ValueError("a salt is 32 lower-case hexadecimal digits")
    key, digest = bytes.fromhex(salt), hmac.digest
    heads = b"".join([digest(key, name, "sha256")[:8] for name in ids])
    drawn = np.frombuffer(heads, ">u8").astype(np.uint64)
    # u * 10000 >> 64 in two halves of 32 bits, so that nothing is lost and nothing runs over.
    high, low = drawn >> np.uint64(32), drawn & np.uint64(0xFFFF_FFFF)
    scale = np.uint64(MAX_EXPOSURE_BP)
    places: Places = ((high * scale + (low * scale >> np.uint64(32))) >> np.uint64(32)).astype(
        np.int16
    )
    for name, place in zip(ids[:_CHECKED], places[:_CHECKED], strict=True):
        if bucket(salt, name.decode("ascii")) != place:
            raise AssertionError("the vector gate is not the gate")
    return places


def draw_places(salt: str, clients: int, *, seed: int, processes: int = 2) -> Places:
    """Return the place of each of so many clients under a salt.

    Args:
        salt: The rollout's.
        clients: How many there are.
        seed: What their ids are drawn with.
        processes: How many work at it; 1 for this one alone.
    """
    sizes = [min(BLOCK, clients - begin) for begin in range(0, clients, BLOCK)]
    work = partial(_draw_block, salt, seed)
    return np.concatenate(list(_spread(work, sizes, processes)) or [np.zeros(0, np.int16)])


def _spread(work: partial[Places], sizes: list[int], processes: int) -> Iterator[Places]:
    numbers = range(len(sizes))
    if processes == 1 or len(sizes) < 2:
        yield from map(work, numbers, sizes)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, numbers, sizes)


def _draw_block(salt: str, seed: int, block: int, count: int) -> Places:
    return places_of(salt, client_ids(seed, block, count))
