"""A program's cache lies beside its tree, so that the tree stays as it was signed."""

import sys
from pathlib import Path

import pytest

from lockgate_release.errors import LocalError
from lockgate_updater.state.cache import cached_folders, prepare_cache, remove_cache
from lockgate_updater.state.home import Home
from tests.simulators.client import SimulatedClient
from tests.simulators.launched import SPEAKER, run
from tests.simulators.repository import RepositorySimulator

FOLDER = "1.0.0-00000000"
PROGRAM = {
    "bin/app": f"#!{sys.executable}\nimport side\nprint(side.WORD, side.__cached__)\n".encode(),
    "bin/side.py": b"WORD = 'imported'\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path)


def test_a_python_program_leaves_its_tree_as_it_was_signed(
    client: SimulatedClient, repository: RepositorySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    repository.publish("1.1.0", PROGRAM)
    assert client.update() == "updated"  # Its health command has imported it too.
    code, out = run(client)
    assert (code, out.split()[0]) == (0, "imported")
    assert Path(out.split()[1]).is_relative_to(client.home / "cache")
    assert Path(out.split()[1]).is_file()
    assert client.updater.verify() == "1.1.0"


def test_a_cache_goes_when_its_tree_goes(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        repository.publish(version, {"bin/app": SPEAKER, "version": version.encode()})
        client.update()
    kept = {name.rpartition("-")[0] for name in cached_folders(Home.at(client.home))}
    assert kept == client.versions() == {"1.2.0", "1.3.0"}


def test_a_cache_is_closed_to_others(home: Home) -> None:
    home.cache.mkdir(mode=0o755)
    cache = prepare_cache(home, FOLDER)
    assert {path.stat().st_mode & 0o777 for path in (home.cache, cache)} == {0o700}


def test_a_planted_link_is_not_followed(home: Home, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / FOLDER).mkdir(parents=True)
    home.cache.symlink_to(victim)
    with pytest.raises(LocalError):
        prepare_cache(home, FOLDER)
    remove_cache(home, FOLDER)
    assert cached_folders(home) == set()
    assert (victim / FOLDER).is_dir()


def test_a_start_does_without_a_cache_that_cannot_be_had(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    repository.publish("1.1.0", {"bin/app": b'#!/bin/sh\necho "<$LOCKGATE_CACHE>"\n'})
    client.update()
    for path in sorted((client.home / "cache").iterdir()):
        path.rmdir()
    (client.home / "cache").rmdir()
    (client.home / "cache").symlink_to(tmp_path)
    assert run(client) == (0, "<>\n")
