"""Writes the reference pages that the code itself knows best: `make docs`.

A page keeps its own words; what stands between its two marks is made here, from the commands, from
the server's OpenAPI document and from the registry of events. `tests/docs/` fails while a page
differs from what is made.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lockgate_cli.main import lockgate
from lockgate_release.log.events import Event
from lockgate_release.log.fields import COMMON, FIELDS, Field, Kind
from lockgate_release.log.registry import CLI_EVENTS, SERVER_EVENTS
from lockgate_release.log.updater_events import UPDATER_EVENTS
from lockgate_server.command.group import lockgate_server
from lockgate_server.views.api.openapi import describe_api
from lockgate_server.views.api.routes import PREFIX, ROUTES
from lockgate_updater.command.parser import build_parser

__all__ = ["PAGES", "PROGRAMS", "REFERENCE", "render"]

REFERENCE = Path(__file__).resolve().parent / "reference"
PROGRAMS: Mapping[str, click.Group | argparse.ArgumentParser] = {
    "lockgate": lockgate,
    "lockgate-server": lockgate_server,
    "lockgate-updater": build_parser(),
}
_MANY = 4
"""An option that so many commands of a program take in the same words is told of once."""

_MADE = re.compile(r"(<!-- made by `make docs`[^\n]*-->\n).*?(<!-- end -->\n)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """One command as its page tells of it: title, usage, paragraphs, options with their text."""

    title: str
    usage: str
    about: Sequence[str]
    options: Sequence[tuple[str, str]]


def make_commands() -> str:
    """Return every command of the three programs, with one table for each."""
    return "\n".join(
        line for program in PROGRAMS.values() for line in _describe_program(list(_read(program)))
    )


def _read(program: click.Group | argparse.ArgumentParser) -> Iterator[_Command]:
    if isinstance(program, click.Group):
        name = str(program.name)
        return _read_click(program, click.Context(program, info_name=name, show_default=True))
    return _read_parser(program)


def _read_click(command: click.Command, context: click.Context) -> Iterator[_Command]:
    """Yield a command, then those below it."""
    yield _Command(
        title=context.command_path,
        usage=" ".join(command.collect_usage_pieces(context)),
        about=_paragraphs(command.help or ""),
        options=[
            _option(*record)
            for option in command.params
            if isinstance(option, click.Option)
            for record in [option.get_help_record(context)]
            if record is not None
        ],
    )
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _read_click(below, click.Context(below, context, info_name=name))


def _option(label: str, text: str) -> tuple[str, str]:
    text, _, more = text.partition("  [")
    needed = "required" in more.removesuffix("]").split("; ")
    more = re.sub(r'required(; |\])|default: ""\]', "", more)
    words = ["Required." if needed else "", text, f"[{more}" if more else ""]
    return label.replace("INTEGER RANGE", "N"), " ".join(filter(None, words))


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text; one whose lines are to stay becomes a block."""
    found = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        kept = paragraph.removeprefix("\b\n")
        is_kept = kept != paragraph
        found.append(f"```text\n{kept}\n```" if is_kept else " ".join(paragraph.split()))
    return found


def _read_parser(parser: argparse.ArgumentParser) -> Iterator[_Command]:
    """Yield a parser, then those of its verbs."""
    below: dict[str, argparse.ArgumentParser] = {}
    options, usage = [], ["[OPTIONS]"]
    for action in parser._actions:  # noqa: SLF001 (argparse tells its options nowhere else)
        metavar = str(action.metavar or action.dest.upper())
        text = f"{(action.help or '')[:1].upper()}{(action.help or '')[1:]}"
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (as above)
            below = action.choices
            usage.append(metavar)
        elif not action.option_strings:
            usage.append(f"[{metavar} …]")
            options.append((metavar, text))
        elif "--help" not in action.option_strings:
            label = ", ".join(action.option_strings)
            options.append((label if action.nargs == 0 else f"{label} {metavar}", text))
    about = _paragraphs(parser.description or "")
    yield _Command(title=parser.prog, usage=" ".join(usage), about=about, options=options)
    for verb in below.values():
        yield from _read_parser(verb)


def _describe_program(commands: Sequence[_Command]) -> Iterator[str]:
    """Yield the lines of a program; what many of its commands take is told of once."""
    counts = Counter(option for command in commands for option in command.options)
    shared = {option for option, count in counts.items() if count >= _MANY}
    for command in commands:
        yield f"{'#' * min(command.title.count(' ') + 2, 3)} {command.title}\n"
        yield f"`{command.title} {command.usage}`\n"
        yield from (f"{text}\n" for text in command.about)
        own = [option for option in command.options if option not in shared]
        yield from _options_table("option", own)
        also = [label.split()[0] for label, text in command.options if (label, text) in shared]
        if also:
            yield f"Also {', '.join(f'`{name}`' for name in also)}.\n"
        if command is commands[0]:
            once = [option for option in counts if option in shared]
            yield from _options_table("option of several commands", once)


def _options_table(heading: str, options: Sequence[tuple[str, str]]) -> Iterator[str]:
    if options:
        yield from _table(
            (heading, "what it does"), [(f"`{label}`", text) for label, text in options]
        )
        yield ""


