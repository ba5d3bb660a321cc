"""Where the server's own keys come from, and that nobody else's is taken for one."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Key,
    Signature,
    Signer,
)

from lockgate_release.errors import LocalError, LockgateError, UsageError
from lockgate_release.names import AppName
from lockgate_release.trust.keys import generate_signer
from lockgate_server.keys import KeyRing, variable_of

APP = AppName("my-app.2")
NAME = "LOCKGATE_ONLINE_KEY_MY_APP_2"


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys", {})
    key = ring.create(APP)
    path = tmp_path / "keys" / "my-app.2.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ring.create(APP) == key
    assert KeyRing(tmp_path / "keys", {}).signer(APP, [key]).public_key == key


def test_the_environment_names_another_key(tmp_path: Path) -> None:
    signer = generate_signer()
    pem = signer.private_bytes.decode()
    assert variable_of(APP) == NAME
    for said in (pem, pem.replace("\n", "\\n")):
        ring = KeyRing(tmp_path / "keys", {NAME: said})
        assert ring.create(APP) == signer.public_key
    other = tmp_path / "other.pem"
    other.write_bytes(signer.private_bytes)
    assert KeyRing(tmp_path / "keys", {NAME: str(other)}).create(APP) == signer.public_key
    assert not (tmp_path / "keys").exists()


def test_a_key_that_the_root_does_not_name_is_refused(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path, {})
    ring.create(APP)
    with pytest.raises(LocalError, match="not the key that the app's root names"):
        ring.signer(APP, [generate_signer().public_key])


def test_a_key_that_is_gone_is_missed_without_telling_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"online key of my-app\.2") as caught:
        KeyRing(tmp_path, {}).signer(APP, [])
    assert str(tmp_path) not in str(caught.value)


def test_a_key_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my-app.2.pem").write_text("no key")
    with pytest.raises(LocalError, match="online key"):
        KeyRing(tmp_path, {}).create(APP)


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(LocalError):
        KeyRing(tmp_path / "keys", {}).create(APP)


def test_a_key_service_needs_its_public_half_said(tmp_path: Path) -> None:
    signer = generate_signer()
    private = load_pem_private_key(signer.private_bytes, None)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    environ = {NAME: "unknown-service:key-1", f"{NAME}_PUBLIC": public.decode()}
    with pytest.raises(LocalError, match="cannot be used"):
        KeyRing(tmp_path, environ).create(APP)
    assert KeyRing(tmp_path, environ)._said_public(KeyRing(tmp_path, environ)._place(APP)) == [
        signer.public_key
    ]
    with pytest.raises(UsageError, match="not a public key"):
        KeyRing(tmp_path, {NAME: "x:y", f"{NAME}_PUBLIC": "no"}).create(APP)


def test_a_pem_in_the_environment_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    with pytest.raises(LockgateError) as caught:
        KeyRing(tmp_path, {NAME: broken}).create(APP)
    assert "AAAA" not in str(caught.value)


class ServiceSigner(Signer):
    """A key service: it signs with the key it has, under whatever public key it was told."""

    keys: ClassVar[dict[str, CryptoSigner]] = {}

    def __init__(self, inner: CryptoSigner, public_key: Key) -> None:
        self._inner = inner
        self._public_key = public_key

    @property
    def public_key(self) -> Key:
        return self._public_key

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: object = None
    ) -> "ServiceSigner":
        del secrets_handler
        return cls(cls.keys[priv_key_uri], public_key)

    def sign(self, payload: bytes) -> Signature:
        return Signature(self._public_key.keyid, self._inner.sign(payload).signature)


@pytest.fixture
def service() -> Iterator[dict[str, CryptoSigner]]:
    """Two keys in a service that securesystemslib knows by its scheme."""
    SIGNER_FOR_URI_SCHEME["test-service"] = ServiceSigner
    ServiceSigner.keys = {f"test-service:{n}": generate_signer() for n in (1, 2)}
    yield ServiceSigner.keys
    del SIGNER_FOR_URI_SCHEME["test-service"]


def public_pem(signer: CryptoSigner) -> str:
    public = load_pem_private_key(signer.private_bytes, None).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_both_keys_of_a_rotation_may_be_a_service_s(
    tmp_path: Path, service: dict[str, CryptoSigner]
) -> None:
    old, new = service.values()
    environ = {NAME: "test-service:1", f"{NAME}_NEXT": "test-service:2"}
    environ |= {f"{NAME}_PUBLIC": public_pem(old), f"{NAME}_NEXT_PUBLIC": public_pem(new)}
    ring = KeyRing(tmp_path, environ)
    assert ring.create_next(APP) == new.public_key
    for named in (old, new):
        first, second = ring.signers(APP, [named.public_key])
        assert first.public_key == named.public_key
        for signer in (first, second):
            signer.public_key.verify_signature(signer.sign(b"x"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_service_s_key_that_is_not_the_one_it_is_taken_for_does_not_sign(
    tmp_path: Path, service: dict[str, CryptoSigner], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing says which key the next one is: it must not sign in the name of the old one."""
    old, _ = service.values()
    ring = KeyRing(tmp_path, {NAME: "test-service:1", f"{NAME}_NEXT": "test-service:2"})
    (signer,) = ring.signers(APP, [old.public_key])
    signer.public_key.verify_signature(signer.sign(b"x"), b"x")
    assert "key.not-used" in caplog.text
    with pytest.raises(LocalError, match="next online key"):
        ring.create_next(APP)
