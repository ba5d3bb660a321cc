"""The verb that makes shells complete: a script for bash, zsh or fish, from the table of verbs.

bash:  eval "$(lockgate-updater completion bash)"
zsh:   eval "$(lockgate-updater completion zsh)"
fish:  lockgate-updater completion fish | source

The script starts no Python: what can be typed is written into it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import NamedTuple

from lockgate_release.errors import ExitCode
from lockgate_updater.command.parser import PROGRAM, VERBS, fill_parser

__all__ = ["completion", "make_script"]

_FOLDERS = frozenset({"DIR"})
_FILES = frozenset({"FILE", "PATH"})


class _Option(NamedTuple):
    """An option, or a word that can stand alone.

    Attributes:
        name: As it is typed, or "" for a word.
        text: What it does.
        value: What follows: "" for nothing, `dir`, `file`, or `text`.
        choices: The only words that it can be.
    """

    name: str
    text: str
    value: str
    choices: tuple[str, ...]


def completion(options: argparse.Namespace, _environ: Mapping[str, str]) -> ExitCode:
    """Print the script for a shell."""
    sys.stdout.write(make_script(options.shell))
    return ExitCode.OK


def make_script(shell: str) -> str:
    """Return the completion script for `bash`, `zsh` or `fish`."""
    found = {name: _options_of(name) for name in VERBS}
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](found)


def _options_of(name: str) -> tuple[_Option, ...]:
    parser = fill_parser(argparse.ArgumentParser(), name)
    return tuple(
        _Option(
            name=max(action.option_strings, key=len, default=""),
            text=action.help or "",
            value=_value_of(action),
            choices=tuple(map(str, action.choices or ())),
        )
        for action in parser._actions  # noqa: SLF001 (argparse has no other way to ask)
    )


def _value_of(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.metavar in _FOLDERS:
        return "dir"
    return "file" if action.metavar in _FILES or action.nargs == "*" else "text"


# -- bash ---------------------------------------------------------------------------------------

_BASH = """\
_lockgate_updater() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local words="" IFS=$' \\t\\n'
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{verbs}" -- "$current"))
        return
    fi
    case " ${{COMP_WORDS[*]:0:COMP_CWORD}} " in
        *" -- "*) previous="--program" ;;
    esac
    case "$previous" in
        {dir}) _lockgate_updater_paths -d "$current"; return ;;
        {file}) _lockgate_updater_paths -f "$current"; return ;;
        {text}) return ;;
    esac
    case "${{COMP_WORDS[1]}}" in
{words}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
_lockgate_updater_paths() {{
    local IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen "$1" -- "$2"))
}}
complete -F _lockgate_updater lockgate-updater
"""


def _bash(verbs: Mapping[str, tuple[_Option, ...]]) -> str:
    # What follows an option is the same in each verb that has it.
    kinds = {option.name: option.value for options in verbs.values() for option in options}
    taking = {
        kind: "|".join(name for name, value in kinds.items() if name and value == kind)
        for kind in ("dir", "file", "text")
    }
    words = "\n".join(
        f'        {verb}) words="{" ".join(filter(None, map(_bash_words, options)))}" ;;'
        for verb, options in verbs.items()
    )
    return _BASH.format(verbs=" ".join(verbs), words=words, **taking)


def _bash_words(option: _Option) -> str:
    return option.name or " ".join(option.choices)


# -- zsh ----------------------------------------------------------------------------------------

_ZSH = """\
#compdef lockgate-updater
_lockgate_updater() {{
    local -a verbs=(
{verbs}
    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
{cases}
    esac
}}
compdef _lockgate_updater lockgate-updater
"""
_ZSH_VALUES = {"": "", "dir": ":folder:_files -/", "file": ":file:_files", "text": ":value:"}


def _zsh(verbs: Mapping[str, tuple[_Option, ...]]) -> str:
    names = [f"        {_quoted(f'{verb}:{VERBS[verb].text}')}" for verb in verbs]
    cases = []
    for verb, options in verbs.items():
        specs = " ".join(_quoted(_zsh_spec(option)) for option in options)
        cases.append(f"        {verb}) _arguments {specs} ;;")
    return _ZSH.format(verbs="\n".join(names), cases="\n".join(cases))


def _zsh_spec(option: _Option) -> str:
    if not option.name:
        return f"1:word:({' '.join(option.choices)})" if option.choices else "*:file:_files"
    text = "".join(f"\\{char}" if char in "[]:" else char for char in option.text)
    return f"{option.name}[{text}]{_ZSH_VALUES[option.value]}"


# -- fish ---------------------------------------------------------------------------------------

_FISH_VALUES = {"": "", "dir": " -x -a '(__fish_complete_directories)'", "file": " -rF"}


def _fish(verbs: Mapping[str, tuple[_Option, ...]]) -> str:
    begin = f"complete -c {PROGRAM}"
    lines = [f"{begin} -f"]
    for verb, options in verbs.items():
        text = _quoted(VERBS[verb].text)
        lines.append(f"{begin} -n __fish_use_subcommand -a {verb} -d {text}")
        here = f"{begin} -n '__fish_seen_subcommand_from {verb}'"
        for option in options:
            text = _quoted(option.text)
            if option.name:
                value = _FISH_VALUES.get(option.value, " -x")
                lines.append(f"{here} -l {option.name.removeprefix('--')}{value} -d {text}")
            elif option.choices:
                lines.append(f"{here} -a {_quoted(' '.join(option.choices))} -d {text}")
            else:
                lines.append(f"{here} -F")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a word in single quotes, as all three shells read it."""
    return "'" + text.replace("'", "'\\''") + "'"
