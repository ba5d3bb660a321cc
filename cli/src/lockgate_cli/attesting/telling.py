"""What was added, and what is covered, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lockgate_cli.attesting.attaching import Attached
from lockgate_cli.attesting.backfilling import Backfill
from lockgate_cli.attesting.coverage import Covered, shorten_lack
from lockgate_cli.output import say, show_table
from lockgate_cli.pending_words import say_waiting
from lockgate_cli.submitting import Outcome
from lockgate_release.documents import Attestation
from lockgate_release.names import AppName

__all__ = [
    "added_json",
    "coverage_json",
    "say_added",
    "say_backfill",
    "say_covered",
    "show_covered",
]

_SHOWN = 10


def show_covered(covered: Sequence[Covered]) -> None:
    """Show how it stands with each artifact, on stdout; why something is missing, on stderr."""
    rows = [
        (
            item.live.version,
            item.artifact.platform,
            item.artifact.name,
            _names(item.attestations),
            "; ".join(dict.fromkeys(map(shorten_lack, item.lacks))) or "nothing",
        )
        for item in covered
    ]
    show_table(("version", "platform", "file", "attested by", "lacks"), rows)
    for item in covered:
        for lack in item.lacks:
            if shorten_lack(lack) != lack:
                say(f"{item.live.version} {item.artifact.platform}: {lack}")


def _names(attestations: Sequence[Attestation]) -> str:
    counted = Counter(map(_name, attestations))
    return (
        ", ".join(name if number == 1 else f"{number} x {name}" for name, number in counted.items())
        or "nothing"
    )


def _name(item: Attestation) -> str:
    return f"{item.kind} {item.predicate_type}".rstrip()


def say_covered(covered: Sequence[Covered]) -> None:
    """Say how many artifacts are covered, of how many."""
    done = sum(not item.lacks for item in covered)
    say(f"{done} of {len(covered)} artifacts are covered.")
    lacking = [item for item in covered if item.tree_lacks]
    if lacking:
        named = [f"{item.live.version} {item.artifact.platform}" for item in lacking[:_SHOWN]]
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        say(f"No client takes deltas to {', '.join(named)}{more}: nobody vouches for those trees.")


def say_backfill(backfill: Backfill, broken: Sequence[str]) -> None:
    """Say what is to be added, and which files are not."""
    for version, attached in sorted(backfill.additions.items()):
        for one in attached:
            say(f"+ {version}: {_name(one.attestation)}, from {one.said.subject}")
    if backfill.known:
        say(f"= {backfill.known} are there already")
    _say_some([f"{name} belongs to no live release" for name in backfill.strangers])
    _say_some(broken)


def _say_some(lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        say(f"? {line}")
    if len(lines) > _SHOWN:
        say(f"? and {len(lines) - _SHOWN} more of these")


def coverage_json(covered: Sequence[Covered]) -> dict[str, object]:
    """Return the report as data for programs."""
    return {
        "artifacts": [item.to_json() for item in covered],
        "covered": sum(not item.lacks for item in covered),
        "complete": bool(covered) and not any(item.lacks for item in covered),
    }


def say_added(
    app: AppName,
    new: Mapping[str, Sequence[Attached]],
    outcomes: Sequence[Outcome],
    *,
    dry_run: bool,
) -> None:
    """Say what came of it."""
    number = sum(map(len, new.values()))
    if dry_run:
        say("Nothing was done: this was --dry-run.")
    elif not number:
        say("Nothing to do: nothing is to be added.")
    for outcome in outcomes:
        if outcome.pending is not None:
            say_waiting(app, outcome.pending)
    if number and outcomes and all(outcome.pending is None for outcome in outcomes):
        say(f"Attestations added: {number}.")


def added_json(
    app: AppName,
    new: Mapping[str, Sequence[Attached]],
    outcomes: Sequence[Outcome],
    *,
    dry_run: bool,
) -> dict[str, object]:
    """Return what came of it as data for programs."""
    return {
        "app": app,
        "added": {
            version: [dict(one.attestation.to_json()) for one in attached]
            for version, attached in new.items()
            if attached
        },
        "dry_run": dry_run,
        "pending": [outcome.pending for outcome in outcomes if outcome.pending is not None],
    }
