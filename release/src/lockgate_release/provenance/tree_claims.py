"""What builders sign so that an artifact's tree is vouched for, and not its bytes alone. Pure.

A tree claim is a text of three lines that names an artifact and the tree in it. It is made again,
byte for byte, from the two digests, so nobody stores it: whoever verifies makes it, and holds
bundles to its SHA-256 by the very judgement that an artifact is held to. It is signed as any file.

1. The first line says what it is, so that no artifact, no listing and no other text of ours has its
   digest. A bundle over the tree's own digest is none over the claim.
2. Both digests stand in it: the tree of one artifact vouches for no other artifact.
"""

from __future__ import annotations

from lockgate_release.digests import digest_bytes
from lockgate_release.names import Sha256Hex

__all__ = ["CLAIM_ENDING", "digest_tree_claim", "tree_claim"]

CLAIM_ENDING = ".tree-claim"
"""What the file of a claim is called, after the artifact's whole name."""

_FORMAT = "lockgate-tree-claim-1"


def tree_claim(artifact_sha256: Sha256Hex, tree_sha256: Sha256Hex) -> bytes:
    """Return the claim that an artifact holds a tree.

    Args:
        artifact_sha256: SHA-256 of the artifact's bytes.
        tree_sha256: The tree digest of what it unpacks to.
    """
    return f"{_FORMAT}\nartifact {artifact_sha256}\ntree {tree_sha256}\n".encode("ascii")


def digest_tree_claim(artifact_sha256: Sha256Hex, tree_sha256: Sha256Hex) -> Sha256Hex:
    """Return the SHA-256 of the claim: what bundles have to be about."""
    return digest_bytes(tree_claim(artifact_sha256, tree_sha256))
