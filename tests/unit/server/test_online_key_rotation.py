"""The server's own key, replaced: both sign, root names the next, the old one goes for ever."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.errors import ConflictError, LocalError, UsageError
from lockgate_release.names import AppName
from lockgate_release.strict_json import parse_json
from lockgate_release.trust.keys import generate_signer
from lockgate_server.keys import KeyRing, variable_of
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.services.write.online_keys import (
    drop_key,
    end_overlap,
    key_states,
    make_next_key,
)
from lockgate_server.services.write.status import read_current
from lockgate_server.worker import run_round
from tests.simulators.ceremonies import Ceremonies
from tests.simulators.faulty_store import WRITE, FaultyStore, KilledError, Moment, kill
from tests.simulators.memory_store import MemoryStore
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene, read_all


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.store = MemoryStore(clock=lambda: scene.now)
    scene.register()
    scene.publish("1.0.0")
    return scene


def parts(scene: Scene) -> list[str]:
    return [state.part for state in key_states(scene.deps(), read_current(scene.deps(), APP))]


def signed_by(scene: Scene) -> list[set[str]]:
    """Who signed timestamp, snapshot, channels, the channel's envelope and its copy."""
    chain = scene.look().chain
    found = [
        set(one.metadata.signatures) for one in (chain.timestamp, chain.snapshot, chain.channels)
    ]
    copy = read_all(scene.store, f"{APP}/channels/{STABLE}/version.json")
    assert copy is not None
    envelope = parse_json(copy, subject="copy")
    found.append({one.text("keyid") for one in envelope.objects("signatures")})
    return found


def rotate(scene: Scene) -> CeremonyRequest:
    """Do everything up to the new root."""
    key = make_next_key(scene.deps(), APP, CALLER)
    request = Ceremonies(scene.publisher).rotate_online(scene.look().chain, key)
    assert hold_ceremony(scene.deps(), APP, request, CALLER).wait_s == 120
    scene.pass_time(scene.now + timedelta(seconds=120))
    assert hold_ceremony(scene.deps(), APP, request, CALLER).wait_s == 0
    return request


def test_from_the_next_key_on_both_sign_everything(scene: Scene) -> None:
    (old,) = scene.look().chain.online_key_ids()
    key = make_next_key(scene.deps(), APP, CALLER)
    assert signed_by(scene) == [{old, key.keyid}] * 4
    assert parts(scene) == ["in-force", "next"]
    before = scene.look().numbers()
    assert make_next_key(scene.deps(), APP, CALLER) == key
    assert scene.look().numbers() == before, "the same again changes nothing"
    scene.publish("1.1.0")
    assert signed_by(scene) == [{old, key.keyid}] * 4
    assert ("online-key.next", "done") in scene.outcomes()


def test_both_go_on_signing_until_no_cache_hides_the_root_and_then_the_old_one_is_gone(
    scene: Scene,
) -> None:
    (old,) = scene.look().chain.online_key_ids()
    rotate(scene)
    (new,) = scene.look().chain.online_key_ids()
    assert parts(scene) == ["in-force", "old"]
    scene.publish("1.1.0")
    assert signed_by(scene) == [{old, new}] * 4
    scene.pass_time(scene.now + timedelta(hours=24) - timedelta(seconds=1))
    run_round(scene.deps(), "worker")
    assert parts(scene) == ["in-force", "old"]
    scene.pass_time(scene.now + timedelta(seconds=1))
    run_round(scene.deps(), "worker")
    assert parts(scene) == ["in-force"]
    assert ("online-key.drop", "done") in scene.outcomes()
    assert [path.name for path in (scene.folder / "keys").iterdir()] == [f"{APP}.pem"]
    scene.publish("1.2.0")
    assert signed_by(scene) == [{new}] * 4
    faulty = FaultyStore(scene.store)
    scene.store = faulty
    assert end_overlap(scene.deps(), APP, CALLER) is None, "once is enough"
    assert faulty.calls == [], "with one key there is nothing to ask the store"


def test_a_second_rotation_waits_for_the_end_of_the_first(scene: Scene) -> None:
    rotate(scene)
    with pytest.raises(ConflictError, match="the rotation before is not over"):
        make_next_key(scene.deps(), APP, CALLER)
    scene.pass_time(scene.now + timedelta(hours=24))
    end_overlap(scene.deps(), APP, CALLER)
    rotate(scene)
    assert parts(scene) == ["in-force", "old"]


def test_a_next_key_that_is_not_wanted_is_dropped_and_one_in_force_never(scene: Scene) -> None:
    (old,) = scene.look().chain.online_key_ids()
    assert drop_key(scene.deps(), APP, CALLER) is None
    key = make_next_key(scene.deps(), APP, CALLER)
    dropped = drop_key(scene.deps(), APP, CALLER)
    assert dropped is not None
    assert dropped.key_id == key.keyid
    scene.publish("1.1.0")
    assert signed_by(scene) == [{old}] * 4
    assert drop_key(scene.deps(), APP, CALLER) is None


def test_an_old_key_that_clients_may_need_is_dropped_only_by_who_insists(scene: Scene) -> None:
    rotate(scene)
    with pytest.raises(UsageError, match="clients behind caches may still need this key"):
        drop_key(scene.deps(), APP, CALLER)
    assert drop_key(scene.deps(), APP, CALLER, anyway=True) is not None
    assert parts(scene) == ["in-force"]


