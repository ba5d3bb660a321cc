"""The adapter keeps the suite's command contract, so it cannot rot between runs of the suite."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from lockgate_release.layout import POLICY_PATH, metadata_key, release_path, timestamp_key
from tests.conformance import client
from tests.simulators.faults import Kind
from tests.simulators.http_server import serve
from tests.simulators.repository import RepositorySimulator

RELEASE = release_path("1.0.0")


@dataclass
class Rig:
    """The repository, and the command as the suite calls it."""

    repository: RepositorySimulator
    address: str
    folder: Path

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def targets(self) -> Path:
        return self.folder / "targets"

    def init(self, root: bytes = b"") -> int:
        trusted = self.folder / "trusted_root.json"
        trusted.write_bytes(root or self.repository.root_bytes)
        return self._run("--metadata-dir", str(self.metadata), "init", str(trusted))

    def refresh(self) -> int:
        return self._run(*self._place(), "refresh")

    def download(self, *paths: str) -> int:
        names = [word for path in paths for word in ("--target-name", path)]
        folder = ["--target-dir", str(self.targets), "--target-base-url", self.address + "targets/"]
        return self._run(*self._place(), *names, *folder, "download")

    def trusted(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.metadata.glob("*.json")}

    def downloaded(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.targets)): path.read_bytes()
            for path in self.targets.rglob("*")
        }

    def asked(self) -> list[str]:
        """What was requested since the last question, without the app's folder."""
        seen = [key.partition("/")[2] for key in self.repository.requests]
        self.repository.requests.clear()
        return seen

    def _place(self) -> list[str]:
        place = ["--metadata-url", self.address + "metadata/"]
        return [*place, "--metadata-dir", str(self.metadata)]

    def _run(self, *words: str) -> int:
        command = [sys.executable, client.__file__, *words]
        return subprocess.run(command, check=False, capture_output=True).returncode


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    for name in ("metadata", "targets"):
        (tmp_path / name).mkdir()
    repository = RepositorySimulator()
    repository.publish("1.0.0")
    with serve(repository) as server:
        yield Rig(repository, f"{server.address}/demo/", tmp_path)


def test_refresh_asks_for_nothing_extra_and_keeps_the_bytes_that_were_served(rig: Rig) -> None:
    assert rig.init() == 0
    assert rig.asked() == []
    assert rig.refresh() == 0
    files = rig.repository.files
    snapshot = _newest(rig, "snapshot")
    assert rig.asked() == [
        "metadata/2.root.json",
        "metadata/timestamp.json",
        f"metadata/{snapshot}.snapshot.json",
        "metadata/1.targets.json",
    ]
    assert rig.trusted() == {
        "root.json": rig.repository.root_bytes,
        "timestamp.json": files[timestamp_key(rig.repository.app)],
        "snapshot.json": files[metadata_key(rig.repository.app, "snapshot", snapshot)],
        "targets.json": files[metadata_key(rig.repository.app, "targets", 1)],
    }
    assert rig.refresh() == 0
    assert rig.asked() == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_download_refreshes_by_itself_and_leaves_only_what_was_asked_for(rig: Rig) -> None:
    assert rig.init() == 0
    assert rig.download(POLICY_PATH, RELEASE) == 0
    policy, release = (_served(rig, path) for path in (POLICY_PATH, RELEASE))
    assert rig.downloaded() == {POLICY_PATH: policy, quote(RELEASE, safe=""): release}
    assert {"root.json", "releases.json"} <= rig.trusted().keys()
    rig.asked()
    assert rig.download(POLICY_PATH, RELEASE) == 0
    assert not [key for key in rig.asked() if key.startswith("targets/")]


def test_refused_target_leaves_no_trace_and_ends_the_command(rig: Rig) -> None:
    assert rig.init() == 0
    rig.repository.spoil("release.json", Kind.CORRUPT, 7)
    assert rig.download(RELEASE, POLICY_PATH) == 1
    assert rig.downloaded() == {}
    assert rig.trusted().keys() == {
        f"{role}.json" for role in ("root", "timestamp", "snapshot", "targets", "releases")
    }


def test_target_that_nobody_signed_is_refused(rig: Rig) -> None:
    assert rig.init() == 0
    assert rig.download("releases/9.9.9/release.json") == 1
    assert rig.downloaded() == {}


@pytest.mark.parametrize("root", [b"{}", b"not json"], ids=["empty", "no JSON"])
def test_broken_anchor_is_refused_before_any_request(rig: Rig, root: bytes) -> None:
    rig.init(root)
    assert rig.refresh() == 1
    assert rig.asked() == []
    assert rig.trusted() == {}


def test_refresh_without_an_anchor_is_refused_before_any_request(rig: Rig) -> None:
    assert rig.refresh() == 1
    assert rig.asked() == []


def test_what_is_no_refusal_never_looks_like_one(rig: Rig) -> None:
    assert rig.init() == 0
    # The suite promises to call init once; twice is a fault of the rig, not of a repository.
    assert rig.init() == client.BUG
    assert client.BUG not in {0, 1}


def _newest(rig: Rig, role: str) -> int:
    names = [key.rpartition("/")[2] for key in rig.repository.files]
    return max(int(name.split(".")[0]) for name in names if name.endswith(f".{role}.json"))


def _served(rig: Rig, path: str) -> bytes:
    folder, _, name = path.rpartition("/")
    (data,) = (
        data
        for key, data in rig.repository.files.items()
        if key.startswith(f"demo/targets/{folder}") and key.endswith(f".{name}")
    )
    return data
