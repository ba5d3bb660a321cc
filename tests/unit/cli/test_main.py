"""Every ending has its exit code, and its words on stderr."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from lockgate_cli import __version__
from lockgate_cli.main import INTERRUPTED, lockgate
from lockgate_release.errors import ExitCode
from tests.simulators.command_line import CommandLine
from tests.simulators.scripted_api import Scripted, ScriptedServer, answer, problem, serve_script

TOKEN = "lg_secret"
API = answer({"name": "lockgate", "version": "0.1.0", "side": "api"})


@pytest.fixture
def person(tmp_path: Path) -> CommandLine:
    return CommandLine(folder=tmp_path, environ={"LOCKGATE_TOKEN": TOKEN, "LOCKGATE_APP": "demo"})


def ask_status(person: CommandLine, server: ScriptedServer) -> int:
    ended = person.run("status", "--server", server.address)
    assert TOKEN not in ended.out + ended.err
    return ended.code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, ExitCode.USAGE),
        (401, ExitCode.DENIED),
        (403, ExitCode.DENIED),
        (404, ExitCode.USAGE),
        (409, ExitCode.CONFLICT),
        (413, ExitCode.USAGE),
        (422, ExitCode.REFUSED),
        (418, ExitCode.TRANSPORT),
        (500, ExitCode.TRANSPORT),
        (503, ExitCode.TRANSPORT),
        (501, ExitCode.TRANSPORT),
        (507, ExitCode.TRANSPORT),
    ],
)
def test_a_problem_of_the_server_ends_with_its_code(
    person: CommandLine, status: int, code: ExitCode
) -> None:
    with serve_script(API, problem(status, detail="it is so")) as server:
        assert ask_status(person, server) == code


def test_a_problem_is_told_in_the_server_s_words_once(person: CommandLine) -> None:
    said = problem(409, detail="x: moved; expected 1; found 2.", expected="1", found="2")
    with serve_script(API, said) as server:
        ended = person.run("status", "--server", server.address)
    assert ended.err == "error: x: moved; expected 1; found 2\n"


def test_a_token_that_the_server_does_not_know_is_called_that(person: CommandLine) -> None:
    with serve_script(API, Scripted(status=401)) as server:
        said = person.run("status", "--server", server.address).err
    assert said.startswith("error: the server knows no such token. Set LOCKGATE_TOKEN to one")


def test_a_fault_of_the_server_names_the_request(person: CommandLine) -> None:
    with serve_script(API, problem(500, detail="oops", request_id="abc-1")) as server:
        assert "abc-1" in person.run("status", "--server", server.address).err


def test_what_the_server_can_never_do_is_asked_for_once(person: CommandLine) -> None:
    said = problem(501, detail="the store is not able to do this", request_id="abc-2")
    with serve_script(API, said) as server:
        assert "abc-2" in person.run("status", "--server", server.address).err
        assert len(server.asked) == 2


def test_a_gateway_s_page_is_a_failed_transport(person: CommandLine) -> None:
    with serve_script(API, Scripted(status=502, body=b"<html>")) as server:
        assert ask_status(person, server) == ExitCode.TRANSPORT


def test_a_redirect_is_a_failed_transport(person: CommandLine) -> None:
    with serve_script(API, Scripted(status=308, headers={"Location": "https://x"})) as server:
        assert ask_status(person, server) == ExitCode.TRANSPORT


def test_nobody_there_is_a_failed_transport(person: CommandLine) -> None:
    with serve_script() as server:
        pass
    assert ask_status(person, server) == ExitCode.TRANSPORT


def test_an_unreadable_settings_file_is_this_machine_s_fault(person: CommandLine) -> None:
    (person.folder / "lockgate.toml").mkdir()
    person.must_end(ExitCode.LOCAL, ["status"], "lockgate.toml")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["publish"],
        ["status", "--server", "not an address"],
        ["status"],
        ["completion", "powershell"],
        ["rollout", "set", "demo", "1.0.0", "--channel", "stable", "--exposure", "half"],
    ],
)
def test_what_makes_no_sense_is_a_usage_error(person: CommandLine, arguments: list[str]) -> None:
    assert person.run(*arguments).code == ExitCode.USAGE


def test_an_address_where_something_else_answers_is_a_usage_error(person: CommandLine) -> None:
    with serve_script(answer({"hello": "world"})) as server:
        assert ask_status(person, server) == ExitCode.USAGE


def test_no_token_is_said_before_anything_is_asked(person: CommandLine) -> None:
    del person.environ["LOCKGATE_TOKEN"]
    with serve_script(API) as server:
        person.must_end(ExitCode.DENIED, ["status", "--server", server.address], "LOCKGATE_TOKEN")
        assert [asked.path for asked in server.asked] == ["/api/v1/"]


def test_the_public_side_leads_to_the_api_and_never_sees_the_token(person: CommandLine) -> None:
    with serve_script(API, answer({"apps": []})) as api:
        port = api.server_address[1]
        with serve_script(problem(421, code="wrong-side", api_port=port)) as public:
            person.must("status", "--all", "--server", public.address + "/")
            assert all("authorization" not in asked.headers for asked in public.asked)
        assert [asked.path for asked in api.asked] == ["/api/v1/", "/api/v1/apps"]
        assert api.asked[1].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("port", ["other.example", 0, 70_000, None])
def test_the_public_side_can_name_nothing_but_a_port(person: CommandLine, port: object) -> None:
    with serve_script(problem(421, code="wrong-side", api_port=port)) as public:
        assert ask_status(person, public) == ExitCode.TRANSPORT
        assert len(public.asked) == 1


def test_another_machine_is_not_even_asked_over_a_line_that_would_show_the_token(
    person: CommandLine,
) -> None:
    arguments = ["status", "--server", "http://203.0.113.1:9"]
    ended = person.must_end(ExitCode.USAGE, arguments, "unencrypted", "--insecure")
    assert TOKEN not in ended.err


_INTERRUPTED_EARLY = """
import sys
class Interrupting:
    def find_spec(self, name, *rest):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from lockgate_cli.entry import main
main()
"""


def test_a_command_that_is_interrupted_while_it_is_loaded_shows_no_traceback() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED_EARLY], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (INTERRUPTED, "")
    assert ended.stderr == "interrupted; nothing was done\n"


def test_an_interrupted_command_ends_as_shells_expect(person: CommandLine) -> None:
    person.watched = True
    person.answers = [KeyboardInterrupt()]
    with serve_script(API) as server:
        ended = person.run("revoke", "demo", "1.0.0", "--reason", "bad", "--server", server.address)
    assert ended.code == INTERRUPTED


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_shows_its_origin_only_when_asked(person: CommandLine, *, debug: bool) -> None:
    @click.group()
    @click.option("--debug", is_flag=True)
    def broken(*, debug: bool) -> None:
        pass

    @broken.command()
    def now() -> None:
        raise RuntimeError("the fault")

    ended = person.run(*(["--debug"] if debug else []), "now", command=broken)
    assert ended.code == ExitCode.BUG
    assert "the fault" in ended.err
    assert ("Traceback" in ended.err) is debug


def test_help_and_version_end_well(person: CommandLine) -> None:
    assert person.run("--version").out == f"lockgate, version {__version__}\n"
    for name in lockgate.commands:
        assert person.run(name, "--help").code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(person: CommandLine, shell: str) -> None:
    assert "_LOCKGATE_COMPLETE" in person.must("completion", shell).out


def test_the_installed_command_ends_its_process_with_the_code(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("lockgate")
    done = subprocess.run(
        [str(command), "status"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.USAGE
    assert "no server" in done.stderr
    assert done.stdout == ""
