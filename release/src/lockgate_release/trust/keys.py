"""Private keys: where they are, said as a URI, and how they become signers. Reads key files.

    PATH, file2:PATH         a PKCS#8 PEM file, encrypted or not
    env:NAME                 the same, in an environment variable: how CI holds a secret
    awskms:… gcpkms:… azurekms:… hv:… hsm:…      whatever securesystemslib can load

A key outside this machine does not tell its public half: it is found among those that the role's
metadata lists, by letting it sign and asking each. `URI#KEYID` says which it is, and saves that.

A passphrase comes from `LOCKGATE_KEY_PASSPHRASE`, or from the file that
`LOCKGATE_KEY_PASSPHRASE_FILE` names; the PIN of a token from `LOCKGATE_KEY_PIN` or
`LOCKGATE_KEY_PIN_FILE`. Where the environment has neither, whoever can be asked is asked.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key, Signer

from lockgate_release.errors import DocumentError, LocalError, UsageError

__all__ = [
    "Ask",
    "find_passphrase",
    "find_secret",
    "generate_signer",
    "load_signer",
    "parse_public_key",
    "public_keys_of",
    "secret_asker",
    "write_private_key",
]

Ask: TypeAlias = Callable[[str], str]
"""Asks a person for a secret, such as `passphrase of keys/laptop.pem`, and returns the answer."""

_PASSPHRASE = "LOCKGATE_KEY_PASSPHRASE"  # noqa: S105 (the name of a variable)
_PIN = "LOCKGATE_KEY_PIN"
_HINTS = {
    _PASSPHRASE: "Set LOCKGATE_KEY_PASSPHRASE, or LOCKGATE_KEY_PASSPHRASE_FILE to a file with it, "
    "or type it at a terminal.",
    _PIN: "Set LOCKGATE_KEY_PIN, or LOCKGATE_KEY_PIN_FILE to a file with it, or type it at a "
    "terminal.",
}
_RECODE = "Write it anew as PKCS#8: openssl pkcs8 -topk8 -in OLD.pem -out NEW.pem"
_LOCAL_SCHEMES = ("file2:", "env:")
_PROBE = b"lockgate: which key is this?"
"""What a key outside this machine signs to be found. It is no metadata of any kind."""


def generate_signer() -> CryptoSigner:
    """Return a signer with a new Ed25519 key."""
    return CryptoSigner.generate_ed25519()


def write_private_key(signer: CryptoSigner, path: Path, *, passphrase: str = "") -> None:
    """Write the key to a new file that only its owner can read, and sync it.

    The file is whole or not there: half a key after a power cut would look like one to keep.

    Args:
        signer: Whose key it is.
        path: A name that is not taken.
        passphrase: What the file is encrypted with; "" leaves it unencrypted.

    Raises:
        LocalError: The file exists, or cannot be written.
    """
    pem = _encrypted(signer.private_bytes, passphrase) if passphrase else signer.private_bytes
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".new-key-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(pem)
                stream.flush()
                os.fsync(stream.fileno())
            # A link is refused where the name is taken; a rename would overwrite.
            os.link(temporary, path)
        finally:
            os.unlink(temporary)  # noqa: PTH108 (the name is a text, as mkstemp gives it)
        _sync_folder(path.parent)
    except OSError as exc:
        raise LocalError("a key could not be written", subject=str(path), found=str(exc)) from exc


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encrypted(pem: bytes, passphrase: str) -> bytes:
    key = load_pem_private_key(pem, password=None)
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode())
    )


def load_signer(
    uri: str,
    *,
    known_keys: Iterable[Key],
    environ: Mapping[str, str],
    ask: Ask | None = None,
) -> Signer:
    """Return the signer whose private key `uri` names.

    Args:
        uri: As the module says.
        known_keys: Public keys that a signer outside this machine may have, from metadata.
        environ: The environment, for `env:NAME`, passphrase and PIN.
        ask: Asks for a secret that the environment does not hold; None: nobody is there.

    Raises:
        UsageError: The URI names no key.
        LocalError: The key cannot be read or decrypted, or is not the one named. A key outside
            this machine is none of `known_keys`, or cannot be reached.
    """
    uri, _, wanted = uri.partition("#")
    if "://" not in uri and ":" not in uri.removeprefix("file2:"):
        uri = f"file2:{uri.removeprefix('file2:')}"
    if uri.startswith(_LOCAL_SCHEMES):
        signer = _parse_pem(_read_pem(uri, environ), uri, environ, ask)
        if wanted not in {"", signer.public_key.keyid}:
            raise LocalError(
                "another key than the one named",
                subject=uri,
                expected=wanted,
                found=signer.public_key.keyid,
            )
        return signer
    keys = [key for key in known_keys if wanted in {"", key.keyid}]
    return _try_each(uri, keys, secret_asker(uri, environ, ask))


def secret_asker(uri: str, environ: Mapping[str, str], ask: Ask | None) -> Ask:
    """Return what finds a secret of this key, `passphrase` or `pin`: once, however often asked.

    What it returns raises `LocalError` where the secret is nowhere and nobody can be asked.
    """
    return functools.cache(lambda what: _need_secret(what, uri, environ, ask))


def find_passphrase(environ: Mapping[str, str]) -> str | None:
    """Return the passphrase of key files that the environment holds, or None.

    Raises:
        LocalError: The file that it names cannot be read.
    """
    return find_secret(_PASSPHRASE, environ)


def find_secret(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the secret in a variable, or in the file that `NAME_FILE` names, or None.

    Raises:
        LocalError: The file cannot be read.
    """
    if environ.get(name):
        return environ[name]
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as exc:
        raise LocalError(
            "the secret cannot be read", subject=f"{name}_FILE: {path}", found=str(exc)[:200]
        ) from exc


