"""Newer metadata of the offline roles, and the server's own signed again in time."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Root, Targets

from lockgate_release.documents import ChannelPolicy, PolicyDocument
from lockgate_release.errors import (
    ConflictError,
    DocumentError,
    ExpiredError,
    LockgateError,
    TrustError,
    UsageError,
)
from lockgate_release.requests import RenewRequest
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.roles import Role
from lockgate_release.versions import VersionScheme
from lockgate_server.ports import Always
from lockgate_server.services.write.old_uploads import remove_old_uploads
from lockgate_server.services.write.renewing import Renewed, due_roles, renew, resign
from lockgate_server.services.write.status import read_current
from lockgate_server.worker import JOBS, Job, run_round
from tests.simulators.faulty_store import FaultyStore, Moment, kill, time_out
from tests.simulators.memory_store import MemoryStore
from tests.simulators.publisher import NOW
from tests.simulators.server_scene import APP, CALLER, Scene, read_all


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.store = MemoryStore(clock=lambda: scene.now)
    scene.register()
    scene.publish("1.0.0")
    return scene


def put(scene: Scene, request: RenewRequest) -> Renewed:
    return renew(scene.deps(), APP, request, CALLER)


def refused(scene: Scene, request: RenewRequest, kind: type[LockgateError], text: str) -> None:
    before = {info.key for info in scene.store.list("")}
    with pytest.raises(kind, match=text):
        put(scene, request)
    assert {info.key for info in scene.store.list("")} == before


@pytest.mark.parametrize("role", ["root", "targets", "releases"])
def test_a_role_is_signed_again_for_longer(scene: Scene, role: str) -> None:
    scene.pass_time(NOW + timedelta(days=3))
    expires = getattr(scene.look().chain, role).signed.expires
    base = getattr(scene.look().chain, role).version
    renewed = put(scene, scene.publisher.renew(scene.look().chain, role))
    found = getattr(scene.look().chain, role)
    assert found.version == renewed.version == base + 1
    assert found.signed.expires == expires + timedelta(days=3)
    assert scene.outcomes()[-1][1] == "done"


@pytest.mark.parametrize("role", ["root", "targets", "releases"])
def test_the_same_again_changes_nothing_and_an_older_one_is_a_conflict(
    scene: Scene, role: str
) -> None:
    first = scene.publisher.renew(scene.look().chain, role)
    before = put(scene, first)
    assert put(scene, first) == before
    put(scene, scene.publisher.renew(scene.look().chain, role))
    refused(scene, first, ConflictError, "was first|published first")


@pytest.mark.parametrize("role", ["root", "targets", "releases"])
def test_what_strangers_signed_is_refused(scene: Scene, role: str) -> None:
    request = scene.publisher.renew(scene.look().chain, role, signers=[generate_signer()])
    refused(scene, request, TrustError, "cannot be verified")


@pytest.mark.parametrize("role", ["root", "targets", "releases"])
def test_what_is_no_metadata_is_refused(scene: Scene, role: str) -> None:
    refused(scene, RenewRequest(role=role, metadata=b"{}"), DocumentError, "not TUF metadata")


def test_a_role_of_the_servers_is_not_renewed_from_outside(scene: Scene) -> None:
    request = RenewRequest(role="snapshot", metadata=b"{}")
    refused(scene, request, UsageError, "expected root, targets, or a role of releases")


@pytest.mark.parametrize("role", ["root", "targets"])
def test_what_has_expired_already_is_refused(scene: Scene, role: str) -> None:
    scene.publisher.now = NOW - timedelta(days=366)
    request = scene.publisher.renew(scene.look().chain, role)
    refused(scene, request, ExpiredError, "expired already")


def _drop_online(role: str) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        other = generate_signer().public_key
        root.add_key(other, role)

    return change


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_root_that_names_another_online_key_is_refused(scene: Scene, role: str) -> None:
    request = scene.publisher.change_root(scene.look().chain, _drop_online(role))
    refused(scene, request, TrustError, f"root: {role}: not this server's key")


def test_a_root_without_consistent_snapshots_is_refused(scene: Scene) -> None:
    def change(root: Root) -> None:
        root.consistent_snapshot = False

    request = scene.publisher.change_root(scene.look().chain, change)
    refused(scene, request, TrustError, "consistent snapshots")


def test_a_root_under_which_targets_cannot_be_verified_is_refused(scene: Scene) -> None:
    def change(root: Root) -> None:
        new = generate_signer().public_key
        for key_id in list(root.roles["targets"].keyids):
            root.revoke_key(key_id, "targets")
        root.add_key(new, "targets")

    request = scene.publisher.change_root(scene.look().chain, change)
    refused(scene, request, TrustError, "Renew targets first")


def test_maintainers_are_replaced_in_three_steps_that_wait_for_caches(scene: Scene) -> None:
    old, new = scene.publisher.keys.maintainers, [generate_signer()]
    both = [*old, *new]
    put(scene, scene.publisher.renew(scene.look().chain, "targets", signers=both))

    def change(root: Root) -> None:
        for role in ("root", "targets"):
            root.add_key(new[0].public_key, role)
            root.revoke_key(old[0].public_key.keyid, role)

    scene.publisher.keys.maintainers = both
    root = scene.publisher.change_root(scene.look().chain, change)
    refused(scene, root, ConflictError, "must wait for caches; expected that it comes again in 120")
    scene.pass_time(scene.now + timedelta(seconds=119))
    refused(scene, root, ConflictError, "comes again in 1 s")
    scene.pass_time(scene.now + timedelta(seconds=1))
    put(scene, root)
    scene.publisher.keys.maintainers = new
    by_new_ones = scene.publisher.renew(scene.look().chain, "targets")
    refused(scene, by_new_ones, TrustError, "by root 1, which clients behind caches may still hold")
    scene.pass_time(scene.now + timedelta(hours=24))
    put(scene, by_new_ones)
    assert scene.look().chain.targets.version == 3


def test_targets_under_which_the_list_cannot_be_verified_are_refused(scene: Scene) -> None:
    def change(targets: Targets) -> None:
        (old,) = targets.delegations.roles["releases"].keyids  # type: ignore[index,union-attr]
        targets.revoke_key(old, "releases")
        targets.add_key(generate_signer().public_key, "releases")

    request = scene.publisher.change_targets(scene.look().chain, change)
    refused(scene, request, TrustError, "Renew releases first")


def test_a_publisher_is_replaced_after_both_have_signed(scene: Scene) -> None:
    old, new = scene.publisher.keys.publishers, [generate_signer()]
    put(scene, scene.publisher.renew(scene.look().chain, "releases", signers=[*old, *new]))

    def change(targets: Targets) -> None:
        targets.revoke_key(old[0].public_key.keyid, "releases")
        targets.add_key(new[0].public_key, "releases")

    put(scene, scene.publisher.change_targets(scene.look().chain, change))
    stale = scene.prepare("1.1.0")
    with pytest.raises(TrustError, match="cannot be verified"):
        scene.send(stale)
    scene.publisher.keys.publishers = new
    scene.publish("1.1.0")
    assert scene.look().offers() == [("1.1.0", 10_000)]


def _another_channels_key(targets: Targets) -> None:
    targets.add_key(generate_signer().public_key, "channels")


def _without_channels(targets: Targets) -> None:
    del targets.delegations.roles["channels"]  # type: ignore[union-attr]


def _wider_paths(targets: Targets) -> None:
    targets.delegations.roles["channels"].paths = ["*/*/*.json"]  # type: ignore[index,union-attr]


def _not_terminating(targets: Targets) -> None:
    targets.delegations.roles["releases"].terminating = False  # type: ignore[index,union-attr]


def _no_delegations(targets: Targets) -> None:
    targets.delegations = None


def _no_policy(targets: Targets) -> None:
    targets.targets.clear()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_another_channels_key, "not this server's key"),
        (_without_channels, "other delegations; expected channels, releases; found releases"),
        (_no_delegations, "other delegations.*found none"),
        (_wider_paths, "another delegation"),
        (_not_terminating, "another delegation"),
        (_no_policy, "not the policy, .*; expected policy.json, .*; found nothing"),
    ],
)
def test_targets_that_would_lock_somebody_out_are_refused(
    scene: Scene, change: Callable[[Targets], None], text: str
) -> None:
    request = scene.publisher.change_targets(scene.look().chain, change)
    refused(scene, request, TrustError, text)


def test_a_policy_is_replaced_and_counts_from_then_on(scene: Scene) -> None:
    policy = PolicyDocument(app=APP, channels={"beta": ChannelPolicy(paths=())})
    put(scene, scene.publisher.change_policy(scene.look().chain, policy))
    assert "beta" in read_current(scene.deps(), APP).policy.channels
    with pytest.raises(UsageError, match="the policy does not allow its path"):
        scene.send(scene.publisher.promote(scene.look().chain, "1.0.0", "beta"))


@pytest.mark.parametrize(
    ("policy", "kind", "text"),
    [
        (PolicyDocument(app=APP, versions=VersionScheme.PEP440), UsageError, "another order"),
        (PolicyDocument(app=type(APP)("other")), DocumentError, "another app's document"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(
    scene: Scene, policy: PolicyDocument, kind: type[LockgateError], text: str
) -> None:
    refused(scene, scene.publisher.change_policy(scene.look().chain, policy), kind, text)


def test_a_policy_with_other_bytes_than_were_signed_is_refused(scene: Scene) -> None:
    policy = PolicyDocument(app=APP, channels={"beta": ChannelPolicy(paths=())})
    request = scene.publisher.change_policy(scene.look().chain, policy)
    other = RenewRequest(
        role="targets", metadata=request.metadata, documents={"policy.json": b"{}"}
    )
    refused(scene, other, DocumentError, "not the bytes that were signed")


def test_a_root_whose_answer_got_lost_is_read_back(scene: Scene) -> None:
    request = scene.publisher.renew(scene.look().chain, "root")
    faulty = FaultyStore(scene.store)
    scene.store = faulty
    faulty.plan(time_out(Moment.AFTER, "put", "*/2.root.json"))
    assert put(scene, request).version == 2
    assert scene.outcomes()[-1] == ("renew.root", "done")


def test_a_root_that_was_not_written_is_abandoned_and_written_the_next_time(scene: Scene) -> None:
    request = scene.publisher.renew(scene.look().chain, "root")
    inner = scene.store
    faulty = FaultyStore(inner)
    scene.store = faulty
    faulty.plan(time_out(Moment.BEFORE, "put", "*/2.root.json"))
    with pytest.raises(LockgateError):
        put(scene, request)
    assert scene.outcomes()[-1] == ("renew.root", "abandoned")
    assert put(scene, request).version == 2


@pytest.mark.parametrize("moment", list(Moment))
def test_a_root_that_was_killed_at_its_write_is_settled_by_the_next_change(
    scene: Scene, moment: Moment
) -> None:
    request = scene.publisher.renew(scene.look().chain, "root")
    inner = scene.store
    faulty = FaultyStore(inner)
    scene.store = faulty
    faulty.plan(kill(moment, "put", "*/2.root.json"))
    with pytest.raises(BaseException, match="put of"):
        put(scene, request)
    scene.store = inner
    scene.revoke("1.0.0")
    is_written = moment is Moment.AFTER
    assert ("renew.root", "done" if is_written else "open") in scene.outcomes()
    assert scene.highest().root == (2 if is_written else 1)
    assert put(scene, request).version == 2


def test_nothing_is_due_right_after_signing(scene: Scene) -> None:
    assert resign(scene.deps(), APP, CALLER) == frozenset()
    assert due_roles(read_current(scene.deps(), APP), scene.now) == frozenset()


@pytest.mark.parametrize(
    ("days", "due"),
    [
        (1, set()),
        (2, {Role.TIMESTAMP}),
        (19, {Role.TIMESTAMP}),
        (21, {Role.TIMESTAMP, Role.SNAPSHOT, Role.CHANNELS}),
    ],
)
def test_the_timestamp_is_signed_daily_the_rest_before_a_third_is_left(
    scene: Scene, days: int, due: set[Role]
) -> None:
    before = scene.look()
    scene.pass_time(NOW + timedelta(days=days))
    assert resign(scene.deps(), APP, CALLER) == due
    after = scene.look()
    assert (after.numbers() == before.numbers()) is (not due)
    offers = after.channels["stable"]
    assert offers.offers == before.channels["stable"].offers
    if Role.CHANNELS in due:
        assert offers.sequence == before.channels["stable"].sequence + 1
        assert offers.expires_at == scene.now + timedelta(days=30)
    assert resign(scene.deps(), APP, CALLER) == frozenset()


def test_the_server_signs_again_even_after_everything_of_its_own_has_expired(
    scene: Scene,
) -> None:
    scene.pass_time(NOW + timedelta(days=40))
    resign(scene.deps(), APP, CALLER)
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_a_round_of_the_worker_does_every_job_and_tells_of_the_one_that_fails(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    key = f"{APP}/channels/stable/version.json"
    scene.store.delete(key)
    scene.store.put(f"{APP}/uploads/old", b"x", Always())
    scene.pass_time(NOW + timedelta(days=3))
    assert run_round(scene.deps(), "me")
    assert read_all(scene.store, key) is not None
    assert read_all(scene.store, f"{APP}/uploads/old") is None
    assert scene.look().chain.timestamp.version == 3
    assert not caplog.records
    faulty = FaultyStore(scene.store)
    scene.store = faulty
    faulty.plan(time_out(Moment.BEFORE, "list"))
    assert run_round(scene.deps(), "me")
    assert ["job.failed" in record.getMessage() for record in caplog.records] == [True]


def test_an_upload_of_today_is_left_alone(scene: Scene) -> None:
    scene.store.put(f"{APP}/uploads/new", b"x", Always())
    assert remove_old_uploads(scene.deps(), APP) == 0
    assert read_all(scene.store, f"{APP}/uploads/new") == b"x"


def test_two_workers_do_not_work_at_once(scene: Scene) -> None:
    until = scene.now + timedelta(minutes=1)
    assert scene.ledger.take_lease("jobs", "other", now=scene.now, until=until)
    assert not run_round(scene.deps(), "me")
    scene.now += timedelta(minutes=2)
    assert run_round(scene.deps(), "me"), "a lease that has run out is nobody's"


def test_the_jobs_have_names_of_their_own() -> None:
    assert len({job.name for job in JOBS}) == len(JOBS)
    assert all(isinstance(job, Job) for job in JOBS)
