"""What was verified is read again offline; a cache that somebody damaged is believed by nobody."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Timestamp

from lockgate_release.errors import ExpiredError, LocalError, TransportError
from lockgate_release.trust import sign
from tests.unit.release.builders import Repository, tampered
from tests.unit.release.trust.views import NOW, ONE, PATH, filled, look, offline, view_of


@pytest.fixture
def repository() -> Repository:
    return filled()


def test_offline_the_newest_verified_state_is_read_again(
    repository: Repository, tmp_path: Path
) -> None:
    repository.rotate_root()
    look(view_of(repository, tmp_path))
    repository.fetched.clear()
    assert look(offline(repository, tmp_path)) == ONE
    assert repository.fetched == []


def test_offline_without_a_cache_nothing_is_known(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="nothing was ever verified here"):
        offline(repository, tmp_path).refresh()


def test_offline_what_was_not_fetched_before_is_not_there(
    repository: Repository, tmp_path: Path
) -> None:
    view = view_of(repository, tmp_path)
    view.refresh()
    view.policy()
    with pytest.raises(TransportError):
        offline(repository, tmp_path).release(PATH)


def test_offline_an_expired_state_is_refused(tmp_path: Path) -> None:
    repository = filled()
    view_of(repository, tmp_path).refresh()
    # The cache is what a week ago was verified: the same, signed by the same key, and expired.
    old = Metadata[Timestamp].from_bytes(repository.files["metadata/timestamp.json"])
    old.signed.expires = NOW - timedelta(seconds=1)
    old.sign(repository.online)
    (tmp_path / "metadata" / "timestamp.json").write_bytes(sign.to_bytes(old))
    with pytest.raises(ExpiredError):
        offline(repository, tmp_path).refresh()


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "releases", "channels"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", None])
def test_offline_a_damaged_cache_is_this_machine_s_fault(
    repository: Repository, tmp_path: Path, name: str, damage: bytes | None
) -> None:
    look(view_of(repository, tmp_path))
    path = tmp_path / "metadata" / f"{name}.json"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises((LocalError, TransportError)) as caught:
        look(offline(repository, tmp_path))
    assert isinstance(caught.value, TransportError if damage is None else LocalError)


CACHED = ["timestamp.json", "snapshot.json", "targets.json", "releases.json", "channels.json"]


@pytest.mark.parametrize("name", [*CACHED, "root_history/2.root.json"])
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xff", b"[" * 9000, None])
def test_a_damaged_cache_is_fetched_again(
    repository: Repository, tmp_path: Path, name: str, data: bytes | None
) -> None:
    repository.rotate_root()
    look(view_of(repository, tmp_path))
    damaged = tmp_path / "metadata" / name
    if data is None:
        damaged.unlink()
    else:
        damaged.write_bytes(data)
    assert look(view_of(repository, tmp_path)) == ONE
    assert damaged.read_bytes() not in {b"", b"{}", b"\xff\xff"}


@pytest.mark.parametrize("name", CACHED[1:])
def test_a_cache_that_was_tampered_with_is_fetched_again(
    repository: Repository, tmp_path: Path, name: str
) -> None:
    look(view_of(repository, tmp_path))
    role = name.removesuffix(".json")
    metadata = getattr(repository, role)
    (tmp_path / "metadata" / name).write_bytes(
        tampered(metadata, b'"version":', b'"x":1,"version":')
    )
    assert look(view_of(repository, tmp_path)) == ONE


def test_damaged_documents_in_the_cache_are_fetched_again(
    repository: Repository, tmp_path: Path
) -> None:
    look(view_of(repository, tmp_path))
    documents = list((tmp_path / "documents").iterdir())
    assert len(documents) == 4
    for path in documents:
        path.write_bytes(b"evil")
    assert look(view_of(repository, tmp_path)) == ONE
    assert all(path.read_bytes() != b"evil" for path in documents)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"])
def test_a_cache_changed_under_our_feet_is_this_machine_s_fault(
    repository: Repository, tmp_path: Path, data: bytes
) -> None:
    view = view_of(repository, tmp_path)
    view.refresh()
    (tmp_path / "metadata" / "timestamp.json").write_bytes(data)
    for read in (view.timestamp_version, view.expiries):
        with pytest.raises(LocalError, match="verified metadata is"):
            read()
    root = tmp_path / "metadata" / "root.json"
    root.write_bytes(repository.files["metadata/1.targets.json"])
    with pytest.raises(LocalError, match="verified metadata is damaged; found targets"):
        view.online_key_ids()
    root.unlink()
    with pytest.raises(LocalError, match="verified metadata is gone"):
        view.online_key_ids()


def test_a_cached_root_is_never_the_anchor(repository: Repository, tmp_path: Path) -> None:
    look(view_of(repository, tmp_path))
    other = Repository(now=NOW)
    history = tmp_path / "metadata" / "root_history"
    (history / "1.root.json").write_bytes(other.bootstrap)
    assert look(view_of(repository, tmp_path)) == ONE
    assert (history / "1.root.json").read_bytes() == repository.bootstrap


def test_a_cache_that_cannot_be_used_is_this_machine_s_fault(
    repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        view_of(repository, tmp_path / "file")
    view = view_of(repository, tmp_path / "cache")
    (tmp_path / "cache" / "metadata" / "timestamp.json").mkdir()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        view.refresh()
    other = view_of(repository, tmp_path / "other")
    other.refresh()
    (tmp_path / "other" / "documents").rmdir()
    (tmp_path / "other" / "documents").touch()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        other.policy()


def test_documents_that_are_not_kept_are_forgotten(repository: Repository, tmp_path: Path) -> None:
    view = view_of(repository, tmp_path)
    look(view)
    view.forget_documents(keep=frozenset({"policy.json", PATH}))
    left = {path.name for path in (tmp_path / "documents").iterdir()}
    assert left == {"policy.json", PATH.replace("/", "%2F")}
    assert look(view_of(repository, tmp_path)) == ONE


def test_documents_that_cannot_be_forgotten_are_this_machine_s_fault(
    repository: Repository, tmp_path: Path
) -> None:
    view = view_of(repository, tmp_path)
    (tmp_path / "documents" / "folder").mkdir()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        view.forget_documents(keep=frozenset())


def test_files_of_the_cache_are_its_owner_s(repository: Repository, tmp_path: Path) -> None:
    look(view_of(repository, tmp_path / "cache"))
    for name in ("metadata", "documents"):
        assert os.stat(tmp_path / "cache" / name).st_mode & 0o077 == 0  # noqa: PTH116
