"""`lockgate keys`: keys that are made, looked at, and listed."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.trust.keys import load_signer
from lockgate_release.trust.public_keys import parse_key_file
from tests.simulators.command_line import CommandLine
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

PASSPHRASE = "correct horse battery"


@pytest.fixture
def anna(tmp_path: Path) -> CommandLine:
    return CommandLine(folder=tmp_path, environ={"LOCKGATE_KEY_PASSPHRASE": PASSPHRASE})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        yield made


def test_a_key_is_made_with_its_public_half_beside_it(anna: CommandLine) -> None:
    ended = anna.must("keys", "generate", "keys/me.pem", "--name", "anna", "--json")
    private, public = anna.folder / "keys" / "me.pem", anna.folder / "keys" / "me.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in private.read_bytes()
    key = parse_key_file(public.read_bytes(), subject="me.pub")
    signer = load_signer(str(private), known_keys=(), environ=anna.environ)
    assert signer.public_key.keyid == key.keyid
    assert json.loads(ended.out.partition("\n")[2])["name"] == "anna"
    assert PASSPHRASE not in ended.out + ended.err


def test_a_person_types_the_passphrase_twice(anna: CommandLine) -> None:
    anna.environ.clear()
    anna.watched, anna.secrets = True, ["one long secret", "another"]
    anna.must_end(ExitCode.USAGE, ["keys", "generate", "me.pem"], "not the same twice")
    assert not list(anna.folder.iterdir())
    anna.secrets = ["short", "short"]
    assert "soon guessed" in anna.must("keys", "generate", "me.pem").err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["me.pub"], ExitCode.USAGE, "the name of a public key"),
        (["there.pem"], ExitCode.LOCAL, "is there already"),
        (["new.pem", "--name", "a b"], ExitCode.USAGE, "not a name for a key"),
    ],
)
def test_a_key_that_cannot_be_made_leaves_nothing(
    anna: CommandLine, arguments: list[str], code: ExitCode, words: str
) -> None:
    (anna.folder / "there.pub").write_text("somebody's")
    anna.must_end(code, ["keys", "generate", *arguments], words)
    assert [path.name for path in anna.folder.iterdir()] == ["there.pub"]


def test_nobody_gets_a_key_without_a_passphrase_by_accident(anna: CommandLine) -> None:
    anna.environ.clear()
    anna.must_end(ExitCode.USAGE, ["keys", "generate", "ci.pem"], "--unencrypted")
    anna.must("keys", "generate", "ci.pem", "--unencrypted")
    assert b"ENCRYPTED" not in (anna.folder / "ci.pem").read_bytes()


def test_a_key_is_looked_at_wherever_it_is(anna: CommandLine) -> None:
    keyid = anna.must("keys", "generate", "me.pem", "--name", "anna").out.strip()
    anna.environ["SECRET"] = (anna.folder / "me.pem").read_text()
    for where in ("me.pub", "me.pem", "env:SECRET"):
        found = anna.must("keys", "inspect", where, "--json").json()
        assert found["keyid"] == keyid
        assert found["name"] == ("" if where.startswith("env") else "anna")
    anna.must("keys", "inspect", "env:SECRET", "--name", "anna", "--out", "copy.pub")
    assert (anna.folder / "copy.pub").read_bytes() == (anna.folder / "me.pub").read_bytes()


@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ("missing.pem", ExitCode.USAGE, "no such file"),
        ("rubbish.pub", ExitCode.REFUSED, "not JSON"),
        ("env:NOTHING", ExitCode.USAGE, "no key there"),
        ("hsm:9?label=nowhere", ExitCode.LOCAL, "could not be asked for"),
        ("azurekms:rubbish", ExitCode.USAGE, "not a key's address"),
    ],
)
def test_what_is_no_key_is_refused_with_a_reason(
    anna: CommandLine, where: str, code: ExitCode, words: str
) -> None:
    (anna.folder / "rubbish.pub").write_text("rubbish")
    anna.must_end(code, ["keys", "inspect", where], words)


def test_a_private_key_is_not_taken_where_a_public_one_is_asked_for(desk: ReleaseDesk) -> None:
    desk.person.must("keys", "generate", "me.pem", "--unencrypted")
    desk.person.must_end(
        ExitCode.REFUSED,
        ["init", APP, "--server", desk.api, "--keys", "keys", "--maintainer-key", "me.pem"],
        "a private key, which nobody else should have",
    )


def test_the_list_says_who_speaks_for_what_and_which_keys_are_here(desk: ReleaseDesk) -> None:
    desk.init()
    listed = desk.person.must("keys", "list", APP, "--json").json()["keys"]
    found = {one["role"]: one for one in listed}
    assert set(found) == {"root", "targets", "releases", "online"}
    assert all(one["signed"] for one in listed)
    assert found["root"]["uri"].endswith("maintainer-1.pem")
    assert found["releases"]["uri"].endswith("publisher-1.pem")
    assert found["online"]["uri"] == ""
    table = desk.person.must("keys", "list")
    assert "1 of 1" in table.out
    assert "decides: threshold 1" in table.err


def test_the_list_asks_nobody_for_a_passphrase(desk: ReleaseDesk) -> None:
    desk.init()
    encrypted = desk.elsewhere("other", LOCKGATE_KEY_PASSPHRASE=PASSPHRASE)
    encrypted.must("keys", "generate", "me.pem")
    encrypted.environ.clear()
    encrypted.watched = True
    arguments = ["keys", "list", APP, "--server", desk.api, "--key", "me.pem"]
    arguments += ["--root", str(desk.folder / "keys" / "root.json")]
    encrypted.must(*arguments)
    (encrypted.folder / "me.pub").unlink()
    assert "cannot be told: " in encrypted.must(*arguments).err
    assert encrypted.questions == []


def test_the_list_is_read_from_a_copy_without_a_network(desk: ReleaseDesk, tmp_path: Path) -> None:
    desk.init()
    for key, data in desk.files().items():
        path = tmp_path / "copy" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    away = desk.elsewhere("away")
    arguments = ["keys", "list", APP, "--from", str(tmp_path / "copy"), "--json"]
    root = ["--root", str(desk.folder / "keys" / "root.json")]
    assert len(away.must(*arguments, *root).json()["keys"]) == 4
