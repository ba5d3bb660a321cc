"""What an approval asks of the server's API, and what it is told. Both sides use these values."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.documents.approval import Approval, read_approval
from lockgate_release.strict_json import JsonObject, parse_json

__all__ = ["ApproveOutcome", "ApproveRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveRequest:
    """Let a release into a channel, as the policy demands it of people.

    Attributes:
        approval: What they approve, with their signatures.
    """

    approval: Approval

    def to_json(self) -> JsonObject:
        """Return the request's body."""
        return {"approval": self.approval.to_envelope()}

    @classmethod
    def parse(cls, data: bytes) -> ApproveRequest:
        """Return the request in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject="request")
        return cls(approval=read_approval(fields.object("approval").raw(), subject="request"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveOutcome:
    """How an approval stands: the answer to `ApproveRequest`.

    Attributes:
        approved_by: The ids of the keys that count.
        threshold: How many of them the policy demands.
        is_enough: Whether the release may be offered now, as far as approvals go.
        changed: Whether this request added anything.
        timestamp_version: The number of the state.
    """

    approved_by: tuple[str, ...]
    threshold: int
    is_enough: bool
    changed: bool
    timestamp_version: int

    def to_json(self) -> JsonObject:
        """Return the answer's body."""
        return {
            "approved_by": list(self.approved_by),
            "threshold": self.threshold,
            "is_enough": self.is_enough,
            "changed": self.changed,
            "timestamp_version": self.timestamp_version,
        }

    @classmethod
    def parse(cls, data: bytes) -> ApproveOutcome:
        """Return the answer in a body.

        Raises:
            DocumentError: It is not one.
        """
        fields = parse_json(data, subject="answer")
        return cls(
            approved_by=fields.texts("approved_by"),
            threshold=fields.integer("threshold"),
            is_enough=fields.boolean("is_enough"),
            changed=fields.boolean("changed"),
            timestamp_version=fields.integer("timestamp_version"),
        )
