"""No page tells anybody to type what the programs do not know, and the reference is complete."""

import argparse
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.generate import PROGRAMS, REFERENCE, render
from tests.docs.pages import (
    LEFT_OUT,
    PAGES,
    ROOT,
    SHELL,
    blocks_of,
    commands_in,
    inline_code,
    name_of,
)

COMMANDS = REFERENCE / "commands.md"
IN_WORDS = [
    page
    for page in PAGES
    # The reference shows how each is used; a decision tells of what was when it was taken.
    if page != COMMANDS and page.parent.name != "decisions"
]


def _fault(words: list[str], *, is_whole: bool = True) -> str:
    """What the real parser has against a command, or "".

    Args:
        words: The program and what follows. An ellipsis stands for what was left out.
        is_whole: Whether what is required has to be there.
    """
    program, given = PROGRAMS[words[0]], [word for word in words[1:] if word != LEFT_OUT]
    may_miss = LEFT_OUT in words or not is_whole
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if isinstance(program, click.Group):
                _parse_click(program, words[0], given)
            else:
                program.parse_args(given)
    except (click.MissingParameter, click.exceptions.NoArgsIsHelpError) as exc:
        return "" if may_miss else exc.format_message()
    except click.ClickException as exc:
        return exc.format_message()
    except click.exceptions.Exit:  # --help, --version
        return ""
    except SystemExit as exc:
        return "" if not exc.code or not given else _parser_s_words(program, given)
    return ""


def _parse_click(
    command: click.Command, name: str, given: list[str], parent: click.Context | None = None
) -> None:
    if not isinstance(command, click.Group) or not given:
        command.make_context(name, list(given), parent=parent)
        return
    context = click.Context(command, parent=parent, info_name=name)
    _, rest, _ = command.make_parser(context).parse_args(list(given))
    below = command.get_command(context, rest[0]) if rest else None
    if below is None:
        # Only its own options, or a command that is not there: the group says which.
        with command.make_context(name, list(given), parent=parent) as own:
            command.resolve_command(own, rest)
        return
    _parse_click(below, rest[0], rest[1:], context)


def _parser_s_words(program: click.Group | argparse.ArgumentParser, given: list[str]) -> str:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        assert isinstance(program, argparse.ArgumentParser)
        program.parse_args(given)
    return said.getvalue().strip().splitlines()[-1]


def _options() -> Iterator[str]:
    """Every option of the three programs."""

    def of_click(command: click.Command, context: click.Context) -> Iterator[str]:
        for parameter in command.params:
            yield from parameter.opts if isinstance(parameter, click.Option) else ()
        if isinstance(command, click.Group):
            for below in command.commands.values():
                yield from of_click(below, context)

    for name, program in PROGRAMS.items():
        if isinstance(program, click.Group):
            yield from of_click(program, click.Context(program, info_name=name))
        else:
            for action in program._actions:
                yield from action.option_strings
                if isinstance(action, argparse._SubParsersAction):
                    for verb in action.choices.values():
                        yield from verb._option_string_actions


def test_the_reference_of_commands_is_what_the_commands_say() -> None:
    assert COMMANDS.read_text("utf-8") == render(COMMANDS.name), "stale: run `make docs`"


def test_the_reference_names_every_option() -> None:
    text = COMMANDS.read_text("utf-8")
    assert [option for option in _options() if f"`{option}" not in text and option != "-h"] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_block_is_one(page: Path) -> None:
    faults = [
        f"{name_of(page)}:{line.number}: {' '.join(words)}: {fault}"
        for block in blocks_of(page)
        if block.language in SHELL
        for line in block.typed()
        for words in commands_in(line.text)
        for fault in [_fault(words)]
        if fault
    ]
    assert faults == []


@pytest.mark.parametrize("page", IN_WORDS, ids=name_of)
def test_every_command_and_option_named_in_words_is_one(page: Path) -> None:
    known = set(_options())
    faults = []
    for number, code in inline_code(page):
        first = code.split()[0]
        if first in PROGRAMS:
            found = _fault(code.split(), is_whole=False)
        else:
            is_unknown = first.startswith("--") and first.partition("=")[0] not in known
            found = "no program has this option" if is_unknown else ""
        faults += [f"{name_of(page)}:{number}: `{code}`: {found}"] if found else []
    assert faults == []


@pytest.mark.parametrize(
    ("typed", "is_known"),
    [
        ("lockgate status", True),
        ("lockgate --debug releases list --app a", True),
        ("lockgate --version", True),
        ("lockgate publish …", True),
        ("lockgate publish", False),
        ("lockgate publihs …", False),
        ("lockgate releases sohw 1.0.0", False),
        ("lockgate revoke a 1.0 --reason r --remedy pray", False),
        ("lockgate status --bogus", False),
        ("lockgate audit --limit 0", False),
        ("lockgate audit extra", False),
        ("lockgate-server run --data d", True),
        ("lockgate-server token create --data d --scope admin", True),
        ("lockgate-server token create --data d --scope god", False),
        ("lockgate-server walk", False),
        ("lockgate-updater run --home h -- --its own", True),
        ("lockgate-updater check --home h --bogus", False),
        ("lockgate-updater walk", False),
    ],
)
def test_the_check_itself_tells_commands_from_what_is_none(typed: str, *, is_known: bool) -> None:
    assert (_fault(typed.split()) == "") is is_known


def test_commands_are_found_wherever_they_stand() -> None:
    line = 'A=1 x && export T="$(lockgate status)"; sudo /opt/bin/lockgate-server run | tee log'
    assert list(commands_in(line)) == [["lockgate", "status"], ["lockgate-server", "run"]]
    assert list(commands_in("ExecStart=/opt/bin/lockgate-server run --data /srv")) == [
        ["lockgate-server", "run", "--data", "/srv"]
    ]
    assert list(commands_in("docker build -t lockgate-server .")) == []
    assert list(commands_in("docker run -v lockgate:/data lockgate-server")) == []
    assert list(commands_in("cp -r /srv/lockgate /backup")) == []
    assert list(commands_in("User=lockgate")) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    code = [code for _, code in inline_code(page)]
    code += [line.text for block in blocks_of(page) for line in block.typed()]
    named = {name for text in code for name in re.findall(r"(?:^|[&;] *)make ([a-z0-9-]+)", text)}
    assert named - {*targets} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_of_this_repository_that_a_page_names_exists(page: Path) -> None:
    ours = re.compile(r"(?:bench|cli|demo|docs|release|server|tests|updater)/[\w./-]*")
    named = {code for _, code in inline_code(page) if ours.fullmatch(code)}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_pages_hold_commands_to_check() -> None:
    typed = [
        words
        for page in (ROOT / "README.md", ROOT / "docs/tutorial/first-release.md")
        for block in blocks_of(page)
        for line in block.typed()
        for words in commands_in(line.text)
    ]
    assert len(typed) > 15
