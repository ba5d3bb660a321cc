"""`lockgate simulate`, as somebody types it who has no server yet."""

import subprocess
import sys
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from tests.simulators.command_line import CommandLine

SMALL = ["simulate", "--clients", "60_000", "--base-rate", "3%", "--runs", "20", "--days", "9"]


@pytest.fixture
def person(tmp_path: Path) -> CommandLine:
    return CommandLine(folder=tmp_path)


def test_a_break_is_halted_and_said_in_a_table(person: CommandLine) -> None:
    ended = person.must(*SMALL, "--bad-rate", "40%")
    assert "seed 1" in ended.err
    assert "exposure  began  lasted  ended in" in ended.out
    assert "hurt until then: " in ended.out
    assert "of 20 of this one, 20 (100.00%)" in ended.out


def test_programs_get_every_hour_and_the_same_again(person: CommandLine) -> None:
    said = person.must(*SMALL, "--json").json()
    assert said["verdict"]["reason"] == "finished"
    assert [stage["exposure"] for stage in said["stages"]] == ["1%", "5%", "25%", "100%"]
    assert len(said["hours"]["hurt"]) == len(said["hours"]["requests_per_s"])
    assert said["harmless"]["runs"] == 20
    assert person.must(*SMALL, "--json").json() == said
    assert person.must(*SMALL, "--json", "--seed", "2").json() != said


@pytest.mark.parametrize(("name", "head"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_a_picture_is_drawn(person: CommandLine, name: str, head: bytes) -> None:
    person.must(*SMALL, "--bad-rate", "40%", "--plot", name)
    assert (person.folder / name).read_bytes().startswith(head)


def test_a_plan_is_taken_from_a_file_or_by_its_name(person: CommandLine) -> None:
    stages = 'stages = [{ exposure = "10%" }, { exposure = "100%" }]\n'
    (person.folder / "quick.toml").write_text(stages)
    (person.folder / "lockgate.toml").write_text("[plans.quick]\n" + stages)
    by_file = person.must(*SMALL, "--json", "--plan", "quick.toml").json()
    assert by_file["stages"][0]["exposure"] == "10%"
    assert person.must(*SMALL, "--json", "--plan", "quick").json() == by_file


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--base-rate", "120%"], "--base-rate"),
        (["--bad-rate", "-1%"], "--bad-rate"),
        (["--bad-rate", "nan"], "--bad-rate"),
        (["--clients", "7"], "--clients"),
        (["--plan", "nowhere"], "no such plan"),
        (["--plan", "nowhere.toml"], "no such file"),
        (["--plot", "a.pdf"], ".png or .svg"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    person: CommandLine, more: list[str], words: str
) -> None:
    person.must_end(ExitCode.USAGE, [*SMALL, *more], words)


def test_without_the_extra_it_is_said_what_brings_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['numpy'] = None; from lockgate_cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "simulate"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == ExitCode.LOCAL
    assert "pip install 'lockgate[simulate]'" in ended.stderr