def make_http_api() -> str:
    """Return every route of the API and every shape that travels over it."""
    described = describe_api(ROUTES, "")
    operations = {
        (method.upper(), path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    refusals = {route: _refusals(operation) for route, operation in operations.items()}
    always = set.intersection(*refusals.values())
    guarded = set.intersection(
        *(refusals[route] for route in operations if _scope(operations[route]))
    )
    rows = [
        (*_describe_route(*route, operation), ", ".join(sorted(refusals[route] - guarded)))
        for route, operation in operations.items()
    ]
    heading = ("method", "path", "scope", "what it does", "body", "answers", "refuses with")
    shapes = [
        (f"`{name}`", ", ".join(_fields(schema)))
        for name, schema in described["components"]["schemas"].items()
    ]
    return "\n".join(
        [
            *_table(heading, rows),
            "",
            f"Besides, every route may refuse with {', '.join(sorted(always))}, and every route "
            f"that asks for a scope with {', '.join(sorted(guarded - always))}.\n",
            "## Shapes\n",
            "A field with `?` may be left out.\n",
            *_table(("name", "fields"), shapes),
        ]
    )


def _scope(operation: Mapping[str, Any]) -> str:
    scope: str = operation.get("x-lockgate-scope", "")
    return scope


def _refusals(operation: Mapping[str, Any]) -> set[str]:
    return {status for status, answer in operation["responses"].items() if "$ref" in answer}


def _describe_route(method: str, path: str, operation: Mapping[str, Any]) -> Sequence[str]:
    queries = [item for item in operation["parameters"] if item["in"] == "query"]
    asked = "&".join(f"{item['name']}=…" for item in queries)
    answers = [
        f"{status} {_shape(answer)}".rstrip()
        for status, answer in operation["responses"].items()
        if "$ref" not in answer
    ]
    return (
        method,
        f"`{PREFIX}{path}{'?' if asked else ''}{asked}`",
        _scope(operation) or "none",
        "; ".join(
            [
                operation["summary"],
                *(f"`{item['name']}`: {item['description']}" for item in queries),
            ]
        ),
        _shape(operation.get("requestBody", {})),
        ", ".join(answers),
    )


def _shape(holder: Mapping[str, Any]) -> str:
    for content in holder.get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        return f"`{name}`" if name else "the bytes"
    return ""


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    for name, value in schema.get("properties", {}).items():
        yield f"`{name}{'' if name in required else '?'}` {_kind(value)}"
    if not schema.get("properties"):
        yield "a JSON object"


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what a value is, in as few words as people need."""
    named = (
        f"`{schema['$ref'].rpartition('/')[2]}`" if "$ref" in schema else "",
        " or ".join(json.dumps(value) for value in schema.get("enum", ())),
        json.dumps(schema["const"]) if "const" in schema else "",
        " or ".join(_kind(one) for one in schema.get("oneOf", schema.get("anyOf", ()))),
    )
    return next(filter(None, named), "") or _kind_of_type(schema)


def _kind_of_type(schema: Mapping[str, Any]) -> str:
    match schema["type"]:
        case list() as kinds:
            return " or ".join(_kind({**schema, "type": kind}) for kind in kinds)
        case "array":
            return f"list of {_kind(schema['items'])}"
        case "object" if "additionalProperties" in schema:
            return f"map of {_kind(schema['additionalProperties'])}"
        case "object" if "properties" in schema:
            return f"({', '.join(_fields(schema))})"
        case "string":
            return str(schema.get("contentEncoding") or schema.get("format") or "text")
        case kind:
            return str(kind)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heading)} |"
    yield f"|{'---|' * len(heading)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def make_log_schema() -> str:
    """Return every event that is logged, every field, and the bounds of both."""
    return "\n".join(
        [
            "## Events of the server\n",
            *_events_table(SERVER_EVENTS.values(), has_rates=True),
            "\n## Events of `lockgate`\n",
            *_events_table(CLI_EVENTS.values(), has_rates=False),
            "\n## Fields of any line\n",
            *_fields_table(COMMON),
            "\n## Fields of events\n",
            *_fields_table(FIELDS),
            "\n## Events of `lockgate-updater`\n",
            *_table(
                ("event", "field", "type", "what it says"),
                [
                    (f"`{event}`: {text}", f"`{name}`", *_typed(known))
                    for event, (text, fields) in UPDATER_EVENTS.items()
                    for name, known in fields.items()
                ],
            ),
        ]
    )


def _events_table(events: Iterable[Event], *, has_rates: bool) -> Iterator[str]:
    heading = ("event", "level", "what people read", "its fields", "lines")[: 4 + has_rates]
    yield from _table(
        heading,
        [
            (
                f"`{event.name}`",
                event.level_name,
                re.sub(r"\{(\w+)\}", r"*\1*", event.sentence),
                ", ".join(f"`{name}`" for name in event.fields),
                f"{event.rate.burst}, then {event.rate.per_s:g} a second",
            )[: 4 + has_rates]
            for event in events
        ],
    )


def _fields_table(fields: Mapping[str, Field]) -> Iterator[str]:
    heading = ("field", "type", "what it says", "cut at")
    yield from _table(
        heading,
        [
            (f"`{name}`", *_typed(known), str(known.limit) if known.kind is Kind.TEXT else "")
            for name, known in fields.items()
        ],
    )


def _typed(known: Field) -> tuple[str, str]:
    return f"{known.kind}, {known.unit}" if known.unit else str(known.kind), known.text


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": make_commands,
    "http-api.md": make_http_api,
    "log-schema.md": make_log_schema,
}


def render(name: str) -> str:
    """Return what a page should hold: its own words, and what is made here between the marks.

    Raises:
        ValueError: The page has not got the two marks.
    """
    text = (REFERENCE / name).read_text("utf-8")
    made = PAGES[name]().rstrip()
    page, count = _MADE.subn(lambda marks: f"{marks[1]}\n{made}\n\n{marks[2]}", text)
    if count != 1:
        raise ValueError(f"{name}: expected one made block, found {count}")
    return page


def main() -> None:
    """Write every page again."""
    for name in PAGES:
        (REFERENCE / name).write_text(render(name), "utf-8")


if __name__ == "__main__":
    main()
