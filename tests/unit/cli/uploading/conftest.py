"""A server that takes uploads, and somebody who sends to it: the scene of every test in here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.sender import PART, Sender
from tests.simulators.upload_server import UploadServer, serve_uploads


@pytest.fixture
def mode() -> str:
    """Straight to the store, unless a test says otherwise."""
    return "direct"


@pytest.fixture
def server(mode: str) -> Iterator[UploadServer]:
    """The server and its store, which ask for small parts."""
    with serve_uploads(mode) as made:
        made.part_bytes = PART
        yield made


@pytest.fixture
def sender(server: UploadServer, tmp_path: Path) -> Sender:
    """Who sends."""
    return Sender(server, tmp_path)
