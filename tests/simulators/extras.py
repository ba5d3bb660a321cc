"""Deltas and attestations as extras list them, with no file behind them."""

from __future__ import annotations

from lockgate_release.documents import Attestation, Delta
from lockgate_release.layout import artifact_path
from lockgate_release.names import Platform, Sha256Hex

__all__ = ["a_delta", "an_attestation"]

NO_TREE = Sha256Hex("0" * 64)


def a_delta(
    sha256: Sha256Hex,
    *,
    size: int,
    from_version: str = "1.0.0",
    from_tree_sha256: Sha256Hex = NO_TREE,
    platform: str = "any",
) -> Delta:
    """Return a delta whose file has `sha256` and `size` bytes."""
    return Delta(
        platform=Platform(platform),
        from_version=from_version,
        from_tree_sha256=from_tree_sha256,
        algorithm="lockgate-columns-1",
        size=size,
        sha256=sha256,
        path=artifact_path(sha256),
        memory_bytes=64 << 20,
        scratch_bytes=0,
    )


def an_attestation(
    sha256: Sha256Hex, *, size: int, artifacts: tuple[Sha256Hex, ...] = ()
) -> Attestation:
    """Return an attestation whose file has `sha256` and `size` bytes."""
    return Attestation(
        kind="sigstore",
        path=artifact_path(sha256),
        sha256=sha256,
        size=size,
        artifacts=artifacts,
    )
