"""Private keys: found where their URI says, and refused with a word about what is wrong."""

import itertools
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Key,
    Signature,
    Signer,
)

from lockgate_release.errors import DocumentError, LocalError, UsageError
from lockgate_release.trust.keys import (
    generate_signer,
    load_signer,
    parse_public_key,
    public_keys_of,
    write_private_key,
)

MESSAGE = b"message"


def _pem(key: Any, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem


def _load(uri: str, *known: Key, **environ: str) -> Signer:
    return load_signer(uri, known_keys=known, environ=environ)


def _assert_signs_as(signer: Signer, key: Key) -> None:
    key.verify_signature(signer.sign(MESSAGE), MESSAGE)


def test_a_key_that_was_written_is_read_back(tmp_path: Path) -> None:
    made = generate_signer()
    path = tmp_path / "keys" / "deep" / "a.pem"
    write_private_key(made, path)
    for uri in (str(path), f"file2:{path}", f"{path}#{made.public_key.keyid}"):
        found = _load(uri)
        assert found.public_key == made.public_key
        _assert_signs_as(found, made.public_key)


def test_an_encrypted_key_is_read_back_with_its_passphrase(tmp_path: Path) -> None:
    made, path, secret = generate_signer(), tmp_path / "a.pem", tmp_path / "passphrase"
    write_private_key(made, path, passphrase="long enough")
    secret.write_text("long enough\n")
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    for environ in (
        {"LOCKGATE_KEY_PASSPHRASE": "long enough"},
        {"LOCKGATE_KEY_PASSPHRASE_FILE": str(secret)},
    ):
        assert _load(str(path), **environ).public_key == made.public_key
    asked = []

    def ask(what: str) -> str:
        asked.append(what)
        return "long enough"

    found = load_signer(str(path), known_keys=(), environ={}, ask=ask)
    assert found.public_key == made.public_key
    assert asked == [f"passphrase of {path}"]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "the key is encrypted.*LOCKGATE_KEY_PASSPHRASE"),
        ({"LOCKGATE_KEY_PASSPHRASE": "another"}, "not the passphrase of this key"),
        ({"LOCKGATE_KEY_PASSPHRASE_FILE": "/missing"}, "the secret cannot be read"),
    ],
)
def test_an_encrypted_key_stays_closed_without_it(
    tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    write_private_key(generate_signer(), tmp_path / "a.pem", passphrase="long enough")
    with pytest.raises(LocalError, match=words):
        _load(f"{tmp_path}/a.pem", **environ)


def test_only_its_owner_can_read_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a.pem"
    write_private_key(generate_signer(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [found.name for found in path.parent.iterdir()] == ["a.pem"]


@pytest.mark.parametrize("taken", ["file", "link", "folder"])
def test_a_key_is_never_written_over(tmp_path: Path, taken: str) -> None:
    path = tmp_path / "a.pem"
    if taken == "file":
        path.write_text("old")
    elif taken == "link":
        (tmp_path / "elsewhere").write_text("old")
        path.symlink_to("elsewhere")
    else:
        path.mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(LocalError, match="a key could not be written"):
        write_private_key(generate_signer(), path)
    assert sorted(tmp_path.iterdir()) == before
    assert taken == "folder" or path.read_text() == "old"


def test_a_key_that_cannot_be_written_is_this_machine_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="a key could not be written"):
        write_private_key(generate_signer(), tmp_path / "file" / "a.pem")


@pytest.mark.parametrize("broken", [False, True])
def test_a_key_is_read_from_the_environment(broken: bool) -> None:
    made = generate_signer()
    pem = made.private_bytes.decode()
    found = _load("env:KEY", KEY=pem.replace("\n", "\\n") if broken else pem)
    assert found.public_key == made.public_key


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)],
    ids=["ecdsa", "rsa"],
)
def test_other_kinds_of_keys_are_read(key: Any) -> None:
    found = _load("env:KEY", KEY=_pem(key).decode())
    _assert_signs_as(found, found.public_key)


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_a_variable_without_a_key_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"env:KEY: no key there; expected a PEM in \$KEY"):
        _load("env:KEY", **environ)


@pytest.mark.parametrize("uri", ["missing.pem", "file2:missing.pem", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LocalError, match="the key cannot be read"):
        _load(uri)


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("", "no key there"),
        ("rubbish", "not a private key"),
        ("\udcff", "not a private key"),
        (_pem(ec.generate_private_key(ec.SECP256R1()), b"secret").decode(), "is encrypted"),
        (_pem(x25519.X25519PrivateKey.generate()).decode(), "not a private key"),
        (_pem(dsa.generate_private_key(1024)).decode(), "not a private key"),
        (_pem(ec.generate_private_key(ec.SECP256K1())).decode(), "not a private key"),
        (generate_signer().private_bytes.decode()[:60], "not a private key"),
    ],
    ids=["empty", "rubbish", "no-text", "encrypted", "x25519", "dsa", "other-curve", "cut-off"],
)
def test_what_is_no_usable_key_is_refused(pem: str, words: str) -> None:
    with pytest.raises((LocalError, UsageError), match=words):
        _load("env:KEY", KEY=pem)


