"""Who signs: from key URIs to the signers that a role knows, and the next list signed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import datetime

from lockgate_cli.listing import NextList
from lockgate_release.documents import ReleaseEntry
from lockgate_release.errors import UsageError
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.keys import Ask, load_signer
from lockgate_release.trust.roles import Role
from lockgate_release.trust.sign import (
    Document,
    Key,
    Signer,
    TargetFile,
    entry_target,
    next_releases,
    to_bytes,
)

_CARRIED: Mapping[str, str] = dict.fromkeys(
    (Role.ROOT.value, Role.TARGETS.value),
    "Where others hold the other keys, carry it to them: lockgate root renew FILE --role ROLE.",
)
_OTHERS = "With --unsigned it waits until the publishers have signed it: `lockgate sign`."

__all__ = ["keys_of", "load_signers", "next_targets", "sign_next_list"]


def keys_of(chain: Chain, role: str) -> tuple[tuple[Key, ...], int]:
    """Return the public keys that speak for an offline role, and how many of them must sign.

    Raises:
        TrustError: The metadata does not name the role.
    """
    if role not in {Role.ROOT, Role.TARGETS}:
        return chain.release_keys(role)
    root = chain.root.signed
    named = root.roles[role]
    return tuple(root.keys[keyid] for keyid in named.keyids), named.threshold


def load_signers(
    uris: Iterable[str],
    *,
    role: str,
    keys: tuple[Key, ...],
    threshold: int,
    environ: Mapping[str, str],
    ask: Ask | None = None,
    some: bool = False,
) -> tuple[Signer, ...]:
    """Return those signers among `uris` that the role knows: as many as must sign, or more.

    Args:
        uris: Where the private keys are.
        role: What is to be signed.
        keys: The public keys that may sign it.
        threshold: How many of them must.
        environ: The environment, for `env:NAME`, passphrase and PIN.
        ask: Asks a person for a secret that the environment does not hold.
        some: Whether fewer are enough, of those that must, but for none at all: others sign later.

    Raises:
        UsageError: Too few of the keys are the role's.
        LocalError: A key cannot be read.
    """
    known = {key.keyid for key in keys}
    signers: dict[str, Signer] = {}
    strangers = []
    for uri in uris:
        signer = load_signer(uri, known_keys=keys, environ=environ, ask=ask)
        if signer.public_key.keyid in known:
            signers[signer.public_key.keyid] = signer
        else:
            strangers.append(uri)
    missing = threshold - len(signers)
    if missing > 0 and not (some and signers and not strangers):
        found = f"{len(signers)}, so {missing} missing"
        if strangers:
            found += f"; not keys of this role: {', '.join(strangers)}"
        expected = f"{threshold} of {len(keys)} keys"
        raise UsageError(
            "not enough signatures",
            subject=f"metadata {role}",
            expected=expected,
            found=found,
            hint=_OTHERS if some else _CARRIED.get(role, ""),
        )
    return tuple(signers.values())


def next_targets(
    chain: Chain,
    following: NextList,
    documents: Mapping[str, bytes],
    current: Mapping[str, TargetFile] | None = None,
) -> dict[str, TargetFile]:
    """Return all entries of the next list, those that stay exactly as they are included.

    Args:
        chain: The state in force.
        following: What is to follow.
        documents: The bytes of documents that are new, by path.
        current: The entries that it follows; None: those in force.
    """
    targets = {}
    held = chain.list_of(following.role)
    in_force = held.signed.targets if held else {}
    before = in_force if current is None else current
    for path, target in before.items():
        release = f"{path.rpartition('/')[0]}/release.json"
        if release not in following.entries or path in documents:
            continue
        entry = following.entries.get(path)
        targets[path] = target if entry is None else _with_mark(target, entry)
    for path, data in documents.items():
        entry = following.entries.get(path)
        if entry is None:
            targets[path] = Document(path=path, data=data).to_target()
        else:
            targets[path] = entry_target(path, data, entry)
    return targets


def _with_mark(target: TargetFile, entry: ReleaseEntry) -> TargetFile:
    marked = copy.deepcopy(target)
    marked.unrecognized_fields["custom"] = dict(entry.to_json())
    return marked


def sign_next_list(
    chain: Chain,
    following: NextList,
    documents: Mapping[str, bytes],
    signers: Iterable[Signer],
    now: datetime,
) -> bytes:
    """Return the next list of releases, numbered one above the verified one, and signed."""
    targets, held = next_targets(chain, following, documents), chain.list_of(following.role)
    return to_bytes(next_releases(held.signed if held else None, targets, signers, now))
