"""Everybody may ask for health: a flood of questions asks store and database once in a while."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from lockgate_release.names import AppName
from lockgate_server.ports import AuditEntry
from lockgate_server.services.read.health import KEPT, Health
from tests.simulators.faulty_store import FaultyStore
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, Scene


@dataclass
class CountedLedger:
    """Counts how often somebody wants to know whether it can be written."""

    usable: bool = True
    asked: int = 0
    names: tuple[AppName, ...] = field(default=(APP,))

    def apps(self) -> tuple[AppName, ...]:
        return self.names

    def audit(self, app: AppName | None, *, limit: int) -> tuple[AuditEntry, ...]:
        del app, limit
        return ()

    def open_entries(self, app: AppName) -> tuple[AuditEntry, ...]:
        del app
        return ()

    def pending(self, app: AppName) -> tuple[object, ...]:
        del app
        return ()

    def is_usable(self) -> bool:
        self.asked += 1
        return self.usable


def opened(tmp_path: Path) -> tuple[Scene, FaultyStore, CountedLedger, Health]:
    scene = Scene(folder=tmp_path)
    scene.register()
    store, ledger = FaultyStore(scene.store), CountedLedger()
    health = Health(
        store=store, ledger=ledger, now=lambda: scene.now, started_at=NOW, version="1.2.3"
    )
    return scene, store, ledger, health


def test_a_flood_of_questions_asks_the_parts_once(tmp_path: Path) -> None:
    scene, store, ledger, health = opened(tmp_path)
    first = (health.obstacles(), health.snapshot())
    calls, asked = len(store.calls), ledger.asked
    for _ in range(100):
        assert (health.obstacles(), health.snapshot()) == first
    assert (len(store.calls), ledger.asked) == (calls, asked)
    scene.now += KEPT
    assert health.obstacles() == ()
    assert health.snapshot()["uptime_s"] == KEPT.total_seconds()
    assert ledger.asked == 2 * asked


def test_bad_news_is_never_kept(tmp_path: Path) -> None:
    _, _, ledger, health = opened(tmp_path)
    ledger.usable = False
    assert health.obstacles() == ("the database does not answer",)
    assert health.snapshot()["database"] == "unusable"
    ledger.usable = True
    assert health.obstacles() == ()
    assert health.snapshot()["database"] == "ok"


def test_good_news_from_a_time_that_is_yet_to_come_is_not_kept(tmp_path: Path) -> None:
    scene, _, ledger, health = opened(tmp_path)
    assert health.obstacles() == ()
    scene.now -= timedelta(hours=1)
    ledger.usable = False
    assert health.obstacles() == ("the database does not answer",)