def test_a_refusal_never_shows_the_secret() -> None:
    secret = generate_signer().private_bytes.decode()[:-40]
    with pytest.raises(LocalError) as caught:
        _load("env:KEY", KEY=secret)
    assert secret.splitlines()[1] not in str(caught.value)


def test_another_key_than_the_one_that_was_named_is_refused(tmp_path: Path) -> None:
    write_private_key(generate_signer(), tmp_path / "a.pem")
    with pytest.raises(LocalError, match="another key"):
        _load(f"{tmp_path}/a.pem#{'0' * 64}")


# -- Keys that are not on this machine ---------------------------------------------------------


class RemoteSigner(Signer):
    """A key service, as the real ones are: it takes any public key, and signs with its own."""

    KEYS: ClassVar[dict[str, CryptoSigner]] = {}
    asked = 0

    def __init__(self, name: str, public_key: Key) -> None:
        self._name, self._public_key = name, public_key

    @property
    def public_key(self) -> Key:
        return self._public_key

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,
        public_key: Key,
        secrets_handler: Any = None,  # noqa: ARG003
    ) -> "RemoteSigner":
        return cls(priv_key_uri.partition(":")[2], public_key)

    def sign(self, payload: bytes) -> Signature:
        type(self).asked += 1
        made = self.KEYS[self._name].sign(payload)
        return Signature(self._public_key.keyid, made.signature)


@pytest.fixture
def remote() -> Iterator[type[RemoteSigner]]:
    SIGNER_FOR_URI_SCHEME["remote"] = RemoteSigner
    RemoteSigner.KEYS = {name: generate_signer() for name in ("a", "b")}
    RemoteSigner.asked = 0
    yield RemoteSigner
    del SIGNER_FOR_URI_SCHEME["remote"]


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_key_elsewhere_is_found_among_those_the_role_knows(
    remote: type[RemoteSigner], name: str
) -> None:
    known = [remote.KEYS[one].public_key for one in "ab"]
    found = _load(f"remote:{name}", *known)
    assert found.public_key == remote.KEYS[name].public_key
    _assert_signs_as(found, found.public_key)


def test_the_id_of_a_key_elsewhere_saves_the_trying(remote: type[RemoteSigner]) -> None:
    known = [remote.KEYS[one].public_key for one in "ab"]
    found = _load(f"remote:b#{known[1].keyid}", *known)
    assert found.public_key == known[1]
    assert remote.asked == 0


@pytest.mark.parametrize(
    "uri", ["remote:a", "remote:missing", "unknown:x", "hsm:2?label=x", "a://b"]
)
def test_a_key_elsewhere_that_is_none_of_the_role_s_is_refused(
    remote: type[RemoteSigner], uri: str
) -> None:
    assert remote.KEYS.keys() == {"a", "b"}
    for known in ([], [remote.KEYS["b"].public_key, generate_signer().public_key]):
        with pytest.raises(LocalError, match="no such key, or none that this repository knows"):
            _load(uri, *known)


# -- Public keys -------------------------------------------------------------------------------


def test_a_public_key_is_read_back() -> None:
    key = generate_signer().public_key
    answer = json.loads(json.dumps({"keyid": key.keyid, "key": key.to_dict()}))
    assert parse_public_key(answer, subject="server") == key
    assert answer["key"] == key.to_dict()


KEY = generate_signer().public_key


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"keyid": KEY.keyid},
        {"keyid": 1, "key": KEY.to_dict()},
        {"keyid": KEY.keyid, "key": []},
        {"keyid": KEY.keyid, "key": {}},
        {"keyid": KEY.keyid, "key": {**KEY.to_dict(), "scheme": 1}},
        {"keyid": KEY.keyid, "key": {**KEY.to_dict(), "keyval": {}}},
        {"keyid": KEY.keyid, "key": {**KEY.to_dict(), "keyval": "x"}},
        {"keyid": KEY.keyid, "key": {**KEY.to_dict(), "keyval": {"public": 1}}},
        {"keyid": KEY.keyid, "key": {**KEY.to_dict(), "keytype": "unknown"}},
    ],
    ids=itertools.count(),
)
def test_what_is_no_public_key_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="public key"):
        parse_public_key(answer, subject="server")


def test_public_keys_stand_by_their_ids() -> None:
    made = [generate_signer() for _ in range(2)]
    assert public_keys_of(made) == {one.public_key.keyid: one.public_key for one in made}
