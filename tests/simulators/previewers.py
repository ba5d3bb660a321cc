"""Who publishes previews: other keys, another list, another folder. See `publisher`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Targets

from lockgate_release.documents import ReleaseEntry
from lockgate_release.layout import extras_path, release_path
from lockgate_release.names import MAX_EXPOSURE_BP, ChannelName
from lockgate_release.requests import OfferRequest, PublishRequest, RenewRequest
from lockgate_release.trust import sign
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.delegating import delegate_releases
from lockgate_release.trust.keys import generate_signer, public_keys_of
from tests.simulators.publisher import Build, PublisherSimulator

PREVIEWS = "previews"


@dataclass(kw_only=True)
class Previewers:
    """Who holds the keys of the role `previews`."""

    publisher: PublisherSimulator
    threshold: int = 1
    signers: list[CryptoSigner] = field(default_factory=lambda: [generate_signer()])

    def delegate(self, chain: Chain) -> RenewRequest:
        """Return the request by which maintainers let these keys publish."""
        keys = public_keys_of(self.signers)
        return self.publisher.change_targets(
            chain, lambda targets: delegate_releases(targets, PREVIEWS, keys, self.threshold)
        )

    def publish(
        self,
        chain: Chain,
        build: Build,
        *,
        channel: str = "nightly",
        offer: bool = True,
        folder: str = PREVIEWS,
        signers: Sequence[CryptoSigner] | None = None,
    ) -> PublishRequest:
        """Return the request that lists a preview and offers it."""
        plain = build.documents()
        documents = {
            release_path(build.version, folder=folder): plain[release_path(build.version)],
            extras_path(build.version, folder=folder): plain[extras_path(build.version)],
        }
        name = ChannelName(channel)
        mark = ReleaseEntry(version=build.version, channels=(name,))
        held = chain.list_of(PREVIEWS)
        base = held.signed if held else None
        targets = dict(base.targets) if base else {}
        for path, data in documents.items():
            document = sign.Document(path=path, data=data)
            if path.endswith("/release.json"):
                document = replace(document, custom=mark.to_json())
            targets[path] = document.to_target()
        return PublishRequest(
            releases=self.sign(base, targets, signers),
            documents=documents,
            offer=OfferRequest(channel=name, version=build.version, exposure_bp=MAX_EXPOSURE_BP)
            if offer
            else None,
            role=PREVIEWS,
        )

    def sign(
        self,
        base: Targets | None,
        targets: dict[str, sign.TargetFile],
        signers: Sequence[CryptoSigner] | None = None,
    ) -> bytes:
        """Return the next list of previews, with exactly these entries."""
        chosen = self.signers if signers is None else signers
        return sign.to_bytes(sign.next_releases(base, targets, chosen, self.publisher.now))
