"""What maintainers and publishers would sign together, with the keys of a simulated publisher.

    ceremonies = Ceremonies(scene.publisher)
    request = ceremonies.rotate_maintainers(chain)       # a CeremonyRequest, with every signature
    request = ceremonies.rotate_publishers(chain)
    request = ceremonies.rotate_online(chain, next_key)

The publisher simulator goes on with the new keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata, Root, Targets

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_release.trust import sign
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.roles import EXPIRY, Role
from tests.simulators.publisher import PublisherSimulator

__all__ = ["Ceremonies"]

T = TypeVar("T", Root, Targets)


@dataclass
class Ceremonies:
    """Everybody who holds an offline key, in one room."""

    publisher: PublisherSimulator

    def rotate_maintainers(self, chain: Chain) -> CeremonyRequest:
        """Replace every maintainer; what the old ones said is signed by old and new."""
        keys = self.publisher.keys
        old, new = keys.maintainers, [generate_signer() for _ in keys.maintainers]
        keys.maintainers = new

        def change(root: Root) -> None:
            for role in (Role.ROOT.value, Role.TARGETS.value):
                replace_keys(root, role, old, new)

        both = [*old, *new]
        return CeremonyRequest(
            root=self._next(chain.root.data, Root, Role.ROOT, change, both),
            targets=self._next(chain.targets.data, Targets, Role.TARGETS, _as_it_is, both),
        )

    def rotate_publishers(self, chain: Chain, *, stolen: bool = False) -> CeremonyRequest:
        """Replace every publisher; the list is signed by old and new, or by new ones alone."""
        keys = self.publisher.keys
        old, new = keys.publishers, [generate_signer() for _ in keys.publishers]
        keys.publishers = new

        def change(targets: Targets) -> None:
            replace_keys(targets, Role.RELEASES.value, old, new)

        by = new if stolen else [*old, *new]
        return CeremonyRequest(
            targets=self._next_targets(chain, change),
            releases=self._next(chain.releases.data, Targets, Role.RELEASES, _as_it_is, by),
        )

    def rotate_online(self, chain: Chain, key: Key) -> CeremonyRequest:
        """Name another key of the server's, in root and for the channels."""

        def change_root(root: Root) -> None:
            for role in (Role.TIMESTAMP.value, Role.SNAPSHOT.value):
                name_alone(root, role, key)

        def change_targets(targets: Targets) -> None:
            name_alone(targets, Role.CHANNELS.value, key)

        return CeremonyRequest(
            root=self._next(
                chain.root.data, Root, Role.ROOT, change_root, self.publisher.keys.maintainers
            ),
            targets=self._next_targets(chain, change_targets),
        )

    def renew_root(self, chain: Chain) -> CeremonyRequest:
        """Sign the root again, with the same keys."""
        by = self.publisher.keys.maintainers
        return CeremonyRequest(root=self._next(chain.root.data, Root, Role.ROOT, _as_it_is, by))

    def _next_targets(self, chain: Chain, change: Callable[[Targets], None]) -> bytes:
        by = self.publisher.keys.maintainers
        return self._next(chain.targets.data, Targets, Role.TARGETS, change, by)

    def _next(
        self,
        base: bytes,
        kind: type[T],
        role: Role,
        change: Callable[[Any], None],
        signers: Iterable[CryptoSigner],
    ) -> bytes:
        signed = Metadata[kind].from_bytes(base).signed  # type: ignore[valid-type]
        signed.version += 1
        signed.expires = self.publisher.now + EXPIRY[role]
        change(signed)
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        return sign.to_bytes(metadata)


def _as_it_is(_: Root | Targets) -> None:
    """Change nothing but number and expiry."""


def replace_keys(
    words: Root | Targets, role: str, old: Sequence[CryptoSigner], new: Sequence[CryptoSigner]
) -> None:
    """Let a role be signed by other keys; the threshold stays."""
    for signer in new:
        words.add_key(signer.public_key, role)
    for signer in old:
        words.revoke_key(signer.public_key.keyid, role)


def name_alone(words: Root | Targets, role: str, key: Key) -> None:
    """Let a role be signed by this key alone."""
    roles = words.roles if isinstance(words, Root) else words.delegations.roles  # type: ignore[union-attr]
    assert roles is not None
    old = list(roles[role].keyids)
    words.add_key(key, role)
    for key_id in old:
        words.revoke_key(key_id, role)
