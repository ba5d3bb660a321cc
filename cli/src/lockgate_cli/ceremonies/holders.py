"""Who speaks for which role, and which of those keys lie on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from lockgate_cli.ceremonies.files import load_public_key
from lockgate_release.errors import LockgateError
from lockgate_release.trust.ceremony import ONLINE, Arrangement
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.keys import load_signer
from lockgate_release.trust.roles import Role

__all__ = ["Holding", "Local", "find_local", "holdings_of", "public_path"]

_SUFFIX = ".pub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One key that speaks for one role.

    Attributes:
        role: The role.
        key: The key.
        threshold: How many of the role's keys must sign.
        of: How many it has.
        signed: Whether it signed what is in force.
        here: The URI by which this machine holds it, or "".
    """

    role: str
    key: Key
    threshold: int
    of: int
    signed: bool
    here: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What the keys of the settings are.

    Attributes:
        ids: The URI of each key that could be told, by its id.
        unknown: URIs whose keys cannot be told without a secret or a service, with the reason.
    """

    ids: Mapping[str, str]
    unknown: Mapping[str, str]


def public_path(private: Path) -> Path:
    """Return where the public half of a key file lies: beside it."""
    return private.with_suffix(_SUFFIX)


def find_local(uris: Sequence[str], environ: Mapping[str, str]) -> Local:
    """Return which keys these are, without asking anybody for a secret."""
    ids, unknown = dict[str, str](), dict[str, str]()
    for uri in dict.fromkeys(uris):
        try:
            ids[_id_of(uri, environ)] = uri
        except (LockgateError, OSError) as exc:
            unknown[uri] = str(exc)
    return Local(ids=ids, unknown=unknown)


def _id_of(uri: str, environ: Mapping[str, str]) -> str:
    plain, _, said = uri.partition("#")
    if said:
        return said
    beside = public_path(Path(plain.removeprefix("file2:")))
    if plain.startswith("file2:") and beside.is_file():
        return load_public_key(beside).keyid
    return load_signer(uri, known_keys=(), environ=environ).public_key.keyid


def holdings_of(chain: Chain, arrangement: Arrangement, local: Local) -> tuple[Holding, ...]:
    """Return every key of every role, with who signed and which are here."""
    return tuple(
        Holding(
            role=role,
            key=key,
            threshold=speakers.threshold,
            of=len(speakers.keys),
            signed=key.keyid in _signers(chain, role),
            here=local.ids.get(key.keyid, ""),
        )
        for role, speakers in arrangement.roles.items()
        for key in speakers.keys
    )


def _signers(chain: Chain, role: str) -> frozenset[str]:
    """Return whose signatures on what is in force are right; it was verified, each of them was."""
    in_root = role in (Role.ROOT, Role.TARGETS, ONLINE)
    name = Role.TIMESTAMP.value if role == ONLINE else role
    verified = getattr(chain, name) if in_root else chain.list_of(role)
    if verified is None:
        return frozenset()
    metadata = verified.metadata
    authority: Root | Targets = chain.root.signed if in_root else chain.targets.signed
    result = authority.get_verification_result(name, metadata.signed_bytes, metadata.signatures)
    return frozenset(result.signed)
