"""What is proven of each live artifact, and what is not: the report before anything is demanded.

1. Without a rule, an artifact is covered when a genuine Sigstore bundle speaks about it, whoever
   signed that; where the app has no trusted root to tell by, when one is listed.
2. With a rule, it is covered when the bundles meet it, judged by the very function that the server
   and clients judge by, with the trusted root that they verify with.
3. A release counts for a channel where its publishers allow it there and it is not revoked there:
   any of them may be offered, at the latest when a newer one is revoked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lockgate_cli.repository import Base, FileReader, load_stored
from lockgate_release.documents import Artifact, Attestation, ExtrasDocument
from lockgate_release.documents.attestation import SIGSTORE
from lockgate_release.names import ChannelName, Sha256Hex

__all__ = [
    "Covered",
    "Judge",
    "Live",
    "about",
    "judge_listed",
    "load_live",
    "shorten_lack",
    "survey",
]

Judge = Callable[["Live", Artifact], tuple[str, ...]]
"""Returns what an artifact of a release lacks, a sentence each; none where it is covered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A live release, as far as its proofs of origin go.

    Attributes:
        version: The release.
        channels: Where it may be offered: allowed by its publishers, and not revoked there.
        artifacts: Its artifacts.
        extras: What was added to it.
    """

    version: str
    channels: tuple[ChannelName, ...]
    artifacts: tuple[Artifact, ...]
    extras: ExtrasDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """How it stands with one artifact.

    Attributes:
        live: Its release.
        artifact: The artifact.
        attestations: What is listed about it.
        lacks: What is missing, a sentence each; empty: it is covered.
        tree_lacks: The same of the tree in it: clients take deltas to it only where nothing is.
    """

    live: Live
    artifact: Artifact
    attestations: tuple[Attestation, ...]
    lacks: tuple[str, ...]
    tree_lacks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return it as data for programs."""
        return {
            "version": self.live.version,
            "platform": self.artifact.platform,
            "name": self.artifact.name,
            "sha256": self.artifact.sha256,
            "attestations": [dict(item.to_json()) for item in self.attestations],
            "covered": not self.lacks,
            "lacks": list(self.lacks),
            "tree_lacks": list(self.tree_lacks),
        }


def load_live(api: FileReader, base: Base, versions: Iterable[str] = ()) -> tuple[Live, ...]:
    """Return the live releases, newest first.

    Args:
        api: Where to read.
        base: The state in force.
        versions: Those that are meant; none: all.

    Raises:
        RepositoryError: One cannot be verified.
        TransportError: One could not be fetched.
    """
    wanted = frozenset(versions)
    found = []
    for entry in base.entries.values():
        if wanted and entry.version not in wanted:
            continue
        stored = load_stored(api, base, entry.version)
        assert stored is not None
        live = Live(
            version=entry.version,
            channels=tuple(
                name for name in entry.channels if not _is_revoked(base, name, entry.version)
            ),
            artifacts=stored.document.artifacts,
            extras=stored.extras or ExtrasDocument(app=base.app, version=entry.version),
        )
        found.append(live)
    parse = base.policy.versions.parse
    return tuple(sorted(found, key=lambda live: parse(live.version), reverse=True))


def _is_revoked(base: Base, name: ChannelName, version: str) -> bool:
    document = base.channels.get(name)
    return document is not None and any(item.version == version for item in document.revoked)


def about(extras: ExtrasDocument, sha256: Sha256Hex) -> tuple[Attestation, ...]:
    """Return what is listed about an artifact."""
    return tuple(
        item for item in extras.attestations if not item.artifacts or sha256 in item.artifacts
    )


def judge_listed(live: Live, artifact: Artifact) -> tuple[str, ...]:
    """Return what an artifact lacks where no rule says what it needs (rule 1)."""
    if any(item.kind == SIGSTORE for item in about(live.extras, artifact.sha256)):
        return ()
    return ("no Sigstore bundle speaks about it",)


def survey(
    releases: Sequence[Live], judge: Judge, judge_tree: Judge | None = None
) -> tuple[Covered, ...]:
    """Return how it stands with each artifact of these releases, and the tree in it."""
    return tuple(
        Covered(
            live=live,
            artifact=artifact,
            attestations=about(live.extras, artifact.sha256),
            lacks=judge(live, artifact),
            tree_lacks=() if judge_tree is None else judge_tree(live, artifact),
        )
        for live in releases
        for artifact in live.artifacts
    )


def shorten_lack(lack: str) -> str:
    """Return the beginning of what an artifact lacks: what, without what was expected and found."""
    return lack.partition("; ")[0]
