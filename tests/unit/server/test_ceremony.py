"""Ceremonies: verified as a whole first, in force without a gap, finished by sending them again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import DelegatedRole, Targets

from lockgate_release.ceremony_requests import CeremonyOutcome, CeremonyRequest
from lockgate_release.errors import ConflictError, DocumentError, LockgateError, TrustError
from lockgate_release.trust.keys import generate_signer
from lockgate_server.ports import IfAbsent
from lockgate_server.services.write.ceremony import hold_ceremony
from lockgate_server.services.write.online_keys import make_next_key
from lockgate_server.services.write.status import read_current
from tests.simulators.ceremonies import Ceremonies
from tests.simulators.faulty_store import WRITE, FaultyStore, KilledError, Moment, kill, time_out
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, CALLER, Scene, read_all

Make = Callable[[Scene], CeremonyRequest]


def begin(folder: Path) -> Scene:
    """A live app with one release, whose store keeps the scene's time."""
    scene = Scene(folder=folder, publisher=PublisherSimulator(maintainers=2, threshold=2))
    scene.store = MemoryStore(clock=lambda: scene.now)
    scene.register()
    scene.publish("1.0.0")
    return scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return begin(tmp_path)


def hold(scene: Scene, request: CeremonyRequest) -> CeremonyOutcome:
    return hold_ceremony(scene.deps(), APP, request, CALLER)


def finish(scene: Scene, request: CeremonyRequest) -> CeremonyOutcome:
    """Send a ceremony, and again when it says so."""
    outcome = hold(scene, request)
    if outcome.wait_s:
        scene.pass_time(scene.now + timedelta(seconds=outcome.wait_s))
        outcome = hold(scene, request)
    assert outcome.wait_s == 0
    return outcome


def files(scene: Scene) -> set[str]:
    return {info.key for info in scene.store.list("")}


def refused(scene: Scene, request: CeremonyRequest, kind: type[LockgateError], text: str) -> None:
    before = files(scene)
    with pytest.raises(kind, match=text):
        hold(scene, request)
    assert files(scene) == before


def maintainers(scene: Scene) -> CeremonyRequest:
    return Ceremonies(scene.publisher).rotate_maintainers(scene.look().chain)


def publishers(scene: Scene) -> CeremonyRequest:
    return Ceremonies(scene.publisher).rotate_publishers(scene.look().chain)


def stolen_publishers(scene: Scene) -> CeremonyRequest:
    return Ceremonies(scene.publisher).rotate_publishers(scene.look().chain, stolen=True)


def online(scene: Scene) -> CeremonyRequest:
    key = make_next_key(scene.deps(), APP, CALLER)
    return Ceremonies(scene.publisher).rotate_online(scene.look().chain, key)


CEREMONIES = [maintainers, publishers, stolen_publishers, online]


@pytest.mark.parametrize("make", CEREMONIES)
def test_a_ceremony_comes_into_force_and_publishing_goes_on(scene: Scene, make: Make) -> None:
    request = make(scene)
    outcome = finish(scene, request)
    chain = scene.look().chain
    assert outcome.changed
    assert (outcome.root_version, outcome.targets_version, outcome.releases_version) == (
        chain.root.version,
        chain.targets.version,
        chain.releases.version,
    )
    assert chain.targets.data == request.targets
    assert chain.root.data == (request.root or scene.publisher.root)
    assert chain.releases.data == (request.releases or chain.releases.data)
    scene.publish("1.1.0")
    assert scene.look().offers()[0] == ("1.1.0", 10_000)


@pytest.mark.parametrize("make", CEREMONIES)
def test_the_same_ceremony_again_changes_nothing(scene: Scene, make: Make) -> None:
    request = make(scene)
    first = finish(scene, request)
    before = files(scene)
    again = hold(scene, request)
    assert again == replace(first, changed=False, timestamp_version=again.timestamp_version)
    assert files(scene) == before


@pytest.mark.parametrize("make", CEREMONIES)
def test_a_rehearsal_says_what_would_be_refused_and_writes_nothing(
    scene: Scene, make: Make
) -> None:
    request = replace(make(scene), dry_run=True)
    before, log = files(scene), len(scene.outcomes())
    assert not hold(scene, request).changed
    bad = replace(request, targets=b"{}")
    with pytest.raises(DocumentError):
        hold(scene, bad)
    assert (files(scene), len(scene.outcomes())) == (before, log)


