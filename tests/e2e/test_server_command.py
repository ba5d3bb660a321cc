"""What the operator types, with the server up or down, and what each command ends with."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.server_process import run_command
from tests.simulators.server_scene import Scene
from tests.simulators.server_site import type_command


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that has published, and is down."""
    folder = tmp_path_factory.mktemp("down") / "data"
    folder.mkdir()
    now = datetime.now(UTC).replace(microsecond=0)
    scene = Scene(
        folder=folder,
        store=DirectoryStore(folder / "objects"),
        ledger=SqliteLedger(folder / "ledger.sqlite3"),
    )
    scene.pass_time(now)
    scene.register()
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        scene.publish(version)
    scene.store.close()
    scene.ledger.close()
    return folder


def test_a_revocation_works_with_the_server_down(data: Path) -> None:
    done = type_command(
        "revoke", "demo", "1.2.0", "--reason", "it eats files", "--data", str(data), "--json",
        SUDO_USER="somebody",
    )  # fmt: skip
    assert done.code == ExitCode.OK, done.err
    assert json.loads(done.out)["goes_to"] == {"stable": "1.1.0"}
    assert "stable: 1.2.0 is revoked; everybody is offered 1.1.0" in done.err
    copy = json.loads((data / "objects/demo/channels/stable/version.json").read_bytes())
    assert [item["version"] for item in copy["signed"]["revoked"]] == ["1.2.0"]
    ledger = SqliteLedger(data / "ledger.sqlite3")
    (entry,) = ledger.audit(None, limit=1)
    ledger.close()
    assert entry.intent.actor == "somebody (on the server)"


def test_the_state_is_shown_with_the_server_down(data: Path) -> None:
    shown = type_command("status", "--data", str(data))
    assert shown.code == ExitCode.OK, shown.err
    assert shown.out.startswith("demo: state ")
    assert "stable: 1." in shown.out
    as_json = type_command("status", "--data", str(data), "--app", "demo", "--json")
    (app,) = json.loads(as_json.out)["apps"]
    assert app["app"] == "demo"
    assert json.loads(as_json.out)["audit_broken_at"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["revoke", "demo", "one", "--reason", "x"], ExitCode.USAGE, "not a version"),
        (["revoke", "demo", "1.0.0", "--reason", " "], ExitCode.USAGE, "request: reason"),
        (["revoke", "demo", "1.0.0"], ExitCode.USAGE, "--reason"),
        (["revoke", "nobody", "1.0.0", "--reason", "x"], ExitCode.USAGE, "no such app"),
        (["revoke", "NOBODY", "1.0.0", "--reason", "x"], ExitCode.USAGE, "not an app name"),
        (
            ["revoke", "demo", "1.0.0", "--reason", "x", "--channel", "../x"],
            ExitCode.USAGE,
            "not a channel name",
        ),
        (["status", "--app", "nobody"], ExitCode.USAGE, "no such app"),
        (["status", "--storage", "ftp://x"], ExitCode.USAGE, "no store for this address"),
        (["run", "--listen", "nowhere"], ExitCode.USAGE, "not an address"),
        (["run", "--listen", "127.0.0.1:99999"], ExitCode.USAGE, "not a port"),
        (["token", "create", "--scope", "king"], ExitCode.USAGE, "king"),
        (["token", "revoke", "unknown"], ExitCode.USAGE, "no living token"),
        (["fly"], ExitCode.USAGE, "fly"),
    ],
)
def test_each_mistake_has_its_exit_code_and_one_line(
    data: Path, arguments: list[str], code: ExitCode, words: str
) -> None:
    where = [] if arguments == ["fly"] else ["--data", str(data)]
    done = type_command(*arguments, *where)
    assert done.code == code
    assert words in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_command_without_a_folder_says_how_to_name_it() -> None:
    done = type_command("status")
    assert done.code == ExitCode.USAGE
    assert "LOCKGATE_DATA" in done.err


def test_the_environment_names_the_folder(data: Path) -> None:
    assert type_command("status", LOCKGATE_DATA=str(data)).code == ExitCode.OK


def test_a_folder_that_cannot_be_made_is_a_local_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for arguments in (["run"], ["token", "create", "--scope", "read"]):
        done = run_command(*arguments, "--data", str(tmp_path / "file" / "data"))
        assert done.returncode == ExitCode.LOCAL
        assert "Traceback" not in done.stderr


def test_an_address_that_is_taken_is_a_local_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_command("run", "--data", str(tmp_path / "data"), "--listen", listen)
    assert done.returncode == ExitCode.LOCAL
    assert "the address cannot be used" in done.stderr


def test_a_token_is_made_before_the_server_ever_ran(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    made = type_command("token", "create", "--data", str(data), "--scope", "publish")
    assert made.code == ExitCode.OK
    secret = made.out.strip()
    assert secret.startswith("lg_")
    assert len(secret) >= 43
    assert secret not in made.err
    assert secret.encode() not in (data / "ledger.sqlite3").read_bytes()
    listed = json.loads(type_command("token", "list", "--data", str(data), "--json").out)
    assert [token["scope"] for token in listed["tokens"]] == ["publish"]


def test_the_version_and_the_help_are_told() -> None:
    assert run_command("--version").stdout.startswith("lockgate-server, version ")
    helped = run_command("--help").stdout
    for name in ("run", "token", "revoke", "status"):
        assert name in helped


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["token", "list"],
        ["token", "revoke", "x"],
        ["revoke", "demo", "1.0.0", "--reason", "x"],
    ],
)
def test_looking_into_a_folder_that_is_no_servers_makes_nothing(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = type_command(*arguments, "--data", str(tmp_path))
    assert done.code == ExitCode.USAGE
    assert "no server's folder" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("direct", "clients cannot send to this store by themselves"),
        ("somehow", "uploads: not a way for uploads; expected auto, direct, server"),
    ],
)
def test_a_way_for_uploads_that_there_is_not_is_refused_at_the_start(
    tmp_path: Path, said: str, words: str
) -> None:
    data = str(tmp_path / "data")
    ended = run_command("run", "--data", data, "--listen", "127.0.0.1:0", LOCKGATE_UPLOADS=said)
    assert ended.returncode == ExitCode.USAGE
    assert words in ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell: str) -> None:
    assert "_LOCKGATE_SERVER_COMPLETE" in type_command("completion", shell).out


def test_what_a_shell_asks_is_answered() -> None:
    asked = {"_LOCKGATE_SERVER_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    done = run_command(**asked, COMP_WORDS="lockgate-server st")
    assert done.stdout.split() == ["plain,status", "plain,storage"]


def test_a_part_that_there_is_not_is_refused_at_the_start(tmp_path: Path) -> None:
    done = run_command("run", "--data", str(tmp_path / "data"), "--parts", "api,reader")
    assert done.returncode == ExitCode.USAGE
    assert "expected some of public, api, worker" in done.stderr
    assert "'reader'" in done.stderr
