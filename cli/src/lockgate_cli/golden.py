"""Golden decisions: a table of clients, and what each of them must be told.

A table is a file of CSV with a head, or of JSON lines, told apart by the first character. Its
columns are `client_id`, `platform`, `installed`, `channel` and `expected`. What is expected is the
version that the client ends up with, or one of the words below.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from lockgate_cli.explaining import Client
from lockgate_release.decision import Decision, Held, Leave, Offer, UpToDate
from lockgate_release.errors import UsageError
from lockgate_release.gate import is_client_id
from lockgate_release.names import AppName, parse_channel_name, parse_platform

__all__ = ["Case", "Table", "outcome_of", "read_table", "write_table"]

T = TypeVar("T")

HELD = "held"
"""It stays as it is, although there is something newer, or it has nothing and gets nothing."""

UP_TO_DATE = "up-to-date"
LAST_GOOD = "last-good"
"""What it has is revoked, and it goes back to what it had before."""

_COLUMNS = ("client_id", "platform", "installed", "channel", "expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One client, and what it must be told."""

    line: int
    client: Client
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The cases of one file, and how it is written."""

    cases: tuple[Case, ...]
    is_csv: bool


def outcome_of(decision: Decision) -> str:
    """Return a decision in the word of a table."""
    match decision:
        case Offer():
            return decision.version
        case Leave():
            return decision.target.version if decision.target else LAST_GOOD
        case UpToDate():
            return UP_TO_DATE
        case Held():
            return HELD


def read_table(text: str, app: AppName, *, subject: str, for_update: bool = False) -> Table:
    """Return the table in a file.

    Args:
        text: The file.
        app: Whose clients they are.
        subject: What the file is called.
        for_update: Whether what is expected may still be missing.

    Raises:
        UsageError: It is no such table; the message names the line.
    """
    is_csv = not text.lstrip().startswith("{")
    rows = _read_csv(text, subject) if is_csv else _read_lines(text, subject)
    if not rows:
        raise UsageError("no client in it", subject=subject, expected="a table of clients")
    cases = []
    for line, row in rows:
        case = _read_case(row, app, line, f"{subject}, line {line}")
        if not case.expected and not for_update:
            raise UsageError(
                "nothing is expected of it",
                subject=f"{subject}, line {line}",
                expected=f"a version, {HELD}, {UP_TO_DATE} or {LAST_GOOD}",
                hint="--update writes what is so now.",
            )
        cases.append(case)
    return Table(cases=tuple(cases), is_csv=is_csv)


def _read_csv(text: str, subject: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise UsageError(
                    "not as many fields as the head has",
                    subject=f"{subject}, line {reader.line_num}",
                )
            rows.append((reader.line_num, row))
    except csv.Error as exc:
        where = f"{subject}, line {reader.line_num}"
        raise UsageError("not CSV", subject=where, found=str(exc)) from exc
    return rows


def _read_lines(text: str, subject: str) -> list[tuple[int, dict[str, str]]]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as exc:
            where = f"{subject}, line {number}"
            raise UsageError("not JSON", subject=where, found=str(exc)) from exc
        if not isinstance(row, dict) or not all(isinstance(item, str) for item in row.values()):
            raise UsageError(
                "not a client", subject=f"{subject}, line {number}", expected="an object of texts"
            )
        rows.append((number, row))
    return rows


def _read_case(row: dict[str, str], app: AppName, line: int, subject: str) -> Case:
    unknown = sorted(set(row) - set(_COLUMNS))
    if unknown:
        raise UsageError(
            "no such column", subject=subject, expected=", ".join(_COLUMNS), found=unknown[0]
        )
    client_id = row.get("client_id", "")
    if not is_client_id(client_id):
        raise UsageError(
            "not a client id",
            subject=subject,
            expected="a UUID in 36 lower-case characters",
            found=repr(client_id[:80]),
        )
    client = Client(
        app=app,
        channel=_parse(parse_channel_name, row.get("channel") or "stable", subject),
        client_id=client_id,
        platform=_parse(parse_platform, row.get("platform", ""), subject),
        installed=row.get("installed", ""),
    )
    return Case(line=line, client=client, expected=row.get("expected", ""))


def _parse(parse: Callable[[str], T], text: str, subject: str) -> T:
    try:
        return parse(text)
    except UsageError as exc:
        raise UsageError(exc.what, subject=subject, expected=exc.expected, found=exc.found) from exc


def write_table(table: Table, found: tuple[str, ...]) -> str:
    """Return the file again, with what was found as what is expected."""
    pairs = zip(table.cases, found, strict=True)
    rows = [_row(replace(case, expected=outcome)) for case, outcome in pairs]
    if not table.is_csv:
        return "".join(json.dumps(row) + "\n" for row in rows)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _row(case: Case) -> dict[str, str]:
    client = case.client
    return {
        "client_id": client.client_id,
        "platform": client.platform,
        "installed": client.installed,
        "channel": client.channel,
        "expected": case.expected,
    }
