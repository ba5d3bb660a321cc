"""The page of the settings names every one that the code reads, and none that it does not."""

import argparse
import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import click

from docs.generate import PROGRAMS, REFERENCE
from lockgate_cli.defaults import _FLOORS as FLOORS
from lockgate_cli.defaults import _TABLE as PUBLISH
from lockgate_cli.defaults import _TYPES as PUBLISH_TYPES
from lockgate_cli.defaults import parse_options, read_floors
from lockgate_release.settings import SettingName, Settings
from lockgate_updater.run.environment import program_environment
from lockgate_updater.state.home import Home
from lockgate_updater.state.receipts import Receipt
from tests.docs.pages import ROOT, blocks_of

PAGE = REFERENCE / "settings.md"
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
_VARIABLE = re.compile(r"(?<![A-Z_])LOCKGATE_[A-Z][A-Z_]*")
_CODE = re.compile(r"`([^`]+)`")
_PROGRAM_OF = {
    "The client": "lockgate-updater",
    "CI and maintainers": "lockgate",
    "The server": "lockgate-server",
}


def _sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in ("release", "updater", "server", "cli"):
        for path in sorted((ROOT / folder / "src").rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def _texts(tree: ast.Module) -> Iterator[str]:
    """Every text in a module that is more than words for people: no docstring."""
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
            yield node.value


def _variables_in_code() -> set[str]:
    named = {
        name.rstrip("_")
        for _, tree in _sources()
        for text in _texts(tree)
        for name in _VARIABLE.findall(text)
    }
    return named | {f"LOCKGATE_{name.upper()}" for name in get_args(SettingName)}


def _read_from_tables() -> dict[str, set[str]]:
    """What is asked of `….table.get(…)`, by file: the source of the name, or its value."""
    found: dict[str, set[str]] = {}
    for path, tree in _sources():
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="get", value=ast.Attribute(attr="table")),
                    args=[name, *_],
                ):
                    text = name.value if isinstance(name, ast.Constant) else ast.unparse(name)
                    found.setdefault(path.name, set()).add(str(text))
    return found


def _rows(section: str = "") -> Iterator[list[str]]:
    """The cells of every row of the page's tables, headings left out."""
    current = ""
    for line in PAGE.read_text("utf-8").splitlines():
        current = line.removeprefix("## ") if line.startswith("## ") else current
        if line.startswith("| ") and not line.startswith("| lockgate.toml") and section in current:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _keys_on_page() -> set[str]:
    return {name for row in _rows() for name in _CODE.findall(row[0])}


def test_every_variable_is_on_the_page_and_none_that_nothing_reads() -> None:
    named = _VARIABLE.findall(PAGE.read_text("utf-8").replace("_<APP>", ""))
    # The public half of a key, and its successor, are said in its variable with this behind it.
    plain = {name.removesuffix("_PUBLIC").removesuffix("_NEXT") for name in named}
    assert plain == _variables_in_code()


def test_what_a_started_program_finds_is_on_the_page() -> None:
    home, receipt = Home(Path("home")), SimpleNamespace(version="1.0.0", folder="1.0.0-0")
    found = program_environment(home, cast("Receipt", receipt), {"OTHER": "1"}, Path("cache"))
    (sentence,) = re.findall(r"find in their environment: (.*?)\. ", PAGE.read_text("utf-8"))
    assert set(found) - {"OTHER"} == set(re.findall("`([A-Z_]+)`", sentence))
    assert found["OTHER"] == "1"


def test_every_key_of_the_file_is_on_the_page_and_none_that_nothing_reads() -> None:
    only_init = {"root"}  # the client's command reads it from the environment alone
    expected = {*get_args(SettingName), "headers", "bandwidth_bytes_s", "keep", "check_interval_s"}
    expected |= {"updater.home"}
    expected |= {f"{PUBLISH}.{name}" for name in PUBLISH_TYPES} | {f"{FLOORS}.CHANNEL"}
    assert _keys_on_page() == expected
    client = {name for row in _rows("The client") for name in _CODE.findall(row[0])}
    assert not client & only_init


def test_nothing_reads_the_file_past_the_list_of_settings() -> None:
    reading = _read_from_tables()
    assert reading.pop("settings.py") == {"name"}  # the list itself
    assert reading.pop("defaults.py") == {"name"}  # [publish] and [floors], held to above
    assert {name for names in reading.values() for name in names} <= {
        "keep",
        "updater",  # the table with `updater.home`
        *_keys_on_page(),
        "name",
    }


def test_variables_are_called_as_the_keys_are() -> None:
    for row in _rows():
        keys = _CODE.findall(row[0])
        if len(row) == 5 and keys and row[1]:
            assert row[1] == f"`LOCKGATE_{keys[0].upper()}`"


def test_options_are_those_of_the_program() -> None:
    for section, program in _PROGRAM_OF.items():
        known = set(_options_of(program))
        named = {
            name
            for row in _rows(section)
            for name in _CODE.findall(row[2] if len(row) == 5 else row[1])
        }
        assert named, section
        assert named <= known, section


def _options_of(program: str) -> Iterator[str]:
    command = PROGRAMS[program]
    if not isinstance(command, click.Group):
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                for verb in action.choices.values():
                    yield from verb._option_string_actions
        return
    waiting: list[click.Command] = [command]
    while waiting:
        one = waiting.pop()
        waiting += one.commands.values() if isinstance(one, click.Group) else ()
        for parameter in one.params:
            yield from parameter.opts


def test_the_file_that_the_page_shows_is_understood() -> None:
    (shown,) = (block.text for block in blocks_of(PAGE) if block.language == "toml")
    settings = Settings(table=tomllib.loads(shown))
    assert parse_options(settings).health == ("bin/myapp", "--self-test")
    assert read_floors(settings) == {"stable": "1.2.0"}


def test_the_example_file_has_every_variable_of_server_and_ci() -> None:
    page = "".join(
        row[1] for section in ("CI and maintainers", "The server") for row in _rows(section)
    )
    expected = {name.replace("<APP>", "MYAPP") for name in re.findall(r"LOCKGATE_[A-Z_<>]+", page)}
    found = set(re.findall(r"^#? ?(LOCKGATE_[A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert found == expected | {"LOCKGATE_PUBLISHER_KEY"}


def test_the_example_file_can_be_read_by_a_shell() -> None:
    for line in EXAMPLE.splitlines():
        value = line.partition("=")[2] if re.match(r"#? ?[A-Z][A-Z_0-9]*=", line) else ""
        assert not re.search(r"[&?;<>|$ ]", value) or value.startswith('"'), line
