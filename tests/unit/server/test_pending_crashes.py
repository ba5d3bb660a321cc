"""Killed at any step, or raced by others: a pending change is in force whole, or still pending."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import ConflictError, LocalError, LockgateError
from lockgate_release.layout import metadata_key
from lockgate_release.names import ChannelName
from lockgate_release.requests import OfferRequest
from lockgate_release.trust.roles import Role
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import IfAbsent, Ledger
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.pending import begin, finish_pending
from lockgate_server.services.write.renewing import resign
from lockgate_server.stores.sqlite_ledger import SqliteLedger
from lockgate_server.worker import run_round
from tests.simulators.faulty_store import (
    WRITE,
    FaultyStore,
    KilledError,
    Moment,
    kill,
    meanwhile,
    time_out,
)
from tests.simulators.memory_ledger import MemoryLedger
from tests.simulators.pending_scene import (
    CI,
    ask_again,
    put_signature,
    request_of,
    shared_scene,
    start,
    take_back,
    waiting,
)
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene, read_all

BETA = ChannelName("beta")
WRITES = 8
"""Release and extras, two channels, then releases, channels, snapshot, pointer; copies after."""


def faulty(folder: Path) -> tuple[Scene, FaultyStore]:
    """A change for two channels that lacks one signature, over a store that can fail."""
    scene = shared_scene(folder)
    store = FaultyStore(scene.store)
    scene.store = store
    whole = scene.prepare("1.0.0", channels=[STABLE, BETA])
    offers = tuple(OfferRequest(channel=name, version="1.0.0") for name in (STABLE, BETA))
    signers = scene.publisher.keys.publishers[:1]
    begin(scene.deps(), APP, request_of(scene, whole, signers=signers, offers=offers), CI)
    return scene, store


def is_live(scene: Scene) -> bool:
    """Whether the change is in force with all that it takes; half of it fails."""
    sight = scene.look()
    states = {
        "1.0.0" in sight.live(),
        sight.offers() == [("1.0.0", 10_000)],
        sight.offers(BETA) == [("1.0.0", 10_000)],
    }
    assert len(states) == 1, "half of it is in force"
    return states.pop()


def by_the_next_who_signs(scene: Scene, change_id: str) -> None:
    put_signature(scene, change_id, 2)


def by_the_same_again(scene: Scene, change_id: str) -> None:
    put_signature(scene, change_id, 1)


def by_the_worker(scene: Scene, _: str) -> None:
    assert run_round(scene.deps(), "worker-1")


FINISHERS = [by_the_next_who_signs, by_the_same_again, by_the_worker]


@pytest.mark.parametrize("finish", FINISHERS)
@pytest.mark.parametrize("moment", list(Moment))
def test_a_kill_at_any_write_of_going_live_is_finished_whole(
    tmp_path: Path, finish: Callable[[Scene, str], None], moment: Moment
) -> None:
    seen = set()
    for step in range(WRITES + 2):
        scene, store = faulty(tmp_path / str(step))
        (change_id,) = waiting(scene)
        store.plan(kill(moment, WRITE, skip=step))
        with pytest.raises(KilledError):
            put_signature(scene, change_id, 1)
        store.heal()
        was_live = is_live(scene)
        seen.add(was_live)
        # Whoever comes when it is in force already is shown nothing to sign.
        (ask_again if was_live and finish is not by_the_worker else finish)(scene, change_id)
        assert is_live(scene)
        assert waiting(scene) == []
        read_settled(scene.deps(), APP)
        assert scene.ledger.open_entries(APP) == ()
    assert seen == {True, False}


def test_a_kill_at_any_write_is_finished_whole_with_the_real_database(tmp_path: Path) -> None:
    for step in range(WRITES + 2):
        scene, store = faulty(tmp_path / str(step))
        ledger = SqliteLedger(tmp_path / f"{step}.sqlite3")
        move_ledger(scene, ledger)
        (change_id,) = waiting(scene)
        store.plan(kill(Moment.AFTER, WRITE, skip=step))
        with pytest.raises(KilledError):
            put_signature(scene, change_id, 1)
        store.heal()
        is_live(scene)
        ledger.close()
        scene.ledger = SqliteLedger(tmp_path / f"{step}.sqlite3")
        finish_pending(scene.deps(), APP, CALLER)
        assert is_live(scene)
        assert waiting(scene) == []
        assert scene.ledger.verify_audit() is None
        scene.ledger.close()


def move_ledger(scene: Scene, ledger: Ledger) -> None:
    """Let another ledger know what the scene's does."""
    ledger.pin_app(APP, scene.publisher.root)
    intent = scene.ledger.audit(APP, limit=1)[0].intent
    ledger.finish(ledger.begin(intent, now=scene.now), scene.highest())
    for change in scene.ledger.pending(APP):
        ledger.begin_pending(change, intent, now=scene.now)
    scene.ledger = ledger


