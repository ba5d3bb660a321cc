"""Preview channels: made for a while, ended by the worker or by a person."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.documents import ChannelPolicy, PolicyDocument
from lockgate_release.errors import StaleMirrorError, UsageError
from lockgate_release.layout import timestamp_key
from lockgate_release.names import ChannelName
from lockgate_release.requests import OfferRequest, PublishRequest
from lockgate_release.steering_requests import StopRequest
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import Always
from lockgate_server.services.write.lifetimes import TOLD_FOR, end_channel, end_due_channels
from lockgate_server.services.write.renewing import resign
from lockgate_server.services.write.stopping import stop
from lockgate_server.worker import JOBS
from tests.simulators.publisher import NOW, PublisherSimulator
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene, read_all

PR = ChannelName("pr-123")
DAY_S = 86400


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    return scene


def preview(scene: Scene, version: str, lifetime_s: int = 5 * DAY_S) -> None:
    request = scene.prepare(version, channels=(PR,), offer=False)
    offer = OfferRequest(channel=PR, version=version, lifetime_s=lifetime_s)
    scene.send(replace(request, offer=offer))


def sequence(scene: Scene) -> int:
    return scene.look().channels[PR].sequence


def test_a_preview_channel_ends_after_its_lifetime(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1")
    assert scene.look().channels[PR].retire_at == NOW + timedelta(days=5)
    scene.pass_time(NOW + timedelta(days=5, seconds=-1))
    end_due_channels(scene.deps(), APP, CALLER)
    assert scene.look().offers(PR) == [("1.1.0-pr.1", 10_000)]
    scene.pass_time(NOW + timedelta(days=5))
    end_due_channels(scene.deps(), APP, CALLER)
    assert scene.look().offers(PR) == []
    assert scene.look().channels[PR].once_full == ()
    assert scene.look().offers() == [("1.0.0", 10_000)]
    assert scene.outcomes()[-1] == ("channel.end", "done")


def test_ending_what_has_ended_writes_nothing(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1", lifetime_s=3600)
    scene.pass_time(NOW + timedelta(hours=1))
    end_due_channels(scene.deps(), APP, CALLER)
    before = [(info.key, info.etag) for info in scene.store.list("")]
    end_due_channels(scene.deps(), APP, CALLER)
    assert not end_channel(scene.deps(), APP, PR, CALLER).changed
    assert [(info.key, info.etag) for info in scene.store.list("")] == before


def test_the_worker_ends_channels() -> None:
    assert "end-channels" in [job.name for job in JOBS]


def test_publishing_with_a_lifetime_sets_the_end_anew_and_without_leaves_it(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1", lifetime_s=2 * DAY_S)
    scene.pass_time(NOW + timedelta(days=1))
    preview(scene, "1.1.0-pr.2", lifetime_s=2 * DAY_S)
    assert scene.look().channels[PR].retire_at == NOW + timedelta(days=3)
    scene.pass_time(NOW + timedelta(days=2))
    scene.publish("1.1.0-pr.3", channels=(PR,))
    assert scene.look().channels[PR].retire_at == NOW + timedelta(days=3)


def test_a_channel_that_lasts_is_given_no_lifetime_by_a_slip(scene: Scene) -> None:
    request = OfferRequest(channel=STABLE, version="1.0.0", lifetime_s=DAY_S)
    with pytest.raises(UsageError, match="it lasts"):
        scene.send(PublishRequest(offer=request))
    assert scene.look().channels[STABLE].retire_at is None


def test_what_has_ended_begins_again_only_with_a_lifetime(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1", lifetime_s=3600)
    scene.pass_time(NOW + timedelta(hours=2))
    end_due_channels(scene.deps(), APP, CALLER)
    seen = sequence(scene)
    with pytest.raises(UsageError, match="it has ended"):
        scene.send(scene.publisher.offer("1.1.0-pr.1", PR))
    preview(scene, "1.1.0-pr.2", lifetime_s=3600)
    assert scene.look().offers(PR) == [("1.1.0-pr.2", 10_000)]
    assert sequence(scene) > seen, "clients never go back below a sequence that they have seen"


def test_a_person_ends_a_channel_at_once_and_revocations_stay(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1")
    scene.revoke("1.1.0-pr.1", channels=(PR,))
    preview(scene, "1.1.0-pr.2")
    assert end_channel(scene.deps(), APP, PR, CALLER).changed
    assert scene.look().offers(PR) == []
    assert scene.look().revoked(PR) == ["1.1.0-pr.1"]
    assert scene.look().channels[PR].retire_at == NOW


def end_and_wait(scene: Scene) -> None:
    """End the preview, and let the worker come by a month later."""
    end_channel(scene.deps(), APP, PR, CALLER)
    scene.pass_time(scene.now + TOLD_FOR)
    resign(scene.deps(), APP, CALLER)
    end_due_channels(scene.deps(), APP, CALLER)


def test_what_is_signed_does_not_grow_with_the_previews_that_ever_were(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1")
    end_channel(scene.deps(), APP, PR, CALLER)
    scene.pass_time(scene.now + TOLD_FOR - timedelta(seconds=1))
    resign(scene.deps(), APP, CALLER)
    end_due_channels(scene.deps(), APP, CALLER)
    assert PR in scene.look().channels
    scene.pass_time(scene.now + timedelta(seconds=1))
    end_due_channels(scene.deps(), APP, CALLER)
    assert set(scene.look().channels) == {STABLE}
    assert scene.ledger.audit(APP, limit=1)[0].intent.details["dropped"] == [PR]
    before = scene.look().numbers()
    end_due_channels(scene.deps(), APP, CALLER)
    assert scene.look().numbers() == before
    assert scene.publish("1.2.0").changed, "what comes after builds on it"


def test_a_dropped_channel_begins_again_above_all_that_its_clients_have_seen(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1")
    end_channel(scene.deps(), APP, PR, CALLER)
    seen = sequence(scene)
    end_and_wait(scene)
    with pytest.raises(UsageError, match="it has ended"):
        preview(scene, "1.1.0-pr.2", lifetime_s=0)
    preview(scene, "1.1.0-pr.2")
    assert sequence(scene) > seen
    assert scene.look().offers(PR) == [("1.1.0-pr.2", 10_000)]


def test_a_channel_with_something_to_tell_is_not_dropped(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1")
    scene.revoke("1.1.0-pr.1", channels=(PR,))
    end_and_wait(scene)
    assert scene.look().revoked(PR) == ["1.1.0-pr.1"]


def test_a_state_that_was_put_back_is_seen_through_also_after_a_drop(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1")
    end_channel(scene.deps(), APP, PR, CALLER)
    scene.pass_time(scene.now + TOLD_FOR)
    resign(scene.deps(), APP, CALLER)
    pointer = timestamp_key(APP)
    older = read_all(scene.store, pointer)
    end_due_channels(scene.deps(), APP, CALLER)
    assert older is not None
    scene.store.put(pointer, older, Always())
    with pytest.raises(StaleMirrorError, match="put back"):
        scene.publish("1.2.0")


def test_a_channel_that_does_not_exist_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match="no such channel"):
        end_channel(scene.deps(), APP, PR, CALLER)


def test_maintainers_may_forbid_channels_that_they_have_not_named(tmp_path: Path) -> None:
    rules = {"stable": ChannelPolicy(), "*": ChannelPolicy(paths=())}
    policy = PolicyDocument(app=APP, channels=rules)
    scene = Scene(folder=tmp_path, publisher=PublisherSimulator(policy=policy))
    scene.register()
    scene.publish("1.0.0")
    with pytest.raises(UsageError, match="the policy does not allow its path in this channel"):
        preview(scene, "1.1.0-pr.1")


def test_ending_a_channel_is_no_way_around_those_who_must_agree_to_a_start(scene: Scene) -> None:
    preview(scene, "1.1.0-pr.1")
    stop(scene.deps(), APP, StopRequest(reason="fire"), CALLER, needed=2)
    end_channel(scene.deps(), APP, PR, CALLER)
    assert scene.look().channels[PR].stop is not None
    with pytest.raises(UsageError, match="stopped"):
        preview(scene, "1.1.0-pr.2")
