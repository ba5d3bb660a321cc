"""`state/origins.json`: what was proven of who built what, by digests, so that it is proven once.

A proof stands for one rule, one trusted root and one artifact, or the tree in it: where any of them
is another, it is proven anew. A damaged file proves nothing. Reads and writes the disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lockgate_release.errors import DocumentError
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import Fields, dump_json, parse_json
from lockgate_updater.state.durable import read_own_file, write_durably

__all__ = ["ProvenOrigin", "load_origins", "store_origins"]

FORMAT = 1
_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenOrigin:
    """One artifact whose origin was proven, or that its builders vouched for the tree in it.

    Attributes:
        rule_sha256: The digest of what was demanded.
        root_sha256: Of the trusted root that it was verified with.
        artifact_sha256: Of what was signed: the artifact, or the claim of the tree in it.
        release_sha256: Of its release's document.
        tree_sha256: The tree that was vouched for; None: it is about the artifact.
        words: Who signed what, a clause each, for people.
    """

    rule_sha256: Sha256Hex
    root_sha256: Sha256Hex
    artifact_sha256: Sha256Hex
    release_sha256: Sha256Hex
    words: tuple[str, ...]
    tree_sha256: Sha256Hex | None = None


def load_origins(path: Path) -> tuple[ProvenOrigin, ...]:
    """Return what was proven, the oldest first; nothing where there is no such file, or none whole.

    Raises:
        LocalError: It cannot be read.
    """
    data = read_own_file(path)
    if data is None:
        return ()
    try:
        fields = parse_json(data, subject=path.name)
        fields.integer("format", minimum=FORMAT, maximum=FORMAT)
        return tuple(map(_read, fields.objects("proven", most=_MOST)))
    except DocumentError:
        return ()


def store_origins(path: Path, origins: Iterable[ProvenOrigin]) -> None:
    """Leave the newest of these on the disk, the oldest first.

    Raises:
        LocalError: They cannot be written.
    """
    kept = tuple(origins)[-_MOST:]
    proven = [
        {
            "rule_sha256": item.rule_sha256,
            "root_sha256": item.root_sha256,
            "artifact_sha256": item.artifact_sha256,
            "release_sha256": item.release_sha256,
            "words": list(item.words),
            **({"tree_sha256": item.tree_sha256} if item.tree_sha256 else {}),
        }
        for item in kept
    ]
    write_durably(path, dump_json({"format": FORMAT, "proven": proven}))


def _read(fields: Fields) -> ProvenOrigin:
    def digest(name: str) -> Sha256Hex:
        return Sha256Hex(fields.checked(name, is_sha256, "a SHA-256"))

    return ProvenOrigin(
        rule_sha256=digest("rule_sha256"),
        root_sha256=digest("root_sha256"),
        artifact_sha256=digest("artifact_sha256"),
        release_sha256=digest("release_sha256"),
        words=fields.texts("words", most=100),
        tree_sha256=digest("tree_sha256") if fields.has("tree_sha256") else None,
    )
