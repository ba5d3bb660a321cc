"""Who has stolen the bucket (or sits on the wire) can serve old files and deny service; no more."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import DigestMismatchError, ExitCode
from lockgate_release.instants import utc_now
from lockgate_release.trust.roles import Role
from lockgate_updater import Leave, Unknown
from tests.attacks.claims import assert_artifact_refused, assert_refused
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.faults import Kind
from tests.simulators.repository import SICK, RepositorySimulator

NEXT = {"bin/app": b"#!/bin/sh\nexit 0\n", "two": b"2" * 5000}


def test_bucket_cannot_roll_a_client_back(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    old = repository.checkpoint()
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    repository.restore(old)
    assert_refused(client, "repository.stale", runs="2.0.0")


def test_bucket_cannot_roll_a_client_back_that_has_lost_its_cache(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """The memory outlives the cache."""
    old = repository.checkpoint()
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    for cached in (client.home / "state" / "metadata").glob("*.json"):
        cached.unlink()
    repository.restore(old)
    assert_refused(client, "repository.stale", runs="2.0.0")


def test_bucket_cannot_freeze_a_client_beyond_the_expiry(tmp_path: Path) -> None:
    repository = RepositorySimulator(now=utc_now() - timedelta(days=8))
    repository.publish("1.0.0")
    client = make_client(repository, tmp_path / "home")
    frozen = client.updater.check()
    assert isinstance(frozen, Unknown)
    assert frozen.code == "repository.expired"
    assert "frozen" in frozen.reason
    assert "clock" in frozen.reason
    assert client.runs() == ""


def test_bucket_that_freezes_is_told_from_a_wrong_clock_and_cannot_talk_its_way_out(
    tmp_path: Path,
) -> None:
    """What it says of the time changes the words, never the end."""
    repository = RepositorySimulator(now=utc_now() - timedelta(days=8))
    repository.publish("1.0.0")
    client = make_client(repository, tmp_path / "home")
    for told, code in (
        (timedelta(0), "repository.expired.frozen"),
        (timedelta(days=7), "local.clock"),
    ):
        repository.server_time = utc_now() - told
        result = client.updater.check()
        assert isinstance(result, Unknown)
        assert result.code == code
        assert client.runs() == ""


def test_a_clock_before_what_was_signed_is_unknown_not_up_to_date(client: SimulatedClient) -> None:
    client.now -= timedelta(days=400)
    assert_refused(client, "local.clock", exit_code=ExitCode.LOCAL)


def test_bucket_cannot_mix_an_old_snapshot_with_a_new_timestamp(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    old = next(name for name in repository.files if name.endswith("2.snapshot.json"))
    repository.publish("2.0.0", NEXT)
    new = next(name for name in repository.files if name.endswith("3.snapshot.json"))
    repository.files[new] = repository.files[old]
    assert_refused(client, "repository.digest")


def test_bucket_cannot_mix_an_old_list_of_releases_into_a_new_snapshot(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    lists = sorted(name for name in repository.files if name.endswith(".releases.json"))
    repository.files[lists[-1]] = repository.files[lists[-2]]
    assert_refused(client, "repository.digest")


@pytest.mark.parametrize(
    "part", ["timestamp.json", "snapshot.json", "channels.json", "releases.json", "version.json"]
)
def test_bucket_cannot_change_a_byte_of_a_document(
    client: SimulatedClient, repository: RepositorySimulator, part: str
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.spoil(part, Kind.CORRUPT, 60)
    assert_refused(client, "repository.trust" if "timestamp" in part else "repository.digest")


@pytest.mark.parametrize("part", ["timestamp.json", "snapshot.json", "version.json"])
def test_bucket_cannot_send_a_document_without_end(
    client: SimulatedClient, repository: RepositorySimulator, part: str
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.spoil(part, Kind.ENDLESS)
    repository.body_bytes = 0
    assert_refused(client, "repository.digest")


@pytest.mark.parametrize("part", ["timestamp.json", "3.snapshot.json", "version.json", "root.json"])
@pytest.mark.parametrize("status", [404, 500])
def test_a_missing_document_is_unknown_not_up_to_date(
    client: SimulatedClient, repository: RepositorySimulator, part: str, status: int
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.spoil(part, Kind.STATUS, status)
    if (part, status) == ("root.json", 404):
        assert client.update() == "updated"  # No newer root is the usual answer.
        return
    assert_refused(client, "transport", exit_code=ExitCode.TRANSPORT)


def test_bucket_cannot_flip_a_bit_of_an_artifact(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.spoil("artifacts/", Kind.CORRUPT, 30)
    assert_artifact_refused(client, "repository.digest")


def test_bucket_cannot_send_an_artifact_without_end(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    release = repository.publish("2.0.0", NEXT)
    repository.spoil("artifacts/", Kind.ENDLESS)
    error = assert_artifact_refused(client, "repository.digest")
    assert error.what == "more bytes than were signed"
    size = release.artifacts[0].size
    written = [path.stat().st_size for path in client.home.rglob("*.part")]
    assert sum(written) <= size


def test_a_truncated_artifact_is_not_installed_and_its_honest_rest_is_fetched_later(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    release = repository.publish("2.0.0", {**NEXT, "noise": bytes(range(256)) * 40})
    repository.spoil("artifacts/", Kind.CUT, 50)
    before = client.snapshot()
    with pytest.raises(Exception, match="broke off"):
        client.update()
    assert client.snapshot() == before
    repository.faults.clear()
    repository.body_bytes = 0
    repository.requests.clear()
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"
    fetched = [name for name in repository.requests if "artifacts" in name]
    assert len(fetched) == 1
    assert release.artifacts[0].size > 50
    assert client.leftovers() == []


def test_a_partial_download_that_was_tampered_with_is_not_gone_on_with(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    release = repository.publish("2.0.0", NEXT)
    part = client.home / "state" / "downloads" / f"{release.artifacts[0].sha256}.part"
    part.write_bytes(b"\0" * 40)
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_bucket_cannot_hide_a_revocation_that_was_seen(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    before = repository.checkpoint()
    repository.revoke("2.0.0")
    assert isinstance(client.updater.check(), Leave)
    repository.restore(before)
    assert client.update() == "left"
    assert client.runs() == "1.0.0"


def test_revoked_release_is_left_even_when_the_server_is_down(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    repository.revoke("2.0.0")
    client.updater.check()
    repository.spoil("", Kind.STATUS, 503)
    assert client.update() == "left"
    assert client.runs() == "1.0.0"
    assert "2.0.0" not in client.versions()


def test_a_bad_build_comes_back_by_itself_and_is_not_tried_again(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", SICK)
    assert client.update() == "rolled-back"
    assert client.runs() == "1.0.0"
    assert client.versions() == {"1.0.0"}
    assert client.update() == "held"
    client.now += timedelta(hours=2)
    assert client.update() == "rolled-back"
    client.now += timedelta(hours=2)
    assert client.update() == "held"


def test_a_role_cannot_be_dropped_from_the_snapshot(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    client.updater.check()
    repository.resign(without=Role.RELEASES)
    assert_refused(client, "repository.trust")


def test_bad_bytes_in_one_chunk_cost_no_more_than_that_chunk(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """Whoever sits on the wire cannot make a client fetch all of a file that is wrong."""
    mib = 1 << 20
    large = {"bin/app": NEXT["bin/app"], "data": random.Random(1).randbytes(6 * mib)}
    artifact = repository.publish("2.0.0", large).artifacts[0]
    assert artifact.chunks is not None
    assert len(artifact.chunks.sha256) == -(-artifact.size // mib) == 7
    repository.spoil("artifacts/", Kind.CORRUPT, 2 * mib + 5)
    before = repository.body_bytes
    with pytest.raises(DigestMismatchError, match="chunk 3 of 7"):
        client.update()
    documents_bytes = 64 << 10
    assert repository.body_bytes - before < 3 * mib + documents_bytes
    part = client.home / "state" / "downloads" / f"{artifact.sha256}.part"
    assert_artifact_refused(client, "repository.digest", keeps=(part.name,))
    (whole,) = (data for name, data in repository.files.items() if artifact.sha256 in name)
    assert part.read_bytes() == whole[: 2 * mib]
