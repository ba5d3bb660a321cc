"""What a client knows: only what came through the chain, and every failure by who must act."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, MetaFile, Root, TargetFile, Timestamp

from lockgate_release.documents import (
    ChannelDocument,
    ExtrasDocument,
    PolicyDocument,
    ReleaseEntry,
    TrustedRelease,
)
from lockgate_release.errors import (
    DigestMismatchError,
    DocumentError,
    ExpiredError,
    LocalError,
    LockgateError,
    StaleMirrorError,
    TransportError,
    TrustError,
)
from lockgate_release.instants import utc_now
from lockgate_release.names import AppName, ChannelName
from lockgate_release.trust import sign
from lockgate_release.trust.roles import Role
from lockgate_release.trust.verify import Fetch, NotFoundError, TrustedView
from tests.unit.release.builders import (
    APP,
    STABLE,
    Repository,
    channel,
    offer_of,
    release,
    signers,
    tampered,
    trusted,
)

NOW = utc_now()
PATH = "releases/1.0.0/release.json"
ONE = trusted("1.0.0")


@pytest.fixture
def repository() -> Repository:
    return _filled()


def _document() -> ChannelDocument:
    return channel([offer_of(ONE)], issued_at=NOW, expires_at=NOW + timedelta(days=30))


def _filled() -> Repository:
    made = Repository(now=NOW)
    made.publish(release("1.0.0"), extras=ExtrasDocument(app=APP, version="1.0.0", notes="New."))
    made.issue(_document())
    return made


SHARED = _filled()


def _view(
    repository: Repository, cache: Path, *, fetch: Fetch | None = None, **changes: Any
) -> TrustedView:
    return TrustedView(
        **{
            "app": APP,
            "repository": Repository.ADDRESS,
            "cache": cache,
            "bootstrap": repository.bootstrap,
            "fetch": fetch or repository.fetch,
            **changes,
        }
    )


def _look(view: TrustedView) -> TrustedRelease:
    """Everything a check reads."""
    view.refresh()
    view.policy()
    assert view.channel(STABLE) is not None
    found = view.release(PATH)
    assert found is not None
    view.extras(found)
    return found


def _fails(repository: Repository, cache: Path, **changes: Any) -> LockgateError:
    with pytest.raises(LockgateError) as caught:
        _look(_view(repository, cache, **changes))
    str(caught.value)
    return caught.value


# -- What is good ---------------------------------------------------------------------------


def test_everything_a_check_reads_is_read(repository: Repository, tmp_path: Path) -> None:
    view = _view(repository, tmp_path)
    found = _look(view)
    assert found == ONE
    assert view.policy() == repository.policy
    assert view.channel(STABLE) == _document()
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
    assert _look(view) == ONE


def test_a_check_that_finds_nothing_new_makes_two_requests(
    repository: Repository, tmp_path: Path
) -> None:
    _look(_view(repository, tmp_path))
    repository.fetched.clear()
    _look(_view(repository, tmp_path))
    assert repository.fetched == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_what_is_not_listed_is_not_there(repository: Repository, tmp_path: Path) -> None:
    view = _view(repository, tmp_path)
    view.refresh()
    assert view.channel(ChannelName("beta")) is None
    assert view.release("releases/2.0.0/release.json") is None
    assert view.release("elsewhere/2.0.0/release.json") is None
    assert view.extras(trusted("2.0.0")) is None


def test_a_cold_start_without_refresh_refreshes_itself(
    repository: Repository, tmp_path: Path
) -> None:
    assert _view(repository, tmp_path).policy() == repository.policy


def test_before_anything_was_verified_only_the_root_has_an_expiry(
    repository: Repository, tmp_path: Path
) -> None:
    view = _view(repository, tmp_path)
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
    view = _view(repository, tmp_path)
    view.refresh()
    assert view.online_key_ids() == (new.public_key.keyid,)
    assert view.policy() == repository.policy


# -- Documents that contradict ----------------------------------------------------------------


def test_another_app_s_documents_are_refused(repository: Repository, tmp_path: Path) -> None:
    other = AppName("other")
    repository.publish(release("1.0.0", app=other))
    assert isinstance(_fails(repository, tmp_path), DocumentError)
    repository.publish(release("1.0.0"), extras=ExtrasDocument(app=other, version="1.0.0"))
    view = _view(repository, tmp_path)
    with pytest.raises(DocumentError, match="another app's document; expected demo; found other"):
        _look(view)
    repository.issue(replace(_document(), app=other))
    with pytest.raises(DocumentError, match="another app's document"):
        _view(repository, tmp_path).channel(STABLE)
    strange = Repository(now=NOW, policy=PolicyDocument(app=other))
    with pytest.raises(DocumentError, match=r"policy\.json: another app's document"):
        _view(strange, tmp_path / "other").policy()


def test_another_channel_s_document_is_refused(repository: Repository, tmp_path: Path) -> None:
    beta = sign.sign_channel(replace(_document(), channel=ChannelName("beta")), [repository.online])
    repository.issue_bytes(replace(beta, path="channels/stable/version.json"))
    error = _fails(repository, tmp_path)
    assert isinstance(error, DocumentError)
    assert "wrong channel; expected stable; found beta" in str(error)


@pytest.mark.parametrize("wrong", ["entry", "document", "path"])
def test_a_release_that_contradicts_its_entry_or_path_is_refused(
    repository: Repository, tmp_path: Path, wrong: str
) -> None:
    versions = {"entry": "1.0.0", "document": "1.0.0", "path": "1.0.0", wrong: "1.0.1"}
    path = f"releases/{versions['path']}/release.json"
    repository.publish(
        release(versions["document"]),
        entry=ReleaseEntry(version=versions["entry"], channels=(STABLE,)),
        path=path,
    )
    with pytest.raises(DocumentError, match="path, entry and document disagree"):
        _view(repository, tmp_path).release(path)


def test_extras_of_another_version_are_refused(repository: Repository, tmp_path: Path) -> None:
    extras = sign.Document(
        path="releases/1.0.0/extras.json",
        data=ExtrasDocument(app=APP, version="1.0.1").to_bytes(),
    )
    targets = {**repository.releases.signed.targets, extras.path: repository.put_target(extras)}
    repository.list_releases(targets)
    assert "wrong version; expected 1.0.0" in str(_fails(repository, tmp_path))


@pytest.mark.parametrize("custom", [{}, {"version": 1}, {"version": "1.0.0", "channels": "x"}])
def test_an_entry_without_a_good_mark_is_refused(
    repository: Repository, tmp_path: Path, custom: dict[str, Any]
) -> None:
    repository.publish(release("1.0.0"), custom=custom)
    assert isinstance(_fails(repository, tmp_path), DocumentError)


def test_a_mark_that_is_no_object_is_refused(repository: Repository, tmp_path: Path) -> None:
    target = repository.publish(release("1.0.0"))
    target.unrecognized_fields["custom"] = ["floor"]
    repository.list_releases({PATH: target})
    assert isinstance(_fails(repository, tmp_path), DocumentError)


def test_an_entry_without_a_sha256_is_refused(repository: Repository, tmp_path: Path) -> None:
    data = release("1.0.0").to_bytes()
    target = TargetFile.from_data(PATH, data, ["sha512"])
    mark = ReleaseEntry(version="1.0.0", channels=(STABLE,))
    target.unrecognized_fields["custom"] = dict(mark.to_json())
    name = f"{target.hashes['sha512']}.release.json"
    repository.files[f"targets/releases/1.0.0/{name}"] = data
    repository.list_releases({PATH: target})
    error = _fails(repository, tmp_path)
    assert isinstance(error, TrustError)
    assert "no SHA-256; found sha512" in str(error)


def test_a_missing_policy_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.targets.signed.targets.clear()
    repository.targets.signed.version += 1
    repository.targets.sign(repository.maintainers[0])
    repository.put(Role.TARGETS, repository.targets)
    repository.flip(Role.TARGETS)
    error = _fails(repository, tmp_path)
    assert isinstance(error, TrustError)
    assert str(error) == "policy.json: missing from the repository"


def test_a_document_too_large_is_refused_before_it_is_fetched(
    repository: Repository, tmp_path: Path
) -> None:
    repository.issue_bytes(
        sign.Document(path="channels/stable/version.json", data=b" " * ((1 << 20) + 1))
    )
    repository.fetched.clear()
    error = _fails(repository, tmp_path)
    assert isinstance(error, DocumentError)
    assert "too large; expected at most 1048576 bytes; found 1048577" in str(error)
    assert not [name for name in repository.fetched if "channels/" in name]


# -- Attacks on the wire ------------------------------------------------------------------------


def _serve(repository: Repository, part: str, change: Callable[[bytes], bytes]) -> Fetch:
    """The repository, with each file whose name holds `part` changed."""

    def fetch(url: str) -> Iterator[bytes]:
        for chunk in repository.fetch(url):
            yield change(chunk) if part in url else chunk

    return fetch


PARTS = ["timestamp.json", ".snapshot.json", ".targets.json", ".releases.json", ".channels.json"]
DOCUMENTS = [".policy.json", ".version.json", ".release.json", ".extras.json"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9000, b"null"])
def test_metadata_that_is_none_is_refused(
    repository: Repository, tmp_path: Path, part: str, data: bytes
) -> None:
    error = _fails(repository, tmp_path, fetch=_serve(repository, part, lambda _: data))
    assert isinstance(error, TrustError | DigestMismatchError)


@pytest.mark.parametrize("part", [*PARTS[1:], *DOCUMENTS])
def test_bytes_that_are_not_the_signed_ones_are_refused(
    repository: Repository, tmp_path: Path, part: str
) -> None:
    for change in (
        lambda data: data[:-1] + b" ",
        lambda data: data[:-1],
        lambda data: data + b" ",
        lambda data: data + bytes(10_000_000),
    ):
        fetch = _serve(repository, part, change)
        assert isinstance(_fails(repository, tmp_path, fetch=fetch), DigestMismatchError)


def test_a_timestamp_without_end_is_refused(repository: Repository, tmp_path: Path) -> None:
    fetch = _serve(repository, "timestamp.json", lambda data: data + bytes(1 << 20))
    assert isinstance(_fails(repository, tmp_path, fetch=fetch), DigestMismatchError)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["signatures"].clear(),
        lambda value: value["signatures"][0].update(sig="00"),
        lambda value: value["signatures"][0].update(sig=5),
        lambda value: value["signatures"][0].update(keyid="a"),
        lambda value: value["signed"].update(version=99),
        lambda value: value["signed"].update(version=1.5),
        lambda value: value["signed"].update(x="\ud800"),
        lambda value: value["signed"].update(_type="snapshot"),
    ],
)
def test_a_timestamp_that_nobody_signed_is_refused(
    repository: Repository, tmp_path: Path, change: Callable[[Any], object]
) -> None:
    value = json.loads(repository.files["metadata/timestamp.json"])
    change(value)
    repository.files["metadata/timestamp.json"] = json.dumps(value).encode()
    assert isinstance(_fails(repository, tmp_path), TrustError)


def test_a_timestamp_of_a_stranger_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.online = signers(1)[0]
    repository.flip()
    assert isinstance(_fails(repository, tmp_path), TrustError)


def test_a_release_list_of_the_server_s_own_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    repository.publishers = [repository.online]
    repository.publish(release("1.0.0"))
    assert isinstance(_fails(repository, tmp_path), TrustError)


def test_a_release_in_the_channels_role_does_not_count(
    repository: Repository, tmp_path: Path
) -> None:
    """The path decides who must have signed: `channels` speaks for no release."""
    document = sign.Document(
        path="releases/6.6.6/release.json",
        data=release("6.6.6").to_bytes(),
        custom=ReleaseEntry(version="6.6.6", channels=(STABLE,)).to_json(),
    )
    repository.issue_bytes(document)
    assert _view(repository, tmp_path).release(document.path) is None


@pytest.mark.parametrize("role", ["releases", "channels", "targets"])
def test_a_snapshot_that_drops_a_role_is_refused(
    repository: Repository, tmp_path: Path, role: str
) -> None:
    _look(_view(repository, tmp_path))
    assert repository.snapshot is not None
    del repository.snapshot.signed.meta[f"{role}.json"]
    repository.flip()
    assert isinstance(_fails(repository, tmp_path), TrustError)


def test_a_root_that_the_old_keys_did_not_sign_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    repository.maintainers = signers(1)
    repository.rotate_root()
    assert isinstance(_fails(repository, tmp_path), TrustError)


def test_a_root_with_another_number_is_no_stale_mirror(
    repository: Repository, tmp_path: Path
) -> None:
    repository.files["metadata/2.root.json"] = repository.files["metadata/1.root.json"]
    error = _fails(repository, tmp_path)
    assert type(error) is TrustError


def test_a_root_that_is_no_metadata_is_refused(repository: Repository, tmp_path: Path) -> None:
    for data in (b"", b"{}", b"<html>", repository.files["metadata/timestamp.json"]):
        repository.files["metadata/2.root.json"] = data
        assert isinstance(_fails(repository, tmp_path), TrustError)


# -- Time -----------------------------------------------------------------------------------


def test_what_is_past_its_expiry_is_refused(tmp_path: Path) -> None:
    repository = Repository(now=NOW - timedelta(days=8))
    repository.issue(channel())
    error = _fails(repository, tmp_path)
    assert isinstance(error, ExpiredError)
    assert "clock" in error.hint


@pytest.mark.parametrize("days", [40, 200, 400])
def test_any_role_past_its_expiry_is_refused(tmp_path: Path, days: int) -> None:
    repository = Repository(now=NOW - timedelta(days=days))
    repository.now = NOW
    repository.issue(_document())
    if days > 180:
        assert isinstance(_fails(repository, tmp_path), ExpiredError)
    else:
        assert _view(repository, tmp_path).channel(STABLE) is not None


def test_an_older_timestamp_is_a_stale_mirror(repository: Repository, tmp_path: Path) -> None:
    old = dict(repository.files)
    repository.issue(_document())
    _look(_view(repository, tmp_path))
    repository.files = old
    error = _fails(repository, tmp_path)
    assert type(error) is StaleMirrorError
    assert _look(_offline(repository, tmp_path)) == ONE


def test_a_newer_timestamp_with_an_older_snapshot_is_a_contradiction(
    repository: Repository, tmp_path: Path
) -> None:
    _look(_view(repository, tmp_path))
    data = repository.files["metadata/2.snapshot.json"]
    repository.point_at(2, data)
    assert isinstance(_fails(repository, tmp_path), TrustError | StaleMirrorError)


def test_a_snapshot_that_takes_a_role_back_is_a_contradiction(
    repository: Repository, tmp_path: Path
) -> None:
    """Only the online key can sign it; that is no mirror that lags behind."""
    _look(_view(repository, tmp_path))
    assert repository.snapshot is not None
    old = repository.files["metadata/1.releases.json"]
    repository.snapshot.signed.meta["releases.json"] = MetaFile.from_data(1, old, ["sha256"])
    repository.flip()
    assert type(_fails(repository, tmp_path)) is TrustError


def test_a_snapshot_with_another_number_is_a_contradiction(
    repository: Repository, tmp_path: Path
) -> None:
    data = repository.files["metadata/3.snapshot.json"]
    repository.files["metadata/9.snapshot.json"] = data
    repository.point_at(9, data)
    assert type(_fails(repository, tmp_path)) is TrustError


# -- The network ----------------------------------------------------------------------------


@pytest.mark.parametrize("part", [*PARTS, *DOCUMENTS, "2.root.json"])
@pytest.mark.parametrize("when", ["at once", "in the middle"])
def test_a_network_that_fails_is_a_transport_error(
    repository: Repository, tmp_path: Path, part: str, when: str
) -> None:
    failure = TransportError("the connection broke off", subject="somewhere")

    def fetch(url: str) -> Iterator[bytes]:
        if part not in url:
            yield from repository.fetch(url)
            return
        if when == "in the middle":
            yield b"{"
        raise failure

    error = _fails(repository, tmp_path, fetch=fetch)
    assert error is failure
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None:
        assert id(cause) not in seen, "an error that is its own cause"
        seen.add(id(cause))
        cause = cause.__cause__


@pytest.mark.parametrize("part", [*PARTS, *DOCUMENTS])
def test_a_file_that_the_server_has_not_is_a_transport_error(
    repository: Repository, tmp_path: Path, part: str
) -> None:
    def fetch(url: str) -> Iterator[bytes]:
        if part in url:
            raise NotFoundError("no such file", subject=url)
        yield from repository.fetch(url)

    error = _fails(repository, tmp_path, fetch=fetch)
    assert isinstance(error, TransportError)
    assert "missing on the server" in str(error)


def test_a_bug_in_a_transport_stays_a_bug(repository: Repository, tmp_path: Path) -> None:
    def fetch(url: str) -> Iterator[bytes]:
        yield b"{"
        raise RuntimeError(url)

    with pytest.raises(RuntimeError):
        _view(repository, tmp_path, fetch=fetch).refresh()


@settings(max_examples=60)
@given(st.data())
def test_any_change_on_the_wire_is_refused_and_never_a_bug(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        part = data.draw(st.sampled_from(PARTS))
        at = data.draw(st.floats(0, 1, exclude_max=True))
        new = data.draw(st.binary(max_size=2) | st.sampled_from([b"[", b"null", b"9" * 20, b'"']))

        def change(found: bytes) -> bytes:
            here = int(at * len(found))
            return found[:here] + new + found[here + 1 :]

        try:
            _look(_view(SHARED, Path(folder), fetch=_serve(SHARED, part, change)))
        except (TrustError, DigestMismatchError, StaleMirrorError, ExpiredError):
            return
        # What is read all the same says the same.
        was = next(SHARED.files[name] for name in reversed(SHARED.files) if part in name)
        assert Metadata.from_bytes(change(was)).signed == Metadata.from_bytes(was).signed


def test_after_a_failure_nothing_unverified_is_in_the_cache(
    repository: Repository, tmp_path: Path
) -> None:
    _fails(repository, tmp_path, fetch=_serve(repository, ".releases.json", lambda _: b"{}"))
    assert not (tmp_path / "metadata" / "releases.json").exists()
    assert _look(_view(repository, tmp_path)) == ONE


# -- Offline --------------------------------------------------------------------------------


def _offline(repository: Repository, cache: Path) -> TrustedView:
    return TrustedView(
        app=APP,
        repository=Repository.ADDRESS,
        cache=cache,
        bootstrap=repository.bootstrap,
        fetch=None,
    )


def test_offline_the_newest_verified_state_is_read_again(
    repository: Repository, tmp_path: Path
) -> None:
    repository.rotate_root()
    _look(_view(repository, tmp_path))
    repository.fetched.clear()
    assert _look(_offline(repository, tmp_path)) == ONE
    assert repository.fetched == []


def test_offline_without_a_cache_nothing_is_known(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="nothing was ever verified here"):
        _offline(repository, tmp_path).refresh()


def test_offline_what_was_not_fetched_before_is_not_there(
    repository: Repository, tmp_path: Path
) -> None:
    view = _view(repository, tmp_path)
    view.refresh()
    view.policy()
    with pytest.raises(TransportError):
        _offline(repository, tmp_path).release(PATH)


def test_offline_an_expired_state_is_refused(tmp_path: Path) -> None:
    repository = _filled()
    _view(repository, tmp_path).refresh()
    # The cache is what a week ago was verified: the same, signed by the same key, and expired.
    old = Metadata[Timestamp].from_bytes(repository.files["metadata/timestamp.json"])
    old.signed.expires = NOW - timedelta(seconds=1)
    old.sign(repository.online)
    (tmp_path / "metadata" / "timestamp.json").write_bytes(sign.to_bytes(old))
    with pytest.raises(ExpiredError):
        _offline(repository, tmp_path).refresh()


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "releases", "channels"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", None])
def test_offline_a_damaged_cache_is_this_machine_s_fault(
    repository: Repository, tmp_path: Path, name: str, damage: bytes | None
) -> None:
    _look(_view(repository, tmp_path))
    path = tmp_path / "metadata" / f"{name}.json"
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises((LocalError, TransportError)) as caught:
        _look(_offline(repository, tmp_path))
    assert isinstance(caught.value, TransportError if damage is None else LocalError)


# -- The cache ------------------------------------------------------------------------------


CACHED = ["timestamp.json", "snapshot.json", "targets.json", "releases.json", "channels.json"]


@pytest.mark.parametrize("name", [*CACHED, "root_history/2.root.json"])
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xff", b"[" * 9000, None])
def test_a_damaged_cache_is_fetched_again(
    repository: Repository, tmp_path: Path, name: str, data: bytes | None
) -> None:
    repository.rotate_root()
    _look(_view(repository, tmp_path))
    damaged = tmp_path / "metadata" / name
    if data is None:
        damaged.unlink()
    else:
        damaged.write_bytes(data)
    assert _look(_view(repository, tmp_path)) == ONE
    assert damaged.read_bytes() not in {b"", b"{}", b"\xff\xff"}


@pytest.mark.parametrize("name", CACHED[1:])
def test_a_cache_that_was_tampered_with_is_fetched_again(
    repository: Repository, tmp_path: Path, name: str
) -> None:
    _look(_view(repository, tmp_path))
    role = name.removesuffix(".json")
    metadata = getattr(repository, role)
    (tmp_path / "metadata" / name).write_bytes(
        tampered(metadata, b'"version":', b'"x":1,"version":')
    )
    assert _look(_view(repository, tmp_path)) == ONE


def test_damaged_documents_in_the_cache_are_fetched_again(
    repository: Repository, tmp_path: Path
) -> None:
    _look(_view(repository, tmp_path))
    documents = list((tmp_path / "documents").iterdir())
    assert len(documents) == 4
    for path in documents:
        path.write_bytes(b"evil")
    assert _look(_view(repository, tmp_path)) == ONE
    assert all(path.read_bytes() != b"evil" for path in documents)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"])
def test_a_cache_changed_under_our_feet_is_this_machine_s_fault(
    repository: Repository, tmp_path: Path, data: bytes
) -> None:
    view = _view(repository, tmp_path)
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
    _look(_view(repository, tmp_path))
    other = Repository(now=NOW)
    history = tmp_path / "metadata" / "root_history"
    (history / "1.root.json").write_bytes(other.bootstrap)
    assert _look(_view(repository, tmp_path)) == ONE
    assert (history / "1.root.json").read_bytes() == repository.bootstrap


def test_a_cache_that_cannot_be_used_is_this_machine_s_fault(
    repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        _view(repository, tmp_path / "file")
    view = _view(repository, tmp_path / "cache")
    (tmp_path / "cache" / "metadata" / "timestamp.json").mkdir()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        view.refresh()
    other = _view(repository, tmp_path / "other")
    other.refresh()
    (tmp_path / "other" / "documents").rmdir()
    (tmp_path / "other" / "documents").touch()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        other.policy()


def test_documents_that_are_not_kept_are_forgotten(repository: Repository, tmp_path: Path) -> None:
    view = _view(repository, tmp_path)
    _look(view)
    view.forget_documents(keep=frozenset({"policy.json", PATH}))
    left = {path.name for path in (tmp_path / "documents").iterdir()}
    assert left == {"policy.json", PATH.replace("/", "%2F")}
    assert _look(_view(repository, tmp_path)) == ONE


def test_documents_that_cannot_be_forgotten_are_this_machine_s_fault(
    repository: Repository, tmp_path: Path
) -> None:
    view = _view(repository, tmp_path)
    (tmp_path / "documents" / "folder").mkdir()
    with pytest.raises(LocalError, match="the cache cannot be used"):
        view.forget_documents(keep=frozenset())


# -- The anchor -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9000, b"null"])
def test_an_anchor_that_is_no_root_is_refused(
    repository: Repository, tmp_path: Path, data: bytes
) -> None:
    with pytest.raises(TrustError, match=r"root\.json: not a valid root"):
        _view(repository, tmp_path, bootstrap=data)


def test_an_anchor_that_is_not_signed_is_refused(repository: Repository, tmp_path: Path) -> None:
    for data in (
        tampered(repository.root, b'"version":1', b'"version":2'),
        repository.files["metadata/timestamp.json"],
    ):
        with pytest.raises(TrustError, match="not a valid root"):
            _view(repository, tmp_path, bootstrap=data)


def test_an_anchor_of_another_repository_verifies_nothing_of_this_one(
    repository: Repository, tmp_path: Path
) -> None:
    assert isinstance(
        _fails(repository, tmp_path, bootstrap=Repository(now=NOW).bootstrap), TrustError
    )


def test_files_of_the_cache_are_its_owner_s(repository: Repository, tmp_path: Path) -> None:
    _look(_view(repository, tmp_path / "cache"))
    for name in ("metadata", "documents"):
        assert os.stat(tmp_path / "cache" / name).st_mode & 0o077 == 0  # noqa: PTH116
