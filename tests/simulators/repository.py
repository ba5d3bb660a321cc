"""A whole signed repository in memory: the `Fetch` port and more, honest until told otherwise.

It holds every key, so a test can play each thief: the bucket (`checkpoint`, `restore`, `faults`),
the server's online key (`offer`, `issue`, `revoke`, `resign`), or publishers (`publish` with
`signers`). Nothing here uses the updater; everything is signed by `lockgate_release.trust.sign`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, TargetFile, Targets

from lockgate_release.errors import TransportError
from lockgate_release.layout import metadata_key
from lockgate_release.trust.sign import to_bytes
from lockgate_release.trust.verify import NotFoundError
from tests.simulators.faults import Fault, Kind, spoil, zeros
from tests.simulators.signed_files import PREVIEWS, STABLE
from tests.simulators.signed_repository import (
    HEALTHY,
    SICK,
    SignedRepository,
    checked_by,
    confirmed_by_itself,
)

__all__ = [
    "ADDRESS",
    "HEALTHY",
    "PREVIEWS",
    "SICK",
    "STABLE",
    "Body",
    "RepositorySimulator",
    "checked_by",
    "confirmed_by_itself",
]

ADDRESS = "http://repository.test"


@dataclass(slots=True)
class Body:
    """One answer with a body: where it begins in the file, and its chunks."""

    start: int
    chunks: Iterator[bytes]


class RepositorySimulator(SignedRepository):
    """One app's repository on a wire that can be told to misbehave."""

    def __init__(self, app: str = "demo", **options: Any) -> None:
        super().__init__(app, **options)
        self.faults: dict[str, Fault] = {}
        self.requests: list[str] = []
        self.body_bytes = 0

    def checkpoint(self) -> dict[str, bytes]:
        """Everything that is served now."""
        return dict(self.files)

    def restore(self, files: Mapping[str, bytes]) -> None:
        """Serve what was served at a checkpoint; the keys know what they signed since."""
        self.files = dict(files)

    def spoil(self, part: str, kind: Kind, number: int = 0) -> None:
        """Do wrong at each address that holds `part`."""
        self.faults[part] = Fault(kind, number)

    def fault_at(self, url: str) -> Fault | None:
        return next((fault for part, fault in self.faults.items() if part in url), None)

    # -- What a thief of every key but the maintainers' does ------------------------------

    def put_list(self, signed: Targets, signers: Sequence[CryptoSigner]) -> None:
        """Serve this as the publishers' list, signed by these."""
        self._releases = Metadata(signed)
        for signer in signers:
            self._releases.sign(signer, append=True)
        self.resign()

    def serve_more(self, role: str, metadata: Metadata[Targets]) -> None:
        """Bring a role that nobody knows into the snapshot."""
        data, number = to_bytes(metadata), metadata.signed.version
        self.files[metadata_key(self.app, role, number)] = data
        assert self._snapshot is not None
        self._snapshot.signed.meta[f"{role}.json"] = MetaFile.from_data(number, data, ["sha256"])
        self.resign()

    def list_as_a_channel(self, path: str, target: TargetFile) -> None:
        """Have the server's own list name a release."""
        assert self._channels is not None
        self._channels.signed.targets[path] = target
        self.resign()

    # -- The port -----------------------------------------------------------------------

    def __call__(self, url: str) -> Iterator[bytes]:
        return self.open(url).chunks

    def open(self, url: str, *, offset: int = 0, length_bytes: int | None = None) -> Body:
        """Answer a request for `url` from the byte at `offset` on."""
        key = url.removeprefix(ADDRESS + "/")
        data, fault = self.answer(key)
        start = offset if offset < len(data) else 0
        end = len(data) if length_bytes is None else offset + length_bytes
        return Body(start, self._send(url, data[start:end], fault))

    server_time: datetime | None = None
    """What the answers say of the present."""

    def close(self) -> None:
        """Nothing to give back."""

    def answer(self, key: str) -> tuple[bytes, Fault | None]:
        """The bytes of a file, and what goes wrong while they travel. Counts the request."""
        self.requests.append(key)
        fault = self.fault_at(key)
        if fault is not None and fault.kind is Kind.STATUS:
            if fault.number == 404:
                raise NotFoundError("no such file", subject=key)
            raise TransportError("the server failed", subject=key, found=str(fault.number))
        if key not in self.files:
            raise NotFoundError("no such file", subject=key)
        data = self.files[key]
        # A bad bit lies in the file; everything else goes wrong with the answer.
        is_bad = fault is not None and fault.kind is Kind.CORRUPT
        return (spoil(data, fault), None) if is_bad else (data, fault)

    def _send(self, url: str, data: bytes, fault: Fault | None) -> Iterator[bytes]:
        body = spoil(data, fault)
        for at in range(0, len(body), 1 << 16):
            chunk = body[at : at + (1 << 16)]
            self.body_bytes += len(chunk)
            yield chunk
        if fault is not None and fault.kind in {Kind.CUT, Kind.STALL}:
            raise TransportError("the connection broke off", subject=url)
        if fault is not None and fault.kind is Kind.ENDLESS:
            yield from zeros()
