"""Which of the files in a folder belong to which releases: decided without disk or network.

1. A bundle belongs to each release one of whose artifacts it speaks about.
2. A list of parts belongs to the release whose artifact it names, or is named after; where several
   releases have an artifact of that name, its digest has to tell.
3. What a release lists already is left out, so that doing it again changes nothing.
4. What belongs to none is told, not refused: a folder may hold more than one app's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lockgate_cli.attesting.attaching import Attached, with_attached
from lockgate_cli.attesting.coverage import Live
from lockgate_cli.attesting.matching import attestation_of, find_subjects
from lockgate_cli.attesting.reading import Said
from lockgate_release.names import Sha256Hex

__all__ = ["Backfill", "plan_backfill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """What is to be added to releases.

    Attributes:
        additions: What is new, by version.
        known: How many files were listed already.
        strangers: Files that belong to no release.
    """

    additions: Mapping[str, tuple[Attached, ...]]
    known: int
    strangers: tuple[str, ...]

    def onto(self, releases: Sequence[Live]) -> tuple[Live, ...]:
        """Return the releases as they will be."""
        return tuple(
            replace(live, extras=with_attached(live.extras, self.additions.get(live.version, ())))
            for live in releases
        )


def plan_backfill(releases: Sequence[Live], found: Iterable[Said]) -> Backfill:
    """Return what the files add to the releases."""
    additions: dict[str, dict[Sha256Hex, Attached]] = {}
    known, strangers = 0, []
    for said in found:
        owners = _owners(releases, said)
        if not owners:
            strangers.append(said.subject)
        new = [
            (live, about)
            for live, about in owners
            if not any(item.sha256 == said.sha256 for item in live.extras.attestations)
        ]
        known += bool(owners) and not new
        for live, about in new:
            one = Attached(attestation=attestation_of(said, about), said=said)
            additions.setdefault(live.version, {})[said.sha256] = one
    return Backfill(
        additions={version: tuple(items.values()) for version, items in additions.items()},
        known=known,
        strangers=tuple(strangers),
    )


def _owners(releases: Sequence[Live], said: Said) -> list[tuple[Live, tuple[Sha256Hex, ...]]]:
    """Return the releases that it belongs to, and which of their artifacts it is about."""
    found = [
        (live, about)
        for live in releases
        if (about := find_subjects(said, live.artifacts, attached=False)) is not None
    ]
    named = [(live, about) for live, about in found if said.digests & {*about}]
    if named or len(found) <= 1:
        return named or found
    return []
