"""What the adapter for S3 leaves in the bucket."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from lockgate_release.errors import LocalError
from lockgate_server.ports import Always, IfAbsent, LostRaceError
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_client import S3Limits
from tests.contracts.conftest import BUCKET, LEAST_PART_BYTES, PREFIX, OpenS3

IMMUTABLE = "public, max-age=31536000, immutable"


def stored(client: Any, key: str) -> dict[str, Any]:
    found: dict[str, Any] = client.head_object(Bucket=BUCKET, Key=PREFIX + key)
    return found


def unfinished_uploads(client: Any, key: str) -> list[Any]:
    """Those of one object: a bucket is shared with other tests, which may leave some."""
    found = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return [upload for upload in found if upload["Key"] == PREFIX + key]


@pytest.fixture
def small_store(open_s3: OpenS3, s3_store: S3Store) -> S3Store:  # noqa: ARG001 - it clears up
    """The same bucket, through a store that does only a little in one request."""
    return open_s3(BUCKET, S3Limits(copy_bytes=LEAST_PART_BYTES, listed_keys=3))


@pytest.mark.parametrize("size", [10, 2 * LEAST_PART_BYTES + 1])
def test_headers_for_clients_that_read_the_bucket_are_stored(
    s3_store: S3Store, s3_client: Any, size: int
) -> None:
    s3_store.put(
        "app/x", io.BytesIO(bytes(size)), IfAbsent(),
        content_type="application/json", cache_control=IMMUTABLE,
    )  # fmt: skip
    s3_store.copy("app/x", "app/copy", IfAbsent())
    for key in ("app/x", "app/copy"):
        found = stored(s3_client, key)
        assert (found["ContentType"], found["CacheControl"]) == ("application/json", IMMUTABLE)


def test_a_copy_larger_than_one_request_allows_is_whole_and_keeps_its_headers(
    small_store: S3Store, s3_client: Any
) -> None:
    data = bytes(range(256)) * (LEAST_PART_BYTES // 256) * 2 + b"end"
    small_store.put("app/x", data, Always(), content_type="text/x", cache_control=IMMUTABLE)
    etag = small_store.copy("app/x", "app/copy", IfAbsent())
    found = small_store.open("app/copy")
    assert found is not None
    with found:
        assert found.info.etag == etag
        assert found.read() == data
    headers = stored(s3_client, "app/copy")
    assert (headers["ContentType"], headers["CacheControl"]) == ("text/x", IMMUTABLE)


def test_an_upload_that_breaks_leaves_no_parts_to_be_paid_for(
    s3_store: S3Store, s3_client: Any
) -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > LEAST_PART_BYTES:
                assert len(unfinished_uploads(s3_client, "app/broken")) == 1
                raise ConnectionResetError
            return super().read(size)

    with pytest.raises(ConnectionResetError):
        s3_store.put("app/broken", Breaking(bytes(3 * LEAST_PART_BYTES)), Always())
    assert unfinished_uploads(s3_client, "app/broken") == []


def test_a_large_object_that_is_there_is_not_sent_again(s3_store: S3Store) -> None:
    data = io.BytesIO(bytes(3 * LEAST_PART_BYTES))
    s3_store.put("app/x", data, IfAbsent())
    data.seek(0)
    with pytest.raises(LostRaceError):
        s3_store.put("app/x", data, IfAbsent())
    assert data.tell() == LEAST_PART_BYTES


def test_lists_of_more_than_a_page_are_whole(small_store: S3Store) -> None:
    names = [f"app/targets/{number:02}" for number in range(11)]
    for name in names:
        small_store.put(name, b"", Always())
    assert [info.key for info in small_store.list("app/")] == names


def test_objects_of_others_are_passed_over(s3_store: S3Store, s3_client: Any) -> None:
    for name in ("some/prefix/app/a b", "some/prefix/app/", "some/prefixes/app/x", "app/x"):
        s3_client.put_object(Bucket=BUCKET, Key=name, Body=b"")
    s3_store.put("app/mine", b"", Always())
    assert [info.key for info in s3_store.list("")] == ["app/mine"]
    for name in ("some/prefix/app/a b", "some/prefix/app/", "some/prefixes/app/x", "app/x"):
        s3_client.delete_object(Bucket=BUCKET, Key=name)


def test_a_bucket_that_is_not_there_is_told_from_an_object_that_is_not(open_s3: OpenS3) -> None:
    store = open_s3("nobodys", S3Limits())
    asks: list[Callable[[], object]] = [
        lambda: store.head("app/x"),
        lambda: store.open("app/x"),
        lambda: store.copy("app/x", "app/y", IfAbsent()),
        lambda: store.put("app/x", b"", IfAbsent()),
        lambda: list(store.list("")),
    ]
    for ask in asks:
        with pytest.raises(LocalError, match="NoSuchBucket"):
            ask()
