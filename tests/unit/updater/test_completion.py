"""`lockgate-updater completion`: the scripts are sourced by real shells, where there are any."""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from lockgate_updater.command import main
from lockgate_updater.command.completion import make_script
from lockgate_updater.command.parser import VERBS, build_parser

SHELLS = ("bash", "zsh", "fish")


def run(shell: str, script: str, folder: Path) -> list[str]:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    plain = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    ran = subprocess.run(
        [program, *plain, "-c", script],
        cwd=folder,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def bash(words: Sequence[str], folder: Path) -> set[str]:
    """What bash would offer for the last of these words."""
    typed = " ".join(map(shlex.quote, words))
    ask = (
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _lockgate_updater; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return set(filter(None, run("bash", f"{make_script('bash')}\n{ask}", folder)))


def test_bash_offers_the_verbs(tmp_path: Path) -> None:
    assert bash(["lockgate-updater", ""], tmp_path) == set(VERBS)
    assert bash(["lockgate-updater", "re"], tmp_path) == {"repair", "reports"}
    assert bash(["lockgate-updater", "nothing"], tmp_path) == set()


def test_bash_offers_the_options_of_the_verb(tmp_path: Path) -> None:
    assert bash(["lockgate-updater", "watch", "--o"], tmp_path) == {"--once"}
    assert bash(["lockgate-updater", "update", "--d"], tmp_path) == {"--dry-run"}
    assert bash(["lockgate-updater", "check", "--d"], tmp_path) == set()
    shells = bash(["lockgate-updater", "completion", ""], tmp_path)
    assert shells == {"--help", *SHELLS}


def test_bash_offers_folders_and_files_where_they_are_meant(tmp_path: Path) -> None:
    (tmp_path / "a home").mkdir()
    (tmp_path / "root.json").touch()
    assert bash(["lockgate-updater", "check", "--home", ""], tmp_path) == {"a home"}
    files = {"a home", "root.json"}
    assert bash(["lockgate-updater", "init", "--root", ""], tmp_path) == files
    assert bash(["lockgate-updater", "run", "--home", "x", "--", "-v", "r"], tmp_path) == {
        "root.json"
    }
    assert bash(["lockgate-updater", "check", "--channel", ""], tmp_path) == set()


def test_fish_offers_what_can_be_typed(tmp_path: Path) -> None:
    def offered(typed: str) -> set[str]:
        ask = f"complete --do-complete {shlex.quote(typed)}"
        script = f"{make_script('fish')}\n{ask}"
        return {line.partition("\t")[0] for line in run("fish", script, tmp_path)}

    assert offered("lockgate-updater ") >= set(VERBS)
    assert offered("lockgate-updater watch --o") == {"--once"}
    assert offered("lockgate-updater completion ") == set(SHELLS)
    (tmp_path / "place").mkdir()
    (tmp_path / "plain").touch()
    assert offered("lockgate-updater check --home pl") == {"place/"}


def test_zsh_reads_its_script(tmp_path: Path) -> None:
    begin = "autoload -Uz compinit; compinit -u -D; "
    ask = 'print -r -- "${_comps[lockgate-updater]}"; whence -w _lockgate_updater'
    found = run("zsh", f"{begin}\n{make_script('zsh')}\n{ask}", tmp_path)
    assert found == ["_lockgate_updater", "_lockgate_updater: function"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_verb_and_option_is_in_the_script(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    parsers = build_parser()._subparsers
    assert parsers is not None
    choices = parsers._group_actions[0].choices
    assert isinstance(choices, dict)
    assert set(choices) == set(VERBS)
    for verb, parser in choices.items():
        assert verb in script
        for option in parser._option_string_actions:
            name = option.removeprefix("--") if shell == "fish" else option
            assert not option.startswith("--") or name in script


def test_another_shell_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
