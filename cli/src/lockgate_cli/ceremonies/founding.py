"""A new app whose keys several people hold: the ceremony that registers it, begun.

Nobody's private key is needed to begin; of the others only public halves are at hand. What makes a
second run finish the first one: a file that is there is gone on with, if it registers the same
people, and keys that were made are never made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key

from lockgate_cli.api import Api
from lockgate_cli.ceremonies.files import load_ceremony, store_ceremony
from lockgate_cli.initialising import KeyFolder, NewApp, load_or_make_all
from lockgate_cli.output import say
from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import ConflictError
from lockgate_release.trust.ceremony import (
    ONLINE,
    Arrangement,
    Ceremony,
    Examined,
    Speakers,
    add_signatures,
    examine,
    make_first,
)
from lockgate_release.trust.key_names import with_name
from lockgate_release.trust.keys import parse_public_key
from lockgate_release.trust.roles import Role
from lockgate_release.trust.sign import Signer

__all__ = ["Founders", "begin_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Founders:
    """The public halves that other people have given.

    Attributes:
        maintainers: Keys that sign the rules.
        publishers: Keys that sign releases.
    """

    maintainers: tuple[Key, ...] = ()
    publishers: tuple[Key, ...] = ()


def begin_app(
    api: Api, new: NewApp, founders: Founders, folder: KeyFolder, path: Path, now: datetime
) -> Examined:
    """Leave the ceremony that registers the app in a file, signed by the keys that are made here.

    Args:
        api: The server, which tells its own public key.
        new: What is wanted; its numbers say how many keys are made here.
        founders: Other people's keys.
        folder: Where the keys that are made here will lie.
        path: The ceremony file.
        now: The present, aware.

    Raises:
        UsageError: The thresholds make no sense, or somebody would be locked out.
        ConflictError: The app is registered already, or the file registers other people.
        LocalError: Something cannot be read or written.
        LockgateError: The server refused, or could not be reached.
    """
    online = parse_public_key(api.online_key(new.app), subject="online key")
    maintainers, publishers = load_or_make_all(new, folder)
    arrangement = _arrange(new, founders, maintainers, publishers, online)
    policy = PolicyDocument(app=new.app, versions=new.versions).to_bytes()
    made = make_first(new.app, f"register {new.app}", arrangement, policy, now)
    if path.exists():
        made = _same_people(load_ceremony(path), made, now, path)
    examined = examine(made, None, now)
    for signer in (*maintainers, *publishers):
        for part in examined.parts_of(signer.public_key.keyid):
            made = add_signatures(made, part, [signer])
    store_ceremony(path, made)
    return examine(made, None, now)


def _arrange(
    new: NewApp,
    founders: Founders,
    maintainers: Sequence[Signer],
    publishers: Sequence[Signer],
    online: Key,
) -> Arrangement:
    offline = (*founders.maintainers, *_named(maintainers, "maintainer"))
    publishing = (*founders.publishers, *_named(publishers, "publisher"))
    rules = Speakers(keys=offline, threshold=new.threshold)
    return Arrangement(
        roles={
            Role.ROOT.value: rules,
            Role.TARGETS.value: rules,
            Role.RELEASES.value: Speakers(keys=publishing, threshold=new.publisher_threshold),
            ONLINE: Speakers(keys=(online,)),
        }
    )


def _named(signers: Sequence[Signer], kind: str) -> list[Key]:
    """Return the public keys of signers that were made here, called as their files are."""
    return [
        with_name(signer.public_key, f"{kind}-{number}") for number, signer in enumerate(signers, 1)
    ]


def _same_people(found: Ceremony, made: Ceremony, now: datetime, path: Path) -> Ceremony:
    """Return the ceremony that is in the file, if it registers the same people.

    Raises:
        ConflictError: It does not.
    """
    if found.is_first and found.app == made.app:
        there, wanted = examine(found, None, now), examine(made, None, now)
        if there.after == wanted.after and there.policy == wanted.policy:
            say(f"going on with the ceremony that is there: {path.name}")
            return found
    raise ConflictError(
        "holds another ceremony", subject=str(path), hint="Say --file with another name."
    )