@pytest.mark.parametrize("moment", list(Moment))
def test_whatever_others_do_after_a_kill_leaves_it_whole_or_pending(
    tmp_path: Path, moment: Moment
) -> None:
    for step in range(WRITES + 2):
        scene, store = faulty(tmp_path / str(step))
        (change_id,) = waiting(scene)
        store.plan(kill(moment, WRITE, skip=step))
        with pytest.raises(KilledError):
            put_signature(scene, change_id, 1)
        store.heal()
        was_live = is_live(scene)
        scene.roll("0.9.0" if not was_live else "1.0.0", "pause")
        sight = scene.look()
        assert ("1.0.0" in sight.live()) is was_live, "somebody else finished it, without offers"
        assert (waiting(scene) == []) is was_live
        if not was_live:
            scene.roll("0.9.0", "resume")
            put_signature(scene, change_id, 2)
        assert scene.look().offers(BETA) == [("1.0.0", 10_000)]


@pytest.mark.parametrize("moment", list(Moment))
def test_what_is_withdrawn_after_a_kill_never_comes_into_force(
    tmp_path: Path, moment: Moment
) -> None:
    withdrawn = 0
    for step in range(WRITES + 2):
        scene, store = faulty(tmp_path / str(step))
        (change_id,) = waiting(scene)
        store.plan(kill(moment, WRITE, skip=step))
        with pytest.raises(KilledError):
            put_signature(scene, change_id, 1)
        store.heal()
        if is_live(scene):
            with pytest.raises(ConflictError, match="in force already"):
                take_back(scene, change_id)
            assert waiting(scene) == []
            continue
        withdrawn += 1
        take_back(scene, change_id)
        scene.roll("0.9.0", "pause")
        finish_pending(scene.deps(), APP, CALLER)
        assert not is_live(scene)
        scene.publish("1.0.1")
        assert scene.look().live() == {"0.9.0", "1.0.1"}
    assert withdrawn >= WRITES - 1


@pytest.mark.parametrize("moment", list(Moment))
def test_a_store_that_does_not_answer_leaves_it_whole_or_pending(
    tmp_path: Path, moment: Moment
) -> None:
    for step in range(WRITES):
        scene, store = faulty(tmp_path / str(step))
        (change_id,) = waiting(scene)
        store.plan(time_out(moment, "put", skip=step, times=9))
        with contextlib.suppress(LockgateError):
            put_signature(scene, change_id, 1)
        store.heal()
        is_live(scene)
        ask_again(scene, change_id)
        assert is_live(scene)
        assert waiting(scene) == []


# The ledger.


@dataclass
class FailingLedger(MemoryLedger):
    """Fails at the n-th of the verbs that write, before or after it was done."""

    fails: list[tuple[str, Moment]] = field(default_factory=list)

    def _around(self, verb: str, act: Callable[[], Any]) -> Any:
        self._fail((verb, Moment.BEFORE))
        answer = act()
        self._fail((verb, Moment.AFTER))
        return answer

    def _fail(self, where: tuple[str, Moment]) -> None:
        if where in self.fails:
            self.fails.remove(where)
            raise LocalError("the ledger's disk fails", subject=where[0])

    def begin(self, *args: Any, **named: Any) -> int:
        found: int = self._around("begin", lambda: MemoryLedger.begin(self, *args, **named))
        return found

    def finish(self, *args: Any, **named: Any) -> None:
        self._around("finish", lambda: MemoryLedger.finish(self, *args, **named))

    def add_signatures(self, *args: Any, **named: Any) -> bool:
        found: bool = self._around(
            "add_signatures", lambda: MemoryLedger.add_signatures(self, *args, **named)
        )
        return found


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("verb", ["begin", "finish", "add_signatures"])
def test_a_ledger_that_fails_leaves_it_whole_or_pending(
    tmp_path: Path, verb: str, moment: Moment
) -> None:
    scene = shared_scene(tmp_path)
    ledger = FailingLedger(**vars(scene.ledger))
    scene.ledger = ledger
    begun = start(scene, "1.0.0", signed_by=[0])
    ledger.fails.append((verb, moment))
    with pytest.raises(LocalError):
        put_signature(scene, begun.change_id, 1)
    assert ("1.0.0" in scene.look().live()) is (verb == "finish")
    again = ask_again if verb == "finish" else lambda on, name: put_signature(on, name, 1)
    if (verb, moment) == ("add_signatures", Moment.AFTER):
        again = ask_again
    again(scene, begun.change_id)
    assert scene.look().offers() == [("1.0.0", 10_000)]
    assert waiting(scene) == []
    assert scene.ledger.verify_audit() is None


# At the same moment.


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "l.sqlite3")


def shared(tmp_path: Path, ledger: Ledger, **how: Any) -> Scene:
    scene = shared_scene(tmp_path, **how)
    move_ledger(scene, ledger)
    return scene


