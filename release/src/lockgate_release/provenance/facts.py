"""What a verified bundle proves of an artifact, and what judging it against a rule has found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lockgate_release.documents.policy import Shortfall
from lockgate_release.instants import format_instant
from lockgate_release.names import Sha256Hex
from lockgate_release.strict_json import JsonObject

__all__ = ["Judgement", "Provenance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """One signature over an artifact, proven. Only `bundles` makes one outside of tests.

    Whoever signed is known by the certificate that the trusted root's authority issued; nothing
    here is what the statement says of itself, but for its type.

    Attributes:
        artifact_sha256: What was signed.
        bundle_sha256: The digest of the bundle that proves it.
        identity: What the certificate is for: a workflow's address, a mailbox.
        issuer: Who vouched for that identity.
        predicate_type: Of the in-toto statement; "" for a plain signature.
        source_repository: Where the sources came from, as the issuer has certified; "" if it has
            not. The same holds for each that follows.
        source_ref: The branch or tag.
        source_digest: The commit.
        workflow: The top-level workflow, with its ref.
        trigger: What started it, such as `push`.
        run: The address of the very run.
        logged_at: When the log took it in; where a log tells no time, when the certificate began.
    """

    artifact_sha256: Sha256Hex
    bundle_sha256: Sha256Hex
    identity: str
    issuer: str
    predicate_type: str = ""
    source_repository: str = ""
    source_ref: str = ""
    source_digest: str = ""
    workflow: str = ""
    trigger: str = ""
    run: str = ""
    logged_at: datetime

    def to_json(self) -> JsonObject:
        """Return it for records and `--json`; what is not known is left out."""
        texts = {
            "artifact_sha256": self.artifact_sha256,
            "bundle_sha256": self.bundle_sha256,
            "identity": self.identity,
            "issuer": self.issuer,
            "predicate_type": self.predicate_type,
            "source_repository": self.source_repository,
            "source_ref": self.source_ref,
            "source_digest": self.source_digest,
            "workflow": self.workflow,
            "trigger": self.trigger,
            "run": self.run,
            "logged_at": format_instant(self.logged_at),
        }
        return {name: text for name, text in texts.items() if text}

    def in_words(self) -> str:
        """Return who signed what, as one clause for people."""
        text = f"signed by {self.identity} (by {self.issuer})"
        if self.predicate_type:
            text += f" as {self.predicate_type}"
        if self.source_repository:
            source = " ".join(filter(None, (self.source_ref, self.source_digest)))
            text += f", built from {self.source_repository}"
            text += f" at {source}" if source else ""
        return f"{text}, logged {format_instant(self.logged_at)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How an artifact stands against a rule.

    Attributes:
        found: What was proven of it.
        refused: Why each of the other bundles counts for nothing, in words.
        lacks: What the rule demands and nothing proves; empty where the rule is met.
    """

    found: tuple[Provenance, ...]
    refused: tuple[str, ...]
    lacks: tuple[Shortfall, ...]

    @property
    def is_met(self) -> bool:
        """Whether every demand is met."""
        return not self.lacks

    def why_not(self) -> str:
        """Return what is missing, in words for people; "" where the rule is met."""
        parts = [f"{one.what}; expected {one.expected}; found {one.found}" for one in self.lacks]
        if parts and self.refused:
            parts.append("not counted: " + "; ".join(self.refused))
        return ". ".join(parts)
