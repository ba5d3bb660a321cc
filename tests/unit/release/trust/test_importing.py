"""Keys in a key service: their public half is asked for. KMS is moto's."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from lockgate_release.errors import LocalError
from lockgate_release.trust.importing import find_public_key
from lockgate_release.trust.keys import generate_signer, load_signer
from lockgate_release.trust.public_keys import check_public_key


@pytest.fixture
def key_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        made = boto3.client("kms").create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
        yield made["KeyMetadata"]["KeyId"]


def test_the_public_half_of_a_key_in_kms_is_told(key_id: str) -> None:
    # How it signs cannot be tried here: moto hashes once more what was hashed already.
    uri, key = find_public_key(f"awskms:{key_id}", environ={}, ask=None)
    check_public_key(key, subject="kms")
    assert (uri, key.scheme) == (f"awskms:{key_id}", "ecdsa-sha2-nistp256")


def test_a_service_that_signs_wrongly_is_not_taken_for_the_key(key_id: str) -> None:
    uri, key = find_public_key(f"awskms:{key_id}", environ={}, ask=None)
    with pytest.raises(LocalError, match="no such key, or none that this repository knows"):
        load_signer(uri, known_keys=[generate_signer().public_key, key], environ={})


def test_a_key_that_kms_does_not_have_is_refused_with_a_reason(key_id: str) -> None:
    missing = key_id[:-4] + ("0000" if not key_id.endswith("0000") else "1111")
    with pytest.raises(LocalError, match="the key could not be asked for"):
        find_public_key(f"awskms:{missing}", environ={}, ask=None)


@pytest.mark.parametrize("uri", ["gcpkms:projects/p", "hv:key/1", "hsm:2?label=none"])
def test_a_service_that_cannot_be_reached_names_the_library_it_takes(uri: str) -> None:
    with pytest.raises(LocalError, match=r"securesystemslib\[EXTRA\]"):
        find_public_key(uri, environ={}, ask=None)
