"""An update proves what it installs, commits what works, and comes back from what does not."""

import random
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install, Remedy
from lockgate_release.errors import DigestMismatchError, LocalError, UsageError
from lockgate_release.names import Platform
from lockgate_updater import Event, Leave, Progress, Step, UpToDate
from tests.simulators.client import SimulatedClient, is_whole, make_client
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


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip"])
def test_a_release_is_installed_byte_for_byte(
    client: SimulatedClient, repository: RepositorySimulator, kind: str
) -> None:
    repository.publish("2.0.0", NEXT, kind=kind)
    assert client.update() == "updated"
    assert is_whole(client, "2.0.0", NEXT)
    assert client.leftovers() == []
    assert client.updater.verify() == "2.0.0"


def test_a_single_file_is_installed_as_a_program(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    program = b"#!/bin/sh\necho ran\n"
    repository.publish(
        "2.0.0",
        {"tool": program},
        kind="file",
        name="tool",
        install=Install(entrypoint="tool", health=HealthCheck(command=("tool",))),
        tree_sha256="",
    )
    # A single file is always a program; the simulator knows it by its first bytes.
    assert client.update() == "updated"
    ran = subprocess.run([client.home / "current" / "tool"], capture_output=True, check=True)
    assert ran.stdout == b"ran\n"


def test_an_update_says_what_it_does(client: SimulatedClient) -> None:
    events: list[Event] = []
    client.update(events=events)
    names = [event.name for event in events if isinstance(event, Step)]
    assert names == [
        "offered",
        "downloading",
        "unpacking",
        "proven",
        "switched",
        "on-trial",
        "committed",
    ]
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.received_bytes == last.total_bytes
    assert all(str(event) for event in events)


def test_the_health_command_runs_in_its_tree_and_knows_its_version(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    script = b"#!/bin/sh\ntest -f lib/two && test $LOCKGATE_VERSION = 2.0.0 && test $1 = x\n"
    health = HealthCheck(command=("bin/check", "x"))
    repository.publish("2.0.0", {**NEXT, "bin/check": script}, install=Install(health=health))
    assert client.update() == "updated"


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


def test_two_good_versions_are_kept(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    for number in range(1, 5):
        repository.publish(f"{number}.0.0", {**HEALTHY, "n": str(number).encode()})
        assert client.update() == "updated"
    assert client.versions() == {"3.0.0", "4.0.0"}
    assert client.updater.status().good == ("4.0.0", "3.0.0")


def test_a_release_without_any_program_is_committed_at_once(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", {"data": b"x"}, install=Install())
    assert client.update() == "updated"


def test_a_release_without_a_health_command_waits_for_its_program(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT, install=confirmed_by_itself("bin/app"))
    assert client.update() == "on-trial"
    status = client.updater.status()
    assert (status.installed, status.on_trial, status.runs) == ("1.0.0", "2.0.0", "2.0.0")
    assert client.update() == "on-trial"
    assert client.updater.confirm().outcome == "updated"
    assert client.updater.status().installed == "2.0.0"
    assert isinstance(client.updater.check(), UpToDate)
    assert client.updater.confirm().reason == "nothing is on trial"


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


def test_the_decision_is_taken_again_right_before_the_trial(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """The release is revoked while it is being downloaded: it is never switched to."""
    client.update()
    repository.publish("2.0.0", NEXT)
    events: list[Event] = []

    def revoke_when_proven(event: Event) -> None:
        events.append(event)
        if isinstance(event, Step) and event.name == "proven":
            repository.revoke("2.0.0")

    result = client.updater.update(progress=revoke_when_proven)
    assert result.outcome == "held"
    assert "switched" not in [event.name for event in events if isinstance(event, Step)]
    assert client.runs() == "1.0.0"
    assert client.versions() == {"1.0.0"}
    assert client.leftovers() == []


def test_a_server_that_dies_after_the_download_does_not_stop_the_trial(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)

    def die_when_proven(event: Event) -> None:
        if isinstance(event, Step) and event.name == "proven":
            repository.spoil("", Kind.STATUS, 503)

    assert client.updater.update(progress=die_when_proven).outcome == "updated"
    assert client.runs() == "2.0.0"


def test_a_repository_that_changes_its_mind_for_ever_is_given_up(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    numbers = iter(range(2, 100))

    def publish_another(event: Event) -> None:
        if isinstance(event, Step) and event.name == "proven":
            number = next(numbers)
            repository.publish(f"{number}.0.0", {**HEALTHY, "n": str(number).encode()})

    with pytest.raises(Exception, match="changes its mind"):
        client.updater.update(progress=publish_another)
    assert client.runs() == ""
    assert client.versions() == set()


def test_an_interrupted_update_goes_on_with_what_was_staged(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)

    def interrupt(event: Event) -> None:
        if isinstance(event, Step) and event.name == "switched":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.updater.update(progress=interrupt)
    assert client.updater.status().state == "trial"
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_what_was_verified_before_a_bad_byte_is_not_fetched_again(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    big = {**NEXT, "data": random.Random(1).randbytes(3 << 20)}
    repository.publish("2.0.0", big)
    repository.spoil("artifacts/", Kind.CORRUPT, 2 << 20)
    with pytest.raises(DigestMismatchError):
        client.update()
    assert client.updater.status().state == "idle"
    repository.faults.clear()
    before = repository.body_bytes
    assert client.update() == "updated"
    assert repository.body_bytes - before < (2 << 20)
    assert client.leftovers() == []


def test_ctrl_c_during_the_trial_burns_no_try(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, install=checked_by("bin/app", tries=1))

    def interrupt(event: Event) -> None:
        if isinstance(event, Step) and event.name == "on-trial":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.updater.update(progress=interrupt)
    assert client.updater.status().tries_left == 1
    assert client.update() == "updated"


def test_a_dry_run_changes_nothing(client: SimulatedClient) -> None:
    result = client.updater.update(dry_run=True)
    assert result.outcome == "planned"
    assert result.decision is not None
    assert client.versions() == set()


def test_a_full_disk_is_seen_before_the_first_byte(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, tree_size=1 << 52)
    with pytest.raises(LocalError, match="not enough space"):
        client.update()
    assert not [name for name in repository.requests if "artifacts" in name]
    assert client.versions() == set()


def test_a_changed_tree_is_seen_by_verify(client: SimulatedClient) -> None:
    client.update()
    (client.home / "current" / "bin" / "app").write_bytes(b"#!/bin/sh\nevil\n")
    with pytest.raises(DigestMismatchError):
        client.updater.verify()


def test_verify_with_nothing_installed_says_so(client: SimulatedClient) -> None:
    with pytest.raises(LocalError, match="nothing is installed"):
        client.updater.verify()


def test_an_installed_tree_that_is_gone_falls_back_to_the_last_good_one(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT)
    client.update()
    gone = next(path for path in (client.home / "versions").iterdir() if "2.0.0" in path.name)
    gone.rename(client.home.parent / "gone")
    repository.issue(STABLE, offers=())
    client.update()
    assert client.runs() == "1.0.0"


@pytest.mark.parametrize("state", ["idle", "trial"])
def test_a_damaged_journal_is_set_aside_and_only_what_was_committed_counts(
    client: SimulatedClient, repository: RepositorySimulator, state: str
) -> None:
    client.update()
    if state == "trial":
        repository.publish("2.0.0", NEXT, install=confirmed_by_itself("bin/app"))
        client.update()
        assert client.runs() == "2.0.0"
    (client.home / "state" / "journal.json").write_bytes(b'{"torn":')
    repository.issue(STABLE, offers=())
    assert client.update() == "held"
    assert client.runs() == "1.0.0"
    assert (client.home / "state" / "journal.json.damaged-1").exists()


def test_a_damaged_memory_is_set_aside_and_learnt_again(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", NEXT, exposure_bp=0)
    repository.revoke("2.0.0")
    (client.home / "state" / "memory.json").write_bytes(b"\xff")
    client.updater.check()
    assert client.updater.status().revoked == ("2.0.0",)
    assert (client.home / "state" / "memory.json.damaged-1").exists()


@pytest.mark.parametrize("name", ["journal", "memory"])
def test_a_record_of_a_newer_updater_is_not_guessed_at(client: SimulatedClient, name: str) -> None:
    client.update()
    path = client.home / "state" / f"{name}.json"
    newer = path.read_bytes().replace(b'"format":1', b'"format":99')
    path.write_bytes(newer)
    with pytest.raises(LocalError, match="newer updater"):
        client.update()
    assert path.read_bytes() == newer


def test_an_update_from_a_folder_needs_no_network(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    for name, data in repository.files.items():
        path = tmp_path / "mirror" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    address = f"file://{tmp_path}/mirror"
    client = make_client(repository, tmp_path / "home", address=address)
    from lockgate_updater import Updater

    assert Updater.open(client.home).update().outcome == "updated"
    assert client.runs() == "1.0.0"


def test_the_platforms_own_artifact_is_taken(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    tag = client.updater.configuration.platform
    assert tag != Platform("any")
    repository.publish("2.0.0", NEXT, platform=tag)
    assert client.update() == "updated"
