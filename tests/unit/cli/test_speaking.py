"""How the command speaks on stderr, and the id that joins its run to the server's log."""

from pathlib import Path

import pytest

from lockgate_cli.http import Http
from lockgate_cli.output import fail, say, warn
from lockgate_cli.voice import Manner, speaking
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import ExitCode
from lockgate_release.log.rules import LogFormat
from tests.simulators.command_line import CommandLine
from tests.simulators.log_reader import read_log
from tests.simulators.scripted_api import answer, problem, serve_script

TOKEN = "lg_EWOrTnzbt96vZln-y2AEAYK0_4lJE_wPqqVK08dm0Ik"
API = answer({"name": "lockgate", "version": "0.1.0", "side": "api"})
LOG = answer({"entries": []})


@pytest.fixture
def person(tmp_path: Path) -> CommandLine:
    return CommandLine(folder=tmp_path, environ={"LOCKGATE_TOKEN": TOKEN, "LOCKGATE_APP": "demo"})


def operations_of(person: CommandLine, *arguments: str) -> list[str | None]:
    """The operation that each request named, while a command asked what has been done."""
    with serve_script(API, LOG) as server:
        person.must(*arguments, "audit", "--server", server.address)
    return [asked.headers.get("x-operation-id") for asked in server.asked]


def test_a_run_has_one_id_and_tells_the_server_with_each_request(person: CommandLine) -> None:
    assert operations_of(person) == ["a-run", "a-run"]


class Nothing:
    """A body without a byte."""

    def __len__(self) -> int:
        return 0

    def read(self, size: int = -1, /) -> bytes:
        del size
        return b""


def test_nobody_but_the_server_is_told_the_id() -> None:
    waits = WaitRules(sleep=lambda _: None, jitter=lambda: 0.0)
    with serve_script(LOG) as server, Http(token=TOKEN, waits=waits, operation="a-run") as http:
        http.exchange("GET", server.address)
        http.send_once(server.address, Nothing(), subject="a part", authorised=False)
        list(http.stream(server.address))
    assert [asked.headers.get("x-operation-id") for asked in server.asked] == [None] * 3


def test_ci_says_which_operation_it_is(person: CommandLine) -> None:
    person.environ["LOCKGATE_OPERATION"] = "build-7.2"
    assert operations_of(person) == ["build-7.2", "build-7.2"]
    assert operations_of(person, "--operation", "by-hand") == ["by-hand", "by-hand"]
    (person.folder / "lockgate.toml").write_text('operation = "from-file"\n', "utf-8")
    del person.environ["LOCKGATE_OPERATION"]
    assert operations_of(person) == ["from-file", "from-file"]


@pytest.mark.parametrize("wrong", ["a b", "x" * 65, "a\nb: c", "é", "a/b"])
def test_an_id_that_no_header_could_carry_is_refused_before_anything_is_asked(
    person: CommandLine, wrong: str
) -> None:
    person.environ["LOCKGATE_OPERATION"] = wrong
    with serve_script(API) as server:
        person.must_end(
            ExitCode.USAGE, ["audit", "--server", server.address], "operation", "hyphens"
        )
    assert server.asked == []


def test_a_failure_of_the_server_names_request_and_operation(person: CommandLine) -> None:
    body = problem(500, detail="oops", request_id="r-1", operation_id="a-run")
    with serve_script(API, body) as server:
        said = person.run("audit", "--server", server.address).err
    assert "request r-1" in said
    assert "operation a-run" in said


def test_a_person_hears_words_and_asks_for_more_or_less(person: CommandLine) -> None:
    said: list[str] = []
    for flags, expected in (([], 1), (["-q"], 0), (["-v"], 5), (["--verbose"], 5)):
        with serve_script(API, LOG) as server:
            said = person.must(*flags, "audit", "--server", server.address).err.splitlines()
        assert len(said) == expected, said
    assert said[0] == "audit: this run is operation a-run"
    assert said[2].startswith("GET /api/v1/apps/demo/audit 200 in ")
    assert said[4].startswith("ended with 0 after ")


def test_quiet_is_silent_about_all_but_what_went_wrong(person: CommandLine) -> None:
    with serve_script(API, problem(409, detail="it moved")) as server:
        ended = person.run("--quiet", "audit", "--server", server.address)
    assert (ended.code, ended.err) == (ExitCode.CONFLICT, "error: it moved\n")


def test_ci_reads_objects_that_the_registry_knows(person: CommandLine) -> None:
    person.environ["LOCKGATE_LOG_FORMAT"] = "json"
    with serve_script(API, problem(409, detail=f"it moved {TOKEN}\nat once")) as server:
        ended = person.run("-v", "audit", "--server", server.address)
    lines = read_log(ended.err)
    assert [line["event"] for line in lines] == [
        "cli.started", "cli.asked", "cli.asked", "cli.failed", "cli.ended",
    ]  # fmt: skip
    assert {(line["part"], line["operation_id"]) for line in lines} == {("cli", "a-run")}
    failed = lines[3]
    assert (failed["code"], failed["exit_code"]) == ("conflict", ExitCode.CONFLICT)
    assert lines[4]["exit_code"] == ExitCode.CONFLICT
    assert TOKEN not in ended.err


def test_what_was_typed_wrongly_is_an_object_too(person: CommandLine) -> None:
    ended = person.run("--log-format", "json", "audit", "--limit", "many")
    (line,) = read_log(ended.err)
    assert (line["event"], line["code"], line["exit_code"]) == ("cli.failed", "usage", 2)
    assert person.run("--log-format", "xml", "audit").code == ExitCode.USAGE
    assert "Usage:" in person.run("audit", "--limit", "many").err


def test_the_manner_of_one_run_is_not_that_of_the_next(person: CommandLine) -> None:
    person.run("--quiet", "--log-format", "json", "audit", "--limit", "many")
    assert person.run("--log-format", "xml", "audit").err.startswith("error: log_format: ")
    with serve_script(API, LOG) as server:
        assert person.must("audit", "--server", server.address).err.startswith("demo: ")


def test_words_are_harmless_and_objects_stay_on_their_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile = 'x\x1b[2J\n{"event": "cli.note"}\u202e'
    for form in LogFormat:
        with speaking(Manner(form=form, operation="o-1")):
            say(hostile)
            warn(hostile)
            fail(hostile)
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\u202e" not in said
    objects = [line for line in said.splitlines() if "o-1" in line]
    assert [line["event"] for line in read_log("\n".join(objects))] == [
        "cli.note", "cli.warned", "cli.failed",
    ]  # fmt: skip
