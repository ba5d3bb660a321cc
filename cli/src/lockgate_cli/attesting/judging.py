"""Whether what is listed meets a rule: asked of the very function that server and clients ask.

Bundles are read from this machine where they have just been found, and else from the server; either
way they are held to the digest that extras give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate_cli.api import Api
from lockgate_cli.attesting.coverage import Judge, Live, judge_listed
from lockgate_cli.attesting.matching import claim_of
from lockgate_cli.attesting.reading import MAX_FILE_BYTES
from lockgate_cli.repository import Base, FileReader, read_document
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact, Attestation
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.errors import ProvenanceError
from lockgate_release.layout import TRUSTED_ROOT_PATH
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.provenance.bundles import BundleVerifier
from lockgate_release.provenance.choosing import bundles_about
from lockgate_release.provenance.judging import judge_attestations
from lockgate_release.trust.verify import NotFoundError

__all__ = [
    "BundleReader",
    "Rules",
    "read_trusted_root_bytes",
    "rule_judge",
    "rules_in_force",
    "tree_judge",
]

Rules = Callable[[Live], Sequence[tuple[str, AttestationRule]]]
"""Returns which rules hold for a release, each with the channel that demands it."""

_NO_ROOT = "there is no trusted root to verify it with: lockgate policy trusted-root"


@dataclass(kw_only=True)
class BundleReader:
    """Reads the bundles that extras name, each from the server at most once.

    Attributes:
        api: The server.
        app: The app.
        held: What is at hand already, by digest.
    """

    api: Api
    app: AppName
    held: dict[Sha256Hex, bytes] = field(default_factory=dict)

    def read(self, item: Attestation) -> bytes | None:
        """Return a bundle's bytes, or None where the server does not have what extras name.

        Raises:
            TransportError: It could not be fetched.
        """
        if item.sha256 in self.held:
            return self.held[item.sha256]
        if item.size > MAX_FILE_BYTES:
            return None
        data = bytearray()
        try:
            for chunk in self.api.stream_artifact(self.app, item.sha256):
                data += chunk
                if len(data) > item.size:
                    return None
        except NotFoundError:
            return None
        if digest_bytes(bytes(data)) != item.sha256:
            return None
        return self.held.setdefault(item.sha256, bytes(data))

    def bundles(self, live: Live, sha256: Sha256Hex) -> list[bytes]:
        """Return the Sigstore bundles that are listed about a digest, as far as they are there.

        Raises:
            TransportError: One could not be fetched.
        """
        listed = bundles_about(live.extras.attestations, sha256)
        return [data for item in listed if (data := self.read(item)) is not None]


def read_trusted_root_bytes(source: FileReader, base: Base) -> bytes | None:
    """Return what proofs of origin are verified with, or None where maintainers signed none.

    Raises:
        RepositoryError: It cannot be verified.
        TransportError: It could not be fetched.
    """
    if TRUSTED_ROOT_PATH not in base.chain.targets.signed.targets:
        return None
    return read_document(source, base.app, base.chain, TRUSTED_ROOT_PATH)


def rules_in_force(base: Base) -> Rules:
    """Return the rules of the policy in force for each channel that may offer a release."""

    def find(live: Live) -> Sequence[tuple[str, AttestationRule]]:
        found: Mapping[ChannelName, AttestationRule | None] = {
            name: base.policy.channel(name).attestations for name in live.channels
        }
        return [(name, rule) for name, rule in found.items() if rule is not None]

    return find


def rule_judge(rules: Rules, trusted_root: bytes | None, reader: BundleReader) -> Judge:
    """Return what judges an artifact by the rules that hold for its release.

    Raises:
        ProvenanceError: The trusted root is none.
    """
    otherwise = genuine_judge(trusted_root, reader)

    def judge(live: Live, artifact: Artifact) -> tuple[str, ...]:
        demanded = rules(live)
        if not demanded:
            return otherwise(live, artifact)
        if trusted_root is None:
            return (_NO_ROOT,)
        bundles = reader.bundles(live, artifact.sha256)
        return tuple(
            f"{name}: {lack}"
            for name, rule in demanded
            for lack in find_lacks(rule, bundles, artifact.sha256, trusted_root)
        )

    return judge


def tree_judge(rules: Rules, trusted_root: bytes | None, reader: BundleReader) -> Judge:
    """Return what judges the tree in an artifact: what its claim lacks of the rules that hold.

    Where no rule holds it lacks nothing: clients take deltas then.
    """

    def judge(live: Live, artifact: Artifact) -> tuple[str, ...]:
        demanded = rules(live)
        claim = claim_of(artifact).sha256
        bundles = reader.bundles(live, claim) if demanded and trusted_root is not None else []
        if not demanded:
            return ()
        if trusted_root is None or not bundles:
            return tuple(f"{name}: nobody has vouched for its tree" for name, _ in demanded)
        return tuple(
            f"{name}: {lack}"
            for name, rule in demanded
            for lack in find_lacks(rule, bundles, claim, trusted_root)
        )

    return judge


def find_lacks(
    rule: AttestationRule, bundles: Sequence[bytes], sha256: Sha256Hex, trusted_root: bytes
) -> list[str]:
    """Return what these bundles lack of a rule, a sentence each, for people.

    Raises:
        ProvenanceError: The trusted root is none.
    """
    judgement = judge_attestations(rule, bundles, sha256, trusted_root)
    lacks = [
        f"{lack.what}; expected {lack.expected}; found {lack.found or 'none'}"
        for lack in judgement.lacks
    ]
    return [*lacks, *judgement.refused] if lacks else []


def genuine_judge(trusted_root: bytes | None, reader: BundleReader) -> Judge:
    """Return what judges an artifact where no rule holds: one genuine bundle is enough, of anybody.

    Without a trusted root, one that is listed is enough.
    """
    verifier = None if trusted_root is None else BundleVerifier(trusted_root)

    def judge(live: Live, artifact: Artifact) -> tuple[str, ...]:
        lacks = judge_listed(live, artifact)
        if lacks or verifier is None:
            return lacks
        refused = []
        for data in reader.bundles(live, artifact.sha256):
            try:
                verifier.verify(data, artifact.sha256)
            except ProvenanceError as exc:
                refused.append(str(exc))
            else:
                return ()
        return ("no genuine Sigstore bundle speaks about it", *refused)

    return judge
