"""What people call keys: a name beside each id, in metadata and in memory.

In metadata names stand in a field of root or targets of their own, `x-lockgate-names`, by id; never
inside a key: the id of a key is what its content says, and clients in other languages compute it
over all that the key holds. In memory a key carries its name with it, in `KEY_NAME`.

Names are what their owners say, signed along by whoever lets the key count. Ids decide.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import TypeGuard

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from lockgate_release.errors import UsageError

__all__ = ["KEY_NAME", "KEY_NAMES", "key_name", "named_by", "names_in", "names_of", "with_name"]

KEY_NAME = "x-lockgate-name"
"""The field of a key in memory, and in a policy, that holds its owner's name for it."""

KEY_NAMES = "x-lockgate-names"
"""The field of root and targets that holds the names of their keys by their ids."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}"


def key_name(key: Key) -> str:
    """Return what the key's owner calls it, or "" where they said nothing that is a name."""
    said = key.unrecognized_fields.get(KEY_NAME)
    return said if _is_name(said) else ""


def _is_name(said: object) -> TypeGuard[str]:
    return isinstance(said, str) and re.fullmatch(_NAME, said) is not None


def with_name(key: Key, name: str) -> Key:
    """Return the same key, called `name`; an empty name takes a name away.

    Raises:
        UsageError: It is no name.
    """
    if name and not _is_name(name):
        raise UsageError(
            "not a name for a key",
            subject=name[:80],
            expected="1 to 64 letters, digits and . _ @ + -, a letter or digit first",
        )
    named = copy.deepcopy(key)
    named.unrecognized_fields.pop(KEY_NAME, None)
    if name:
        named.unrecognized_fields[KEY_NAME] = name
    return named


def names_in(signed: Root | Targets) -> dict[str, str]:
    """Return the names in metadata by the keys' ids; what is no name is left out."""
    said = signed.unrecognized_fields.get(KEY_NAMES)
    pairs = said.items() if isinstance(said, dict) else ()
    return {keyid: name for keyid, name in pairs if isinstance(keyid, str) and _is_name(name)}


def names_of(keys: Iterable[Key]) -> dict[str, str]:
    """Return the names of keys in memory by their ids, as metadata holds them."""
    return {key.keyid: key_name(key) for key in keys if key_name(key)}


def named_by(signed: Root | Targets, keys: Mapping[str, Key]) -> dict[str, Key]:
    """Return keys from metadata, by their ids, with the names that the metadata gives them."""
    names = names_in(signed)
    return {keyid: with_name(key, names.get(keyid, "")) for keyid, key in keys.items()}
