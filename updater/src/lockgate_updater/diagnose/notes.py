"""What a release brings, in its publishers' words."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate_release.decision import Leave, Offer
from lockgate_release.documents import TrustedRelease
from lockgate_release.errors import LocalError, UsageError
from lockgate_release.layout import release_path
from lockgate_updater.fetch.look import Findings
from lockgate_updater.session import Session

__all__ = ["Notes", "read_notes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What a release says of itself.

    Attributes:
        version: The release.
        text: Markdown, signed with the release; "" where it says nothing. Whoever shows it treats
            it as words of others.
    """

    version: str
    text: str


def read_notes(session: Session, *, version: str = "", force: bool = False) -> Notes:
    """Return the notes of a release: the one named, else what is offered, else what runs.

    Raises:
        UsageError: It is not live any more.
        RepositoryError: The repository is wrong.
        TransportError: It cannot be reached.
        LocalError: There is nothing to say, or this machine is in the way.
    """
    findings = session.look()
    if not version:
        decision = session.decide(findings, force=force)
        offer = decision.target if isinstance(decision, Leave) else decision
        if isinstance(offer, Offer):
            return _notes_of(findings, offer.release)
        version = session.running_version()
    if not version:
        raise LocalError(
            "nothing is offered and nothing installed",
            subject=str(session.home.root),
            hint="Name a release: --release VERSION.",
        )
    return _notes_of(findings, _find(findings, version))


def _find(findings: Findings, version: str) -> TrustedRelease:
    """Return the live release of this version."""
    for release in findings.releases.values():
        if release.document.version == version:
            return release
    found = findings.view.release(release_path(version))
    if found is None:
        raise UsageError(
            "not a live release", subject=version, hint="It was retired, or never published."
        )
    return found


def _notes_of(findings: Findings, release: TrustedRelease) -> Notes:
    extras = findings.view.extras(release)
    return Notes(version=release.document.version, text=extras.notes if extras else "")
