"""What a ceremony asks of the server's API, and what it is told. Both sides use these values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lockgate_release.base64_fields import decode_all, decode_bytes, encode_all, encode_bytes
from lockgate_release.strict_json import Json, JsonObject, parse_json

__all__ = ["CeremonyOutcome", "CeremonyRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyRequest:
    """Put newer metadata of people's roles in force, as one change that is safe to send again.

    Attributes:
        root: The next root, signed by the keys of the one in force and by its own; None: as it is.
        targets: The next targets; None: as they are.
        releases: The next list of releases; None: as it is.
        documents: Targets that these name and the server may not have yet, by path.
        dry_run: Only say whether it would do.
    """

    root: bytes | None = None
    targets: bytes | None = None
    releases: bytes | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)
    dry_run: bool = False

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        body: dict[str, Json] = {"documents": encode_all(self.documents), "dry_run": self.dry_run}
        for name in ("root", "targets", "releases"):
            data: bytes | None = getattr(self, name)
            if data is not None:
                body[name] = encode_bytes(data)
        return body

    @classmethod
    def parse(cls, data: bytes) -> CeremonyRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject="request")
        parts = {
            name: decode_bytes(fields, name)
            for name in ("root", "targets", "releases")
            if fields.has(name)
        }
        if not parts:
            fields.fail("root", "missing", expected="at least one of root, targets and releases")
        return cls(
            **parts,
            documents=decode_all(fields, "documents"),
            dry_run=fields.boolean("dry_run", default=False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyOutcome:
    """What is in force after a ceremony: the answer to `CeremonyRequest`.

    Attributes:
        timestamp_version: The number of the state.
        root_version: The number of the root in force.
        targets_version: The number of the targets in force.
        releases_version: The number of the list of releases in force.
        changed: Whether this request put something in force.
        wait_s: In how many seconds the same request is to be sent again, because the root must
            wait until no cache hands out what it could not verify; 0: everything is in force.
    """

    timestamp_version: int
    root_version: int
    targets_version: int
    releases_version: int
    changed: bool
    wait_s: int = 0

    def to_json(self) -> JsonObject:
        """Return the answer's body."""
        return {
            "timestamp_version": self.timestamp_version,
            "root_version": self.root_version,
            "targets_version": self.targets_version,
            "releases_version": self.releases_version,
            "changed": self.changed,
            "wait_s": self.wait_s,
        }

    @classmethod
    def parse(cls, data: bytes) -> CeremonyOutcome:
        """Return the outcome in an answer.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject="answer")
        return cls(
            timestamp_version=fields.integer("timestamp_version", minimum=1),
            root_version=fields.integer("root_version", minimum=1),
            targets_version=fields.integer("targets_version", minimum=1),
            releases_version=fields.integer("releases_version", minimum=1),
            changed=fields.boolean("changed"),
            wait_s=fields.integer("wait_s"),
        )
