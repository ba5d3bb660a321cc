"""What a client knows: only what came through the chain, and only while it is fresh."""

from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import MetaFile, Root

from lockgate_release.errors import ExpiredError, LocalError, StaleMirrorError, TrustError
from lockgate_release.names import ChannelName
from lockgate_release.trust.verify import TrustedView
from tests.unit.release.builders import APP, STABLE, Repository, channel, signers, tampered, trusted
from tests.unit.release.trust.views import (
    NOW,
    ONE,
    fails,
    filled,
    look,
    offline,
    stable_document,
    view_of,
)


@pytest.fixture
def repository() -> Repository:
    return filled()


# -- What is good ---------------------------------------------------------------------------


def test_everything_a_check_reads_is_read(repository: Repository, tmp_path: Path) -> None:
    view = view_of(repository, tmp_path)
    found = look(view)
    assert found == ONE
    assert view.policy() == repository.policy
    assert view.channel(STABLE) == stable_document()
    extras = view.extras(found)
    assert extras is not None
    assert extras.notes == "New."
    assert view.online_key_ids() == (repository.online.public_key.keyid,)
    assert view.timestamp_version() == 3
    assert view.address_of("artifacts/x") == f"{Repository.ADDRESS}/demo/artifacts/x"
    assert view.expiries().keys() == {
        "root", "timestamp", "snapshot", "targets", "releases", "channels",
    }  # fmt: skip
    assert all(text.endswith("Z") for text in view.expiries().values())


def test_a_slash_behind_the_address_changes_nothing(repository: Repository, tmp_path: Path) -> None:
    view = TrustedView(
        app=APP,
        repository=Repository.ADDRESS + "/",
        cache=tmp_path,
        bootstrap=repository.bootstrap,
        fetch=repository.fetch,
    )
    assert look(view) == ONE


def test_a_check_that_finds_nothing_new_makes_two_requests(
    repository: Repository, tmp_path: Path
) -> None:
    look(view_of(repository, tmp_path))
    repository.fetched.clear()
    look(view_of(repository, tmp_path))
    assert repository.fetched == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_what_is_not_listed_is_not_there(repository: Repository, tmp_path: Path) -> None:
    view = view_of(repository, tmp_path)
    view.refresh()
    assert view.channel(ChannelName("beta")) is None
    assert view.release("releases/2.0.0/release.json") is None
    assert view.release("elsewhere/2.0.0/release.json") is None
    assert view.extras(trusted("2.0.0")) is None


def test_a_cold_start_without_refresh_refreshes_itself(
    repository: Repository, tmp_path: Path
) -> None:
    assert view_of(repository, tmp_path).policy() == repository.policy


def test_before_anything_was_verified_only_the_root_has_an_expiry(
    repository: Repository, tmp_path: Path
) -> None:
    view = view_of(repository, tmp_path)
    assert view.expiries().keys() == {"root"}
    assert view.online_key_ids()
    with pytest.raises(LocalError, match="verified metadata is gone"):
        view.timestamp_version()


@pytest.mark.parametrize("rotations", [30, 300])
def test_a_client_that_slept_through_many_roots_finds_the_newest(
    repository: Repository, tmp_path: Path, rotations: int
) -> None:
    """The online key changes in the last one, so a client that stopped half-way would be lost."""
    for _ in range(rotations - 1):
        repository.rotate_root()
    new = signers(1)[0]

    def change(root: Root) -> None:
        for role in ("timestamp", "snapshot"):
            root.add_key(new.public_key, role)
            root.revoke_key(repository.online.public_key.keyid, role)

    repository.rotate_root(change)
    repository.online = new
    repository.flip()
    view = view_of(repository, tmp_path)
    view.refresh()
    assert view.online_key_ids() == (new.public_key.keyid,)
    assert view.policy() == repository.policy


# -- Time -----------------------------------------------------------------------------------


def test_what_is_past_its_expiry_is_refused(tmp_path: Path) -> None:
    repository = Repository(now=NOW - timedelta(days=8))
    repository.issue(channel())
    error = fails(repository, tmp_path)
    assert isinstance(error, ExpiredError)
    assert "clock" in error.hint


@pytest.mark.parametrize("days", [40, 200, 400])
def test_any_role_past_its_expiry_is_refused(tmp_path: Path, days: int) -> None:
    repository = Repository(now=NOW - timedelta(days=days))
    repository.now = NOW
    repository.issue(stable_document())
    if days > 180:
        assert isinstance(fails(repository, tmp_path), ExpiredError)
    else:
        assert view_of(repository, tmp_path).channel(STABLE) is not None


def test_an_older_timestamp_is_a_stale_mirror(repository: Repository, tmp_path: Path) -> None:
    old = dict(repository.files)
    repository.issue(stable_document())
    look(view_of(repository, tmp_path))
    repository.files = old
    error = fails(repository, tmp_path)
    assert type(error) is StaleMirrorError
    assert look(offline(repository, tmp_path)) == ONE


def test_a_newer_timestamp_with_an_older_snapshot_is_a_contradiction(
    repository: Repository, tmp_path: Path
) -> None:
    look(view_of(repository, tmp_path))
    data = repository.files["metadata/2.snapshot.json"]
    repository.point_at(2, data)
    assert isinstance(fails(repository, tmp_path), TrustError | StaleMirrorError)


def test_a_snapshot_that_takes_a_role_back_is_a_contradiction(
    repository: Repository, tmp_path: Path
) -> None:
    """Only the online key can sign it; that is no mirror that lags behind."""
    look(view_of(repository, tmp_path))
    assert repository.snapshot is not None
    old = repository.files["metadata/1.releases.json"]
    repository.snapshot.signed.meta["releases.json"] = MetaFile.from_data(1, old, ["sha256"])
    repository.flip()
    assert type(fails(repository, tmp_path)) is TrustError


def test_a_snapshot_with_another_number_is_a_contradiction(
    repository: Repository, tmp_path: Path
) -> None:
    data = repository.files["metadata/3.snapshot.json"]
    repository.files["metadata/9.snapshot.json"] = data
    repository.point_at(9, data)
    assert type(fails(repository, tmp_path)) is TrustError


# -- The anchor -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9000, b"null"])
def test_an_anchor_that_is_no_root_is_refused(
    repository: Repository, tmp_path: Path, data: bytes
) -> None:
    with pytest.raises(TrustError, match=r"root\.json: not a valid root"):
        view_of(repository, tmp_path, bootstrap=data)


def test_an_anchor_that_is_not_signed_is_refused(repository: Repository, tmp_path: Path) -> None:
    for data in (
        tampered(repository.root, b'"version":1', b'"version":2'),
        repository.files["metadata/timestamp.json"],
    ):
        with pytest.raises(TrustError, match="not a valid root"):
            view_of(repository, tmp_path, bootstrap=data)


def test_an_anchor_of_another_repository_verifies_nothing_of_this_one(
    repository: Repository, tmp_path: Path
) -> None:
    assert isinstance(
        fails(repository, tmp_path, bootstrap=Repository(now=NOW).bootstrap), TrustError
    )
