"""The loop: what it does each round, and how it waits."""

import os
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from lockgate_release.documents import Remedy
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName
from lockgate_updater.watch.health import HealthNote, HealthState
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.repository import (
    HEALTHY,
    SICK,
    STABLE,
    RepositorySimulator,
    confirmed_by_itself,
)
from tests.unit.updater.watching import Scene

NEXT = {**HEALTHY, "two": b"2"}


@pytest.fixture
def scene(client: SimulatedClient) -> Scene:
    return Scene(client)


def test_it_installs_what_appears_and_leaves_what_is_revoked(
    scene: Scene, repository: RepositorySimulator
) -> None:
    def after(number: int) -> None:
        if number == 2:
            repository.publish("1.1.0", NEXT)
        if number == 3:
            repository.revoke("1.1.0", remedy=Remedy.LAST_GOOD)

    assert scene.run(4, after=after) == ["updated", "up-to-date", "updated", "left"]
    assert scene.client.runs() == "1.0.0"


def test_the_channel_says_how_often(scene: Scene, repository: RepositorySimulator) -> None:
    name = ChannelName(STABLE)
    repository.channels[name] = replace(repository.channels[name], check_interval_s=600)
    repository.issue(STABLE)
    scene.run(20)
    waits = [found.delay_s for found in scene.rounds[2:]]
    assert min(waits) >= 0.6 * 600
    assert max(waits) <= 1.4 * 600


def test_the_owner_may_ask_for_more_often(client: SimulatedClient) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write("check_interval_s = 300\n")
    scene = Scene(client)
    scene.run(5)
    assert all(found.delay_s <= 1.7 * 300 for found in scene.rounds)


@pytest.mark.parametrize("said", ["59", "true", '"60"', "86401"])
def test_an_interval_that_makes_no_sense_is_refused(client: SimulatedClient, said: str) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write(f"check_interval_s = {said}\n")
    with pytest.raises(UsageError, match="60 to 86400"):
        _ = client.updater


def test_no_error_ends_it_and_the_network_coming_back_is_noticed(
    scene: Scene, repository: RepositorySimulator
) -> None:
    repository.spoil("timestamp", Kind.STATUS, 500)

    def after(number: int) -> None:
        if number == 4:
            repository.faults.clear()

    outcomes = scene.run(5, after=after)
    assert outcomes == ["unknown"] * 4 + ["updated"]
    states = [found.health.state for found in scene.rounds]
    assert states == ["healthy", "healthy", "offline", "offline", "healthy"]
    assert scene.rounds[0].delay_s <= 180
    assert scene.note.failures == 0


def test_a_wrong_repository_degrades_at_once(scene: Scene, repository: RepositorySimulator) -> None:
    repository.spoil("timestamp", Kind.CORRUPT, 40)
    scene.run(1)
    found = scene.rounds[0]
    assert found.health.state is HealthState.DEGRADED, found
    assert scene.client.updater.status().health.state is HealthState.DEGRADED


def test_another_updater_at_work_is_waited_for_not_died_of(scene: Scene) -> None:
    import fcntl

    scene.client.updater.status()
    handle = os.open(scene.client.home / "state" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert scene.run(1) == ["unknown"]
    finally:
        os.close(handle)
    assert "another updater" in scene.rounds[0].result.reason
    assert scene.note == HealthNote()


def test_the_lock_is_free_while_it_waits(scene: Scene) -> None:
    scene.run(2, after=lambda _: scene.client.updater.check(wait_s=0))
    assert [found.outcome for found in scene.rounds] == ["updated", "up-to-date"]


def test_check_only_installs_nothing(scene: Scene) -> None:
    assert scene.run(2, check_only=True) == ["offer", "offer"]
    assert scene.client.runs() == ""


def test_in_quiet_hours_nothing_new_comes_but_a_revocation_is_obeyed(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("1.1.0", NEXT)
    client.update()
    repository.publish("1.2.0", {**NEXT, "three": b"3"})
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write('quiet_hours = "00:00-12:00, 12:00-00:00"\n')
    scene = Scene(client)

    def after(number: int) -> None:
        if number == 1:
            assert client.runs() == "1.1.0"
            repository.offer(STABLE, "1.1.0")
            repository.revoke("1.1.0", remedy=Remedy.LAST_GOOD)

    assert scene.run(2, after=after) == ["offer", "left"]
    assert client.runs() == "1.0.0"


def test_quiet_hours_that_make_no_sense_end_it_before_it_begins(client: SimulatedClient) -> None:
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write('quiet_hours = "at night"\n')
    with pytest.raises(UsageError):
        Scene(client).run(1)


def test_a_release_on_trial_is_left_to_its_program(
    scene: Scene, repository: RepositorySimulator
) -> None:
    repository.publish("1.1.0", NEXT, install=confirmed_by_itself("bin/app"))
    assert scene.run(3) == ["on-trial"] * 3
    scene.client.updater.confirm()
    assert scene.client.runs() == "1.1.0"


def test_a_failed_release_degrades_until_its_quarantine_ends(
    scene: Scene, repository: RepositorySimulator
) -> None:
    scene.client.update()
    repository.publish("1.1.0", SICK)
    assert scene.run(1) == ["rolled-back"]
    assert scene.rounds[0].health.state is HealthState.DEGRADED
    assert "1.1.0 failed here" in str(scene.client.updater.status().health.reasons)


def test_it_waits_by_the_monotonic_clock_whatever_the_wall_clock_does(scene: Scene) -> None:
    def after(number: int) -> None:
        leap = timedelta(hours=3)
        scene.client.now += leap if number % 2 else -leap

    scene.run(6, after=after)
    told = sum(found.delay_s for found in scene.rounds[:-1])
    first = scene.time.seconds - told
    assert 0 <= first <= 900
    assert max(scene.time.naps) <= 60


def test_a_restarted_service_keeps_its_place(scene: Scene) -> None:
    scene.run(1)
    planned = scene.note.next_at
    again = Scene(scene.client)
    again.run(1)
    assert planned is not None
    assert abs((again.rounds[0].at - planned).total_seconds()) <= 1


def test_stop_leaves_a_download_where_it_is(scene: Scene, repository: RepositorySimulator) -> None:
    repository.publish("1.1.0", {**HEALTHY, "big": random.Random(1).randbytes(3_000_000)})
    loop = scene.loop()
    loop.stop()
    assert loop.once() is None
    assert scene.client.runs() == ""
    assert scene.client.update() == "updated"
