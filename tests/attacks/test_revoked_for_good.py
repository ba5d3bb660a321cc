"""A revoked release comes back by no way there is, until its publishers sign that it may.

By rollout, promotion, publishing, rebuild, an old lift, a mirror, a roll-back: one test each.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.documents import Remedy
from lockgate_release.errors import StaleMirrorError, UsageError
from lockgate_release.names import ChannelName
from lockgate_release.requests import UnrevokeRequest
from lockgate_server.errors import NotFoundError
from lockgate_server.services.write.unrevoking import unrevoke
from lockgate_updater import Held, Leave
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import RepositorySimulator
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene

NEXT = {"bin/app": b"#!/bin/sh\nexit 0\n", "two": b"2"}
BETA = ChannelName("beta")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(folder=tmp_path / "server")
    scene.register()
    scene.publish("1.0.0")
    scene.publish("1.1.0", exposure_bp=1000)
    scene.revoke("1.1.0")
    return scene


def lifted(scene: Scene, *, channels: tuple[str, ...] = (STABLE,)) -> bool:
    """Take the revocation of 1.1.0 back with the list in force, and say whether that did much."""
    names = tuple(ChannelName(name) for name in channels)
    request = UnrevokeRequest(version="1.1.0", reason="it was the printer", channels=names)
    return unrevoke(scene.deps(), APP, request, CALLER).changed


# The server, and whoever has a token but not the publishers' keys.


@pytest.mark.parametrize("action", ["set", "pause", "resume"])
def test_no_rollout_brings_it_back(scene: Scene, action: str) -> None:
    with pytest.raises(NotFoundError, match="not offered in this channel"):
        scene.roll("1.1.0", action, 10_000)
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_no_publish_of_the_same_version_brings_it_back(scene: Scene) -> None:
    with pytest.raises(UsageError, match="revoked in this channel"):
        scene.send(scene.publisher.offer("1.1.0", STABLE))


def test_no_promotion_brings_it_to_a_channel_that_is_new(scene: Scene) -> None:
    """The publishers signed the channel's name, perhaps before they knew: not that it is good."""
    promotion = scene.publisher.promote(scene.look().chain, "1.1.0", BETA)
    scene.send(replace(promotion, offer=None))
    with pytest.raises(UsageError, match="revoked in another channel"):
        scene.send(scene.publisher.offer("1.1.0", BETA))
    assert scene.look().offers(BETA) == []


def test_revoking_what_everybody_has_puts_no_revoked_one_back(scene: Scene) -> None:
    scene.publish("1.2.0")
    scene.revoke("1.2.0")
    scene.revoke("1.0.0")
    assert scene.look().offers() == []
    assert sorted(scene.look().revoked()) == ["1.0.0", "1.1.0", "1.2.0"]


def test_nobody_lifts_it_without_the_publishers(scene: Scene) -> None:
    before = scene.look().numbers()
    with pytest.raises(UsageError, match="its publishers have not lifted this revocation"):
        lifted(scene)
    assert scene.look().numbers() == before


def test_a_lift_is_spent_once(scene: Scene) -> None:
    """Revoked, lifted, and revoked again: the first lift says nothing of the second time."""
    scene.send(scene.publisher.lift(scene.look().chain, "1.1.0", STABLE))
    assert lifted(scene)
    assert scene.look().revoked() == []
    scene.revoke("1.1.0", "worse than we thought")
    with pytest.raises(UsageError, match="have not lifted this revocation"):
        lifted(scene)
    with pytest.raises(UsageError, match="revoked in this channel"):
        scene.send(scene.publisher.offer("1.1.0", STABLE))
    assert scene.look().revoked() == ["1.1.0"]


def test_a_lift_in_one_channel_lifts_nothing_in_another(scene: Scene) -> None:
    scene.publish("1.2.0", channels=(BETA,))
    scene.revoke("1.1.0", channels=(BETA,))
    scene.send(scene.publisher.lift(scene.look().chain, "1.1.0", STABLE))
    with pytest.raises(UsageError, match="beta"):
        lifted(scene, channels=(BETA, STABLE))
    assert lifted(scene)
    assert scene.look().revoked(BETA) == ["1.1.0"]


def test_what_was_sealed_is_lifted_by_nobody(scene: Scene) -> None:
    scene.send(scene.publisher.retire(scene.look().chain, "1.1.0"))
    with pytest.raises(NotFoundError, match="no live release"):
        lifted(scene)
    assert scene.look().revoked() == ["1.1.0"]


def test_no_store_that_is_put_back_forgets_it(tmp_path: Path) -> None:
    scene = Scene(folder=tmp_path / "server")
    scene.register()
    scene.publish("1.0.0")
    before = scene.fork()
    scene.revoke("1.0.0")
    scene.store = before.store
    with pytest.raises(StaleMirrorError, match="put back to an older state"):
        scene.publish("1.1.0")


# A client that remembers.


def seen_revoked(client: SimulatedClient, repository: RepositorySimulator) -> None:
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    client.updater.confirm()
    repository.revoke("2.0.0")
    assert isinstance(client.updater.check(), Leave)


def test_no_mirror_brings_it_back(client: SimulatedClient, repository: RepositorySimulator) -> None:
    """A mirror that was copied before the revocation is signed, fresh, and not believed."""
    repository.publish("2.0.0", NEXT, exposure_bp=0)
    copied = repository.checkpoint()
    repository.revoke("2.0.0")
    client.updater.check()
    repository.restore(copied)
    repository.offer(STABLE, "2.0.0")
    assert client.update(force=True) in {"held", "unknown"}
    assert client.runs() == "1.0.0"


def test_no_roll_back_brings_it_back(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    seen_revoked(client, repository)
    assert client.update() == "left"
    with pytest.raises(UsageError):
        client.updater.rollback()
    assert client.runs() == "1.0.0"


def test_no_server_takes_back_what_was_revoked_again(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """The publishers lifted the first revocation; a thief drops the second from the document."""
    repository.publish("2.0.0", NEXT, exposure_bp=0)
    repository.revoke("2.0.0")
    client.updater.check()
    repository.issue(STABLE, revoked=())
    repository.lift(STABLE, "2.0.0")
    repository.offer(STABLE, "2.0.0", exposure_bp=0)
    client.updater.check()
    later = timedelta(seconds=5)
    repository.now, client.now = repository.now + later, client.now + later
    repository.revoke("2.0.0", remedy=Remedy.BLOCK_NEW)
    client.updater.check()
    repository.issue(STABLE, revoked=())
    repository.offer(STABLE, "2.0.0")
    held = client.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == "revoked"
