"""What a client notes of its checks, and whether it is well by that."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import DocumentError, TransportError
from lockgate_updater.watch.health import (
    HealthNote,
    HealthState,
    dump_note,
    judge_health,
    load_note,
    store_note,
    with_check,
    with_error,
)
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.repository import RepositorySimulator
from tests.unit.updater.watching import Scene

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def scene(client: SimulatedClient) -> Scene:
    return Scene(client)


def test_a_note_survives_and_a_damaged_one_is_a_fresh_one(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    note = with_error(with_check(HealthNote(), NOW, 600), NOW, TransportError("gone"))
    store_note(path, note)
    assert load_note(path) == note
    for damage in (b"", b"{", b'{"format":2}', path.read_bytes()[:-9]):
        path.write_bytes(damage)
        assert load_note(path) == HealthNote()


def test_a_disk_that_refuses_the_note_keeps_nobody_from_work(tmp_path: Path) -> None:
    store_note(tmp_path / "nowhere" / "health.json", HealthNote())


def test_update_keeps_the_note_and_check_does_not(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.updater.check()
    assert not (client.home / "state" / "health.json").exists()
    client.update()
    note = load_note(client.home / "state" / "health.json")
    assert note.good_at is not None
    assert note.interval_s == 3600
    repository.spoil("timestamp", Kind.STATUS, 500)
    for _ in range(3):
        with pytest.raises(TransportError):
            client.update()
    assert client.updater.status().health.state is HealthState.OFFLINE


@pytest.mark.parametrize(
    ("failures", "error", "troubles", "state"),
    [
        (0, None, (), "healthy"),
        (2, TransportError("w"), (), "healthy"),
        (3, TransportError("w"), (), "offline"),
        (1, DocumentError("w"), (), "degraded"),
        (0, None, ("t",), "degraded"),
        (3, TransportError("w"), ("t",), "offline"),
    ],
)
def test_the_state_follows_from_the_note(
    failures: int, error: TransportError | None, troubles: tuple[str, ...], state: str
) -> None:
    note = HealthNote()
    for _ in range(failures):
        assert error is not None
        note = with_error(note, NOW, error)
    report = judge_health(note, troubles)
    assert report.state == state
    assert bool(report.reasons) == (state != "healthy")


def test_a_repository_that_is_not_signed_again_degrades_its_clients_before_it_expires(
    scene: Scene,
) -> None:
    scene.client.update()
    status = scene.client.updater.status()
    assert status.health.state == "healthy"
    role, at = status.health.note.expires_role, status.health.note.expires_at
    assert role == "timestamp"
    assert at is not None
    scene.client.now = at - timedelta(days=1)
    assert scene.client.updater.status().health.state == "healthy"
    scene.client.now = at - timedelta(hours=16)
    scene.client.update()
    health = scene.client.updater.status().health
    assert health.state == "degraded"
    assert health.reasons[0].startswith("the word of timestamp ends at ")


def test_a_note_of_an_updater_that_knew_no_expiry_is_read(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    said = {
        name: value
        for name, value in dump_note(with_check(HealthNote(), NOW)).items()
        if not name.startswith("expires_")
    }
    path.write_text(json.dumps(said))
    assert load_note(path) == with_check(HealthNote(), NOW)