def test_two_who_sign_at_the_same_moment_put_it_in_force_once(
    tmp_path: Path, ledger: Ledger
) -> None:
    scene = shared(tmp_path, ledger, publishers=4, threshold=2)
    begun = start(scene, "1.0.0", signed_by=[0])
    before = scene.look().numbers()
    with ThreadPoolExecutor(max_workers=3) as pool:
        done = [pool.submit(put_or_late, scene, begun.change_id, place) for place in (1, 2)]
        assert [item.result() for item in done]
    assert scene.look().numbers()[1] == before[1] + 1
    assert scene.look().offers() == [("1.0.0", 10_000)]
    assert waiting(scene) == []
    assert [action for action, _ in scene.outcomes()].count("pending.live") >= 1
    assert scene.outcomes().count(("pending.live", "done")) == 1
    ledger.close()


def put_or_late(scene: Scene, change_id: str, place: int) -> bool:
    """Sign; who comes too late to see it finds nothing to sign."""
    try:
        return put_signature(scene, change_id, place).change is None
    except NotFoundError:
        return True


def test_a_signature_that_comes_while_it_goes_live_is_told_that_it_is_live(
    tmp_path: Path,
) -> None:
    scene, store = faulty(tmp_path)
    (change_id,) = waiting(scene)
    others: list[bool] = []

    def another() -> None:
        others.append(put_signature(scene, change_id, 2).change is None)

    store.plan(meanwhile("put", f"{APP}/metadata/timestamp.json", another))
    assert put_signature(scene, change_id, 1).change is None
    assert others == [True]
    assert is_live(scene)
    assert waiting(scene) == []
    assert scene.outcomes().count(("pending.live", "done")) == 1


@pytest.mark.parametrize("step", range(WRITES))
def test_of_signing_and_withdrawing_at_the_same_moment_one_wins_and_both_know_which(
    tmp_path: Path, step: int
) -> None:
    scene, store = faulty(tmp_path)
    (change_id,) = waiting(scene)
    ended: list[str] = []

    def withdraw_it() -> None:
        try:
            take_back(scene, change_id)
            ended.append("withdrawn")
        except ConflictError:
            ended.append("live")

    store.plan(meanwhile("put", "*", withdraw_it, skip=step))
    try:
        live = put_signature(scene, change_id, 1).change is None
    except (ConflictError, NotFoundError):
        live = False
    assert is_live(scene) is live is (ended == ["live"])
    assert waiting(scene) == []
    # And it stays so, whatever comes next.
    finish_pending(scene.deps(), APP, CALLER)
    scene.roll("1.0.0" if live else "0.9.0", "pause")
    assert ("1.0.0" in scene.look().live()) is live


def test_what_another_publisher_wrote_at_its_number_is_finished_first(tmp_path: Path) -> None:
    """Somebody who was signed to the end was killed before it: theirs counts, ours is outdated."""
    scene, store = faulty(tmp_path)
    (change_id,) = waiting(scene)
    kept = scene.ledger.changes.copy()  # type: ignore[attr-defined]
    scene.ledger.changes.clear()  # type: ignore[attr-defined]
    request = scene.prepare("1.1.0")
    store.plan(kill(Moment.AFTER, "put", metadata_key(APP, Role.RELEASES, 3)))
    with pytest.raises(KilledError):
        scene.send(request)
    store.heal()
    scene.ledger.changes.update(kept)  # type: ignore[attr-defined]
    with pytest.raises(ConflictError, match="can never come into force"):
        put_signature(scene, change_id, 1)
    assert scene.look().live() == {"0.9.0", "1.1.0"}


def test_another_signature_after_a_kill_takes_no_second_number(tmp_path: Path) -> None:
    """The bytes in the store have two signatures, the ledger three: the first ones count."""
    scene, store = faulty(tmp_path)
    (change_id,) = waiting(scene)
    key = metadata_key(APP, Role.RELEASES, 3)
    store.plan(kill(Moment.AFTER, "put", key))
    with pytest.raises(KilledError):
        put_signature(scene, change_id, 1)
    store.heal()
    written = read_all(scene.store, key)
    put_signature(scene, change_id, 2)
    assert read_all(scene.store, key) == written
    assert is_live(scene)


def test_bytes_that_were_planted_at_its_number_are_written_over(tmp_path: Path) -> None:
    scene, store = faulty(tmp_path)
    (change_id,) = waiting(scene)
    store.put(metadata_key(APP, Role.RELEASES, 3), b"{}", IfAbsent())
    put_signature(scene, change_id, 1)
    assert is_live(scene)


def test_the_server_signs_its_own_again_while_something_waits(tmp_path: Path) -> None:
    scene, _ = faulty(tmp_path)
    (change_id,) = waiting(scene)
    scene.pass_time(scene.now.replace(month=2, day=5))
    assert resign(scene.deps(), APP, CALLER)
    put_signature(scene, change_id, 1)
    assert is_live(scene)
