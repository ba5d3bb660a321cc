"""A person who ends a run that makes deltas waits for no download."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from lockgate_cli.api import Api
from lockgate_cli.context import Call
from lockgate_cli.deltas.making import make_deltas
from lockgate_cli.deltas.sources import Pair
from lockgate_cli.deltas.wish import DeltaWish
from lockgate_cli.progress import Task
from lockgate_release.deltas.algorithms import COLUMNS_1
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Artifact
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, Platform, Sha256Hex
from tests.simulators.archives import make_archive, tree_digest

TREE = {"bin/app": b"#!/bin/sh\n"}
CHUNKS = 2000


@dataclass
class _SlowServer:
    """Serves an artifact in many pieces, and counts them."""

    sent: int = 0

    def stream_artifact(self, _: AppName, __: Sha256Hex) -> Iterator[bytes]:
        for self.sent in range(1, CHUNKS + 1):
            yield b"x"
            time.sleep(0.001)


class _Person:
    """Watches the progress, and ends the run once something comes."""

    def __init__(self, server: _SlowServer) -> None:
        self.around = self
        self.environ: dict[str, str] = {}
        self._server = server

    def progress(self) -> "_Person":
        return self

    @contextmanager
    def board(self, _: Sequence[Task]) -> Iterator[Callable[[], None]]:
        def draw() -> None:
            if self._server.sent:
                raise KeyboardInterrupt

        yield draw


def _artifact(data: bytes, size: int) -> Artifact:
    tree = tree_digest(TREE)
    return Artifact(
        platform=Platform("any"),
        name="app.tar.gz",
        kind="tar.gz",
        size=size,
        sha256=digest_bytes(data),
        tree_sha256=tree.sha256,
        tree_size=tree.size_bytes,
        path=artifact_path(digest_bytes(data)),
    )


def test_nothing_more_is_fetched_after_the_run_was_ended(tmp_path: Path) -> None:
    data = make_archive(TREE)
    archive = tmp_path / "app.tar.gz"
    archive.write_bytes(data)
    pair = Pair(from_version="1.0.0", old=_artifact(b"old", CHUNKS), new=_artifact(data, len(data)))
    server = _SlowServer()
    with pytest.raises(KeyboardInterrupt):
        make_deltas(
            cast("Call", _Person(server)),
            cast("Api", server),
            AppName("demo"),
            [pair],
            tmp_path,
            wish=DeltaWish(most=1, algorithm=COLUMNS_1, memory_bytes=256 << 20),
            files={Platform("any"): archive},
        )
    assert 0 < server.sent < CHUNKS
    assert not (tmp_path / "old-0").exists()
