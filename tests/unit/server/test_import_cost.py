"""What each process of a server imports, and what only a bucket or a policy needs."""

import subprocess
import sys

import pytest

FOR_BUCKETS = {"boto3.session", "botocore.session", "s3transfer"}
FOR_PROOFS = {"sigstore", "pydantic", "requests"}
FOR_ANSWERS = {"flask", "gunicorn", "werkzeug"}


def imported_by(code: str) -> set[str]:
    whole = f"import sys\ntry:\n    {code}\nfinally:\n    print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("child", ["public", "api", "worker"])
def test_no_child_pays_for_a_bucket_or_a_proof_before_there_is_one(child: str) -> None:
    loaded = imported_by(f"import lockgate_server.children.{child}")
    assert "securesystemslib.signer._aws_signer" in loaded, "who would import boto3 if it could"
    assert not loaded & (FOR_BUCKETS | FOR_PROOFS)


def test_asking_for_help_imports_nothing_that_answers_requests_either() -> None:
    loaded = imported_by("from lockgate_server.command import main; main(['--help'])")
    assert "lockgate_server.command.run" in loaded
    assert not loaded & (FOR_BUCKETS | FOR_PROOFS | FOR_ANSWERS)