def test_a_root_whose_keys_change_waits_for_caches_and_one_that_is_renewed_does_not(
    scene: Scene,
) -> None:
    renewed = Ceremonies(scene.publisher).renew_root(scene.look().chain)
    assert (hold(scene, renewed).wait_s, scene.look().chain.root.version) == (0, 2)
    request = maintainers(scene)
    assert (hold(scene, request).wait_s, scene.look().chain.root.version) == (120, 2)
    assert scene.look().chain.targets.data == request.targets
    scene.pass_time(scene.now + timedelta(seconds=100))
    assert hold(scene, request).wait_s == 20
    scene.pass_time(scene.now + timedelta(seconds=20))
    assert (hold(scene, request).wait_s, scene.look().chain.root.version) == (0, 3)


def test_the_status_tells_of_a_root_that_nobody_has_sent_again(scene: Scene) -> None:
    def warnings() -> str:
        status = scene.api()("GET", f"/apps/{APP}").json
        assert status is not None
        return " ".join(status["warnings"])

    request = maintainers(scene)
    assert hold(scene, request).wait_s > 0
    assert "root 2 waited for caches: submit the same ceremony again" in warnings()
    finish(scene, request)
    assert "waited for caches" not in warnings()


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("make", CEREMONIES)
def test_a_ceremony_killed_at_any_write_is_finished_by_sending_it_again(
    tmp_path: Path, make: Make, moment: Moment
) -> None:
    """Whatever a crash leaves, clients see a state that is whole, and the end is the same."""
    skip = 0
    while True:
        scene = begin(tmp_path / f"{skip}")
        request = make(scene)
        inner = scene.store
        faulty = FaultyStore(inner)
        faulty.plan(kill(moment, WRITE, skip=skip))
        scene.store = faulty
        try:
            finish(scene, request)
            break
        except KilledError:
            pass
        scene.store = inner
        assert scene.look().offers() == [("1.0.0", 10_000)], "clients see a whole state"
        finish(scene, request)
        chain = scene.look().chain
        assert chain.targets.data == request.targets
        assert chain.root.data == (request.root or chain.root.data)
        scene.publish("1.1.0")
        skip += 1
    assert skip >= 4, "every write was struck once"


def test_another_write_after_a_crash_does_not_stop_the_ceremony(scene: Scene) -> None:
    """A revocation comes between a crash and the second try."""
    request = stolen_publishers(scene)
    inner = scene.store
    faulty = FaultyStore(inner)
    faulty.plan(kill(Moment.BEFORE, "put", "*/timestamp.json"))
    scene.store = faulty
    with pytest.raises(KilledError):
        hold(scene, request)
    scene.store = inner
    scene.revoke("1.0.0")
    assert scene.look().chain.targets.version == 1, "halfway would leave nothing to verify"
    hold(scene, request)
    assert scene.look().chain.releases.data == request.releases
    assert scene.look().revoked() == ["1.0.0"]


def test_a_root_whose_answer_got_lost_is_read_back(scene: Scene) -> None:
    request = Ceremonies(scene.publisher).renew_root(scene.look().chain)
    faulty = FaultyStore(scene.store)
    scene.store = faulty
    faulty.plan(time_out(Moment.AFTER, "put", "*/2.root.json"))
    assert hold(scene, request).root_version == 2
    assert scene.outcomes()[-1] == ("renew.root", "done")


def test_what_the_old_maintainers_alone_have_signed_is_refused(scene: Scene) -> None:
    old = list(scene.publisher.keys.maintainers)
    request = maintainers(scene)
    scene.publisher.keys.maintainers = old
    by_old = scene.publisher.renew(scene.look().chain, "targets").metadata
    refused(scene, replace(request, targets=by_old), TrustError, "by this root")
    refused(scene, replace(request, targets=None), TrustError, "by this root")


def test_what_the_new_maintainers_alone_have_signed_is_refused(scene: Scene) -> None:
    request = maintainers(scene)
    by_new = scene.publisher.renew(scene.look().chain, "targets").metadata
    refused(scene, replace(request, targets=by_new), TrustError, "cannot be verified")


def test_a_stranger_s_root_is_refused(scene: Scene) -> None:
    scene.publisher.keys.maintainers = [generate_signer(), generate_signer()]
    root = scene.publisher.renew(scene.look().chain, "root").metadata
    refused(scene, CeremonyRequest(root=root), TrustError, "cannot be verified")


