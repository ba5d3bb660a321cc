"""`lockgate rollout test`: does every client in a table get what it must?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from lockgate_cli.commands.explain import FROM, repository_of
from lockgate_cli.context import Call, read_file, takes
from lockgate_cli.explaining import Explainer, open_explainer
from lockgate_cli.golden import Case, Table, outcome_of, read_table, write_table
from lockgate_cli.output import say, show, show_json
from lockgate_release.decision import Decision
from lockgate_release.errors import ExitCode, LocalError, UsageError

__all__ = ["test_rollouts"]


@click.command("test")
@click.argument("file")
@FROM
@click.option("--update", is_flag=True, help="Write FILE anew with what is so now.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("app", "root", "server")
def test_rollouts(
    call: Call, *, file: str, address: str | None, update: bool, as_json: bool
) -> None:
    """Hold what is offered now to FILE, a table of clients and the release each must get.

    FILE is CSV with a head, or JSON lines, with client_id, platform, installed, channel and
    expected: a version, held, up-to-date or last-good. Ends with 20 if one client gets something
    else. Needs no token, and with --from and a mirror's folder no network.
    """
    path = call.around.folder / file
    table = read_table(_read_text(path), call.app, subject=file, for_update=update)
    with (
        repository_of(call, address) as source,
        open_explainer(call.app, source=source, pinned=call.pinned_root()) as explainer,
    ):
        now = call.around.now()
        decisions = tuple(_decide(explainer, case, file, now) for case in table.cases)
    found = tuple(outcome_of(decision) for decision in decisions)
    differing = [
        (case, outcome, decision)
        for case, outcome, decision in zip(table.cases, found, decisions, strict=True)
        if case.expected != outcome
    ]
    if update:
        _write(path, table, found)
    if as_json:
        show_json({"clients": len(found), "differences": [_line(*item) for item in differing]})
    else:
        _show(file, differing, len(found), update=update)
    if differing and not update:
        click.get_current_context().exit(ExitCode.REFUSED)


def _decide(explainer: Explainer, case: Case, file: str, now: datetime) -> Decision:
    try:
        return explainer.decide(case.client, now)
    except UsageError as exc:
        subject = f"{file}, line {case.line}: {exc.subject}"
        raise UsageError(exc.what, subject=subject, expected=exc.expected, found=exc.found) from exc


def _read_text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError("not a text", subject=str(path), expected="UTF-8") from exc


def _write(path: Path, table: Table, found: tuple[str, ...]) -> None:
    try:
        path.write_text(write_table(table, found), "utf-8")
    except OSError as exc:
        raise LocalError("cannot be written", subject=str(path), found=str(exc)) from exc


def _line(case: Case, outcome: str, decision: Decision) -> dict[str, object]:
    return {
        "line": case.line,
        "client_id": case.client.client_id,
        "expected": case.expected,
        "found": outcome,
        "reason": decision.reason,
    }


def _show(
    file: str, differing: list[tuple[Case, str, Decision]], clients: int, *, update: bool
) -> None:
    for case, outcome, decision in differing:
        client = case.client
        where = f"{client.client_id} {client.platform} {client.channel}"
        show(f"{file}, line {case.line}: {where}, {client.installed or 'nothing'} installed")
        show(f"- {case.expected or '(nothing)'}")
        show(f"+ {outcome}: {decision.reason}")
    changed = f"{len(differing)} of {clients} clients"
    if update:
        say(f"{file} is written: {changed} changed")
    elif differing:
        say(f"{changed} get something else")
    else:
        say(f"{clients} clients get what they must")
