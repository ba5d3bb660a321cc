"""One delta of a release: a patch that leads from an earlier tree to the release's own.

Which tree it leads to is said by the release: its artifact of the same platform. `algorithm` is an
open name: a client that does not know it passes the delta over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lockgate_release.documents.common import read_content_path, read_sha256, rest_of, with_unknown
from lockgate_release.names import Platform, Sha256Hex, is_platform
from lockgate_release.strict_json import Fields, JsonObject
from lockgate_release.versions import is_version_text

__all__ = ["MAX_DELTAS", "Delta", "read_delta"]

MAX_DELTAS = 1000
"""Of one release; a client reads all of them before it plans."""

_ALGORITHM = r"[a-z0-9.-]{1,32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A patch from an earlier tree.

    Attributes:
        platform: Of the artifact whose tree it leads to.
        from_version: The release it begins at, for people and for planning.
        from_tree_sha256: Digest of the tree it begins at (see `digests`): what an installation is
            proven to be before the delta is used.
        algorithm: How it is encoded.
        size: Size of the delta's file in bytes.
        sha256: SHA-256 of the delta's file.
        path: Where the file lies below the app's address: the address of its content.
        memory_bytes: The most memory that applying it takes.
        scratch_bytes: Disk that applying it takes, beyond the delta and the new tree.
    """

    platform: Platform
    from_version: str
    from_tree_sha256: Sha256Hex
    algorithm: str
    size: int
    sha256: Sha256Hex
    path: str
    memory_bytes: int
    scratch_bytes: int
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the delta as it stands in the document."""
        known: dict[str, object] = {
            "platform": self.platform,
            "from_version": self.from_version,
            "from_tree_sha256": self.from_tree_sha256,
            "algorithm": self.algorithm,
            "size": self.size,
            "sha256": self.sha256,
            "path": self.path,
            "memory_bytes": self.memory_bytes,
            "scratch_bytes": self.scratch_bytes,
        }
        return with_unknown(known, self.unknown)


def read_delta(fields: Fields) -> Delta:
    """Return the delta in `fields`.

    Raises:
        DocumentError: It is none; the message names the field.
    """
    sha256 = read_sha256(fields, "sha256")
    return Delta(
        platform=Platform(fields.checked("platform", is_platform, "a platform tag")),
        from_version=fields.checked("from_version", is_version_text, "a version"),
        from_tree_sha256=read_sha256(fields, "from_tree_sha256"),
        algorithm=fields.text("algorithm", pattern=_ALGORITHM),
        size=fields.integer("size", minimum=1),
        sha256=sha256,
        path=read_content_path(fields, sha256),
        memory_bytes=fields.integer("memory_bytes"),
        scratch_bytes=fields.integer("scratch_bytes"),
        unknown=rest_of(fields),
    )
