"""Blocks of addresses: who is behind which, and how much one of them may say."""

import os
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_network

import pytest

from lockgate_server.services.reports.blocks import (
    Rates,
    Weights,
    allowance,
    block_mark,
    client_address,
)
from lockgate_server.services.reports.shared import SharedCounts

SALT = b"0123456789abcdef"
PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:1::1", "2001:db8:1:ffff::2", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.7", True),
        ("", "unix:", True),
        ("", "192.0.2.1\0", True),
        ("", "192.0.2.999", True),
        ("", "192.0.2.1", False),
    ],
)
def test_a_block_is_a_24_or_a_48(one: str, other: str, same: bool) -> None:
    assert (block_mark(one, SALT) == block_mark(other, SALT)) is same


def test_a_mark_says_nothing_to_whoever_does_not_know_the_salt() -> None:
    assert block_mark("192.0.2.1", SALT) != block_mark("192.0.2.1", SALT[::-1])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "203.0.113.5, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "203.0.113.5, 198.51.100.9,10.2.3.4", "198.51.100.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("2001:db8:ffff::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "nonsense", "nonsense"),
        ("", "198.51.100.9", ""),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str, found: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == found


def test_nobody_is_believed_where_no_proxy_is_trusted() -> None:
    assert client_address("127.0.0.1", "198.51.100.9", ()) == "127.0.0.1"


def test_a_very_long_chain_of_proxies_is_not_walked_to_its_end() -> None:
    forwarded = ",".join(["198.51.100.9"] + ["10.0.0.1"] * 10_000)
    assert client_address("10.0.0.1", forwarded, PROXIES) == "10.0.0.1"


@pytest.mark.parametrize(
    ("total", "allowed"), [(1, 2), (400, 2), (900, 3), (10_000, 10), (1_000_000, 100)]
)
def test_a_block_may_be_so_many_of_so_many_canaries(total: int, allowed: int) -> None:
    assert allowance(total) == allowed


def test_the_larger_arm_takes_in_proportion_to_what_it_was_drawn() -> None:
    assert allowance(99, ratio=99.0) == 198
    assert allowance(990_000, ratio=99.0) == 990


@pytest.fixture
def shared() -> Iterator[SharedCounts]:
    with closing(SharedCounts()) as made:
        yield made


@pytest.mark.parametrize("processes", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("others", [0, 500, 20_000])
def test_however_many_processes_there_are_a_block_says_no_more(
    shared: SharedCounts, processes: int, others: int
) -> None:
    flood = block_mark("192.0.2.1", SALT)
    ours = [Weights(processes, shared) for _ in range(processes)]
    for number in range(others):
        ours[number % processes].take("arm", number, allowance)
    taken = sum(ours[number % processes].take("arm", flood, allowance) for number in range(1_000))
    total = others + taken
    assert min(2, allowance(total)) <= taken <= allowance(total + processes)


def test_what_processes_count_together_is_seen_by_those_that_are_made_later(
    shared: SharedCounts,
) -> None:
    child = os.fork()
    if not child:
        os._exit(0 if [shared.take("arm", 7, 2) for _ in range(3)] == [True, True, False] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not shared.take("arm", 7, 2)
    assert shared.take("arm", 8, 2)
    assert shared.take("another arm", 7, 2)


def test_of_more_than_fits_everything_is_forgotten_and_nobody_waits() -> None:
    with closing(SharedCounts(slots=30)) as shared:
        assert shared.take("arm", 0, 1)
        assert not shared.take("arm", 0, 1)
        assert all(shared.take("arm", number, 1) for number in range(1, 20))
        assert not shared.take("arm", 0, 1)
        assert shared.take("arm", 20, 1)
        assert shared.take("arm", 0, 1)


def test_a_share_can_be_said_instead() -> None:
    assert allowance(10_000, share_bp=500) == 500
    assert allowance(1, share_bp=500) == 2
    assert all(allowance(total, share_bp=10_000) >= total for total in range(1, 1000))


def test_a_block_is_held_to_its_allowance_and_others_are_not() -> None:
    weights, flood = Weights(), block_mark("192.0.2.1", SALT)
    taken = [weights.take("arm", flood, allowance) for _ in range(100)]
    assert taken == [True] * 2 + [False] * 98
    others = [block_mark(f"198.51.{number}.1", SALT) for number in range(200)]
    assert all(weights.take("arm", mark, allowance) for mark in others)
    assert not weights.take("arm", flood, allowance)
    assert weights.take("another arm", flood, allowance)


def test_a_flood_from_one_block_stays_a_tenth_of_a_root_however_it_is_timed() -> None:
    weights, flood = Weights(), block_mark("192.0.2.1", SALT)
    taken = 0
    for number in range(10_000):
        weights.take("arm", number, allowance)
        taken += weights.take("arm", flood, allowance)
    assert taken <= allowance(10_000)


def test_one_block_cannot_have_its_own_arm_forgotten_by_speaking_in_others() -> None:
    weights, flood, taken = Weights(), block_mark("192.0.2.1", SALT), 0
    for _ in range(5):
        for arm in range(2_000):
            weights.take(("another", arm), flood, allowance)
        taken += sum(weights.take("arm", flood, allowance) for _ in range(10))
    assert taken == 2


def test_where_blocks_are_many_each_is_held_to_the_same() -> None:
    weights, flood = Weights(), block_mark("192.0.2.1", SALT)
    taken = [weights.take("arm", flood, allowance) for _ in range(3)]
    for number in range(10_000):
        weights.take("arm", number, allowance)
    taken += [weights.take("arm", flood, allowance) for _ in range(30)]
    assert sum(taken) == allowance(10_000)


def test_of_too_many_large_arms_the_one_that_was_longest_silent_is_forgotten() -> None:
    weights = Weights()
    for arm in range(64):
        assert all(weights.take(arm, mark, allowance) for mark in range(4_097))
    assert [weights.take(0, 7, allowance) for _ in range(10)].count(True) == 5
    assert all(weights.take("one more", mark, allowance) for mark in range(4_097))
    assert not weights.take(0, 7, allowance)
    assert [weights.take(1, 7, allowance) for _ in range(10)].count(True) == 2


def test_of_too_many_blocks_in_small_arms_the_longest_silent_arm_is_forgotten() -> None:
    weights = Weights()
    for arm in range(132):
        for mark in range(4_000):
            weights.take(arm, mark, allowance)
    assert [weights.take(131, 7, allowance) for _ in range(10)].count(True) == 5
    assert [weights.take(0, 7, allowance) for _ in range(10)].count(True) == 2


def test_a_block_may_send_at_once_and_then_on_average() -> None:
    rates = Rates(per_s=2.0, burst=3)
    assert [rates.take(1, 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.take(2, 0.0) == 0
    assert rates.take(1, 0.5) == 0
    assert rates.take(1, 0.5) > 0
    assert [rates.take(1, 1000.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_flood_of_blocks_takes_no_memory() -> None:
    rates = Rates(per_s=1.0, burst=1)
    before = len(rates._whole_at_s)
    for number in range(70_000):
        rates.take(block_mark(f"10.{number >> 8}.{number & 255}.1", SALT), 0.0)
    assert len(rates._whole_at_s) == before


def test_busy_blocks_hold_up_nobody_else() -> None:
    rates = Rates(per_s=1.0, burst=1)
    busy = [block_mark(f"10.{number >> 8}.{number & 255}.1", SALT) for number in range(1_000)]
    for mark in busy:
        rates.take(mark, 0.0)
    assert all(rates.take(mark, 0.5) for mark in busy)
    others = [block_mark(f"11.{number >> 8}.{number & 255}.1", SALT) for number in range(1_000)]
    assert sum(rates.take(mark, 0.5) == 0 for mark in others) > 990
