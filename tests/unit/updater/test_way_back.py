"""A release that fails or is revoked is left: for the last good one, a newer one, or by hand."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.documents import Remedy
from lockgate_release.errors import UsageError
from lockgate_updater import Leave
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.repository import (
    HEALTHY,
    SICK,
    STABLE,
    RepositorySimulator,
    checked_by,
    confirmed_by_itself,
)

NEXT = {**HEALTHY, "lib/two": b"2" * 100}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"#!/bin/sh\necho no database; exit 7\n", "ended with 7: no database"),
        (b"#!/bin/sh\nkill -9 $$\n", "ended with -9"),
        (b"#!/no/such/interpreter\n", "cannot start"),
        (b"#!/bin/sh\nsleep 60\n", "longer than 1 s"),
    ],
)
def test_a_release_that_fails_is_left_and_quarantined(
    client: SimulatedClient, repository: RepositorySimulator, script: bytes, words: str
) -> None:
    client.update()
    repository.publish("2.0.0", {"bin/app": script}, install=checked_by("bin/app", timeout_s=1))
    result = client.updater.update()
    assert result.outcome == "rolled-back"
    assert words in result.reason
    assert client.runs() == "1.0.0"
    assert client.versions() == {"1.0.0"}
    assert client.leftovers() == []
    (failed,) = client.updater.status().quarantine
    assert failed.version == "2.0.0"
    assert words in failed.reason


def test_what_a_health_command_leaves_running_is_ended(
    client: SimulatedClient, repository: RepositorySimulator, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    script = f"#!/bin/sh\n(sleep 2; touch {alive}) >/dev/null 2>&1 &\nexit 0\n".encode()
    repository.publish("2.0.0", {"bin/app": script})
    assert client.update() == "updated"
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(alive) not in listed.stdout


def test_the_quarantine_lasts_longer_each_time_and_ends(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", SICK)
    waits = []
    for _ in range(8):
        assert client.update() == "rolled-back"
        (failed,) = client.updater.status().quarantine
        waits.append(failed.until - client.now)
        assert client.update() == "held"
        client.now = repository.now = failed.until + timedelta(seconds=1)
        repository.issue(STABLE)
    assert waits[:4] == [timedelta(hours=4**power) for power in range(4)]
    assert waits[-1] == timedelta(days=30)


def test_a_new_release_of_what_failed_is_tried_at_once(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", SICK)
    assert client.update() == "rolled-back"
    repository.publish("2.0.1", NEXT)
    assert client.update() == "updated"


def test_a_first_installation_that_fails_installs_nothing(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", SICK)
    assert client.update() == "rolled-back"
    assert client.runs() == ""
    assert client.versions() == set()
    assert not (client.home / "current").is_symlink()
    assert client.update() == "held"


def test_a_release_on_trial_can_be_rolled_back_by_hand(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT, install=confirmed_by_itself("bin/app"))
    client.update()
    assert client.updater.rollback().outcome == "rolled-back"
    assert client.runs() == "1.0.0"
    assert client.update() == "held"


def test_a_release_that_is_revoked_on_trial_is_left(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT, install=confirmed_by_itself("bin/app"))
    client.update()
    repository.revoke("2.0.0")
    assert client.update() == "rolled-back"
    assert client.runs() == "1.0.0"
    assert client.updater.status().quarantine == ()


def test_a_committed_release_can_be_rolled_back_by_hand_and_is_not_offered_again_at_once(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    assert client.updater.rollback().version == "1.0.0"
    assert client.runs() == "1.0.0"
    assert client.update() == "held"


def test_there_is_no_way_back_to_a_revoked_or_too_old_version(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    repository.set_floor(STABLE, "2.0.0")
    repository.resign()
    client.updater.check()
    with pytest.raises(UsageError, match="nothing to go back to"):
        client.updater.rollback()
    assert client.runs() == "2.0.0"


def test_a_revoked_release_is_left_for_the_newest_allowed_one(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    repository.publish("1.5.0", {**HEALTHY, "fixed": b"y"}, offered=False)
    repository.revoke("2.0.0")
    repository.offer(STABLE, "1.5.0")
    assert client.update() == "updated"
    assert client.runs() == "1.5.0"


def test_the_last_good_version_comes_first_when_the_remedy_says_so(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    repository.publish("3.0.0", {**HEALTHY, "three": b"3"}, exposure_bp=10_000)
    repository.revoke("2.0.0", remedy=Remedy.LAST_GOOD)
    leave = client.updater.check()
    assert isinstance(leave, Leave)
    assert leave.target is not None
    result = client.updater.update()
    assert (result.outcome, result.version) == ("left", "1.0.0")
    assert client.runs() == "1.0.0"
    assert "2.0.0" not in client.versions()


def test_the_last_good_version_serves_when_the_replacement_does_not_come(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    repository.publish("3.0.0", {**HEALTHY, "three": b"3"})
    repository.revoke("2.0.0")
    repository.spoil("artifacts/", Kind.STATUS, 500)
    assert client.update() == "left"
    assert client.runs() == "1.0.0"


def test_the_last_good_version_serves_when_the_replacement_has_no_room(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    repository.publish("3.0.0", {**HEALTHY, "three": b"3"}, tree_size=1 << 52)
    repository.revoke("2.0.0")
    assert client.update() == "left"
    assert client.runs() == "1.0.0"


def test_a_replacement_that_fails_returns_even_to_the_revoked_release(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", SICK)
    repository.revoke("1.0.0")
    assert client.update() == "rolled-back"
    assert client.runs() == "1.0.0"
    assert client.update() == "stays"
    assert client.runs() == "1.0.0"
