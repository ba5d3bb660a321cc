"""Which signatures a ceremony takes, and whose are there, as python-tuf finds them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import TrustError
from lockgate_release.trust.ceremony.file import (
    PARTS,
    Ceremony,
    read_releases,
    read_root,
    read_targets,
)
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.key_names import named_by
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.roles import Role

__all__ = ["Demand", "Parts", "check_signatures", "demands_of", "fingerprint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """So many signatures on one part, by the keys that one authority names.

    Attributes:
        part: The role whose next metadata it is.
        by: Whose word demands it, such as `the root in force`.
        threshold: How many are needed.
        signed: Whose are there, and right.
        unsigned: Who could still sign.
    """

    part: str
    by: str
    threshold: int
    signed: tuple[Key, ...]
    unsigned: tuple[Key, ...]

    @property
    def missing(self) -> int:
        """How many signatures are still needed."""
        return max(0, self.threshold - len(self.signed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The metadata in a ceremony, unverified; None where it has none of a role."""

    root: Metadata[Root] | None
    targets: Metadata[Targets] | None
    releases: Metadata[Targets] | None

    @classmethod
    def read(cls, ceremony: Ceremony) -> Parts:
        """Return the parts of a ceremony.

        Raises:
            DocumentError: One is no metadata.
        """
        return cls(
            root=read_root(ceremony),
            targets=read_targets(ceremony),
            releases=read_releases(ceremony),
        )

    def each(self) -> list[tuple[str, Metadata[Root] | Metadata[Targets]]]:
        """Return those that are there, with their roles."""
        pairs = ((role, getattr(self, role)) for role in PARTS)
        return [(role, metadata) for role, metadata in pairs if metadata is not None]


def fingerprint(ceremony: Ceremony) -> str:
    """Return 32 hex digits in groups: equal for two people only if they sign the same.

    It covers what the signatures are over and the documents; not the signatures, nor the title.
    """
    parts = Parts.read(ceremony)
    pieces = [ceremony.app.encode()]
    pieces += [f"{role} ".encode() + metadata.signed_bytes for role, metadata in parts.each()]
    pieces += [
        f"{path} ".encode() + ceremony.documents[path] for path in sorted(ceremony.documents)
    ]
    digest = digest_bytes(b"".join(digest_bytes(piece).encode() for piece in pieces))
    return " ".join(digest[start : start + 4] for start in range(0, 32, 4))


def demands_of(
    parts: Parts, chain: Chain | None, root: Root, targets: Targets
) -> tuple[Demand, ...]:
    """Return which signatures each part takes: by what is in force, and by what is to come."""
    authorities: list[tuple[str, str, Root | Targets]] = []
    if chain is not None:
        old = chain.root.signed
        authorities += [(role, "the root in force", old) for role in ("root", "targets")]
    if parts.root is not None:
        authorities += [(role, "the next root", root) for role in ("root", "targets")]
    named = "the next targets" if parts.targets else "the targets in force"
    authorities.append((Role.RELEASES.value, named, targets))
    found = []
    metadata_of = dict(parts.each())
    for role, by, authority in authorities:
        metadata = metadata_of.get(role)
        if metadata is None:
            continue
        result = authority.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        found.append(
            Demand(
                part=role,
                by=by,
                threshold=result.threshold,
                signed=_in_order(named_by(authority, result.signed)),
                unsigned=_in_order(named_by(authority, result.unsigned)),
            )
        )
    return tuple(_without_twins(found))


def _in_order(keys: Mapping[str, Key]) -> tuple[Key, ...]:
    return tuple(keys[keyid] for keyid in sorted(keys))


def _without_twins(demands: list[Demand]) -> list[Demand]:
    """Leave out a demand that another one of the same part says in other words."""
    kept: list[Demand] = []
    for demand in demands:
        ids = {key.keyid for key in (*demand.signed, *demand.unsigned)}
        if not any(
            other.part == demand.part
            and other.threshold == demand.threshold
            and {key.keyid for key in (*other.signed, *other.unsigned)} == ids
            for other in kept
        ):
            kept.append(demand)
    return kept


def check_signatures(parts: Parts, demands: tuple[Demand, ...]) -> None:
    """Refuse a signature that is not right, or that counts for nothing.

    Raises:
        TrustError: There is one.
    """
    for role, metadata in parts.each():
        good = {key.keyid for demand in demands if demand.part == role for key in demand.signed}
        known = {
            key.keyid: key for demand in demands if demand.part == role for key in demand.unsigned
        }
        for keyid in metadata.signatures:
            if keyid in good:
                continue
            stranger = keyid not in known
            raise TrustError(
                "signed by a stranger" if stranger else "a signature that is not right",
                subject=role,
                found=str(keyid)[:64] if stranger else key_label(known[keyid]),
                hint="Somebody changed the file: take the one that the last signer has.",
            )