def _need_secret(what: str, uri: str, environ: Mapping[str, str], ask: Ask | None) -> str:
    name = _PASSPHRASE if what == "passphrase" else _PIN
    found = find_secret(name, environ)
    if found is not None:
        return found
    if ask is None:
        state = "the key is encrypted" if name == _PASSPHRASE else f"the key needs a {what}"
        raise LocalError(
            state,
            subject=uri,
            hint=_HINTS[name],
        )
    return ask(f"{what} of {uri.removeprefix('file2:')}")


def _read_pem(uri: str, environ: Mapping[str, str]) -> bytes:
    scheme, _, name = uri.partition(":")
    if scheme == "env":
        if not environ.get(name):
            raise UsageError("no key there", subject=uri, expected=f"a PEM in ${name}")
        # A secret pasted into one line keeps its line breaks as the two characters \n.
        return environ[name].replace("\\n", "\n").encode("utf-8", "surrogateescape")
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as exc:  # ValueError: a name with a NUL
        raise LocalError("the key cannot be read", subject=uri, found=str(exc)[:200]) from exc


def _parse_pem(pem: bytes, uri: str, environ: Mapping[str, str], ask: Ask | None) -> Signer:
    encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem
    secret = _need_secret("passphrase", uri, environ, ask).encode() if encrypted else None
    if secret == b"":
        raise LocalError("no passphrase", subject=uri, expected="the one of this key")
    try:
        return CryptoSigner(load_pem_private_key(pem, password=secret))
    except TypeError as exc:
        raise LocalError("the key is encrypted in an old way", subject=uri, hint=_RECODE) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        what = "not the passphrase of this key" if encrypted else "not a private key"
        raise LocalError(what, subject=uri, expected="a PKCS#8 PEM", found=str(exc)[:80]) from exc


def _try_each(uri: str, keys: list[Key], secret: Ask) -> Signer:
    failures = []
    for key in keys:
        try:
            signer = Signer.from_priv_key_uri(uri, key, secret)
            if len(keys) > 1:
                # A service signs under whatever public key it was given: only this tells.
                key.verify_signature(signer.sign(_PROBE), _PROBE)
            return signer
        except Exception as exc:  # noqa: BLE001 (each service has exceptions of its own)
            failures.append(str(exc))
    raise LocalError(
        "no such key, or none that this repository knows",
        subject=uri,
        expected="a key of the role, as PATH, env:NAME or a securesystemslib URI",
        found="; ".join(failures)[:300],
    )


def parse_public_key(answer: Mapping[str, object], *, subject: str) -> Key:
    """Return the public key in `{"keyid": …, "key": {…}}`, as the server tells its own.

    Raises:
        DocumentError: There is none.
    """
    keyid, key = answer.get("keyid"), answer.get("key")
    if not isinstance(keyid, str) or not isinstance(key, dict):
        raise DocumentError("no public key", subject=subject, expected="keyid and key")
    try:
        # It takes the dictionary apart: give it one of its own.
        return Key.from_dict(keyid, dict(key))
    except (KeyError, TypeError, ValueError) as exc:
        raise DocumentError("not a public key", subject=subject, found=str(exc)[:80]) from exc


def public_keys_of(signers: Iterable[Signer]) -> dict[str, Key]:
    """Return the signers' public keys by their ids."""
    return {signer.public_key.keyid: signer.public_key for signer in signers}
