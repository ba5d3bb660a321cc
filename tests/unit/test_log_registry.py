"""The code says nothing that the registry does not know, and the registry knows nothing unsaid."""

import ast
import dataclasses
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from lockgate_release.log.events import Event
from lockgate_release.log.fields import COMMON, FIELDS, Kind
from lockgate_release.log.registry import CLI_EVENTS, EVENTS, SERVER_EVENTS

ROOT = Path(__file__).resolve().parents[2]
CONSTANTS: Mapping[str, Event] = {**SERVER_EVENTS, **CLI_EVENTS}
SOURCES = sorted(path for path in ROOT.glob("*/src/**/*.py"))
LEVELS = {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR}
METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "log"}
LOGGERS = {"VOICE", "_log", "log", "logger", "_logger", "logging"}
MACHINERY = {"telling.py"}
"""Where `logging` itself is spoken to."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """One call of `tell`: where, the constants it may name, and the fields it says."""

    where: str
    constants: frozenset[str]
    fields: frozenset[str]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _constants(node: ast.expr, tree: ast.Module) -> frozenset[str]:
    """The constants that an expression may be; a call is what its function returns."""
    match node:
        case ast.Name(id=name):
            return frozenset({name})
        case ast.IfExp(body=one, orelse=other):
            return _constants(one, tree) | _constants(other, tree)
        case ast.Call(func=ast.Name(id=name)):
            return frozenset(
                constant
                for function in ast.walk(tree)
                if isinstance(function, ast.FunctionDef) and function.name == name
                for given in ast.walk(function)
                if isinstance(given, ast.Return) and given.value is not None
                for constant in _constants(given.value, tree)
            )
    return frozenset({ast.unparse(node)})


def tellings_in(tree: ast.Module, name: str) -> Iterator[Telling]:
    for call in _calls(tree):
        # Somebody else's `tell` takes no logger.
        to = call.args[0] if call.args else None
        if ast.unparse(call.func) == "tell" and isinstance(to, ast.Name) and to.id in LOGGERS:
            fields = frozenset(str(word.arg) for word in call.keywords) - {"error"}
            yield Telling(
                where=f"{name}:{call.lineno}",
                constants=_handed_over(call.args[1], tree, fields)
                or _constants(call.args[1], tree),
                fields=fields,
            )


def _handed_over(node: ast.expr, tree: ast.Module, fields: frozenset[str]) -> frozenset[str]:
    """The constants that a parameter of type `Event` may be: those with these very fields."""
    if not isinstance(node, ast.Name) or not any(
        argument.arg == node.id and ast.unparse(argument.annotation or node) == "Event"
        for argument in ast.walk(tree)
        if isinstance(argument, ast.arg)
    ):
        return frozenset()
    return frozenset(name for name, event in CONSTANTS.items() if set(event.fields) == fields)


def faults_of(telling: Telling) -> Iterator[str]:
    """What is wrong with a call: an event or a field that nobody has registered."""
    for constant in sorted(telling.constants):
        event = CONSTANTS.get(constant)
        if event is None:
            yield f"{telling.where}: {constant} is no event of the registry"
        elif telling.fields != set(event.fields):
            wrong = telling.fields ^ set(event.fields)
            yield f"{telling.where}: {event.name} has other fields: {sorted(wrong)}"


def bare_lines_in(tree: ast.Module, name: str) -> Iterator[str]:
    for call in _calls(tree):
        match call.func:
            case ast.Attribute(attr=method, value=ast.Name(id=holder) | ast.Attribute(attr=holder)):
                if method in METHODS and holder in LOGGERS:
                    yield f"{name}:{call.lineno}: {ast.unparse(call.func)}"


@cache
def _tellings() -> list[Telling]:
    """Every call there is. Collecting tests must not wait for that: each worker collects them."""
    return [
        telling
        for path in SOURCES
        for telling in tellings_in(_tree(path), path.relative_to(ROOT).as_posix())
    ]


def test_every_call_tells_a_registered_event_with_exactly_its_fields() -> None:
    assert len(_tellings()) > 15
    assert [fault for telling in _tellings() for fault in faults_of(telling)] == []


def test_nobody_logs_past_the_registry() -> None:
    found = [
        line
        for path in SOURCES
        if path.name not in MACHINERY
        for line in bare_lines_in(_tree(path), path.relative_to(ROOT).as_posix())
    ]
    assert found == [], "use lockgate_release.log.telling.tell"


def test_every_event_is_told_somewhere() -> None:
    told = {constant for telling in _tellings() for constant in telling.constants}
    # What a library says is told by nobody here: `lines` makes it of any other record.
    assert CONSTANTS.keys() - told == {"LIBRARY_SAID"}


def test_every_field_belongs_to_an_event() -> None:
    used = {name for event in EVENTS.values() for name in event.fields}
    assert used - COMMON.keys() == FIELDS.keys()
    assert not FIELDS.keys() & COMMON.keys()


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_an_event_is_well_formed(event: Event) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", event.name)
    assert event.level in LEVELS
    assert len(set(event.fields)) == len(event.fields)
    named = set(re.findall(r"\{(\w+)\}", event.sentence))
    assert named <= {*event.fields, *COMMON}
    assert event.rate.per_s > 0
    assert event.rate.burst > 0


def test_names_are_one_to_one() -> None:
    assert len(EVENTS) == len(CONSTANTS)
    assert max(Counter(event.name for event in CONSTANTS.values()).values()) == 1
    for constant, event in CONSTANTS.items():
        assert isinstance(event, Event), constant


def test_every_number_has_its_unit_in_name_or_words() -> None:
    plain = {"entry", "epoch", "exit_code", "pid", "status", "timestamp_version"}
    for name, known in {**COMMON, **FIELDS}.items():
        if known.kind is Kind.INTEGER:
            assert bool(known.unit) is (name not in plain), name
        assert known.text, name
        assert dataclasses.replace(known) == known


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("tell(_log, NEW_EVENT, job='x')", "no event"),
        ("tell(_log, CHILD_STARTED, child='x', more=1)", "['more']"),
        ("tell(_log, CHILD_STARTED)", "['child']"),
        ("tell(_log, CHILD_STARTED if x else OTHER, child='x')", "OTHER is no event"),
        ("tell(_log, f(), child='x')\ndef f():\n  return SECRET", "SECRET is no event"),
        ("tell(_log, CHILD_STARTED, **found)", "None"),
        ("def f(event: Event):\n  tell(_log, event, nobody='x')", "event is no event"),
        ("def f(event):\n  tell(_log, event, child='x')", "event is no event"),
    ],
)
def test_the_walk_finds_what_is_wrong(code: str, fault: str) -> None:
    tree = ast.parse(code)
    (telling,) = tellings_in(tree, "x.py")
    assert fault in " ".join(faults_of(telling))


@pytest.mark.parametrize("code", ["_log.info('x')", "logging.warning('x')", "self._log.error('x')"])
def test_the_walk_finds_a_bare_line(code: str) -> None:
    assert list(bare_lines_in(ast.parse(code), "x.py"))
