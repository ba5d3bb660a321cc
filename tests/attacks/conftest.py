"""Every attack begins with an honest repository and a client that runs 1.0.0."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.attested import Attested
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.repository import RepositorySimulator
from tests.simulators.sigstore import SigstoreSimulator, serve_sigstore


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


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as simulator:
        yield simulator


@pytest.fixture
def attested(
    repository: RepositorySimulator, client: SimulatedClient, sigstore: SigstoreSimulator
) -> Attested:
    """Stable demands the release workflow's word; the client runs 1.0.0, from before that."""
    del client
    found = Attested(repository, sigstore)
    found.trust()
    found.demand()
    return found
