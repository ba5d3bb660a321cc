"""The server's own keys as changes see them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from securesystemslib.signer import Key, Signer

from lockgate_release.names import AppName

__all__ = ["HeldKey", "OnlineKeys", "shared_variable", "variable_of"]


def variable_of(app: AppName, *, is_next: bool = False) -> str:
    """Return the environment variable that may hold the app's key, or its next one."""
    name = "LOCKGATE_ONLINE_KEY_" + re.sub(r"[^A-Z0-9]", "_", app.upper())
    return f"{name}_NEXT" if is_next else name


def shared_variable(app: AppName, other: AppName) -> str:
    """Return a variable that would name keys of both apps, or "" where there is none.

    Such as `x-next` and `x`, of which one's key would be the other's next one; or `a.b` and `a-b`.
    """
    return min(_variables(app) & _variables(other), default="")


def _variables(app: AppName) -> frozenset[str]:
    names = (variable_of(app), variable_of(app, is_next=True))
    return frozenset({*names, *(f"{name}_PUBLIC" for name in names)})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey:
    """A key of the server's, and where it lies.

    Attributes:
        key: Its public half.
        is_next: Whether it lies where the next key does.
        variable: The environment variable that names it, or "" where it is a file.
    """

    key: Key
    is_next: bool
    variable: str


class OnlineKeys(Protocol):
    """The server's own keys: one for each app, and a next one beside it during a rotation."""

    def create(self, app: AppName) -> Key:
        """Return the public half of the app's key, making one where there is none.

        Raises:
            LocalError: It can be neither read nor written.
        """
        ...

    def create_next(self, app: AppName) -> Key:
        """Return the public half of the app's next key, making one where there is none.

        Raises:
            LocalError: It can be neither read nor written.
        """
        ...

    def signer(self, app: AppName, known_keys: Iterable[Key]) -> Signer:
        """Return the app's key, ready to sign.

        Args:
            app: The app.
            known_keys: The public keys it may have, from metadata.

        Raises:
            LocalError: There is none, or it cannot be read.
        """
        ...

    def signers(self, app: AppName, needed: Iterable[Key]) -> tuple[Signer, ...]:
        """Return every key that signs for the app now, those that are needed first.

        Args:
            app: The app.
            needed: The public keys without whose signature nothing would be verified.

        Raises:
            LocalError: A needed key is not here, or cannot be used.
        """
        ...

    def held(self, app: AppName, needed: Iterable[Key]) -> tuple[HeldKey, ...]:
        """Return the app's keys and where they lie, the next one last.

        Args:
            app: The app.
            needed: The public keys that are known from metadata.

        Raises:
            LocalError: None can be used.
        """
        ...

    def has_next(self, app: AppName) -> bool:
        """Whether there is a key where the next one lies; nothing is read."""
        ...

    def drop(self, app: AppName, key_id: str) -> None:
        """Let go of a key for ever; the next one takes the place of the old.

        Raises:
            LocalError: It lies in the environment, or its file cannot be removed.
            UsageError: This server does not have it.
        """
        ...