@pytest.mark.parametrize("moment", list(Moment))
def test_a_key_that_was_dropped_by_a_process_that_was_killed_is_told_of_truly(
    scene: Scene, moment: Moment
) -> None:
    make_next_key(scene.deps(), APP, CALLER)
    deps = scene.deps()

    class Killed(KeyRing):
        def drop(self, app: AppName, key_id: str) -> None:
            if moment is Moment.AFTER:
                super().drop(app, key_id)
            raise KilledError("at the drop of a key")

    with pytest.raises(KilledError):
        drop_key(replace(deps, keys=Killed(scene.folder / "keys", {})), APP, CALLER)
    assert scene.outcomes()[-1] == ("online-key.drop", "open")
    scene.publish("1.1.0")
    outcome = "done" if moment is Moment.AFTER else "abandoned"
    assert ("online-key.drop", outcome) in scene.outcomes()


@pytest.mark.parametrize("moment", list(Moment))
def test_a_next_key_that_broke_off_at_any_write_is_finished_by_asking_again(
    scene: Scene, moment: Moment
) -> None:
    (old,) = scene.look().chain.online_key_ids()
    inner = scene.store
    for skip in range(5):
        faulty = FaultyStore(inner)
        faulty.plan(kill(moment, WRITE, skip=skip))
        scene.store = faulty
        drop_key(scene.deps(), APP, CALLER)
        with pytest.raises(KilledError):
            make_next_key(scene.deps(), APP, CALLER)
        scene.store = inner
        assert scene.look().offers() == [("1.0.0", 10_000)]
        key = make_next_key(scene.deps(), APP, CALLER)
        run_round(scene.deps(), "worker")
        assert signed_by(scene) == [{old, key.keyid}] * 4


def test_between_the_two_steps_of_a_ceremony_the_server_goes_on_signing_with_both(
    scene: Scene,
) -> None:
    """Targets name the next key already, root not yet: neither may be lost now."""
    key = make_next_key(scene.deps(), APP, CALLER)
    request = Ceremonies(scene.publisher).rotate_online(scene.look().chain, key)
    assert hold_ceremony(scene.deps(), APP, request, CALLER).wait_s > 0
    assert drop_key(scene.deps(), APP, CALLER, anyway=True) is None
    scene.publish("1.1.0")
    assert all(key.keyid in signers and len(signers) == 2 for signers in signed_by(scene))


def test_a_next_key_in_the_environment_is_told_of_and_never_dropped_by_itself(
    tmp_path: Path,
) -> None:
    new = generate_signer()
    name = variable_of(APP, is_next=True)
    assert name == "LOCKGATE_ONLINE_KEY_DEMO_NEXT"
    ring = KeyRing(tmp_path, {name: new.private_bytes.decode()})
    old = ring.create(APP)
    assert ring.create_next(APP) == new.public_key
    assert [(one.is_next, one.variable) for one in ring.held(APP, [old])] == [
        (False, ""),
        (True, name),
    ]
    with pytest.raises(LocalError, match="the environment names this key"):
        ring.drop(APP, new.public_key.keyid)
    assert [signer.public_key for signer in ring.signers(APP, [new.public_key])] == [
        new.public_key,
        old,
    ]
    ring.drop(APP, old.keyid)
    assert list(tmp_path.iterdir()) == []
    assert ring.signers(APP, [new.public_key])[0].public_key == new.public_key


def test_a_next_key_that_cannot_be_read_does_not_stop_a_revocation(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    make_next_key(scene.deps(), APP, CALLER)
    (scene.folder / "keys" / f"{APP}+next.pem").write_text("rubbish")
    scene.revoke("1.0.0")
    assert scene.look().revoked() == ["1.0.0"]
    assert "key.not-used" in caplog.text


def test_a_key_that_was_moved_between_two_looks_is_found(tmp_path: Path) -> None:
    """The next takes the old one's place in one step: a reader sees it here or there."""
    ring = KeyRing(tmp_path, {})
    old, new = ring.create(APP), ring.create_next(APP)
    ring.drop(APP, old.keyid)
    assert ring.create(APP) == new
    assert not (tmp_path / f"{APP}+next.pem").exists()
    with pytest.raises(LocalError, match="not the key that the app's root names"):
        ring.signers(APP, [old])
    with pytest.raises(UsageError, match="no such key"):
        ring.drop(APP, old.keyid)


def test_no_other_app_s_key_is_taken_for_the_next_one(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, {})
    key = ring.create(APP)
    for name in ("demo.next", "demo-next", "demo_next"):
        ring.create(AppName(name))
    assert [one.key for one in ring.held(APP, [key])] == [key]


def test_the_api_makes_the_next_key_for_administrators_and_shows_the_keys_to_readers(
    scene: Scene,
) -> None:
    path = f"/apps/{APP}/online-key"
    assert scene.api(scene.token("publish"))("POST", f"{path}/next").status_code == 403
    made = scene.api()("POST", f"{path}/next").json
    shown = scene.api(scene.token("read"))("GET", path).json
    assert made is not None
    assert shown is not None
    assert [key["part"] for key in shown["keys"]] == ["in-force", "next"]
    assert shown["keys"][1]["keyid"] == made["keyid"]


def test_the_status_shows_the_keys_and_says_what_comes_next(scene: Scene) -> None:
    def told() -> tuple[list[str], str]:
        status = scene.api()("GET", f"/apps/{APP}").json
        assert status is not None
        return [key["part"] for key in status["online_keys"]], " ".join(status["warnings"])

    assert told() == (["in-force"], "")
    make_next_key(scene.deps(), APP, CALLER)
    shown, words = told()
    assert shown == ["in-force", "next"]
    assert "signs along: maintainers name it next" in words
    rotate(scene)
    shown, words = told()
    assert shown == ["in-force", "old"]
    assert "signs along until 2026-02-01T08:02:00Z" in words
    (scene.folder / "keys" / f"{APP}.pem").unlink()
    (scene.folder / "keys" / f"{APP}+next.pem").unlink()
    assert "nothing can be signed: online key of demo" in told()[1]
