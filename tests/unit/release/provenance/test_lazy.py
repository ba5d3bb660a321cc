"""What reading rules and counting proofs costs those who never verify a bundle: nothing."""

import subprocess
import sys


def test_nothing_of_sigstore_is_imported_before_a_bundle_is_verified() -> None:
    code = (
        "import sys\n"
        "import lockgate_release.documents.attestation_rules\n"
        "import lockgate_release.provenance.judging\n"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".", 1)[0] for name in ran.stdout.split()}
    assert not loaded & {"sigstore", "sigstore_models", "pydantic", "requests", "cryptography"}
