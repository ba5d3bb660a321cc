"""The updater updates itself, and whatever the new one does, there is one that works."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import UsageError
from lockgate_updater import Updater, UpdateResult
from lockgate_updater.events import Event, Observer, Step
from lockgate_updater.install.entry import entry_path
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import State, load_record, store_record
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.http_server import serve
from tests.simulators.own_updater import PROGRAM, as_updater, updater_tree
from tests.simulators.patching import add_delta
from tests.simulators.repository import HEALTHY, RepositorySimulator, confirmed_by_itself

TALKER = b"import sys; print(sys.argv[1:]); raise SystemExit(0)\n"


class Scene:
    """An app in a home, and the updater that looks after it, in a home inside of that."""

    def __init__(self, client: SimulatedClient, releases: RepositorySimulator) -> None:
        self.app = client
        self.releases = releases
        self.own = make_client(releases, client.home / "updater")
        self.own.update()

    def publish(self, version: str, **changed: bytes) -> None:
        self.releases.publish(version, updater_tree(version, **changed), install=as_updater())

    def update_itself(self) -> UpdateResult:
        return self.app.updater.update_itself(own=self.own.updater)

    def says(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What the entry says when it is started, as a process of its own."""
        entry = entry_path(Home.at(self.own.home))
        return subprocess.run(
            [entry, *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    def starts(self) -> str:
        """The version of the updater that the entry starts, by its own word, on the app's home."""
        answer = self.says("status", "--home", str(self.app.home), "--json")
        assert answer.returncode == 0, answer.stderr
        return str(json.loads(answer.stdout)["updater"])


# What runs here are copies of the updater: coverage learns nothing of them, and costs much.
pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture
def scene(client: SimulatedClient) -> Scene:
    client.update()
    releases = RepositorySimulator("lockgate-updater")
    releases.publish("1.0.0", updater_tree("1.0.0"), install=as_updater())
    scene = Scene(client, releases)
    assert scene.update_itself().outcome.value == "up-to-date"
    assert scene.starts() == "1.0.0"
    return scene


def test_the_new_updater_is_used_from_the_next_start(scene: Scene) -> None:
    scene.publish("1.1.0")
    result = scene.update_itself()
    assert (result.outcome.value, result.version, result.previous) == ("updated", "1.1.0", "1.0.0")
    assert "can read the app's home" in result.reason
    assert scene.starts() == "1.1.0"
    assert scene.own.versions() == {"1.0.0", "1.1.0"}
    # And back, by hand, as with any app.
    scene.own.updater.rollback()
    assert scene.starts() == "1.0.0"


def test_the_updater_is_made_by_a_delta_of_the_one_that_runs(scene: Scene) -> None:
    scene.publish("1.1.0")
    before, after = (("1.0.0", updater_tree("1.0.0")), ("1.1.0", updater_tree("1.1.0")))
    delta = add_delta(scene.releases, before, after)
    scene.releases.requests.clear()
    result = scene.update_itself()
    assert (result.outcome.value, result.version) == ("updated", "1.1.0")
    fetched = [key for key in scene.releases.requests if "/artifacts/" in key]
    assert [key.rpartition("/")[2] for key in fetched] == [delta.sha256]
    assert scene.starts() == "1.1.0"
    assert scene.own.updater.verify() == "1.1.0"


def test_an_updater_that_a_delta_made_and_that_fails_is_left(scene: Scene) -> None:
    broken = {"lockgate_updater__command__main": b"def main(:\n"}
    scene.publish("1.1.0", **broken)
    before, after = (("1.0.0", updater_tree("1.0.0")), ("1.1.0", updater_tree("1.1.0", **broken)))
    delta = add_delta(scene.releases, before, after)
    scene.releases.requests.clear()
    assert scene.update_itself().outcome.value == "rolled-back"
    fetched = [key for key in scene.releases.requests if "/artifacts/" in key]
    assert [key.rpartition("/")[2] for key in fetched] == [delta.sha256]
    assert scene.starts() == "1.0.0"


def test_the_updater_it_came_from_is_kept_whatever_the_settings_say(scene: Scene) -> None:
    settings = scene.own.home / "lockgate.toml"
    settings.write_text(settings.read_text() + "keep = 1\n")
    scene.publish("1.1.0")
    assert scene.update_itself().outcome.value == "updated"
    assert scene.own.versions() == {"1.0.0", "1.1.0"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lockgate_updater__command__main": b"def main(:\n"}, "health command ended with 1"),
        ({"lockgate_updater__state__journal": b"raise SystemExit(9)\n"}, "it ended with 9"),
        ({"lockgate_updater__diagnose__status": TALKER}, "says nothing that can be read"),
    ],
)
def test_a_broken_updater_is_rolled_back_and_the_entry_still_works(
    scene: Scene, changed: dict[str, bytes], words: str
) -> None:
    scene.publish("1.1.0", **changed)
    result = scene.update_itself()
    assert result.outcome.value == "rolled-back"
    assert words in result.reason
    assert scene.starts() == "1.0.0"
    assert scene.own.versions() == {"1.0.0"}
    assert scene.update_itself().outcome.value == "held"


def test_an_updater_that_hangs_is_rolled_back(scene: Scene) -> None:
    sleeper = b"import time\ntime.sleep(600)\n"
    tree = updater_tree("1.1.0", lockgate_updater__diagnose__status=sleeper)
    scene.releases.publish("1.1.0", tree, install=as_updater(timeout_s=3))
    result = scene.update_itself()
    assert result.outcome.value == "rolled-back"
    assert "took longer than 3 s" in result.reason
    assert scene.starts() == "1.0.0"


def test_an_updater_that_sees_something_else_is_rolled_back(scene: Scene) -> None:
    real = updater_tree("1.1.0")["lib/lockgate_updater/diagnose/status.py"]
    blind = real.replace(b"state=record.state.value", b'state="committed"')
    assert blind != real
    scene.publish("1.1.0", lockgate_updater__diagnose__status=blind)
    result = scene.update_itself()
    assert result.outcome.value == "rolled-back"
    assert "it sees demo committed 1.0.0 where demo idle 1.0.0 stands" in result.reason


def test_an_updater_without_a_health_command_has_to_read_the_home_all_the_same(
    scene: Scene,
) -> None:
    silent = confirmed_by_itself(PROGRAM)
    sick = updater_tree("1.1.0", lockgate_updater__state__journal=b"raise SystemExit(9)\n")
    scene.releases.publish("1.1.0", sick, install=silent)
    assert scene.update_itself().outcome.value == "rolled-back"
    assert scene.starts() == "1.0.0"
    scene.releases.publish("1.2.0", updater_tree("1.2.0"), install=silent)
    assert scene.update_itself().outcome.value == "updated"
    assert scene.starts() == "1.2.0"


@pytest.mark.parametrize("command", [(PROGRAM, "--version"), ()], ids=["command", "silent"])
def test_an_updater_that_cannot_reach_its_repository_is_rolled_back_if_it_has_to(
    scene: Scene, command: tuple[str, ...]
) -> None:
    install = as_updater(command=command)
    asks = replace(install, health=replace(install.health, reaches_server=True))
    deaf = b"raise SystemExit(9)\n"
    with serve(scene.releases) as server:
        settings = scene.own.home / "lockgate.toml"
        settings.write_text(settings.read_text().replace("http://repository.test", server.address))
        own = Updater.open(scene.own.home, environ={"PATH": os.environ["PATH"]})
        tree = updater_tree("1.1.0", lockgate_updater__fetch__look=deaf)
        scene.releases.publish("1.1.0", tree, install=asks)
        result = scene.app.updater.update_itself(own=own)
        assert result.outcome.value == "rolled-back"
        assert "it cannot reach its repository itself" in result.reason
        assert scene.starts() == "1.0.0"
        scene.releases.publish("1.2.0", updater_tree("1.2.0"), install=asks)
        assert scene.app.updater.update_itself(own=own).outcome.value == "updated"
    assert scene.starts() == "1.2.0"


@pytest.mark.parametrize("state", [State.TRIAL, State.COMMITTED, State.ROLLING_BACK])
def test_nothing_is_done_while_the_app_is_on_its_way(
    scene: Scene, repository: RepositorySimulator, state: State
) -> None:
    scene.publish("1.1.0")
    repository.publish("2.0.0", {**HEALTHY, "x": b"2"}, install=confirmed_by_itself("bin/app"))
    assert scene.app.update() == "on-trial"
    journal = Home.at(scene.app.home).journal
    record = load_record(journal)
    assert record is not None
    assert record.attempt is not None
    store_record(journal, record.going(state, record.attempt))
    before = (journal.read_bytes(), scene.own.trees())
    result = scene.update_itself()
    assert result.outcome.value == "held"
    assert "demo 2.0.0" in result.reason
    assert (journal.read_bytes(), scene.own.trees()) == before
    assert scene.starts() == "1.0.0"


def _cut_off(scene: Scene, state: State) -> None:
    """Leave the updater's own home as a kill leaves it: `current` on the new, broken tree."""
    scene.publish("1.1.0", lockgate_updater__command__main=b"def main(:\n")
    program = Home.at(scene.own.home)
    good = load_record(program.journal)
    assert good is not None
    scene.releases.publish(
        "1.2.0",
        updater_tree("1.2.0", lockgate_updater__command__main=b"def main(:\n"),
        install=confirmed_by_itself(PROGRAM),
    )
    assert scene.own.update() == "on-trial"
    record = load_record(program.journal)
    assert record is not None
    assert record.attempt is not None
    store_record(program.journal, record.going(state, record.attempt))
    assert scene.own.runs() == "1.2.0"


@pytest.mark.parametrize("state", [State.TRIAL, State.ROLLING_BACK])
def test_killed_in_a_trial_the_entry_starts_the_updater_it_came_from(
    scene: Scene, state: State
) -> None:
    _cut_off(scene, state)
    assert scene.starts() == "1.0.0"
    with serve(scene.releases) as server:
        settings = scene.own.home / "lockgate.toml"
        settings.write_text(settings.read_text().replace("http://repository.test", server.address))
        ended = scene.says("self-update", "--home", str(scene.app.home), "--json")
    assert ended.returncode == 30, ended.stderr
    assert json.loads(ended.stdout)["outcome"] == "rolled-back"
    assert scene.own.runs() == "1.0.0"


def _die_at(step: str) -> Observer:
    def observe(event: Event) -> None:
        if isinstance(event, Step) and event.name.value == step:
            os._exit(9)

    return observe


@pytest.mark.parametrize(
    ("step", "changed", "before", "after"),
    [
        ("switched", {}, "1.0.0", "1.0.0"),
        (
            "on-trial",
            {"lockgate_updater__state__journal": b"raise SystemExit(9)"},
            "1.0.0",
            "1.0.0",
        ),
        ("failed", {"lockgate_updater__state__journal": b"raise SystemExit(9)"}, "1.0.0", "1.0.0"),
        ("committed", {}, "1.1.0", "1.1.0"),
    ],
)
def test_killed_at_a_step_there_is_an_updater_and_the_next_run_converges(
    scene: Scene, step: str, changed: dict[str, bytes], before: str, after: str
) -> None:
    scene.publish("1.1.0", **changed)
    child = os.fork()
    if child == 0:
        scene.app.updater.update_itself(own=scene.own.updater, progress=_die_at(step))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert scene.starts() == before
    scene.update_itself()
    assert scene.starts() == after
    assert scene.own.runs() == after
    assert scene.own.leftovers() == []


@pytest.mark.parametrize("step", ["switched", "on-trial"])
def test_a_plain_update_of_its_home_does_not_commit_what_self_update_left_on_trial(
    scene: Scene, step: str
) -> None:
    blind = b"import sys; print('{}'); raise SystemExit(0)\n"
    scene.publish("1.1.0", lockgate_updater__diagnose__status=blind)
    child = os.fork()
    if child == 0:
        scene.app.updater.update_itself(own=scene.own.updater, progress=_die_at(step))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    for _ in range(12):
        assert scene.own.update() == "on-trial"
    assert "self-update has proven it" in scene.own.updater.update().reason
    assert scene.starts() == "1.0.0"
    assert scene.update_itself().outcome.value == "rolled-back"
    assert scene.own.runs() == "1.0.0"


@pytest.mark.parametrize("harm", ["dangling", "missing", "no-program", "damaged-journal"])
def test_the_entry_finds_a_good_updater_where_current_is_broken(scene: Scene, harm: str) -> None:
    scene.publish("1.1.0")
    scene.update_itself()
    current = scene.own.home / "current"
    expected = "1.1.0"
    if harm == "dangling":
        current.unlink()
        current.symlink_to("versions/9.9.9-00000000")
    elif harm == "missing":
        current.unlink()
    elif harm == "no-program":
        (current / PROGRAM).unlink()
        expected = "1.0.0"
    else:
        (scene.own.home / "state" / "journal.json").write_bytes(b"\x00" * 100)
    assert scene.starts() == expected


def test_a_link_to_the_entry_works_too(scene: Scene, tmp_path: Path) -> None:
    link = tmp_path / "lockgate-updater"
    link.symlink_to(entry_path(Home.at(scene.own.home)))
    said = subprocess.run([link, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == "lockgate-updater 1.0.0\n"


def test_without_an_updater_the_entry_says_so(scene: Scene) -> None:
    for tree in (scene.own.home / "versions").iterdir():
        tree.rename(scene.app.home / tree.name)
    ended = scene.says("--version")
    assert (ended.returncode, "no updater is left" in ended.stderr) == (125, True)


@pytest.mark.parametrize(
    ("setting", "words"),
    [("", "no home of its own"), ("[updater]\nhome = 7\n", "wrong setting"), ("x", "not TOML")],
)
def test_where_the_updater_lives_is_said_or_refused(
    client: SimulatedClient, setting: str, words: str
) -> None:
    settings = client.home / "lockgate.toml"
    updater: Updater = client.updater
    settings.write_text(settings.read_text() + setting)
    with pytest.raises(UsageError, match=words):
        updater.update_itself()


def test_a_home_does_not_look_after_itself(client: SimulatedClient) -> None:
    with pytest.raises(UsageError, match="cannot look after itself"):
        client.updater.update_itself(own=client.updater)


def _rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_journal_with_fields_of_a_later_updater_is_read(client: SimulatedClient) -> None:
    client.update()
    journal = Home.at(client.home).journal
    _rewrite(journal, later={"anything": [1]}, also="x")
    assert client.updater.status().installed == "1.0.0"
    assert client.update() == "up-to-date"


def test_a_journal_of_a_later_format_still_starts_what_was_committed(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish(
        "2.0.0", {"bin/app": b"#!/bin/sh\nexit 7\n"}, install=confirmed_by_itself("bin/app")
    )
    assert client.update() == "on-trial"
    _rewrite(Home.at(client.home).journal, format=2, state="something-new", attempt=7)
    code = (
        "import sys; from lockgate_updater import Updater\n"
        "sys.exit(Updater.open(sys.argv[1]).run(progress=print))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, client.home], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "written by a newer updater" in ended.stdout
    assert "1.0.0 is started as it is" in ended.stdout
