"""Extras of a release: joined with those that are live, and told to people. Pure.

1. What is live stays: joining adds a delta or an attestation, and takes nothing away.
2. Of two deltas from one tree for one platform by one algorithm, the one that is live is kept.
3. An attestation is its bytes: the same file is listed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lockgate_cli.output import format_size
from lockgate_release.documents import Attestation, Delta, ExtrasDocument
from lockgate_release.strict_json import dump_json

__all__ = ["delta_key", "describe_change", "describe_extras", "join_extras"]


def delta_key(delta: Delta) -> tuple[str, str, str]:
    """Return what no two deltas of a release share: platform, tree it begins at, algorithm."""
    return delta.platform, delta.from_tree_sha256, delta.algorithm


def join_extras(
    live: ExtrasDocument, deltas: Iterable[Delta] = (), attestations: Iterable[Attestation] = ()
) -> ExtrasDocument:
    """Return the extras that are live with these added (rules 1 to 3)."""
    keys = {delta_key(delta) for delta in live.deltas}
    digests = {proof.sha256 for proof in live.attestations}
    more: list[Delta] = []
    for delta in deltas:
        if delta_key(delta) not in keys:
            keys.add(delta_key(delta))
            more.append(delta)
    proofs: list[Attestation] = []
    for proof in attestations:
        if proof.sha256 not in digests:
            digests.add(proof.sha256)
            proofs.append(proof)
    return replace(
        live,
        deltas=(*live.deltas, *more),
        attestations=(*live.attestations, *proofs),
    )


def describe_change(before: ExtrasDocument, after: ExtrasDocument) -> list[str]:
    """Return a sentence for each thing in which a release's extras become other ones."""
    version = after.version
    lines = []
    old, new = Counter(_names(before)), Counter(_names(after))
    lines += [f"{version}: {name} comes" for name in (new - old)]
    lines += [f"{version}: {name} goes" for name in (old - new)]
    if before.notes != after.notes:
        lines.append(f"{version}: its notes are other ones")
    if not lines and before.to_bytes() != after.to_bytes():
        lines.append(f"{version}: its extras are other ones")
    return lines


def _names(extras: ExtrasDocument) -> Iterator[str]:
    for delta in extras.deltas:
        yield (
            f"delta from {delta.from_version} for {delta.platform}, "
            f"{format_size(delta.size)}, {delta.sha256}"
        )
    for proof in extras.attestations:
        what = f"{proof.kind} {proof.predicate_type}".rstrip()
        yield f"attestation {what}, {format_size(proof.size)}, {proof.sha256}"


def describe_extras(extras: ExtrasDocument) -> Iterator[str]:
    """Yield all that extras say, for whoever is to sign them."""
    version = extras.version
    for name in _names(extras):
        yield f"  {version} {name}"
    if extras.notes:
        yield f"  {version} notes:"
        yield from (f"    {line}" for line in extras.notes.splitlines())
    items: tuple[Delta | Attestation | ExtrasDocument, ...] = (
        extras,
        *extras.deltas,
        *extras.attestations,
    )
    for item in items:
        if item.unknown:
            said = dump_json(item.unknown).decode().strip()
            yield f"  {version} extras say {said} too"
