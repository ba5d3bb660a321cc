"""People with keys, and a repository in memory that puts their ceremonies in force.

Signatures are real, and so is the order in which the server puts a change in force: targets and
lists in one flip, root last. `states` holds what a client could meet in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Root, Targets

from lockgate_release.names import AppName
from lockgate_release.trust import ceremony as cer
from lockgate_release.trust.chain import Chain, load_chain, parse_metadata
from lockgate_release.trust.key_names import with_name
from lockgate_release.trust.roles import Role
from tests.unit.release.builders import APP, NOW, Repository

__all__ = ["PEOPLE_ROLES", "People", "named"]

PEOPLE_ROLES = (Role.ROOT.value, Role.TARGETS.value)


def named(signer: CryptoSigner, name: str) -> Key:
    """A signer's public key, under a name."""
    return with_name(signer.public_key, name)


@dataclass(kw_only=True)
class People:
    """An app whose maintainers change things by ceremonies.

    Attributes:
        maintainers: How many begin, and `threshold` of them must sign.
        publishers: How many begin, and `publisher_threshold` of them must sign.
        signers: Everybody's key by its id; a ceremony is signed by those who can.
        states: The files of each moment that a client could have seen.
    """

    maintainers: int = 3
    threshold: int = 2
    publishers: int = 1
    publisher_threshold: int = 1
    now: datetime = NOW
    app: AppName = APP
    repository: Repository = field(init=False)
    signers: dict[str, CryptoSigner] = field(default_factory=dict)
    states: list[dict[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository = Repository(
            now=self.now,
            maintainers=self.maintainers,
            threshold=self.threshold,
            publishers=self.publishers,
            publisher_threshold=self.publisher_threshold,
        )
        everybody = [*self.repository.maintainers, *self.repository.publishers]
        self.signers = {one.public_key.keyid: one for one in everybody}
        self.states.append(dict(self.repository.files))

    # Looking.

    def chain(self) -> Chain:
        return load_chain(self.repository.read, self.repository.bootstrap, now=None)

    def arrangement(self) -> cer.Arrangement:
        chain = self.chain()
        return cer.read_arrangement(chain.root.signed, chain.targets.signed)

    # Wishing.

    def newcomer(self, name: str = "") -> Key:
        """A person who was not there before, with a key; their public half."""
        signer = CryptoSigner.generate_ed25519()
        self.signers[signer.public_key.keyid] = signer
        return named(signer, name)

    def make(
        self,
        arrangement: cer.Arrangement | None = None,
        *,
        renew: Iterable[str] = (),
        policy: bytes | None = None,
        earlier: cer.Ceremony | None = None,
    ) -> cer.Ceremony:
        wish = cer.Wish(
            arrangement=arrangement or self.arrangement(), policy=policy, renew=frozenset(renew)
        )
        return cer.make_ceremony(
            self.app, "a change", self.chain(), wish, self.now, earlier=earlier
        )

    # Signing.

    def examine(self, ceremony: cer.Ceremony) -> cer.Examined:
        return cer.examine(ceremony, self.chain(), self.now)

    def sign(self, ceremony: cer.Ceremony, *keyids: str) -> cer.Ceremony:
        """Sign what these keys can sign; without any, by as many as it takes and no more."""
        for keyid in keyids or self.signers:
            examined = self.examine(ceremony)
            if examined.is_complete and not keyids:
                break
            for part in examined.parts_of(keyid):
                ceremony = cer.add_signatures(ceremony, part, [self.signers[keyid]])
        return ceremony

    # Putting in force.

    def submit(self, ceremony: cer.Ceremony) -> None:
        """Put a ceremony in force, as the server would, and keep every moment of it."""
        assert self.examine(ceremony).is_complete
        repository, parts = self.repository, ceremony.parts
        flipped = []
        for role in (Role.TARGETS, Role.RELEASES):
            if role.value in parts:
                metadata = parse_metadata(Targets, parts[role.value], role.value)
                setattr(repository, role.value, metadata)
                repository.put(role, metadata)
                flipped.append(role)
        if flipped:
            repository.flip(*flipped)
            self.states.append(dict(repository.files))
        if Role.ROOT.value in parts:
            repository.root = parse_metadata(Root, parts[Role.ROOT.value], "root")
            repository.put(Role.ROOT, repository.root)
            self.states.append(dict(repository.files))

    def change(self, arrangement: cer.Arrangement, *, renew: Sequence[str] = ()) -> None:
        """Make, sign and submit in one."""
        self.submit(self.sign(self.make(arrangement, renew=renew)))

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.repository.now = self.now

    def roots(self) -> list[bytes]:
        """Every root that a client in the field may have been shipped with."""
        found: Mapping[str, bytes] = self.repository.files
        numbers = range(1, self.chain().root.version + 1)
        return [found[f"metadata/{number}.root.json"] for number in numbers]
