"""From `lockgate publish` to a client that fetches only what changed, over HTTP."""

import gzip
import io
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.instants import utc_now
from lockgate_release.layout import artifact_key, artifact_path
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_updater import Updater
from tests.simulators.api_server import serve_app
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

PROGRAM = random.Random(11).randbytes(150_000)


@dataclass
class Field:
    """A desk, its public side, one client, and what the client has asked for."""

    desk: ReleaseDesk
    client: Updater
    asked: list[str] = field(default_factory=list)

    def publish(self, version: str, *more: str) -> Any:
        path = self.desk.folder / f"{APP}-{version}.tar.gz"
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, data in (("program", PROGRAM), ("version", version.encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        path.write_bytes(gzip.compress(out.getvalue(), 1, mtime=0))
        return self.desk.publish(version, "--json", *more).json()

    def update(self) -> str | None:
        """Update, and forget what was asked before."""
        self.asked.clear()
        return self.client.update().version

    def fetched(self, sha256: str) -> bool:
        return any(path.endswith(artifact_path(Sha256Hex(sha256))) for path in self.asked)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Field]:
    asked: list[str] = []
    with open_desk(tmp_path, utc_now()) as desk:
        desk.init()
        public: Callable[..., Iterable[bytes]] = desk.server.public(0)

        def listening(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            asked.append(environ["PATH_INFO"])
            return public(environ, start)

        with serve_app(listening) as address:
            client = Updater.create(
                tmp_path / "home",
                app=AppName(APP),
                repository=address,
                channel=ChannelName("stable"),
                root=(desk.folder / "keys" / "root.json").read_bytes(),
            )
            yield Field(desk=desk, client=client, asked=asked)


def test_a_client_fetches_the_delta_and_not_the_archive(site: Field) -> None:
    site.publish("1.0.0")
    assert site.update() == "1.0.0"
    said = site.publish("1.1.0")
    (delta,) = said["deltas"]
    assert site.update() == "1.1.0"
    assert site.fetched(delta["sha256"])
    assert not site.fetched(said["artifacts"][0]["sha256"])
    assert (site.client.home / "current" / "version").read_text() == "1.1.0"


def test_a_client_two_releases_behind_takes_the_delta_from_there(site: Field) -> None:
    site.publish("1.0.0")
    assert site.update() == "1.0.0"
    site.publish("1.1.0")
    said = site.publish("1.2.0")
    (direct,) = (item for item in said["deltas"] if item["from_version"] == "1.0.0")
    assert site.update() == "1.2.0"
    assert site.fetched(direct["sha256"])
    assert not site.fetched(said["artifacts"][0]["sha256"])


def test_a_delta_that_is_missing_or_damaged_costs_the_archive_and_no_update(site: Field) -> None:
    site.publish("1.0.0")
    assert site.update() == "1.0.0"
    for version in ("1.1.0", "1.2.0"):
        said = site.publish(version, "--deltas", "1")
        (delta,) = said["deltas"]
        key = artifact_key(APP, Sha256Hex(delta["sha256"]))
        stored = site.desk.server.store.objects[key]
        if version == "1.1.0":
            del site.desk.server.store.objects[key]
        else:
            object.__setattr__(stored, "data", bytes(len(stored.data)))
        assert site.update() == version
        assert site.fetched(delta["sha256"])
        assert site.fetched(said["artifacts"][0]["sha256"])


def test_a_delta_that_was_dropped_is_asked_for_by_nobody(site: Field) -> None:
    site.publish("1.0.0")
    assert site.update() == "1.0.0"
    said = site.publish("1.1.0")
    site.desk.person.must("deltas", "drop", "1.1.0", "--app", APP)
    assert site.update() == "1.1.0"
    assert not site.fetched(said["deltas"][0]["sha256"])
