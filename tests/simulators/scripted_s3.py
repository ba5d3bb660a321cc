"""A store that answers what a test wants, and the answers that S3 gives."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from lockgate_server.ports import Condition, Etag, IfAbsent, IfMatch
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_client import S3Limits
from tests.simulators.scripted_server import Answer, ScriptedServer

StoreAt = Callable[..., AbstractContextManager[S3Store]]
Answering = Callable[..., AbstractContextManager[tuple[S3Store, ScriptedServer]]]

KEY = "app/metadata/timestamp.json"
LIMITS = S3Limits(
    connect_timeout_s=5, read_timeout_s=5, attempts=2, too_often_wait_s=0, part_bytes=1000
)
OBJECT = {"ETag": '"e1"', "Last-Modified": "Sat, 31 Jan 2026 08:00:00 GMT"}
WRITTEN = Answer(headers={"ETag": '"e2"'})
CONDITIONS: list[Condition] = [IfAbsent(), IfMatch(Etag("e1"))]


def error(status: int, code: str = "") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>said the store</Message></Error>" if code else ""
    return Answer(status=status, body=body.encode())


NOTHING = error(404)
LISTED = Answer(body=b"<ListBucketResult></ListBucketResult>")
THERE = Answer(headers=OBJECT)


def find_credentials_in(patch: pytest.MonkeyPatch, folder: Path, key: str | None) -> None:
    """Let boto3 find this key and nothing else of this machine's settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", str(folder / "none"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if key:
        patch.setenv("AWS_ACCESS_KEY_ID", key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", key)
