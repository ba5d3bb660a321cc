"""The server's online keys: which they are, and where they lie.

Each app has one; during a rotation it has a next one beside it, and everything is signed by both.
Of either, in this order:

1. `LOCKGATE_ONLINE_KEY_<APP>` in the environment, and `LOCKGATE_ONLINE_KEY_<APP>_NEXT`: a PEM, or a
   URI as `lockgate_release.trust.keys` reads it. `<APP>` is the app's name in capitals, with `_`
   for everything else than A-Z and 0-9. No app is begun that would share one with another.
2. `<data>/keys/<app>.pem`, made when the app is about to be registered, and
   `<data>/keys/<app>+next.pem`, made when a rotation begins. No app's name has
   a plus sign in it, so no two apps share a file. When it ends, the next takes the place
   of the old one in a single step, so that at no moment there is none.

A key that does not tell its public half (a key service) needs it to be said before root names it: a
PEM in the same variable with `_PUBLIC` after it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signer, SSlibKey

from lockgate_release.errors import LocalError, LockgateError, UsageError
from lockgate_release.log.server_events import KEY_NOT_USED
from lockgate_release.log.telling import tell
from lockgate_release.names import AppName
from lockgate_release.trust.keys import generate_signer, load_signer, write_private_key
from lockgate_server.services.write.server_keys import HeldKey, variable_of

__all__ = ["KeyRing", "variable_of"]

_BEGIN = "-----BEGIN"
_PROBE = b"lockgate: which key is this?"
"""What a key service signs to prove that it is the key it is taken for. It is no metadata."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where one of an app's keys may be."""

    app: AppName
    is_next: bool
    variable: str
    said: str
    said_public: str
    path: Path

    @property
    def is_taken(self) -> bool:
        return bool(self.said) or self.path.exists()

    @property
    def uri(self) -> str:
        if self.said.lstrip().startswith(_BEGIN):
            return f"env:{self.variable}"
        return self.said or f"file2:{self.path}"


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
        return self._create(self._place(app))

    def create_next(self, app: AppName) -> Key:
        """Return the public half of the app's next key, making one where there is none.

        Raises:
            LocalError: It can be neither read nor written.
            UsageError: The environment names a key that cannot be used.
        """
        return self._create(self._place(app, is_next=True))

    def _create(self, place: _Place) -> Key:
        if not place.is_taken:
            try:
                write_private_key(generate_signer(), place.path)
            except LocalError:
                # Another process may have been faster; then its key is the one.
                if not place.path.exists():
                    raise
        return self._load(place, ()).public_key

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
        signer = self._load(self._place(app), known)
        if known and signer.public_key.keyid not in {key.keyid for key in known}:
            raise _not_named(app, known, [signer])
        return signer

    def signers(self, app: AppName, needed: Iterable[Key]) -> tuple[Signer, ...]:
        """Return every key that signs for the app now, those that are needed first.

        One that nobody needs, and that cannot be used, is told of in the log and left out: what is
        missing then is noticed before a root counts on it.

        Args:
            app: The app.
            needed: The public keys without whose signature nothing would be verified.

        Raises:
            LocalError: A needed key is not here, or cannot be used.
            UsageError: The environment names a key that cannot be used.
        """
        known = {key.keyid: key for key in needed}
        found, failures = self._load_all(app, list(known.values()))
        if not known.keys() <= found.keys():
            # The next may have taken the place of the old one between two looks.
            found, failures = self._load_all(app, list(known.values()))
        if not known.keys() <= found.keys():
            if failures:
                raise failures[0]
            raise _not_named(app, known.values(), found.values())
        for failure in failures:
            tell(_log, KEY_NOT_USED, app=app, code=failure.code, reason=str(failure))
        others = [signer for key_id, signer in found.items() if key_id not in known]
        return (*(found[key_id] for key_id in known), *others)

    def _load_all(
        self, app: AppName, known: list[Key]
    ) -> tuple[dict[str, Signer], list[LockgateError]]:
        loaded, failures = self._load_places(app, known)
        found: dict[str, Signer] = {}
        for _, signer in loaded:
            found.setdefault(signer.public_key.keyid, signer)
        return found, failures

    def _load_places(
        self, app: AppName, known: list[Key]
    ) -> tuple[list[tuple[_Place, Signer]], list[LockgateError]]:
        loaded: list[tuple[_Place, Signer]] = []
        failures: list[LockgateError] = []
        places = [self._place(app), self._place(app, is_next=True)]
        taken = [place for place in places if place.is_taken] or places[:1]
        for place in taken:
            try:
                signer = self._load(place, known)
                if len(taken) > 1:
                    _prove(signer, place)
            except LockgateError as exc:
                failures.append(exc)
            else:
                loaded.append((place, signer))
        return loaded, failures

    def held(self, app: AppName, needed: Iterable[Key]) -> tuple[HeldKey, ...]:
        """Return the app's keys and where they lie, the next one last.

        Args:
            app: The app.
            needed: The public keys that are known from metadata.

        Raises:
            LocalError: None can be used.
            UsageError: The environment names a key that cannot be used.
        """
        loaded, failures = self._load_places(app, list(needed))
        if failures and not loaded:
            raise failures[0]
        return tuple(
            HeldKey(
                key=signer.public_key,
                is_next=place.is_next,
                variable=place.variable if place.said else "",
            )
            for place, signer in loaded
        )

    def has_next(self, app: AppName) -> bool:
        """Whether there is a key where the next one lies; nothing is read."""
        return self._place(app, is_next=True).is_taken

    def drop(self, app: AppName, key_id: str) -> None:
        """Let go of a key for ever; the next one takes the place of the old.

        Raises:
            LocalError: It lies in the environment, or its file cannot be removed.
            UsageError: This server does not have it.
        """
        current, following = self._place(app), self._place(app, is_next=True)
        for place in (current, following):
            if place.is_taken and self._load(place, ()).public_key.keyid == key_id:
                break
        else:
            raise UsageError("no such key on this server", subject=app, found=key_id)
        if place.said:
            raise LocalError(
                "the environment names this key",
                subject=place.variable,
                hint=_move_hint(current, following)
                if place is current
                else "Take the variable away, and start the server again.",
            )
        try:
            if place is current and following.path.exists() and not following.said:
                following.path.replace(current.path)
            else:
                place.path.unlink()
            _sync_folder(self._folder)
        except OSError as exc:
            raise LocalError(
                "the key cannot be removed", subject=f"online key of {app}", found=str(exc)
            ) from exc

    def _load(self, place: _Place, known: Iterable[Key]) -> Signer:
        keys = self._said_public(place) or list(known)
        if place.uri.startswith("env:"):
            return load_signer(place.uri, known_keys=keys, environ=self._environ)
        try:
            return load_signer(place.uri, known_keys=keys, environ=self._environ)
        except LockgateError as exc:
            # A path of this machine, or a key service's address, is no answer for a client.
            raise LocalError(
                "the online key cannot be used",
                subject=f"{'next ' if place.is_next else ''}online key of {place.app}",
                found=exc.what,
            ) from exc

    def _said_public(self, place: _Place) -> list[Key]:
        if not place.said_public:
            return []
        try:
            public = load_pem_public_key(place.said_public.replace("\\n", "\n").encode())
            return [SSlibKey.from_crypto(public)]
        except ValueError as exc:
            raise UsageError(
                "not a public key", subject=f"{place.variable}_PUBLIC", expected="a PEM"
            ) from exc

    def _place(self, app: AppName, *, is_next: bool = False) -> _Place:
        variable = variable_of(app, is_next=is_next)
        return _Place(
            app=app,
            is_next=is_next,
            variable=variable,
            said=self._environ.get(variable, ""),
            said_public=self._environ.get(f"{variable}_PUBLIC", ""),
            path=self._folder / (f"{app}+next.pem" if is_next else f"{app}.pem"),
        )


