"""The server's online keys, one for each app: which they are, and where they lie.

In this order:

1. `LOCKGATE_ONLINE_KEY_<APP>` in the environment: a PEM, or a URI as `lockgate_release.trust.keys`
   reads it. `<APP>` is the app's name in capitals, with `_` for everything else than A-Z and 0-9.
2. `<data>/keys/<app>.pem`, made when the app is about to be registered.

A key that does not tell its public half (a key service) needs it to be said before the app is
registered: a PEM in `LOCKGATE_ONLINE_KEY_<APP>_PUBLIC`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import Key, Signer, SSlibKey

from lockgate_release.errors import LocalError, LockgateError, UsageError
from lockgate_release.names import AppName
from lockgate_release.trust.keys import generate_signer, load_signer, write_private_key

__all__ = ["KeyRing", "variable_of"]

_BEGIN = "-----BEGIN"


def variable_of(app: AppName) -> str:
    """Return the environment variable that may hold the app's key."""
    return "LOCKGATE_ONLINE_KEY_" + re.sub(r"[^A-Z0-9]", "_", app.upper())


class KeyRing:
    """Online keys from the environment and from a folder. Implements `OnlineKeys`."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        """Use `<folder>/<app>.pem` where `environ` names no other key."""
        self._folder = folder
        self._environ = environ

    def create(self, app: AppName) -> Key:
        """Return the public half of the app's key, making one where there is none.

        Raises:
            LocalError: It can be neither read nor written.
            UsageError: The environment names a key that cannot be used.
        """
        path = self._path(app)
        if variable_of(app) not in self._environ and not path.exists():
            try:
                write_private_key(generate_signer(), path)
            except LocalError:
                # Another process may have been faster; then its key is the one.
                if not path.exists():
                    raise
        return self.signer(app, self._said_public(app)).public_key

    def signer(self, app: AppName, known_keys: Iterable[Key]) -> Signer:
        """Return the app's key, ready to sign.

        Args:
            app: The app.
            known_keys: The public keys it may have, from metadata.

        Raises:
            LocalError: There is none, it cannot be read, or it is none of `known_keys`.
            UsageError: The environment names a key that cannot be used.
        """
        known = list(known_keys)
        signer = self._load(app, known or self._said_public(app))
        if known and signer.public_key.keyid not in {key.keyid for key in known}:
            raise LocalError(
                "not the key that the app's root names",
                subject=f"online key of {app}",
                expected=", ".join(key.keyid for key in known),
                found=signer.public_key.keyid,
            )
        return signer

    def _load(self, app: AppName, known: list[Key]) -> Signer:
        name = variable_of(app)
        said = self._environ.get(name, "")
        if said.lstrip().startswith(_BEGIN):
            return load_signer(f"env:{name}", known_keys=known, environ=self._environ)
        uri = said or f"file2:{self._path(app)}"
        try:
            return load_signer(uri, known_keys=known, environ=self._environ)
        except LockgateError as exc:
            # A path of this machine, or a key service's address, is no answer for a client.
            raise LocalError(
                "the online key cannot be used", subject=f"online key of {app}", found=exc.what
            ) from exc

    def _said_public(self, app: AppName) -> list[Key]:
        name = f"{variable_of(app)}_PUBLIC"
        said = self._environ.get(name)
        if not said:
            return []
        try:
            public = load_pem_public_key(said.replace("\\n", "\n").encode())
            return [SSlibKey.from_crypto(public)]
        except ValueError as exc:
            raise UsageError("not a public key", subject=name, expected="a PEM") from exc

    def _path(self, app: AppName) -> Path:
        return self._folder / f"{app}.pem"
