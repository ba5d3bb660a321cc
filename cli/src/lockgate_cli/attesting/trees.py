"""The trees in artifacts: read out of their bytes before anybody vouches for them.

1. What is signed of a tree is its claim: a text that names the artifact and the tree in it.
2. Whoever signs one has unpacked the artifact here. A release's own word on its tree, which
   publishers' keys alone can make, is held to that and never signed as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.artifacts import ArtifactSource, describe, describe_file
from lockgate_cli.progress import Progress
from lockgate_release.documents import Artifact
from lockgate_release.errors import DigestMismatchError, LocalError, UsageError
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.provenance.tree_claims import CLAIM_ENDING, digest_tree_claim, tree_claim

__all__ = ["Claimed", "make_claims", "prove_trees"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An artifact on this machine, and the claim of the tree in it.

    Attributes:
        path: The artifact.
        sha256: Its digest.
        tree_sha256: The tree digest of what it unpacks to.
    """

    path: Path
    sha256: Sha256Hex
    tree_sha256: Sha256Hex

    @property
    def file(self) -> Path:
        """Where the claim is written: beside the artifact."""
        return self.path.with_name(self.path.name + CLAIM_ENDING)

    @property
    def claim_sha256(self) -> Sha256Hex:
        """The digest of the claim."""
        return digest_tree_claim(self.sha256, self.tree_sha256)

    def write(self) -> None:
        """Leave the claim in its file.

        Raises:
            LocalError: It cannot be written.
        """
        try:
            self.file.write_bytes(tree_claim(self.sha256, self.tree_sha256))
        except OSError as exc:
            raise LocalError(
                "cannot be written", subject=str(self.file), found=exc.strerror or ""
            ) from exc

    def to_json(self) -> dict[str, object]:
        """Return it as data for programs."""
        return {
            "artifact": self.path.name,
            "sha256": self.sha256,
            "tree_sha256": self.tree_sha256,
            "claim": str(self.file),
            "claim_sha256": self.claim_sha256,
        }


def make_claims(paths: Iterable[Path], progress: Progress) -> tuple[Claimed, ...]:
    """Return the claims of these artifacts, each unpacked for it. Nothing is written.

    Raises:
        UsageError: There is no such file, or it is a claim itself.
        ArchiveError: One is damaged, or contains what must not be unpacked.
        LocalError: One cannot be read, or unpacking it fails.
    """
    found = []
    for path in paths:
        if path.name.endswith(CLAIM_ENDING):
            raise UsageError(
                "a claim, and no artifact",
                subject=str(path),
                expected="artifacts, by their names",
            )
        artifact = describe_file(path, name=path.name, progress=progress).artifact
        found.append(Claimed(path=path, sha256=artifact.sha256, tree_sha256=artifact.tree_sha256))
    return tuple(found)


def prove_trees(api: Api, app: AppName, artifacts: Sequence[Artifact], progress: Progress) -> None:
    """Fetch and unpack live artifacts; return only if each holds the tree that its release says.

    Raises:
        DigestMismatchError: One holds another, or the server answered with other bytes.
        ArchiveError: One is damaged, or contains what must not be unpacked.
        LocalError: There is no room to unpack.
        TransportError: One could not be fetched.
    """
    for artifact in artifacts:
        source = ArtifactSource(
            platform=artifact.platform, sha256=artifact.sha256, name=artifact.name
        )
        seen = describe(source, api, app, stem=artifact.name, progress=progress).artifact
        if seen.tree_sha256 != artifact.tree_sha256:
            raise DigestMismatchError(
                "holds another tree than its release says, so nobody vouches for it",
                subject=artifact.name,
                expected=artifact.tree_sha256,
                found=seen.tree_sha256,
                hint="Whoever signed this release with the publishers' keys did not unpack this.",
            )
