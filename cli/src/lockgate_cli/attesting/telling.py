"""What was added, and what is covered, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lockgate_cli.attesting.attaching import Attached
from lockgate_cli.attesting.backfilling import Backfill
from lockgate_cli.attesting.coverage import Covered
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
    """Show how it stands with each artifact, on stdout."""
    rows = [
        (
            item.live.version,
            item.artifact.platform,
            item.artifact.name,
            ", ".join(map(_name, item.attestations)) or "nothing",
            "; ".join(item.lacks) or "nothing",
        )
        for item in covered
    ]
    show_table(("version", "platform", "file", "attested by", "lacks"), rows)


def _name(item: Attestation) -> str:
    return f"{item.kind} {item.predicate_type}".rstrip()


def say_covered(covered: Sequence[Covered]) -> None:
    """Say how many artifacts are covered, of how many."""
    done = sum(not item.lacks for item in covered)
    say(f"{done} of {len(covered)} artifacts are covered.")


def say_backfill(backfill: Backfill, broken: Sequence[str]) -> None:
    """Say what is to be added, and which files are not."""
    for version, attached in sorted(backfill.additions.items()):
        for one in attached:
            say(f"+ {version}: {_name(one.attestation)}, from {one.said.subject}")
    if backfill.known:
        say(f"= {backfill.known} are there already")
    _say_some("belongs to no live release", backfill.strangers)
    _say_some("is no attestation", broken)


def _say_some(what: str, names: Sequence[str]) -> None:
    for name in names[:_SHOWN]:
        say(f"? {name} {what}")
    if len(names) > _SHOWN:
        say(f"? {len(names) - _SHOWN} more: {what}")


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
        say("Nothing to do: all of it is there already.")
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
