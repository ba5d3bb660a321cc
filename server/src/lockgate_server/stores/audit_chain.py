"""The hash chains of the audit log: one over entries, one over their outcomes.

A link is the SHA-256 over the link before it, in 64 hex digits, and the canonical JSON (sorted
keys, no white space, UTF-8, a newline at the end) of

1. an entry: `number`, `at`, `app`, `actor`, `action`, `details`, `request_id`, `timestamp_sha256`,
   and `operation_id` where there is one: entries from before it existed keep their link;
2. an outcome: the `entry` (its number), the `chain_sha256` of that entry, and the `outcome`.

The first link of each chain follows 64 zeros. Both logs only ever grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lockgate_release.digests import digest_bytes
from lockgate_release.instants import format_instant
from lockgate_release.strict_json import JsonObject, dump_json
from lockgate_server.ports import AuditEntry, Highest, Intent

__all__ = [
    "CHAIN_START",
    "Outcome",
    "chain_entry",
    "chain_outcome",
    "find_first_broken",
    "merge_highest",
]

CHAIN_START = "0" * 64
"""What the first link follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A line of the log of outcomes. The last one about an entry is what counts.

    Attributes:
        entry: The number of the entry it is about.
        outcome: `done` or `abandoned`.
        chain_sha256: Its link.
    """

    entry: int
    outcome: str
    chain_sha256: str


def chain_entry(before: str, number: int, at: datetime, intent: Intent) -> str:
    """Return the link of an entry.

    Raises:
        ValueError: `at` carries no time zone.
        TypeError: The details are not JSON.
    """
    operation = {"operation_id": intent.operation_id} if intent.operation_id else {}
    return _link(
        before,
        {
            "number": number,
            "at": format_instant(at),
            "app": intent.app,
            "actor": intent.actor,
            "action": intent.action,
            "details": intent.details,
            "request_id": intent.request_id,
            "timestamp_sha256": intent.timestamp_sha256,
            **operation,
        },
    )


def chain_outcome(before: str, entry: int, entry_chain: str, outcome: str) -> str:
    """Return the link of an outcome."""
    return _link(before, {"entry": entry, "chain_sha256": entry_chain, "outcome": outcome})


def _link(before: str, value: JsonObject) -> str:
    return digest_bytes(before.encode() + dump_json(value))


def find_first_broken(
    entries: Iterable[tuple[int, AuditEntry | None]], outcomes: Iterable[Outcome]
) -> int | None:
    """Return the number of the first entry that was changed or taken out, or None.

    Args:
        entries: Every entry with its number, in order; None for one that cannot even be read.
        outcomes: Every outcome, in the order in which they were written.
    """
    links: list[str] = []
    for number, entry in entries:
        before = links[-1] if links else CHAIN_START
        if entry is None or number != len(links) + 1 or not _fits(before, entry):
            return min(number, len(links) + 1)
        links.append(entry.chain_sha256)
    before = CHAIN_START
    for found in outcomes:
        whole = 0 < found.entry <= len(links)
        link = whole and chain_outcome(before, found.entry, links[found.entry - 1], found.outcome)
        if link != found.chain_sha256:
            return found.entry
        before = found.chain_sha256
    return None


def _fits(before: str, entry: AuditEntry) -> bool:
    return chain_entry(before, entry.number, entry.at, entry.intent) == entry.chain_sha256


def merge_highest(known: Highest | None, seen: Highest) -> Highest:
    """Return the newest of each number in both: nothing is ever lowered."""
    if known is None:
        return seen
    return Highest(
        root=max(known.root, seen.root),
        timestamp=max(known.timestamp, seen.timestamp),
        snapshot=max(known.snapshot, seen.snapshot),
        releases=max(known.releases, seen.releases),
        sequences=_merge(known.sequences, seen.sequences),
    )


def _merge(known: Mapping[str, int], seen: Mapping[str, int]) -> dict[str, int]:
    return {name: max(known.get(name, 0), seen.get(name, 0)) for name in sorted({*known, *seen})}
