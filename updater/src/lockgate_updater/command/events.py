"""What `--json` and `--events` print of events, rounds and health."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, assert_never

from lockgate_release.instants import format_instant
from lockgate_release.strict_json import Json, JsonObject
from lockgate_updater.command.narrator import Narrator
from lockgate_updater.command.output import check_json, error_json, print_json
from lockgate_updater.events import Event, Observer, Progress, Step
from lockgate_updater.outcomes import UpdateResult
from lockgate_updater.results import Unknown
from lockgate_updater.watch.health import HealthReport, dump_note

if TYPE_CHECKING:
    from lockgate_updater.install.patching.plan import FetchPlan
    from lockgate_updater.watch.loop import Round

__all__ = [
    "event_json",
    "health_json",
    "health_lines",
    "observing",
    "result_json",
    "round_json",
    "show_result",
]


@contextmanager
def observing(options: argparse.Namespace) -> Iterator[Observer]:
    """Give the observer for a verb: words on stderr, and with `--events` a line of JSON each."""
    narrator = Narrator(sys.stderr)
    prints = getattr(options, "events", False)

    def observe(event: Event) -> None:
        if prints:
            print_json(event_json(event))
        narrator(event)

    try:
        yield observe
    finally:
        narrator.end_line()


def show_result(options: argparse.Namespace, result: JsonObject) -> None:
    """Print the object that a verb ends with, where `--json` or `--events` asks for it."""
    if getattr(options, "events", False):
        print_json({"event": "result", **result})
    elif options.json:
        print_json(result)


def event_json(event: Event) -> JsonObject:
    """Return an event as one line of `--events`."""
    match event:
        case Step():
            return {
                "event": "step",
                "name": event.name.value,
                "version": event.version,
                "text": event.text,
            }
        case Progress():
            return {
                "event": "progress",
                "version": event.version,
                "received_bytes": event.received_bytes,
                "total_bytes": event.total_bytes,
                "speed_bytes_s": event.speed_bytes_s,
                "left_s": event.left_s,
            }
        case _:
            assert_never(event)


def result_json(result: UpdateResult) -> JsonObject:
    """Return how an update ended."""
    found: dict[str, Json] = {
        "outcome": result.outcome.value,
        "version": result.version,
        "previous": result.previous,
        "reason": result.reason,
    }
    if result.decision is not None:
        found["decision"] = check_json(result.decision)
    if result.plan is not None:
        found["plan"] = _plan_json(result.plan)
    return found


def _plan_json(plan: FetchPlan) -> JsonObject:
    hops = plan.route.hops if plan.route else ()
    return {
        "kind": plan.kind,
        "fetch_bytes": plan.fetch_bytes,
        "full_bytes": plan.full_bytes,
        "no_deltas": plan.no_deltas,
        "deltas": [
            {
                "from": hop.delta.from_version,
                "to": hop.version,
                "algorithm": hop.delta.algorithm,
                "size_bytes": hop.delta.size,
                "sha256": hop.delta.sha256,
            }
            for hop in hops
        ],
        "passed_over": [
            {
                "from": item.from_version,
                "to": item.version,
                "size_bytes": item.size_bytes,
                "reason": item.reason,
            }
            for item in plan.passed_over
        ],
    }


def round_json(found: Round) -> JsonObject:
    """Return one round of `watch`."""
    match found.result:
        case UpdateResult():
            result = result_json(found.result)
        case Unknown():
            result = error_json(found.result.error)
        case _:
            result = check_json(found.result)
    return {
        "event": "round",
        "at": format_instant(found.at),
        "outcome": found.outcome,
        "result": result,
        "health": health_json(found.health),
        "delay_s": round(found.delay_s),
    }


def health_json(report: HealthReport) -> JsonObject:
    """Return how the client is."""
    note = {name: value for name, value in dump_note(report.note).items() if name != "format"}
    return {"state": report.state.value, "reasons": list(report.reasons), **note}


def health_lines(report: HealthReport) -> list[str]:
    """Return how the client is, for people."""
    note = report.note
    lines = [f"health: {report.state}"]
    lines += [f"  {reason}" for reason in report.reasons]
    if note.checked_at is not None:
        good = f"; last found out {format_instant(note.good_at)}" if note.good_at else ""
        lines.append(f"last looked {format_instant(note.checked_at)}{good}")
    if note.next_at is not None:
        lines.append(f"watch looks again {format_instant(note.next_at)}")
    return lines
