"""Two api processes at once, on one folder and one database: one winner a step, nothing lost."""

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import ConflictError, LockgateError
from lockgate_server.stores.directory import DirectoryStore
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, STABLE, Scene


def on_disk(folder: Path, publisher: PublisherSimulator | None = None) -> Scene:
    """A scene as another process would open it."""
    return Scene(
        folder=folder,
        store=DirectoryStore(folder / "objects"),
        ledger=SqliteLedger(folder / "ledger.sqlite3"),
        publisher=publisher or PublisherSimulator(),
    )


def close(scene: Scene) -> None:
    scene.store.close()
    scene.ledger.close()


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Do all of them at the same moment; an error is an answer too."""
    barrier = threading.Barrier(len(acts))
    answers: list[Any] = [None] * len(acts)

    def act(index: int) -> None:
        barrier.wait()
        try:
            answers[index] = acts[index]()
        except LockgateError as exc:
            answers[index] = exc

    threads = [threading.Thread(target=act, args=(index,)) for index in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("round_number", range(3))
def test_of_two_publishers_at_once_one_wins_and_the_other_is_told(
    tmp_path: Path, round_number: int
) -> None:
    first = on_disk(tmp_path)
    second = on_disk(tmp_path, first.publisher)
    try:
        first.register()
        first.publish("1.0.0")
        requests = [first.prepare(f"1.{round_number}.1"), first.prepare(f"1.{round_number}.2")]
        answers = at_once([lambda: first.send(requests[0]), lambda: second.send(requests[1])])
        won = [index for index in (0, 1) if not isinstance(answers[index], LockgateError)]
        assert len(won) == 1, answers
        assert isinstance(answers[1 - won[0]], ConflictError)
        sight = first.look()
        assert sight.live() == {"1.0.0", f"1.{round_number}.{won[0] + 1}"}
        assert sight.offers() == [(f"1.{round_number}.{won[0] + 1}", 10_000)]
        assert first.highest().timestamp == sight.chain.timestamp.version
    finally:
        close(first)
        close(second)


def test_the_same_request_twice_at_once_is_in_force_once(tmp_path: Path) -> None:
    first = on_disk(tmp_path)
    second = on_disk(tmp_path, first.publisher)
    try:
        first.register()
        request = first.prepare("1.0.0")
        answers = at_once([lambda: first.send(request), lambda: second.send(request)])
        assert not [one for one in answers if isinstance(one, LockgateError)]
        sight = first.look()
        assert (sight.chain.releases.version, sight.channels[STABLE].sequence) == (2, 1)
    finally:
        close(first)
        close(second)


def test_a_revocation_and_a_pause_at_once_both_stand(tmp_path: Path) -> None:
    first = on_disk(tmp_path)
    second = on_disk(tmp_path, first.publisher)
    try:
        first.register()
        first.publish("1.0.0")
        first.publish("1.1.0", exposure_bp=1_000)
        answers = at_once([lambda: first.revoke("1.0.0"), lambda: second.roll("1.1.0", "pause")])
        assert not [one for one in answers if isinstance(one, LockgateError)]
        document = first.look().channels[STABLE]
        assert [item.version for item in document.revoked] == ["1.0.0"]
        assert [offer.rollout.state for offer in document.offers] == ["paused"]
        assert document.sequence == 4
    finally:
        close(first)
        close(second)


def _revoke_many(folder: Path, publisher_root: bytes, versions: list[str]) -> None:
    """Runs in a process of its own, with what a server's own process would have."""
    scene = on_disk(folder)
    scene.publisher.root = publisher_root
    try:
        for version in versions:
            scene.revoke(version)
    finally:
        close(scene)


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    scene = on_disk(tmp_path)
    try:
        scene.register()
        for minor in range(3):
            scene.publish(f"1.{minor}.0")
        context = multiprocessing.get_context("spawn")
        plans = [["0.0.1", "0.0.2"], ["0.1.1", "0.1.2"]]
        processes = [
            context.Process(target=_revoke_many, args=(tmp_path, scene.publisher.root, plan))
            for plan in plans
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        assert sorted(scene.look().revoked()) == ["0.0.1", "0.0.2", "0.1.1", "0.1.2"]
        assert scene.look().channels[STABLE].sequence == 7
        assert not scene.ledger.open_entries(APP)
        assert scene.ledger.verify_audit() is None
    finally:
        close(scene)
