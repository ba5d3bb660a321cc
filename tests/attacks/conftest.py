"""Every attack begins with an honest repository and a client that runs 1.0.0."""

from pathlib import Path

import pytest

from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.repository import RepositorySimulator


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator(publishers=2, publisher_threshold=2)
    repository.publish("1.0.0", {"bin/app": b"#!/bin/sh\nexit 0\n", "one": b"1"})
    return repository


@pytest.fixture
def client(repository: RepositorySimulator, tmp_path: Path) -> SimulatedClient:
    client = make_client(repository, tmp_path / "home")
    assert client.update() == "updated"
    assert client.runs() == "1.0.0"
    return client
