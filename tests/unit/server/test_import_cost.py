"""What each process of a server imports, and what only a bucket needs."""

import subprocess
import sys

import pytest

PROGRAMS = ("command.group", "children.public", "children.api", "children.worker")
FOR_BUCKETS = {"boto3.session", "botocore.session", "s3transfer"}


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_process_of_a_server_pays_for_boto3_before_there_is_a_bucket(program: str) -> None:
    loaded = imported_by(f"lockgate_server.{program}")
    assert "securesystemslib.signer._aws_signer" in loaded, "who would import boto3 if it could"
    assert not loaded & FOR_BUCKETS
