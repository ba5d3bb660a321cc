"""The command as a process: each exit code, JSON on stdout, words on stderr."""

import json
import os
import pty
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.documents import Remedy, Revocation
from lockgate_updater.command import main
from tests.simulators.client import CLIENT_ID, COMMAND
from tests.simulators.faults import Kind
from tests.simulators.http_server import Server, serve
from tests.simulators.reporting import TAKEN
from tests.simulators.repository import (
    HEALTHY,
    SICK,
    STABLE,
    RepositorySimulator,
    confirmed_by_itself,
)
from tests.simulators.scripted_server import Answer, scripted_server

TALKER = {"bin/app": b'#!/bin/sh\necho "$LOCKGATE_VERSION:$*"\nexit ${CODE:-0}\n'}


@pytest.fixture
def server(repository: RepositorySimulator) -> Iterator[Server]:
    repository.publish("1.1.0", TALKER)
    with serve(repository) as server:
        yield server


class Command:
    """`lockgate-updater` for one home: in this process, or as one of its own."""

    def __init__(
        self,
        home: Path,
        server: Server,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.home = home
        self.server = server
        self.root = home.parent / "root.json"
        self.root.write_bytes(server.repository.root_bytes)
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        for name in [name for name in os.environ if name.startswith("LOCKGATE_")]:
            monkeypatch.delenv(name)

    def __call__(self, verb: str, *options: str, **environ: str) -> "Ended":
        self._capsys.readouterr()
        with self._monkeypatch.context() as patched:
            for name, value in environ.items():
                patched.setenv(name, value)
            try:
                code = main([verb, "--home", str(self.home), *options])
            except SystemExit as exc:
                code = int(exc.code or 0)
        return Ended(code, *self._capsys.readouterr())

    def process(self, verb: str, *options: str, **environ: str) -> "Ended":
        ran = subprocess.run(
            [*COMMAND, verb, "--home", self.home, *options],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(ran.returncode, ran.stdout, ran.stderr)

    def init(self, *options: str) -> "Ended":
        address = self.server.address
        return self(
            "init",
            "--app",
            "demo",
            "--repository",
            address,
            "--root",
            str(self.root),
            "--channel",
            "stable",
            "--client-id",
            CLIENT_ID,
            *options,
        )


class Ended:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@pytest.fixture
def new_command(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    return Command(tmp_path / "home", server, capsys, monkeypatch)


@pytest.fixture
def command(new_command: Command) -> Command:
    command = new_command
    assert command.init().code == 0
    return command


def test_init_makes_a_home_and_again_changes_nothing(command: Command) -> None:
    again = command.init("--json")
    assert again.code == 0
    assert again.json["app"] == "demo"
    settings = tomllib.loads((command.home / "lockgate.toml").read_text())
    assert settings == {"app": "demo", "repository": command.server.address, "channel": "stable"}
    assert (command.home / "root.json").read_bytes() == command.root.read_bytes()


def test_init_does_not_take_another_clients_home(command: Command) -> None:
    other = command(
        "init", "--app", "other", "--repository", "http://x", "--root", str(command.root), "--json"
    )
    assert other.code == 2
    assert other.json["code"] == "usage"
    assert "another client lives here" in other.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--app", "Not An App"], 2, "not an app name"),
        (["--channel", "../x"], 2, "not a channel name"),
        (["--repository", "ftp://x"], 2, "not a repository's address"),
        (["--root", "/nonexistent"], 22, "cannot be read"),
        (["--root", "/dev/null"], 20, "not a valid root"),
        (["--client-id", "me"], 2, "not a client id"),
    ],
)
def test_init_refuses_what_makes_no_sense(
    new_command: Command, options: list[str], code: int, words: str
) -> None:
    command = new_command
    refused = command.init(*options)
    assert refused.code == code
    assert words in refused.err
    assert not (command.home / "lockgate.toml").exists()


def test_check_exits_by_what_it_finds(command: Command, repository: RepositorySimulator) -> None:
    offer = command("check", "--json")
    assert (offer.code, offer.json["result"], offer.json["version"]) == (10, "offer", "1.1.0")
    assert command("update").code == 0
    fresh = command("check", "--json")
    assert (fresh.code, fresh.json["result"]) == (0, "up-to-date")
    repository.publish("2.0.0", HEALTHY, exposure_bp=0)
    held = command("check", "--json")
    assert (held.code, held.json["obstacle"]) == (11, "control")
    repository.revoke("1.1.0")
    leave = command("check", "--json")
    assert (leave.code, leave.json["result"]) == (10, "leave")
    assert leave.json["target"] is None
    repository.spoil("", Kind.STATUS, 500)
    repository.restore({})
    unknown = command("check", "--json", "--channel", "nightly")
    assert (unknown.code, unknown.json["result"]) == (12, "unknown")
    assert unknown.json["code"] == "transport"


def test_update_exits_by_how_it_ends(command: Command, repository: RepositorySimulator) -> None:
    first = command("update", "--json")
    assert (first.code, first.json["outcome"]) == (0, "updated")
    assert command("update", "--json").json["outcome"] == "up-to-date"
    repository.publish("2.0.0", SICK)
    back = command("update", "--json")
    assert (back.code, back.json["outcome"]) == (30, "rolled-back")
    assert (back.json["version"], back.json["previous"]) == ("1.1.0", "2.0.0")
    assert command("update", "--json").json["outcome"] == "held"
    repository.publish("3.0.0", {**HEALTHY, "x": b"y"})
    repository.spoil("artifacts", Kind.CORRUPT)
    refused = command("update", "--json")
    assert (refused.code, refused.json["code"]) == (20, "repository.digest")
    repository.faults.clear()
    repository.spoil("artifacts", Kind.STATUS, 500)
    assert command("update").code == 21
    (command.home / "state" / "lock").unlink()
    (command.home / "state" / "lock").mkdir()
    assert command("update").code == 22


def test_a_dry_run_prints_the_plan(command: Command) -> None:
    planned = command("update", "--dry-run", "--json")
    assert planned.code == 0
    assert planned.json["outcome"] == "planned"
    assert planned.json["decision"]["version"] == "1.1.0"
    assert list((command.home / "versions").iterdir()) == []


def test_force_passes_the_gate(command: Command, repository: RepositorySimulator) -> None:
    command("update")
    repository.publish("2.0.0", {**HEALTHY, "x": b"y"}, exposure_bp=1)
    assert command("update", "--force", "--json").json["version"] == "2.0.0"


def test_a_skipped_version_is_not_installed(
    command: Command, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", {**HEALTHY, "x": b"y"})
    held = command("update", "--skip", "2.0.0", "--skip", "1.1.0", "--json")
    assert held.json["outcome"] == "held"
    assert "2.0.0 is skipped on this machine" in held.json["reason"]
    with (command.home / "lockgate.toml").open("a") as settings:
        settings.write('skip = ["2.0.0"]\n')
    # What an option adds does not bring back what the owner wrote down.
    assert command("check", "--skip", "9.9.9", "--json").json["obstacle"] == "skipped"
    assert command("check", LOCKGATE_SKIP="1.1.0 2.0.0").code == 11


def test_words_from_elsewhere_cannot_steer_a_terminal(
    command: Command, repository: RepositorySimulator
) -> None:
    command("update")
    evil = "gone\x1b[2J\x1b]0;title\x07 \x9b31m\u202etxt.exe\u2069"
    revocation = Revocation(version="1.1.0", reason=evil, remedy=Remedy.REPLACE, at=repository.now)
    repository.issue(STABLE, revoked=(revocation,))
    for verb in ("check", "explain", "update"):
        said = command(verb)
        assert "gone" in said.err
        assert {char for char in said.err if not char.isprintable()} == {"\n"}, verb
    said = command("check", "--json")
    assert evil in said.json["reason"]
    assert said.out.rstrip("\n").isprintable()


def test_status_rollback_verify_and_confirm(
    command: Command, repository: RepositorySimulator
) -> None:
    command("update")
    repository.publish("2.0.0", {**HEALTHY, "x": b"y"})
    command("update")
    assert command("verify", "--json").json == {"result": "verified", "version": "2.0.0"}
    assert command("rollback", "--json").json["version"] == "1.1.0"
    status = command("status", "--json").json
    assert (status["installed"], status["good"]) == ("1.1.0", ["1.1.0"])
    assert status["quarantine"][0]["version"] == "2.0.0"
    words = command("status")
    assert words.out == ""
    assert "quarantined until" in words.err
    assert command("rollback").code == 2
    assert command("confirm", "--json").json["reason"] == "nothing is on trial"
    (command.home / "current" / "bin" / "app").write_text("evil")
    assert command("verify").code == 20


def test_reports_are_switched_on_when_a_home_is_made_and_shown_byte_for_byte(
    new_command: Command, repository: RepositorySimulator
) -> None:
    command = new_command
    with scripted_server(TAKEN, Answer(status=500)) as heard:
        assert command.init("--reports").code == 0
        assert tomllib.loads((command.home / "lockgate.toml").read_text())["reports"] is True
        assert "none was sent yet" in command("status").err
        address = {"LOCKGATE_REPORTS_URL": f"{heard.url}/demo/reports"}
        command("update", **address)
        command("update", **address)
        shown = command("reports", "--json").json
        assert shown["to"] == f"{command.server.address}/demo/reports"
        assert shown["sent"]["answer"] == "status 202"
        sent = json.loads(heard.requests[-1].body)
        assert shown["sent"]["reports"] == sent["reports"]
        repository.publish("2.0.0", {**HEALTHY, "x": b"y"})
        assert command("update", **address).code == 0
        status = command("status", "--json", **address).json["reports"]
        assert (status["to"], status["waiting"]) == (address["LOCKGATE_REPORTS_URL"], 2)
        assert status["answer"] == "status 500"
        words = command("reports").err
        assert '"kind":"outcome"' in words
        assert words.count(command("reports", "--json").json["waiting"][0]["nonce"]) == 3
    checks = {item["check"]: item for item in command("doctor", "--json").json["checks"]}
    assert checks["reports"]["level"] == "warning"
    assert command("reports", "--json", LOCKGATE_REPORTS="false").json["to"] == ""


def test_a_home_that_does_not_report_is_not_made_to_by_making_it_again(command: Command) -> None:
    refused = command.init("--reports")
    assert refused.code == 2
    assert "Edit its lockgate.toml" in refused.err
    assert "none are sent" in command("status").err


def test_explain_tells_everything(command: Command, repository: RepositorySimulator) -> None:
    repository.set_floor(STABLE, "1.0.0")
    repository.resign()
    told = command("explain")
    assert told.code == 0
    for word in (CLIENT_ID, "bucket", "timestamp expires", "fetch", "sequence", "offer:"):
        assert word in told.err, word
    lines = told.err.splitlines()
    assert len([line for line in lines if line.strip().startswith("fits: ")]) == 1, told.err
    assert command("explain", "--json").json["result"]["result"] == "offer"
    command("update")
    repository.publish("2.0.0", SICK)
    command("update")
    repository.revoke("1.1.0")
    after = command("explain").err
    assert "failed here 1 times: 2.0.0" in after
    assert "the highest floor seen for stable: 1.0.0" in after
    repository.spoil("", Kind.STATUS, 500)
    assert "500" in command("explain").err


def test_a_home_is_needed_and_may_come_from_the_environment(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["status"]) == 2
    assert "LOCKGATE_HOME" in capsys.readouterr().err
    monkeypatch.setenv("LOCKGATE_HOME", str(command.home))
    assert main(["status"]) == 0


def test_flags_go_before_the_environment_and_that_before_the_file(command: Command) -> None:
    assert command("status", "--json", LOCKGATE_CHANNEL="beta").json["channel"] == "beta"
    flagged = command("explain", "--channel", "nightly", LOCKGATE_CHANNEL="beta")
    assert "nightly" in flagged.err
    assert command("status", "--json", LOCKGATE_APP="other").json["app"] == "demo"


@pytest.mark.parametrize("line", ["keep = 0", 'keep = "x"', "channel = 3", "=", 'pin = ["x"]'])
def test_a_setting_that_makes_no_sense_is_named(command: Command, line: str) -> None:
    settings = (command.home / "lockgate.toml").read_text()
    name = line.split(" ", maxsplit=1)[0]
    rest = [one for one in settings.splitlines() if not one.startswith(name)]
    (command.home / "lockgate.toml").write_text("\n".join([*rest, line]))
    refused = command("status")
    assert refused.code == 2
    assert "lockgate.toml" in refused.err


def test_words_that_are_no_command_are_refused(command: Command) -> None:
    assert command("fly").code == 2
    assert command("check", "--fly").code == 2


def test_the_program_runs_with_its_arguments_and_its_exit_code(command: Command) -> None:
    command("update")
    ran = command.process("run", "--", "a", "-b", "c d", CODE="7")
    assert (ran.code, ran.out) == (7, "1.1.0:a -b c d\n")


def test_the_launchers_own_failures_are_125(
    command: Command, repository: RepositorySimulator
) -> None:
    assert command("run").code == 125
    repository.publish("2.0.0", {"tool": b"#!/bin/sh\nexit 3\n"}, install=None)
    assert command("run", "--program", "../../x").code == 125


def test_a_program_on_trial_that_confirms_is_committed(
    command: Command, repository: RepositorySimulator
) -> None:
    command("update")
    confirm = f"{shlex.join(COMMAND)} confirm --home $LOCKGATE_HOME".encode()
    repository.publish(
        "2.0.0",
        {"bin/app": b"#!/bin/sh\n" + confirm + b"\nexit 5\n"},
        install=confirmed_by_itself("bin/app"),
    )
    assert command("update", "--json").json["outcome"] == "on-trial"
    assert command("status", "--json").json["tries_left"] == 3
    assert command.process("run").code == 5
    assert command("status", "--json").json["installed"] == "2.0.0"


def test_progress_is_a_bar_on_a_terminal(command: Command) -> None:
    ours, theirs = pty.openpty()
    ran = subprocess.Popen(
        [*COMMAND, "update", "--home", command.home],
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass  # Linux says EIO once the other side is closed.
    os.close(ours)
    assert ran.wait() == 0
    assert b"[####" in shown


def test_progress_is_plain_lines_elsewhere(command: Command) -> None:
    shown = command("update").err
    assert "\r" not in shown
    assert "1.1.0: " in shown


@pytest.mark.parametrize(
    "typed", [["check", "--hom", "x"], ["update", "--dry", "--home", "x"], ["--vers"], []]
)
def test_an_option_is_typed_in_full(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert ended.value.code == 2
    assert "usage: lockgate-updater" in capsys.readouterr().err


def test_help_of_a_verb_and_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    for typed, words in ((["--help"], "exit codes:"), (["watch", "--help"], "--check-only")):
        with pytest.raises(SystemExit) as ended:
            main(typed)
        assert ended.value.code == 0
        assert words in capsys.readouterr().out
