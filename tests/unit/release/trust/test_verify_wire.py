"""What a thief or a broken network makes of the bytes on their way is refused, by who must act."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from lockgate_release.documents import ReleaseEntry
from lockgate_release.errors import (
    DigestMismatchError,
    ExpiredError,
    StaleMirrorError,
    TransportError,
    TrustError,
)
from lockgate_release.trust import sign
from lockgate_release.trust.verify import NotFoundError
from tests.unit.release.builders import STABLE, Repository, release, signers
from tests.unit.release.trust.views import (
    DOCUMENTS,
    ONE,
    PARTS,
    SHARED,
    fails,
    filled,
    look,
    serve,
    view_of,
)


@pytest.fixture
def repository() -> Repository:
    return filled()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 9000, b"null"])
def test_metadata_that_is_none_is_refused(
    repository: Repository, tmp_path: Path, part: str, data: bytes
) -> None:
    error = fails(repository, tmp_path, fetch=serve(repository, part, lambda _: data))
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
        fetch = serve(repository, part, change)
        assert isinstance(fails(repository, tmp_path, fetch=fetch), DigestMismatchError)


def test_a_timestamp_without_end_is_refused(repository: Repository, tmp_path: Path) -> None:
    fetch = serve(repository, "timestamp.json", lambda data: data + bytes(1 << 20))
    assert isinstance(fails(repository, tmp_path, fetch=fetch), DigestMismatchError)


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
    assert isinstance(fails(repository, tmp_path), TrustError)


def test_a_timestamp_of_a_stranger_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.online = signers(1)[0]
    repository.flip()
    assert isinstance(fails(repository, tmp_path), TrustError)


def test_a_release_list_of_the_server_s_own_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    repository.publishers = [repository.online]
    repository.publish(release("1.0.0"))
    assert isinstance(fails(repository, tmp_path), TrustError)


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
    assert view_of(repository, tmp_path).release(document.path) is None


@pytest.mark.parametrize("role", ["releases", "channels", "targets"])
def test_a_snapshot_that_drops_a_role_is_refused(
    repository: Repository, tmp_path: Path, role: str
) -> None:
    look(view_of(repository, tmp_path))
    assert repository.snapshot is not None
    del repository.snapshot.signed.meta[f"{role}.json"]
    repository.flip()
    assert isinstance(fails(repository, tmp_path), TrustError)


def test_a_root_that_the_old_keys_did_not_sign_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    repository.maintainers = signers(1)
    repository.rotate_root()
    assert isinstance(fails(repository, tmp_path), TrustError)


def test_a_root_with_another_number_is_no_stale_mirror(
    repository: Repository, tmp_path: Path
) -> None:
    repository.files["metadata/2.root.json"] = repository.files["metadata/1.root.json"]
    error = fails(repository, tmp_path)
    assert type(error) is TrustError


def test_a_root_that_is_no_metadata_is_refused(repository: Repository, tmp_path: Path) -> None:
    for data in (b"", b"{}", b"<html>", repository.files["metadata/timestamp.json"]):
        repository.files["metadata/2.root.json"] = data
        assert isinstance(fails(repository, tmp_path), TrustError)


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

    error = fails(repository, tmp_path, fetch=fetch)
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

    error = fails(repository, tmp_path, fetch=fetch)
    assert isinstance(error, TransportError)
    assert "missing on the server" in str(error)


def test_a_bug_in_a_transport_stays_a_bug(repository: Repository, tmp_path: Path) -> None:
    def fetch(url: str) -> Iterator[bytes]:
        yield b"{"
        raise RuntimeError(url)

    with pytest.raises(RuntimeError):
        view_of(repository, tmp_path, fetch=fetch).refresh()


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
            look(view_of(SHARED, Path(folder), fetch=serve(SHARED, part, change)))
        except (TrustError, DigestMismatchError, StaleMirrorError, ExpiredError):
            return
        # What is read all the same says the same.
        was = next(SHARED.files[name] for name in reversed(SHARED.files) if part in name)
        assert Metadata.from_bytes(change(was)).signed == Metadata.from_bytes(was).signed


def test_after_a_failure_nothing_unverified_is_in_the_cache(
    repository: Repository, tmp_path: Path
) -> None:
    fails(repository, tmp_path, fetch=serve(repository, ".releases.json", lambda _: b"{}"))
    assert not (tmp_path / "metadata" / "releases.json").exists()
    assert look(view_of(repository, tmp_path)) == ONE
