"""Mirrors: asked in their order, only when the repository fails, and trusted as little as it."""

from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import StaleMirrorError, TransportError, UsageError
from lockgate_release.instants import utc_now
from lockgate_updater import Unknown
from lockgate_updater.state.configuration import load_configuration
from lockgate_updater.state.home import Home
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.repository import ADDRESS, HEALTHY, RepositorySimulator

MIRROR = f"{ADDRESS}/mirror"


@pytest.fixture
def mirrored(client: SimulatedClient) -> SimulatedClient:
    """The client, told of a mirror that holds nothing yet."""
    return _tell_of_mirror(client)


def _tell_of_mirror(client: SimulatedClient) -> SimulatedClient:
    settings = client.home / "lockgate.toml"
    settings.write_text(f'{settings.read_text()}mirrors = ["{MIRROR}/"]\n')
    return client


def _mirror(repository: RepositorySimulator) -> None:
    """Copy what is served now."""
    own = {key: data for key, data in repository.files.items() if not key.startswith("mirror/")}
    repository.files.update({f"mirror/{key}": data for key, data in own.items()})


def test_a_repository_that_answers_is_the_only_one_asked(
    repository: RepositorySimulator, mirrored: SimulatedClient
) -> None:
    _mirror(repository)
    assert mirrored.update() == "updated"
    repository.requests.clear()
    mirrored.updater.check()
    assert len(repository.requests) == 2
    assert not any(key.startswith("mirror/") for key in repository.requests)


def test_a_mirror_serves_a_whole_update_while_the_repository_is_empty(
    repository: RepositorySimulator, mirrored: SimulatedClient
) -> None:
    _mirror(repository)
    for key in list(repository.files):
        if not key.startswith("mirror/"):
            del repository.files[key]
    assert mirrored.update() == "updated"
    assert mirrored.runs() == "1.0.0"


def test_a_mirror_that_is_newer_is_heard_when_the_repository_is_stale(
    repository: RepositorySimulator, mirrored: SimulatedClient
) -> None:
    assert mirrored.update() == "updated"
    old = repository.checkpoint()
    repository.publish("2.0.0", HEALTHY)
    assert mirrored.update() == "updated"
    repository.publish("3.0.0", HEALTHY)
    _mirror(repository)
    mirror = {key: data for key, data in repository.files.items() if key.startswith("mirror/")}
    repository.restore({**old, **mirror})
    assert mirrored.update() == "updated"
    assert mirrored.runs() == "3.0.0"


def test_an_old_mirror_is_not_believed_when_the_repository_is_down(
    repository: RepositorySimulator, mirrored: SimulatedClient
) -> None:
    _mirror(repository)
    repository.publish("2.0.0", HEALTHY)
    assert mirrored.update() == "updated"
    mirror = {key: data for key, data in repository.files.items() if key.startswith("mirror/")}
    repository.restore(mirror)
    found = mirrored.updater.check()
    assert isinstance(found, Unknown)
    assert isinstance(found.error, TransportError), "what the repository did wrong is told"
    assert mirrored.runs() == "2.0.0"


def test_a_mirror_that_a_rotation_left_behind_is_not_what_is_told(
    repository: RepositorySimulator, mirrored: SimulatedClient
) -> None:
    """Its files were signed by a key that counts no more: it knows no better, and is no attack."""
    _mirror(repository)
    repository.rotate_online_key()
    repository.publish("2.0.0", HEALTHY)
    assert mirrored.update() == "updated"
    mirror = {key: data for key, data in repository.files.items() if key.startswith("mirror/")}
    repository.restore(mirror)
    found = mirrored.updater.check()
    assert isinstance(found, Unknown)
    assert isinstance(found.error, TransportError), "what the repository did wrong is told"
    assert mirrored.runs() == "2.0.0"


def test_of_two_that_are_stale_the_repository_is_told(
    repository: RepositorySimulator, mirrored: SimulatedClient
) -> None:
    _mirror(repository)
    old = repository.checkpoint()
    repository.publish("2.0.0", HEALTHY)
    assert mirrored.update() == "updated"
    repository.restore(old)
    found = mirrored.updater.check()
    assert isinstance(found, Unknown)
    assert isinstance(found.error, StaleMirrorError)
    assert mirrored.runs() == "2.0.0"


def test_an_expired_repository_sends_to_the_mirror(tmp_path: Path) -> None:
    repository = RepositorySimulator(now=utc_now() - timedelta(days=8))
    repository.publish("1.0.0", HEALTHY)
    client = _tell_of_mirror(make_client(repository, tmp_path / "home"))
    old = repository.checkpoint()
    repository.now = utc_now()
    repository.publish("2.0.0", HEALTHY)
    _mirror(repository)
    mirror = {key: data for key, data in repository.files.items() if key.startswith("mirror/")}
    repository.restore({**old, **mirror})
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_mirrors_are_addresses(client: SimulatedClient) -> None:
    home = Home.at(Path(client.home))
    said = load_configuration(home, {"LOCKGATE_MIRRORS": "https://a.test/x/ file:///media/b"})
    assert said.mirrors == ("https://a.test/x", "file:///media/b")
    with pytest.raises(UsageError, match="address"):
        load_configuration(home, {"LOCKGATE_MIRRORS": "mirror"})
