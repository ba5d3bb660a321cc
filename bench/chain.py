"""What verifying a whole chain costs, beside python-tuf's own refresh of the same repository.

Both read the same files from memory, through the same fetch, into folders on the same disk. The
rival is `tuf.ngclient.Updater.refresh`, which verifies root, timestamp, snapshot and targets; and,
for the whole chain, the same followed by `get_targetinfo` and `download_target` of the policy, the
channel and the release that is offered, which has python-tuf verify the two delegated lists too.
It parses none of them, and holds them to nothing. Processor time of this process, in turns:
the lower quartile of each, which other work on the machine reaches least.

A client 30 rotations back follows 31 roots in one check; its rival does the same.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.ngclient import FetcherInterface, Updater

from bench.table import Table
from lockgate_release.layout import POLICY_PATH, channel_path, release_path
from lockgate_release.names import ChannelName
from lockgate_release.trust.client import TufClient
from lockgate_release.trust.verify import TrustedView
from tests.simulators.repository import ADDRESS, RepositorySimulator

ROUNDS = 60
ROTATIONS = (0, 30)
MOST = 1.15
_STABLE = ChannelName("stable")
_PATHS = (POLICY_PATH, channel_path(_STABLE), release_path("1.0.0"))


class _BareFetch(FetcherInterface):
    """The repository's files as python-tuf asks for them."""

    def __init__(self, repository: RepositorySimulator) -> None:
        self._repository = repository

    def _fetch(self, url: str) -> Iterator[bytes]:
        from tuf.api.exceptions import DownloadHTTPError  # noqa: PLC0415

        from lockgate_release.trust.verify import NotFoundError  # noqa: PLC0415 (for its type)

        try:
            yield from self._repository(url)
        except NotFoundError as exc:
            raise DownloadHTTPError(str(exc), 404) from exc


def run() -> Table:
    """Measure chains of different lengths, with an empty cache and with a full one."""
    table = Table(heads=("roots", "cache", "what", "ms", "python-tuf in ms", "ratio"))
    for rotations in ROTATIONS:
        repository = RepositorySimulator()
        repository.publish("1.0.0")
        for _ in range(rotations):
            repository.rotate_online_key()
        with tempfile.TemporaryDirectory() as folder:
            for cache, places in _caches(Path(folder)).items():
                _measure(table, _Readers(repository, places), rotations + 1, cache)
    return table


def _caches(folder: Path) -> Mapping[str, Callable[[str], Path]]:
    count = itertools.count()
    return {
        "empty": lambda name: folder / f"{name}-{next(count)}",
        "full": lambda name: folder / f"{name}-kept",
    }


@dataclass(frozen=True)
class _Readers:
    """Each way to read one repository; `place` tells where each keeps what it has verified."""

    repository: RepositorySimulator
    place: Callable[[str], Path]

    def bare(self, name: str = "bare") -> Updater:
        """python-tuf's own refresh."""
        target = self.place(name)
        target.mkdir(exist_ok=True)
        updater = Updater(
            str(target),
            f"{ADDRESS}/{self.repository.app}/metadata/",
            str(target),
            f"{ADDRESS}/{self.repository.app}/targets/",
            fetcher=_BareFetch(self.repository),
            bootstrap=self.repository.root_bytes,
        )
        updater.refresh()
        return updater

    def bare_whole(self) -> None:
        """python-tuf's own refresh, and the same targets by it."""
        updater = self.bare("bare-whole")
        for path in _PATHS:
            found = updater.get_targetinfo(path)
            assert found is not None
            if updater.find_cached_target(found) is None:
                updater.download_target(found)

    def client(self, name: str = "client") -> TufClient:
        """Ours, which refuses and explains."""
        target = self.place(name)
        client = TufClient(
            metadata_url=f"{ADDRESS}/{self.repository.app}/metadata/",
            targets_url=f"{ADDRESS}/{self.repository.app}/targets/",
            metadata=target / "metadata",
            targets=target / "documents",
            bootstrap=self.repository.root_bytes,
            fetch=self.repository,
        )
        client.refresh()
        return client

    def client_whole(self) -> None:
        """Ours, and the same targets."""
        client = self.client("client-whole")
        assert all(client.find(path) for path in _PATHS)

    def view(self) -> None:
        """Ours, with every document parsed and held to the rules of `trust.verify`."""
        view = TrustedView(
            app=self.repository.app,
            repository=ADDRESS,
            cache=self.place("view"),
            bootstrap=self.repository.root_bytes,
            fetch=self.repository,
        )
        view.refresh()
        view.policy()
        channel = view.channel(_STABLE)
        assert channel is not None
        assert all(view.release(offer.path) for offer in channel.offers)


def _measure(table: Table, readers: _Readers, roots: int, cache: str) -> None:
    ways: dict[str, Callable[[], object]] = {
        "bare": readers.bare,
        "client": readers.client,
        "bare_whole": readers.bare_whole,
        "client_whole": readers.client_whole,
        "view": readers.view,
    }
    times = _quartiles_in_turns(ways)
    for ours, rival, what, bar in (
        ("client", "bare", "root, timestamp, snapshot, targets", MOST),
        ("client_whole", "bare_whole", "and lists, policy, channel, release", MOST),
        ("view", "bare_whole", "and these parsed and held to the rules", None),
    ):
        ratio = round(times[ours] / times[rival], 2)
        shown = table.judge(ratio, at_most=bar) if bar else str(ratio)
        in_ms = [f"{times[name] * 1e3:.2f}" for name in (ours, rival)]
        table.add(roots, cache, what, *in_ms, shown)


def _quartiles_in_turns(acts: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return each one's processor time in seconds; the first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(ROUNDS + 1):
        for name, act in acts.items():
            begun = time.process_time()
            act()
            if number:
                times[name].append(time.process_time() - begun)
    return {name: statistics.quantiles(found)[0] for name, found in times.items()}
