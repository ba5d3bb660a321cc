"""An honest repository with one release, and a client that has installed nothing yet."""

from pathlib import Path

import pytest

from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.repository import HEALTHY, RepositorySimulator


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator()
    repository.publish("1.0.0", HEALTHY)
    return repository


@pytest.fixture
def client(repository: RepositorySimulator, tmp_path: Path) -> SimulatedClient:
    return make_client(repository, tmp_path / "home")
