"""Where the server's own keys come from, and that nobody else's is taken for one."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
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
