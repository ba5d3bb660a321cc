"""Which artifacts of a release an attestation speaks about.

1. What a Sigstore bundle says it is about decides: a bundle about none of them, and about the claim
   of none of their trees, is another's.
2. A list of parts (SBOM) is about the artifacts whose digests it names, or else about the one that
   its file is named after (`app.tar.gz.cdx.json` for `app.tar.gz`).
3. A list that tells by neither is about all of the release, if a person attached it to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from lockgate_cli.attesting.reading import Said
from lockgate_release.documents import Artifact, Attestation, ExtrasDocument
from lockgate_release.documents.attestation import SIGSTORE
from lockgate_release.errors import UsageError
from lockgate_release.layout import artifact_path
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.tree_claims import CLAIM_ENDING, digest_tree_claim

__all__ = [
    "Signable",
    "attestation_of",
    "claim_of",
    "find_subjects",
    "lacks_signature",
    "refuse_stranger",
    "signables_of",
]

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Signable:
    """What a builder can sign: an artifact, or the claim of the tree in it.

    Attributes:
        name: What its file is called.
        sha256: Its digest.
    """

    name: str
    sha256: Sha256Hex


def claim_of(artifact: Artifact) -> Signable:
    """Return the claim that an artifact holds the tree that its release says."""
    claim = digest_tree_claim(artifact.sha256, artifact.tree_sha256)
    return Signable(f"{artifact.name}{CLAIM_ENDING}", claim)


def signables_of(artifact: Artifact) -> tuple[Signable, Signable]:
    """Return what there is to sign of an artifact: itself, and the claim of its tree."""
    return Signable(artifact.name, artifact.sha256), claim_of(artifact)


def find_subjects(
    said: Said, artifacts: Sequence[Artifact], *, attached: bool
) -> tuple[Sha256Hex, ...] | None:
    """Return the digests of what it speaks about; empty: all artifacts; None: none of them.

    Args:
        said: What it says of itself.
        artifacts: Those of one release.
        attached: Whether a person said that it belongs to this release (rule 3).
    """
    known = (one.sha256 for item in artifacts for one in signables_of(item))
    named = [sha256 for sha256 in known if sha256 in said.digests]
    if named or said.kind == SIGSTORE:
        return tuple(dict.fromkeys(named)) or None
    file = PurePath(said.subject).name
    beside = [item.sha256 for item in artifacts if file.startswith(f"{item.name}.")]
    if beside:
        return tuple(dict.fromkeys(beside))
    return () if attached else None


def refuse_stranger(said: Said, artifacts: Sequence[Artifact], version: str) -> UsageError:
    """Return the refusal of a bundle that speaks about none of a release's artifacts."""
    about = sorted(said.digests)
    return UsageError(
        "speaks about none of the release's artifacts",
        subject=said.subject,
        expected=f"{version}: "
        + ", ".join(f"{item.name} {item.sha256[:12]}…" for item in artifacts[:_SHOWN]),
        found=", ".join(f"{digest[:12]}…" for digest in about[:_SHOWN]),
        hint="It was made for other bytes: another build, another version, or a file packed again.",
    )


def attestation_of(said: Said, artifacts: tuple[Sha256Hex, ...]) -> Attestation:
    """Return how a release's extras name it."""
    sha256 = said.sha256
    return Attestation(
        kind=said.kind,
        path=artifact_path(sha256),
        sha256=sha256,
        size=len(said.data),
        artifacts=artifacts,
        predicate_type=said.predicate_type,
    )


def lacks_signature(extras: ExtrasDocument, sha256: Sha256Hex) -> bool:
    """Whether no plain Sigstore signature over what has this digest is listed."""
    return not any(
        item.kind == SIGSTORE and not item.predicate_type and sha256 in item.artifacts
        for item in extras.attestations
    )
