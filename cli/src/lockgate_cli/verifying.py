"""Where files and releases come from, shown to people: the rule is theirs, or the policy's.

1. A file is hashed, and its bundles are those that lie beside it or were named; without any, those
   of the live release whose artifact it is.
2. A release's digests and bundles come through the TUF chain: its artifacts need not be fetched.
3. The trusted root is a file, what the installed sigstore brings, or what the app's maintainers
   have signed. Nothing is asked of any Sigstore service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate_cli.attesting.files import read_attestation_file
from lockgate_cli.attesting.matching import claim_of
from lockgate_cli.mirroring.sources import Source
from lockgate_cli.repository import Base, load_stored, read_document
from lockgate_release.digests import digest_bytes, digest_file
from lockgate_release.documents import Attestation, ReleaseEntry
from lockgate_release.documents.attestation import SIGSTORE
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.errors import DigestMismatchError, LocalError, UsageError
from lockgate_release.layout import TRUSTED_ROOT_PATH
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.provenance.bundles import MAX_BUNDLE_BYTES
from lockgate_release.provenance.choosing import bundles_about
from lockgate_release.provenance.facts import Judgement
from lockgate_release.provenance.judging import judge_attestations
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.verify import NotFoundError

__all__ = [
    "Verdict",
    "bundles_beside",
    "digest_of",
    "find_release",
    "find_version",
    "read_signed_root",
    "rules_of",
    "verify_file",
    "verify_release",
]

_BESIDE = (".sigstore.json", ".sigstore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one artifact stands against one rule.

    Attributes:
        name: The artifact's file name.
        platform: Its platform; "" for a file on its own.
        sha256: Its digest.
        demanded_by: Whose rule it is: a channel, or "" for the one that was typed.
        judgement: What was found.
        tree: The same of the tree in it, or None where that was not asked for. Clients take deltas
            to it only where this is met too; nothing else hangs on it.
    """

    name: str
    platform: str = ""
    sha256: Sha256Hex
    demanded_by: str = ""
    judgement: Judgement
    tree: Judgement | None = None

    def to_json(self) -> dict[str, object]:
        """Return it as data for programs."""
        return {
            "name": self.name,
            "platform": self.platform,
            "sha256": self.sha256,
            "channel": self.demanded_by,
            "proven": self.judgement.is_met,
            "proofs": [dict(one.to_json()) for one in self.judgement.found],
            "lacks": [
                {"what": one.what, "expected": one.expected, "found": one.found}
                for one in self.judgement.lacks
            ],
            "refused": list(self.judgement.refused),
            "tree_proven": None if self.tree is None else self.tree.is_met,
        }


def digest_of(path: Path) -> Sha256Hex:
    """Return a file's SHA-256.

    Raises:
        LocalError: It cannot be read.
    """
    try:
        return digest_file(path)
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(path), found=exc.strerror or "") from exc


def bundles_beside(path: Path) -> list[Path]:
    """Return the files that lie beside a file and are called as its bundles are."""
    found = (path.with_name(path.name + ending) for ending in _BESIDE)
    return [beside for beside in found if beside.is_file()]


def verify_file(
    path: Path, bundles: Sequence[Path], rule: AttestationRule, trusted_root: bytes
) -> Verdict:
    """Return how a file on this machine stands against a rule.

    Args:
        path: The file.
        bundles: Files with bundles.
        rule: What is demanded.
        trusted_root: What bundles are verified with.

    Raises:
        UsageError: There is no bundle, or a file of bundles holds none.
        LocalError: A file cannot be read.
        ProvenanceError: The trusted root is none.
    """
    sha256 = digest_of(path)
    if not bundles:
        raise UsageError(
            "no bundle beside it",
            subject=str(path),
            expected=f"{path.name}{_BESIDE[0]}",
            hint="--bundle FILE names one.",
        )
    said = (one for file in bundles for one in read_attestation_file(file) if one.kind == SIGSTORE)
    judgement = judge_attestations(rule, (one.data for one in said), sha256, trusted_root)
    return Verdict(name=path.name, sha256=sha256, judgement=judgement)


def rules_of(base: Base, version: str, channel: ChannelName | None) -> dict[str, AttestationRule]:
    """Return what the policy demands of a release, by the channels that may offer it.

    Raises:
        UsageError: There is no such release, or nothing is demanded of it.
    """
    names = (channel,) if channel is not None else find_release(base, version).channels
    rules: dict[str, AttestationRule] = {
        name: rule for name in names if (rule := base.policy.channel(name).attestations) is not None
    }
    if not rules:
        raise UsageError(
            "the policy demands no proof of its origin",
            subject=f"{base.app} {version}",
            found=f"no attestations for {', '.join(names) or 'any channel'}",
            hint="Say whom you expect with --identity and --issuer.",
        )
    return rules


