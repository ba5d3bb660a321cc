"""Golden decisions: a table of clients against the repository in force, or a mirror of it."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.instants import utc_now
from tests.simulators.release_desk import PLATFORM, ReleaseDesk, open_desk

CLIENTS = [f"f5c3a801-8c14-451a-a9a2-ece128cb1f{place:02x}" for place in range(12)]
HEAD = "client_id,platform,installed,channel,expected\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """Clients look at the real clock, so everybody does."""
    with open_desk(tmp_path, utc_now()) as made:
        made.init()
        made.publish("1.0.0")
        made.publish("1.1.0", "--exposure", "50%")
        yield made


def write(desk: ReleaseDesk, *rows: str) -> None:
    (desk.folder / "golden.csv").write_text(HEAD + "".join(row + "\n" for row in rows))


def row(client: str, expected: str = "", installed: str = "1.0.0", platform: str = PLATFORM) -> str:
    return f"{client},{platform},{installed},stable,{expected}"


def expected(desk: ReleaseDesk) -> list[str]:
    text = (desk.folder / "golden.csv").read_text()
    return [item["expected"] for item in csv.DictReader(io.StringIO(text))]


def test_a_table_is_written_holds_and_names_whom_a_change_moves(desk: ReleaseDesk) -> None:
    write(desk, *(row(client) for client in CLIENTS), row(CLIENTS[0], installed="1.1.0"))
    desk.person.must("rollout", "test", "golden.csv", "--update")
    before = expected(desk)
    assert set(before) == {"1.1.0", "held", "up-to-date"}
    assert "13 clients get what they must" in desk.person.must("rollout", "test", "golden.csv").err
    change = ["rollout", "set", "demo", "1.1.0", "--channel", "stable", "--exposure", "100%"]
    desk.person.must(*change)
    ended = desk.person.run("rollout", "test", "golden.csv")
    assert ended.code == ExitCode.REFUSED
    held = before.count("held")
    assert ended.out.count("\n- held\n+ 1.1.0: ") == held
    assert f"{held} of 13 clients get something else" in ended.err
    assert expected(desk) == before, "a test writes nothing"
    desk.person.must("rollout", "test", "golden.csv", "--update")
    assert expected(desk) == ["1.1.0"] * 12 + ["up-to-date"]


def test_a_mirror_in_a_folder_is_enough_without_server_or_token(desk: ReleaseDesk) -> None:
    write(desk, row(CLIENTS[0], "1.0.0", installed=""))
    desk.person.must("rollout", "set", "demo", "1.1.0", "--channel", "stable", "--exposure", "0%")
    desk.person.must("mirror", "copy")
    del desk.person.environ["LOCKGATE_TOKEN"]
    settings = desk.folder / "lockgate.toml"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("server")))
    desk.person.must_end(ExitCode.USAGE, ["rollout", "test", "golden.csv"], "server")
    for place in ("copy", (desk.folder / "copy").as_uri()):
        desk.person.must("rollout", "test", "golden.csv", "--from", place)
        client = ["--client-id", CLIENTS[0], "--platform", PLATFORM]
        assert "offer: " in desk.person.must("explain", *client, "--from", place).out
    none = ["rollout", "test", "golden.csv", "--from", "nothing"]
    desk.person.must_end(ExitCode.USAGE, none, "no such folder")


def test_a_mirror_that_was_tampered_with_answers_nothing(desk: ReleaseDesk) -> None:
    write(desk, row(CLIENTS[0], "1.0.0", installed=""))
    desk.person.must("mirror", "copy")
    (found,) = (desk.folder / "copy").glob("demo/targets/channels/stable/*.version.json")
    found.write_bytes(found.read_bytes().replace(b'"exposure_bp":5000', b'"exposure_bp":9000'))
    ended = desk.person.run("rollout", "test", "golden.csv", "--from", "copy")
    assert ended.code == ExitCode.REFUSED


def test_json_lines_are_read_and_written_too(desk: ReleaseDesk) -> None:
    client = {"client_id": CLIENTS[0], "platform": "plan9-mips", "expected": "1.1.0"}
    path = desk.folder / "golden.jsonl"
    path.write_text(json.dumps(client) + "\n\n")
    ended = desk.person.run("rollout", "test", "golden.jsonl", "--json")
    assert ended.code == ExitCode.REFUSED
    (difference,) = ended.json()["differences"]
    assert (difference["line"], difference["expected"], difference["found"]) == (1, "1.1.0", "held")
    desk.person.must("rollout", "test", "golden.jsonl", "--update")
    assert json.loads(path.read_text())["expected"] == "held"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no client in it"),
        (HEAD, "no client in it"),
        (HEAD + "me,linux-x86_64,,stable,held\n", "line 2: not a client id"),
        (HEAD + row(CLIENTS[0], "held", platform="a b") + "\n", "line 2"),
        (HEAD + row(CLIENTS[0]) + "\n", "nothing is expected of it"),
        (HEAD + row(CLIENTS[0], "held", installed="not one") + "\n", "line 2: --installed"),
        (HEAD + CLIENTS[0] + "\n", "not as many fields as the head has"),
        (HEAD.replace("installed", "instaled") + row(CLIENTS[0], "held") + "\n", "instaled"),
        ("{not json}\n", "line 1: not JSON"),
        ('{"client_id": 7}\n', "line 1: not a client"),
    ],
)
def test_a_table_that_is_none_is_refused_by_line(desk: ReleaseDesk, text: str, words: str) -> None:
    (desk.folder / "golden.csv").write_text(text)
    desk.person.must_end(ExitCode.USAGE, ["rollout", "test", "golden.csv"], words)