def test_publishers_that_change_without_their_list_are_refused(scene: Scene) -> None:
    request = replace(publishers(scene), releases=None)
    refused(scene, request, TrustError, "no longer be verified by these targets")


def test_an_online_key_that_has_signed_nothing_yet_is_refused(scene: Scene) -> None:
    stranger = generate_signer().public_key
    request = Ceremonies(scene.publisher).rotate_online(scene.look().chain, stranger)
    refused(scene, request, TrustError, "not this server's key")
    key = scene.deps().keys.create_next(APP)
    request = Ceremonies(scene.publisher).rotate_online(scene.look().chain, key)
    refused(scene, request, TrustError, "could no longer be verified by this root")


def test_who_comes_second_is_told_so(scene: Scene) -> None:
    old = list(scene.publisher.keys.publishers)
    mine = publishers(scene)
    scene.publisher.keys.publishers = old
    theirs = publishers(scene)
    hold(scene, mine)
    refused(scene, theirs, ConflictError, "somebody else was first")


def test_targets_that_a_client_behind_a_cache_could_not_verify_are_refused(scene: Scene) -> None:
    """For a day a cache may say that there is no newer root; who holds the old one goes on."""
    finish(scene, maintainers(scene))
    by_new = scene.publisher.renew(scene.look().chain, "targets").metadata
    words = "by root 1, which clients behind caches may still hold"
    refused(scene, CeremonyRequest(targets=by_new), TrustError, words)
    scene.pass_time(scene.now + timedelta(hours=24))
    assert hold(scene, CeremonyRequest(targets=by_new)).targets_version == 3


def test_a_store_that_was_filled_again_does_not_bring_old_roots_back(scene: Scene) -> None:
    """Every file is new there; when a root was live for the first time, the audit log knows."""
    finish(scene, maintainers(scene))
    scene.pass_time(scene.now + timedelta(hours=24))
    before, scene.store = scene.store, MemoryStore(clock=lambda: scene.now)
    for info in before.list(""):
        data = read_all(before, info.key)
        assert data is not None
        scene.store.put(info.key, data, IfAbsent())
    by_new = scene.publisher.renew(scene.look().chain, "targets").metadata
    assert hold(scene, CeremonyRequest(targets=by_new)).targets_version == 3


def _delegate(name: str, *paths: str, terminating: bool = True) -> Callable[[Targets], None]:
    def change(targets: Targets) -> None:
        assert targets.delegations is not None
        assert targets.delegations.roles is not None
        role = DelegatedRole(name, [], 1, terminating=terminating, paths=list(paths))
        targets.delegations.roles[name] = role
        targets.add_key(generate_signer().public_key, name)

    return change


def test_a_further_role_of_releases_with_a_folder_of_its_own_may_be_delegated(
    scene: Scene,
) -> None:
    change = _delegate("previews", "previews/*/*.json")
    wanted = scene.publisher.change_targets(scene.look().chain, change)
    hold(scene, CeremonyRequest(targets=wanted.metadata))
    assert scene.look().chain.release_roles == ("releases", "previews")
    assert read_current(scene.deps(), APP).chain.targets.version == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_delegate("previews", "releases/*/*.json"), "another delegation"),
        (_delegate("previews", "*/*/*.json"), "another delegation"),
        (_delegate("previews", "previews/*/*.json", "channels/*/*.json"), "another delegation"),
        (_delegate("previews", "previews/*/*.json", terminating=False), "another delegation"),
        (_delegate("Previews", "Previews/*/*.json"), "other delegations"),
    ],
)
def test_a_role_that_would_speak_for_another_s_paths_is_refused(
    scene: Scene, change: Callable[[Targets], None], text: str
) -> None:
    wanted = scene.publisher.change_targets(scene.look().chain, change)
    refused(scene, CeremonyRequest(targets=wanted.metadata), TrustError, text)


def test_the_api_takes_a_ceremony_from_administrators_only(scene: Scene) -> None:
    request = maintainers(scene)
    path = f"/apps/{APP}/ceremony"
    assert scene.api(scene.token("publish"))("POST", path, request.to_json()).status_code == 403
    answer = scene.api()("POST", path, request.to_json())
    assert answer.status_code == 200
    outcome = CeremonyOutcome.parse(answer.data)
    assert (outcome.root_version, outcome.targets_version, outcome.wait_s) == (1, 2, 120)
    assert scene.api()("POST", path, {"documents": {}}).status_code == 400
