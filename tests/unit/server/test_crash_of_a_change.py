"""Every change, killed at every write: clients see the old state or the new, and again finishes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_release.documents import ChannelPolicy, PolicyDocument, parse_channel
from lockgate_release.errors import ConflictError
from lockgate_release.names import AppName
from lockgate_release.requests import UnrevokeRequest
from lockgate_server.ports import IfAbsent, LostRaceError, ObjectStore
from lockgate_server.services.write.apps import make_online_key, register
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.copies import repair_copies
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.lifetimes import end_channel
from lockgate_server.services.write.renewing import renew
from lockgate_server.services.write.status import read_current
from lockgate_server.services.write.unrevoking import unrevoke
from tests.simulators.faulty_store import (
    WRITE,
    FaultyStore,
    KilledError,
    Moment,
    kill,
    lose,
    meanwhile,
    time_out,
)
from tests.simulators.memory_store import MemoryStore
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene, Sight, read_all

Act = Callable[[], object]


def publish_next(scene: Scene) -> Act:
    request = scene.prepare("1.1.0", exposure_bp=1_000)
    return lambda: scene.send(request)


def publish_into_a_new_channel(scene: Scene) -> Act:
    request = scene.prepare("1.1.0", channels=["beta"])
    return lambda: scene.send(request)


def revoke(scene: Scene) -> Act:
    return lambda: scene.revoke("1.0.0")


def lift_a_revocation(scene: Scene) -> Act:
    releases = scene.publisher.lift(scene.look().chain, "0.9.0", STABLE).releases
    request = UnrevokeRequest(
        version="0.9.0", reason="it was the printer", channels=(STABLE,), releases=releases
    )
    return lambda: unrevoke(scene.deps(), APP, request, CALLER)


def end_a_channel(scene: Scene) -> Act:
    return lambda: end_channel(scene.deps(), APP, STABLE, CALLER)


def pause(scene: Scene) -> Act:
    return lambda: scene.roll("1.0.0", "pause")


def renew_targets(scene: Scene) -> Act:
    request = scene.publisher.renew(scene.look().chain, "targets")
    return lambda: renew(scene.deps(), APP, request, CALLER)


def renew_releases(scene: Scene) -> Act:
    request = scene.publisher.renew(scene.look().chain, "releases")
    return lambda: renew(scene.deps(), APP, request, CALLER)


CHANGES = [
    publish_next,
    publish_into_a_new_channel,
    revoke,
    lift_a_revocation,
    end_a_channel,
    pause,
    renew_targets,
    renew_releases,
]


def prepared(folder: Path) -> Scene:
    scene = Scene(folder=folder)
    scene.register()
    scene.publish("0.9.0")
    scene.publish("1.0.0")
    return scene


def faulty_fork(scene: Scene) -> tuple[Scene, FaultyStore, ObjectStore]:
    """The same state once more, in a store that can be told to fail."""
    fork = scene.fork()
    inner = fork.store
    faulty = FaultyStore(inner)
    fork.store = faulty
    return fork, faulty, inner


def describe(sight: Sight) -> tuple[object, ...]:
    """What people would call the state; numbers that a retry may skip are no part of it."""
    channels = {
        name: (
            [(o.version, o.rollout.exposure_bp, o.rollout.state) for o in document.offers],
            [item.version for item in document.revoked],
        )
        for name, document in sight.channels.items()
    }
    return sight.live(), channels, sight.chain.targets.version, sight.chain.releases.version


def writes_of(prepared_scene: Scene, change: Callable[[Scene], Act]) -> int:
    scene, faulty, _ = faulty_fork(prepared_scene)
    act = change(scene)
    before = len(faulty.writes())
    act()
    return len(faulty.writes()) - before


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_at_any_write_leaves_old_or_new_and_the_same_again_finishes(
    tmp_path: Path, change: Callable[[Scene], Act], moment: Moment
) -> None:
    origin = prepared(tmp_path)
    if change is lift_a_revocation:
        origin.revoke("0.9.0")
    count = writes_of(origin, change)
    assert count >= 3
    states = []
    for step in range(count):
        scene, faulty, inner = faulty_fork(origin)
        old = describe(scene.look(inner))
        act = change(scene)
        faulty.plan(kill(moment, WRITE, skip=step))
        with pytest.raises(KilledError):
            act()
        faulty.heal()
        state = describe(scene.look(inner))
        act()
        new = describe(scene.look(inner))
        assert state in (old, new)
        assert new != old
        states.append(state == new)
        act()  # a third time changes nothing
        assert describe(scene.look(inner)) == new
        repair_copies(scene.deps(), APP)
        for name, document in scene.look(inner).channels.items():
            copy = read_all(inner, f"{APP}/channels/{name}/version.json")
            assert copy is not None
            assert parse_channel(copy) == document
    assert states == sorted(states), "once the new state is seen, the old one never is again"
    assert states[0] is False
    assert states[-1] is True or moment is Moment.BEFORE


@pytest.mark.parametrize("moment", list(Moment))
def test_a_kill_at_any_write_of_a_registration_is_finished_by_the_same_request(
    tmp_path: Path, moment: Moment
) -> None:
    for step in range(7):
        faulty = FaultyStore(MemoryStore())
        scene = Scene(folder=tmp_path / str(step), store=faulty)
        request = scene.publisher.register(make_online_key(scene.deps(), APP))
        faulty.plan(kill(moment, WRITE, skip=step))
        with pytest.raises(KilledError):
            register(scene.deps(), APP, request, CALLER)
        faulty.heal()
        register(scene.deps(), APP, request, CALLER)
        assert scene.look().live() == set()
        scene.publish("1.0.0")
        assert scene.look().offers() == [("1.0.0", 10_000)]


def test_a_change_whose_done_row_was_lost_is_closed_by_the_next_one(tmp_path: Path) -> None:
    scene, faulty, _ = faulty_fork(prepared(tmp_path))
    faulty.plan(kill(Moment.AFTER, "put", "*/timestamp.json"))
    with pytest.raises(KilledError):
        scene.revoke("1.0.0")
    assert scene.outcomes()[-1] == ("revoke", "open")
    faulty.heal()
    in_force = scene.look().chain.timestamp.version
    assert scene.highest().timestamp == in_force - 1
    scene.publish("1.1.0")
    assert scene.outcomes()[-2:] == [("revoke", "done"), ("publish", "done")]


def test_a_change_that_was_overtaken_is_abandoned_by_the_next_one(tmp_path: Path) -> None:
    scene, faulty, _ = faulty_fork(prepared(tmp_path))
    faulty.plan(kill(Moment.BEFORE, "put", "*/timestamp.json"))
    with pytest.raises(KilledError):
        scene.revoke("0.9.0")
    faulty.heal()
    scene.publish("1.1.0")
    assert scene.outcomes()[-2:] == [("revoke", "open"), ("publish", "done")]
    scene.publish("1.2.0")
    assert scene.outcomes()[-3:-1] == [("revoke", "abandoned"), ("publish", "done")]


def test_a_list_that_was_signed_and_written_is_adopted_by_whoever_comes_next(
    tmp_path: Path,
) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    request = scene.prepare("1.1.0")
    faulty.plan(kill(Moment.BEFORE, "put", "*/timestamp.json"))
    with pytest.raises(KilledError):
        scene.send(request)
    faulty.heal()
    scene.revoke("1.0.0")
    sight = scene.look(inner)
    assert sight.live() == {"0.9.0", "1.0.0", "1.1.0"}
    assert sight.revoked() == ["1.0.0"]
    assert ("adopt.releases", "done") in scene.outcomes()


def test_targets_that_were_signed_and_written_are_adopted_by_whoever_comes_next(
    tmp_path: Path,
) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    policy = PolicyDocument(app=APP, channels={"beta": ChannelPolicy(paths=())})
    request = scene.publisher.change_policy(scene.look().chain, policy)
    faulty.plan(kill(Moment.BEFORE, "put", "*/timestamp.json"))
    with pytest.raises(KilledError):
        renew(scene.deps(), APP, request, CALLER)
    faulty.heal()
    other = scene.publisher.renew(scene.look(inner).chain, "targets")
    with pytest.raises(ConflictError, match="somebody else was first"):
        renew(scene.deps(), APP, other, CALLER)
    assert scene.look(inner).chain.targets.data == request.metadata
    assert ("adopt.targets", "done") in scene.outcomes()


def test_a_list_that_was_written_without_its_documents_is_not_adopted(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    request = scene.prepare("1.1.0")
    assert request.releases is not None
    number = scene.look().chain.releases.version + 1
    inner.put(f"{APP}/metadata/{number}.releases.json", request.releases, IfAbsent())
    faulty.heal()
    scene.revoke("1.0.0")
    assert scene.look(inner).live() == {"0.9.0", "1.0.0"}
    scene.send(request)
    assert "1.1.0" in scene.look(inner).live()


def test_a_list_that_breaks_a_rule_is_not_adopted_though_it_is_signed(tmp_path: Path) -> None:
    scene = prepared(tmp_path)
    chain = scene.look().chain
    request = scene.publisher.retire(chain, "1.0.0")
    assert request.releases is not None
    number = chain.releases.version + 1
    scene.store.put(f"{APP}/metadata/{number}.releases.json", request.releases, IfAbsent())
    scene.roll("1.0.0", "pause")
    assert scene.look().live() == {"0.9.0", "1.0.0"}


@pytest.mark.parametrize("ask", [read_current, read_settled])
def test_a_state_that_moves_on_while_it_is_read_is_not_taken_for_one_put_back(
    tmp_path: Path, ask: Callable[[WriteDeps, AppName], Base]
) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    other = Scene(folder=tmp_path, store=inner, ledger=scene.ledger, publisher=scene.publisher)
    faulty.plan(
        meanwhile("open", "*/timestamp.json", lambda: other.revoke("0.9.0"), moment=Moment.AFTER)
    )
    older = ask(scene.deps(), APP)
    assert scene.highest().timestamp == older.timestamp_version + 1


def test_an_answer_that_got_lost_is_read_back_and_was_a_success(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    faulty.plan(time_out(Moment.AFTER, "put", "*/timestamp.json"))
    outcome = scene.publish("1.1.0")
    assert outcome.changed
    assert scene.look(inner).chain.timestamp.version == outcome.timestamp_version
    assert scene.outcomes()[-1] == ("publish", "done")


def test_a_pointer_that_did_not_get_there_is_sent_again(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    faulty.plan(time_out(Moment.BEFORE, "put", "*/timestamp.json"))
    assert scene.publish("1.1.0").changed
    assert scene.look(inner).offers() == [("1.1.0", 10_000)]


def test_a_condition_that_is_said_to_be_lost_but_was_won_counts_as_won(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    faulty.plan(
        time_out(Moment.AFTER, "put", "*/timestamp.json"),
        lose("put", "*/timestamp.json", skip=1),
    )
    assert scene.publish("1.1.0").changed
    assert scene.look(inner).offers() == [("1.1.0", 10_000)]
    assert scene.outcomes()[-1] == ("publish", "done")


def test_somebody_else_in_between_is_built_upon(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    other = Scene(
        folder=tmp_path,
        store=inner,
        ledger=scene.ledger,
        publisher=scene.publisher,
    )
    faulty.plan(meanwhile("put", "*/timestamp.json", lambda: other.revoke("0.9.0")))
    scene.roll("1.0.0", "pause")
    sight = scene.look(inner)
    assert sight.revoked() == ["0.9.0"]
    assert sight.channels[STABLE].offers[0].rollout.state == "paused"
    assert scene.naps, "the second try came after a pause"


def test_after_five_lost_races_it_is_a_conflict_and_nothing_changed(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    before = scene.look(inner).numbers()
    faulty.plan(lose("put", "*/timestamp.json", times=5))
    with pytest.raises(LostRaceError):
        scene.revoke("1.0.0")
    assert scene.look(inner).numbers() == before
    assert len(scene.naps) == 4
    assert ("revoke", "open") not in scene.outcomes()


def test_a_copy_that_cannot_be_written_does_not_fail_the_change(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    faulty.plan(time_out(Moment.BEFORE, "put", "*/channels/stable/version.json"))
    key = f"{APP}/channels/stable/version.json"
    before = read_all(inner, key)
    assert scene.revoke("1.0.0").changed
    assert read_all(inner, key) == before
    assert repair_copies(scene.deps(), APP) == 1
    assert read_all(inner, key) != before
    assert repair_copies(scene.deps(), APP) == 0


def test_a_writer_that_comes_late_leaves_the_newer_copy(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    other = Scene(folder=tmp_path, store=inner, ledger=scene.ledger, publisher=scene.publisher)
    key = f"{APP}/channels/stable/version.json"
    faulty.plan(meanwhile("open", key, lambda: other.revoke("0.9.0")))
    scene.roll("1.0.0", "pause")
    copy = read_all(inner, key)
    assert copy is not None
    assert parse_channel(copy) == scene.look(inner).channels[STABLE]


def test_the_same_request_after_a_kill_is_in_force_in_one_step(tmp_path: Path) -> None:
    scene, faulty, inner = faulty_fork(prepared(tmp_path))
    before = scene.look(inner).chain.timestamp.version
    request = scene.prepare("1.1.0")
    faulty.plan(kill(Moment.BEFORE, "put", "*/timestamp.json"))
    with pytest.raises(KilledError):
        scene.send(request)
    faulty.heal()
    assert scene.send(request).timestamp_version == before + 1
    assert "adopt.releases" not in [action for action, _ in scene.outcomes()]