def find_version(source: Source, base: Base, sha256: Sha256Hex) -> str:
    """Return the live release that has this artifact.

    Raises:
        UsageError: None has.
        RepositoryError: A release cannot be verified.
        TransportError: One could not be fetched.
    """
    for entry in base.entries.values():
        stored = load_stored(source, base, entry.version)
        if stored is not None and any(one.sha256 == sha256 for one in stored.document.artifacts):
            return entry.version
    raise UsageError(
        "no bundle beside it, and no live release has it",
        subject=f"the file with SHA-256 {sha256}",
        expected=f"an artifact of {base.app}",
        hint="--bundle FILE names a bundle.",
    )


def verify_release(
    source: Source,
    base: Base,
    version: str,
    rules: dict[str, AttestationRule],
    trusted_root: bytes,
    *,
    only: Sha256Hex | None = None,
) -> tuple[Verdict, ...]:
    """Return how each artifact of a release stands against each rule, or `only` this one.

    Raises:
        UsageError: There is no such release.
        RepositoryError: It cannot be verified, or the trusted root is none.
        TransportError: Something could not be fetched.
    """
    stored = load_stored(source, base, version)
    if stored is None:
        raise _no_release(base.app, version)
    listed = () if stored.extras is None else stored.extras.attestations
    # One bundle may speak of every artifact, and is asked of by every rule.
    fetched: dict[Sha256Hex, bytes] = {}

    def judge(rule: AttestationRule, sha256: Sha256Hex) -> Judgement:
        bundles = _bundles(source, base.app, bundles_about(listed, sha256, rule), fetched)
        return judge_attestations(rule, bundles, sha256, trusted_root)

    return tuple(
        Verdict(
            name=artifact.name,
            platform=artifact.platform,
            sha256=artifact.sha256,
            demanded_by=name,
            judgement=judge(rule, artifact.sha256),
            tree=judge(rule, claim_of(artifact).sha256),
        )
        for artifact in stored.document.artifacts
        if only in {None, artifact.sha256}
        for name, rule in rules.items()
    )


def read_signed_root(source: Source, app: AppName, chain: Chain) -> bytes:
    """Return the trusted root that the app's maintainers have signed.

    Raises:
        UsageError: They have signed none.
        RepositoryError: It cannot be verified.
        TransportError: It could not be fetched.
    """
    if TRUSTED_ROOT_PATH not in chain.targets.signed.targets:
        raise UsageError(
            f"the maintainers of {app} have signed no trusted root of Sigstore",
            expected=TRUSTED_ROOT_PATH,
            hint="Say --trusted-root FILE or --sigstore-public-good; lockgate policy trusted-root "
            "puts one before them.",
        )
    return read_document(source, app, chain, TRUSTED_ROOT_PATH)


def _bundles(
    source: Source, app: AppName, listed: Iterable[Attestation], fetched: dict[Sha256Hex, bytes]
) -> Iterator[bytes]:
    for one in listed:
        if one.sha256 not in fetched:
            fetched[one.sha256] = _fetch(source, app, one)
        yield fetched[one.sha256]


def _fetch(source: Source, app: AppName, one: Attestation) -> bytes:
    """Return a bundle's bytes, which have the digest that extras name; empty if it is not there."""
    data = bytearray()
    try:
        for chunk in source.stream(app, one.path, 0):
            data += chunk
            if len(data) > min(one.size, MAX_BUNDLE_BYTES):
                break
    except NotFoundError:
        # It proves nothing, which is then said: what was stripped is missed.
        return b""
    if digest_bytes(bytes(data)) != one.sha256:
        raise DigestMismatchError(
            "not the bytes that were signed", subject=one.path, expected=f"sha256 {one.sha256}"
        )
    return bytes(data)


def find_release(base: Base, version: str) -> ReleaseEntry:
    """Return the publishers' mark of a live release.

    Raises:
        UsageError: There is none of this version.
    """
    found = base.find(version)
    if found is None:
        raise _no_release(base.app, version)
    return found[1]


def _no_release(app: AppName, version: str) -> UsageError:
    return UsageError(
        "neither a file here nor a live release",
        subject=version,
        expected=f"a file, or a version of {app}",
    )
