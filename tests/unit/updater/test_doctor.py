"""The doctor sees what is wrong, hides nothing behind it, and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_updater.diagnose.doctor import Finding, Level, Patient, examine
from lockgate_updater.state.home import Home
from lockgate_updater.state.lock import hold_lock
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.repository import RepositorySimulator


def _examine(client: SimulatedClient, *, deep: bool = False) -> dict[str, Finding]:
    patient = Patient(
        home=Home.at(client.home),
        environ={},
        flags={},
        now=client.now,
        deep=deep,
        connect=lambda _: client.repository,
    )
    return {finding.check: finding for finding in examine(patient)}


@pytest.fixture
def installed(client: SimulatedClient) -> SimulatedClient:
    client.update()
    return client


def _everything(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_client_in_good_health_has_no_problem_and_is_not_changed(
    installed: SimulatedClient,
) -> None:
    before = _everything(installed.home)
    found = _examine(installed, deep=True)
    assert {item.level for item in found.values()} == {Level.OK}, found
    assert "expires first" in found["repository"].text
    assert _everything(installed.home) == before


def _add(path: Path) -> None:
    (path.resolve() / "extra").write_bytes(b"")


def _swap(path: Path) -> None:
    path.unlink()
    path.symlink_to("/")


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "settings": ("lockgate.toml", lambda path: path.write_text("= no")),
    "trust anchor": ("root.json", Path.unlink),
    "journal": ("state/journal.json", lambda path: path.write_bytes(b"{")),
    "memory": ("state/memory.json", lambda path: path.write_bytes(b"{")),
    "home": ("state/planted", lambda path: path.symlink_to("/")),
    "tree": ("current", _add),
    "lock": ("state/lock", _swap),
}


@pytest.mark.parametrize("check", DAMAGE)
def test_each_damage_is_seen_and_hides_nothing_else(installed: SimulatedClient, check: str) -> None:
    name, damage = DAMAGE[check]
    damage(installed.home / name)
    before = _everything(installed.home)
    found = _examine(installed)
    assert found[check].level is Level.PROBLEM
    assert len(found) == 13
    assert found["disk"].level is Level.OK
    assert _everything(installed.home) == before


def test_what_only_the_content_shows_is_seen_by_a_deep_look(installed: SimulatedClient) -> None:
    program = installed.home / "current" / "bin" / "app"
    program.write_bytes(program.read_bytes().replace(b"exit 0", b"exit 1"))
    assert _examine(installed)["tree"].level is Level.OK
    assert _examine(installed, deep=True)["tree"].level is Level.PROBLEM


def test_an_unreachable_repository_and_a_wrong_clock_are_seen(
    installed: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.spoil("timestamp", Kind.STATUS, 503)
    assert _examine(installed)["repository"].level is Level.PROBLEM
    repository.faults.clear()
    installed.now = installed.now.replace(year=2001)
    assert _examine(installed)["clock"].level is Level.PROBLEM


def test_who_holds_the_lock_is_told(installed: SimulatedClient) -> None:
    with hold_lock(installed.home / "state" / "lock", purpose="update"):
        assert "which is alive" in _examine(installed)["lock"].text


def test_no_home_at_all_is_a_list_of_problems(installed: SimulatedClient, tmp_path: Path) -> None:
    installed.home = tmp_path / "nowhere"
    assert _examine(installed)["home"].level is Level.PROBLEM
    assert not installed.home.exists()
