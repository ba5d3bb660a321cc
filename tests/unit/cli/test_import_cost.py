"""What a start of `lockgate` pays for: nothing that only some commands need."""

import subprocess
import sys

HELP = """
import sys
from lockgate_cli.entry import main
sys.argv = ["lockgate", "--help"]
try:
    main()
finally:
    print(*sys.modules)
"""


def test_asking_for_help_imports_no_cloud_no_sigstore_and_no_numbers() -> None:
    # Isolated, for the guard of these tests hides boto3 from commands.
    ran = subprocess.run(
        [sys.executable, "-I", "-c", HELP], capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("Usage: lockgate")
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert "securesystemslib.signer._aws_signer" in loaded, "who would import boto3 if it could"
    heavy = {"boto3.session", "botocore.session", "sigstore", "pydantic", "numpy", "matplotlib"}
    assert not loaded & heavy
    assert not loaded & {"flask", "gunicorn", "sqlite_utils", "hdiffpatch", "lockgate_server"}
