"""Blocks of addresses: how much one of them may say. No address is stored, nor its hash.

A block is a /24 of IPv4 or a /48 of IPv6: what one household, office or rented machine has at
least. It is known by a number that a secret salt makes of it; the salt lives and dies with the
process, and so do the tables here.
"""

from __future__ import annotations

import hashlib
import math
import socket
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from lockgate_server.services.reports.shared import SharedCounts

__all__ = ["Network", "Rates", "Weights", "allowance", "block_mark", "client_address"]

Network: TypeAlias = IPv4Network | IPv6Network

_BLOCK_BYTES = {0: 0, 4: 3, 16: 6}
_MAPPED = bytes(10) + b"\xff\xff"
_LEAST = 2.0
_SLOTS = 1 << 17
_FEW_BLOCKS = 1 << 12
_MOST_TABLES = 64
_MOST_NUMBERS = 1 << 19
_RATE_SLOTS = 1 << 16
_ROUNDING_S = 1e-6
_MOST_HOPS = 16


def client_address(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the address a request comes from.

    Args:
        peer: Who is at the other end of the connection.
        forwarded: The `X-Forwarded-For` of the request, or "". Anybody can send one, so it is
            read from its end, and only as far as trusted proxies have written it.
        trusted: Where those are.
    """
    address = peer
    for hop in reversed(forwarded.split(",")[-_MOST_HOPS:] if forwarded else []):
        if not _is_trusted(address, trusted):
            break
        address = hop.strip()
    return address


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    packed = _pack(address) if trusted else b""
    if not packed:
        return False
    number = int.from_bytes(packed, "big")
    return any(
        network.max_prefixlen == 8 * len(packed)
        and number & int(network.netmask) == int(network.network_address)
        for network in trusted
    )


def _pack(address: str) -> bytes:
    """Return the 4 or 16 bytes of an address, or none where it is no address."""
    try:
        return socket.inet_pton(socket.AF_INET, address)
    except ValueError:  # a NUL in it
        return b""
    except OSError:
        pass
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        return b""
    return packed.removeprefix(_MAPPED)


def block_mark(address: str, salt: bytes) -> int:
    """Return the number of an address's block; whatever is no address shares one.

    Args:
        address: The address, as text.
        salt: 16 secret bytes.
    """
    packed = _pack(address)
    block = packed[: _BLOCK_BYTES[len(packed)]]
    digest = hashlib.blake2b(block, key=salt, digest_size=8).digest()
    return int.from_bytes(digest, "big")


def allowance(total: int, *, ratio: float = 1.0, share_bp: int = 0) -> int:
    """Return how many of an arm's clients one block may be.

    Among N canaries of which a share p fares badly anyway, about sqrt(N * p) more or fewer are
    chance. So a tenth of sqrt(N) is what nobody can tell from chance where p is 0.5 % or more, at
    any N; a fixed share of N would be found out at last, and taken for harm. Two are always let in:
    three canaries that crash at once would halt a release.

    Args:
        total: How many have enrolled in the arm, whoever asks included.
        ratio: How many times as large as the smaller arm this one is drawn, >= 1: what is let in is
            in proportion, so that nobody who is left out tilts the comparison.
        share_bp: Let this share in instead, in basis points, but no fewer than two.
    """
    smaller = total / ratio
    most = smaller * share_bp / 10_000 if share_bp else math.sqrt(smaller) / 10
    return int(max(_LEAST, most) * ratio)


class _Arm:
    """How many clients of one arm came from which block.

    Few blocks are counted each by itself. Many are counted in a table of fixed size: those that
    fall on the same slot share an allowance, which matters to nobody where there are so many.
    """

    __slots__ = ("by_block", "slots", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_block: dict[int, int] = {}
        self.slots: array[int] | None = None

    def count_of(self, mark: int) -> int:
        if self.slots is None:
            return self.by_block.get(mark, 0)
        return self.slots[mark % _SLOTS]

    def add(self, mark: int) -> None:
        self.total += 1
        if self.slots is None:
            self.by_block[mark] = self.by_block.get(mark, 0) + 1
        else:
            self.slots[mark % _SLOTS] += 1

    def widen(self) -> None:
        """Go on in a table of fixed size."""
        self.slots = array("I", bytes(4 * _SLOTS))
        for mark, count in self.by_block.items():
            self.slots[mark % _SLOTS] += count
        self.by_block = {}


class Weights:
    """How many clients of each arm came from which block. Safe to share between threads.

    What is kept is bounded, and of too much the arm that was longest silent is forgotten. One block
    cannot bring that about: it is one number in each arm, and the arms are those in force.

    Of several processes each takes its part of what a block may be. Where that is less than one,
    they count together.
    """

    def __init__(self, processes: int = 1, shared: SharedCounts | None = None) -> None:
        """Begin with nobody.

        Args:
            processes: How many processes there are, > 0.
            shared: What they count together; None: each lets one in at least.
        """
        self._processes = processes
        self._shared = shared
        self._lock = threading.Lock()
        self._arms: OrderedDict[Hashable, _Arm] = OrderedDict()
        self._numbers = 0
        self._tables = 0

    def take(self, arm: Hashable, mark: int, allowed: Callable[[int], int]) -> bool:
        """Count one more client of a block in an arm; False where that is one too many.

        Args:
            arm: The arm.
            mark: The block.
            allowed: Returns how many of so many in the arm may be of one block, >= 1.
        """
        with self._lock:
            held = self._arms.get(arm)
            if held is None:
                held = self._arms[arm] = _Arm()
            self._arms.move_to_end(arm)
            count = held.count_of(mark)
            if not self._fits(arm, mark, count, allowed((held.total + 1) * self._processes)):
                return False
            held.add(mark)
            if not count and held.slots is None:
                self._numbers += 1
                if len(held.by_block) > _FEW_BLOCKS:
                    self._numbers -= len(held.by_block)
                    self._tables += 1
                    held.widen()
                self._forget()
            return True

    def _fits(self, arm: Hashable, mark: int, count: int, most: int) -> bool:
        """Whether a block of which so many were counted here may have one more, of so many in all.

        Each process takes all alike, so there are about as many in the others.
        """
        part = most // self._processes
        if part or self._shared is None:
            return count < max(1, part)
        return self._shared.take(arm, mark, most)

    def _forget(self) -> None:
        """Forget the arms that were longest silent until the rest fits."""
        while self._tables > _MOST_TABLES or self._numbers > _MOST_NUMBERS:
            is_table = self._tables > _MOST_TABLES
            oldest = next(
                arm for arm, held in self._arms.items() if (held.slots is not None) is is_table
            )
            gone = self._arms.pop(oldest)
            self._numbers -= len(gone.by_block)
            self._tables -= is_table


class Rates:
    """How soon a block may send its next request. Safe to share between threads.

    Of each block only the moment is known at which all it may send at once is whole again: GCRA's
    theoretical arrival time (ITU-T I.371). It stands in two tables of fixed size, under either half
    of its number, and the earlier one counts: so a block is held up by others only where it meets
    busy ones in both. A thousand that send as much as they may hold up one other in four thousand.
    """

    def __init__(self, *, per_s: float, burst: int) -> None:
        """Begin with nobody.

        Args:
            per_s: How many requests a second a block may send on average, > 0.
            burst: How many it may send at once, > 0.
        """
        self._apart_s = 1 / per_s
        self._burst_s = burst / per_s
        self._lock = threading.Lock()
        self._whole_at_s = array("d", bytes(2 * 8 * _RATE_SLOTS))

    def take(self, mark: int, now_s: float) -> float:
        """Let a request in and return 0; else after how many seconds one may come.

        Args:
            mark: The block, 64 bits.
            now_s: A clock that only goes forward, in seconds.
        """
        low, high = mark % _RATE_SLOTS, _RATE_SLOTS + (mark >> 32) % _RATE_SLOTS
        with self._lock:
            table = self._whole_at_s
            whole_at_s = max(now_s, min(table[low], table[high])) + self._apart_s
            wait_s = whole_at_s - now_s - self._burst_s
            if wait_s > _ROUNDING_S:
                return wait_s
            table[low] = max(table[low], whole_at_s)
            table[high] = max(table[high], whole_at_s)
        return 0.0
