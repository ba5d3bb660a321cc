"""Private keys: where they are, said as a URI, and how they become signers. Reads key files.

    PATH, file2:PATH         an unencrypted PKCS#8 PEM file
    env:NAME                 the same, in an environment variable: how CI holds a secret
    awskms:… gcpkms:… azurekms:… hv:… hsm:…      whatever securesystemslib can load

A key outside this machine does not tell its public half: it is found among those that the role's
metadata lists, by letting it sign and asking each. `URI#KEYID` says which it is, and saves that.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, Key, Signer

from lockgate_release.errors import DocumentError, LocalError, UsageError

__all__ = [
    "generate_signer",
    "load_signer",
    "parse_public_key",
    "public_keys_of",
    "write_private_key",
]

_LOCAL_SCHEMES = ("file2:", "env:")
_PROBE = b"lockgate: which key is this?"
"""What a key outside this machine signs to be found. It is no metadata of any kind."""


def generate_signer() -> CryptoSigner:
    """Return a signer with a new Ed25519 key."""
    return CryptoSigner.generate_ed25519()


def write_private_key(signer: CryptoSigner, path: Path) -> None:
    """Write the key, unencrypted, to a new file that only its owner can read, and sync it.

    The file is whole or not there: half a key after a power cut would look like one to keep.

    Raises:
        LocalError: The file exists, or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".new-key-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(signer.private_bytes)
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


def load_signer(uri: str, *, known_keys: Iterable[Key], environ: Mapping[str, str]) -> Signer:
    """Return the signer whose private key `uri` names.

    Args:
        uri: As the module says.
        known_keys: Public keys that a signer outside this machine may have, from metadata.
        environ: The environment, for `env:NAME`.

    Raises:
        UsageError: The URI names no key.
        LocalError: The key cannot be read, or is not the one named. A key outside this machine is
            none of `known_keys`, or cannot be reached.
    """
    uri, _, wanted = uri.partition("#")
    if "://" not in uri and ":" not in uri.removeprefix("file2:"):
        uri = f"file2:{uri.removeprefix('file2:')}"
    if uri.startswith(_LOCAL_SCHEMES):
        signer = _parse_pem(_read_pem(uri, environ), uri)
        if wanted not in {"", signer.public_key.keyid}:
            raise LocalError(
                "another key than the one named",
                subject=uri,
                expected=wanted,
                found=signer.public_key.keyid,
            )
        return signer
    keys = [key for key in known_keys if wanted in {"", key.keyid}]
    return _try_each(uri, keys)


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


def _parse_pem(pem: bytes, uri: str) -> Signer:
    try:
        return CryptoSigner(load_pem_private_key(pem, password=None))
    except TypeError as exc:
        raise LocalError(
            "the key is encrypted", subject=uri, hint="Give an unencrypted PKCS#8 PEM."
        ) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise LocalError(
            "not a private key", subject=uri, expected="a PKCS#8 PEM", found=str(exc)[:80]
        ) from exc


def _try_each(uri: str, keys: list[Key]) -> Signer:
    failures = []
    for key in keys:
        try:
            signer = Signer.from_priv_key_uri(uri, key)
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
