"""Presigned addresses are signed as every bucket demands, wherever it is."""

from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from lockgate_server.ports.uploads import StoreUploadId
from lockgate_server.stores.s3_address import S3Address
from lockgate_server.stores.s3_client import Bucket, S3Limits
from lockgate_server.stores.s3_uploads import S3Uploads

SESSION = boto3.session.Session(
    aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
)


@pytest.mark.parametrize(
    "options", ["", "?region=us-east-1", "?region=eu-central-1", "?region=auto"]
)
def test_an_address_for_a_part_is_signed_with_version_4_and_for_its_size(options: str) -> None:
    address = S3Address.parse(f"s3://bucket{options}")
    bucket = Bucket(address, S3Limits(), SESSION)
    url = S3Uploads(bucket).part_url(
        "demo/uploads/a", StoreUploadId("id"), 1, size_bytes=5, expires_s=900
    )
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-SignedHeaders"] == ["content-length;host"]
    bucket.close()