def _prove(signer: Signer, place: _Place) -> None:
    """Refuse a key service's key that is not the one whose public half it was given."""
    if place.uri.startswith(("env:", "file2:")):
        return
    try:
        signer.public_key.verify_signature(signer.sign(_PROBE), _PROBE)
    except UnverifiedSignatureError as exc:
        raise LocalError(
            "the key service holds another key",
            subject=f"{'next ' if place.is_next else ''}online key of {place.app}",
            expected=signer.public_key.keyid,
            hint=f"Say which it is in {place.variable}_PUBLIC.",
        ) from exc
    except Exception as exc:
        # Each service has exceptions of its own.
        raise LocalError(
            "the online key cannot be used",
            subject=f"{'next ' if place.is_next else ''}online key of {place.app}",
            found=str(exc)[:200],
        ) from exc


def _not_named(app: AppName, needed: Iterable[Key], found: Iterable[Signer]) -> LocalError:
    return LocalError(
        "not the key that the app's root names",
        subject=f"online key of {app}",
        expected=", ".join(key.keyid for key in needed),
        found=", ".join(signer.public_key.keyid for signer in found),
    )


def _move_hint(current: _Place, following: _Place) -> str:
    if following.said:
        return f"Put what {following.variable} says into {current.variable}, and start again."
    return f"Take {current.variable} away, and start the server again."


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
