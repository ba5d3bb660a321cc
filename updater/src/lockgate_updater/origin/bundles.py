"""The bundles of one artifact, fetched one by one as somebody asks for the next.

Each is what the publishers' signed extras say, or is none. One that the server does not have, or
gives other bytes of, is missing, with words: what is missing proves nothing. One that does not come
is a matter of the network, and says nothing of the artifact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate_release.digests import digest_bytes
from lockgate_release.documents.attestation import Attestation
from lockgate_release.errors import TransportError
from lockgate_release.provenance.bundles import MAX_BUNDLE_BYTES
from lockgate_release.trust.verify import NotFoundError
from lockgate_updater.fetch.transport import Transport
from lockgate_updater.state.configuration import Configuration

__all__ = ["BundleSource"]


class BundleSource:
    """Fetches bundles, and remembers what was missing."""

    def __init__(
        self,
        transport: Transport | None,
        configuration: Configuration,
        attestations: Iterable[Attestation],
    ) -> None:
        """Prepare to fetch; nothing is fetched yet.

        Args:
            transport: Brings bytes; None: nothing is fetched, and all of them are missing.
            configuration: Whose repository and mirrors they lie on.
            attestations: The bundles, the likeliest first.
        """
        self._transport = transport
        self._configuration = configuration
        self._attestations = tuple(attestations)
        self.missing: list[str] = []
        """Why each of those that were asked for and did not come is missing, in words."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bundles that are what was signed.

        Raises:
            TransportError: One does not come.
        """
        for attestation in self._attestations:
            data = self._fetch(attestation)
            if data is not None:
                yield data

    def _fetch(self, attestation: Attestation) -> bytes | None:
        name = f"bundle {attestation.sha256[:12]}"
        if attestation.size > MAX_BUNDLE_BYTES:
            self.missing.append(f"{name}: too large, {attestation.size} bytes")
            return None
        broken: TransportError | None = None
        why = "not looked for"
        for url in self._configuration.addresses_of(attestation.path):
            try:
                data = self._read(url, attestation.size)
            except NotFoundError:
                why = "not on the server, though its publishers signed that it is"
            except TransportError as exc:
                broken = exc
            else:
                if digest_bytes(data) == attestation.sha256:
                    return data
                why = "other bytes than those that its publishers signed"
        if broken is not None:
            raise broken
        self.missing.append(f"{name}: {why}")
        return None

    def _read(self, url: str, size_bytes: int) -> bytes:
        """Return the body at `url`, or a little more than it may be long."""
        if self._transport is None:
            raise TransportError("not asked: nothing is fetched now", subject=url)
        body = bytearray()
        for chunk in self._transport(url):
            body += chunk
            if len(body) > size_bytes:
                break
        return bytes(body)
