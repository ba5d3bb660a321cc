"""A simulated repository whose publishers attest, and whose maintainers demand it."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import (
    Artifact,
    Attestation,
    ChannelPolicy,
    ExtrasDocument,
    PolicyDocument,
    parse_release,
)
from lockgate_release.documents.attestation_rules import (
    AttestationDemand,
    AttestationRule,
    SignerRule,
)
from lockgate_release.layout import (
    TRUSTED_ROOT_PATH,
    artifact_key,
    artifact_path,
    extras_path,
    release_path,
    target_key,
)
from lockgate_release.names import Sha256Hex
from lockgate_release.provenance.tree_claims import digest_tree_claim
from lockgate_release.trust.sign import Document
from tests.simulators.archives import Tree, tree_digest
from tests.simulators.repository import STABLE, RepositorySimulator
from tests.simulators.signed_files import parse_sha256_of
from tests.simulators.sigstore import SLSA, WORKFLOW, SigstoreSimulator, Somebody

__all__ = ["RELEASE_WORKFLOW", "Attested"]

RELEASE_WORKFLOW = SignerRule(
    identity="https://github.com/o/r/.github/workflows/release.yml@refs/tags/v*",
    issuer=WORKFLOW.issuer,
)


@dataclass
class Attested:
    """What publishers and maintainers do about origins, in a repository.

    Attributes:
        repository: The repository.
        sigstore: The instance that its CI signs with.
    """

    repository: RepositorySimulator
    sigstore: SigstoreSimulator

    def trust(self, root: bytes | None = None) -> None:
        """Sign what origins are verified with: this instance, or what is given."""
        document = Document(path=TRUSTED_ROOT_PATH, data=root or self.sigstore.trusted_root)
        self.repository._store_document(document)
        self.repository._sign_targets(
            lambda targets: targets.targets.update({document.path: document.to_target()})
        )
        self.repository.resign()

    def demand(self, **changes: object) -> PolicyDocument:
        """Put in force that stable demands a proof by the release workflow."""
        demand = changed(AttestationDemand(signers=(RELEASE_WORKFLOW,)), **changes)  # type: ignore[arg-type]
        rule = ChannelPolicy(attestations=AttestationRule(demands=(demand,)))
        policy = PolicyDocument(app=self.repository.app, channels={STABLE: rule})
        self.repository.set_policy(policy)
        return policy

    def publish(self, version: str, tree: Tree, who: Somebody | None = WORKFLOW) -> None:
        """Publish a release, and what somebody attests of it, if anybody does."""
        self.repository.publish(version, tree, offered=False)
        if who is not None:
            self.attach(version, self.bundle(version, who))
        self.repository.offer(STABLE, version)

    def bundle(self, version: str, who: Somebody = WORKFLOW, *, name: str = "app") -> bytes:
        """What somebody attests of a release's artifact."""
        return self.sigstore.attest({name: self.artifact(version)}, who)

    def artifact(self, version: str) -> Sha256Hex:
        """The digest of a release's artifact."""
        return self._artifact(version).sha256

    def claim(self, version: str, tree: Tree | None = None) -> Sha256Hex:
        """The digest of the claim that a release's artifact holds a tree, or what it says it does.

        An honest builder signs no claim but that of the tree that it has built.
        """
        artifact = self._artifact(version)
        tree_sha256 = artifact.tree_sha256 if tree is None else tree_digest(tree).sha256
        return digest_tree_claim(artifact.sha256, tree_sha256)

    def vouch(self, version: str, tree: Tree, who: Somebody = WORKFLOW) -> bytes:
        """What somebody attests of a tree that was built, and of the artifact that holds it."""
        subjects = {"app": self.artifact(version), "app.tree-claim": self.claim(version, tree)}
        return self.sigstore.attest(subjects, who)

    def _artifact(self, version: str) -> Artifact:
        path = release_path(version)
        sha256 = parse_sha256_of(self.repository.releases.targets[path])
        data = self.repository.files[target_key(self.repository.app, path, sha256)]
        return parse_release(data).artifacts[0]

    def attach(
        self, version: str, *bundles: bytes, about: Sequence[Sha256Hex] | None = None
    ) -> None:
        """Sign extras of a release that list these bundles, and no other.

        They are said to be about its artifact and the tree that it is said to hold.
        """
        both = (self.artifact(version), self.claim(version))
        speaks_of = both if about is None else tuple(about)
        listed = tuple(self._store(bundle, speaks_of) for bundle in bundles)
        extras = ExtrasDocument(app=self.repository.app, version=version, attestations=listed)
        document = Document(path=extras_path(version), data=extras.to_bytes())
        self.repository._store_document(document)
        entries = {**self.repository.releases.targets, document.path: document.to_target()}
        self.repository._write_releases(entries, self.repository.publishers)
        self.repository.resign()

    def strip(self, *bundles: bytes, put: bytes | None = None) -> None:
        """Take bundles off the server, or put something else in their place, as its thief can."""
        for bundle in bundles:
            key = artifact_key(self.repository.app, digest_bytes(bundle))
            del self.repository.files[key]
            if put is not None:
                self.repository.files[key] = put

    def _store(self, bundle: bytes, about: tuple[Sha256Hex, ...]) -> Attestation:
        sha256 = digest_bytes(bundle)
        self.repository.files[artifact_key(self.repository.app, sha256)] = bundle
        return Attestation(
            kind="sigstore",
            path=artifact_path(sha256),
            sha256=sha256,
            size=len(bundle),
            artifacts=about,
            predicate_type=SLSA,
        )
