"""A check of a home that cannot be written: mounted read-only, in a namespace of its own."""

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.client import COMMAND, SimulatedClient, make_client
from tests.simulators.faults import Kind
from tests.simulators.http_server import Server, serve
from tests.simulators.repository import HEALTHY, RepositorySimulator

MOUNT = "mount --bind {0} {0} && mount -o remount,ro,bind {0} || exit 77\n{1}"


def check(home: Path) -> tuple[int, Mapping[str, Any]]:
    """Check a home that is mounted read-only: exit code, and the object on stdout."""
    command = shlex.join([*COMMAND, "check", "--home", str(home), "--json"])
    script = MOUNT.format(shlex.quote(str(home)), command)
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if not ran.stdout:
        assert ran.returncode in {1, 32, 77}, ran.stderr
        pytest.skip("nothing can be mounted here")
    return ran.returncode, json.loads(ran.stdout)


def contents(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.fixture
def installed(
    repository: RepositorySimulator, tmp_path: Path
) -> Iterator[tuple[Server, SimulatedClient]]:
    with serve(repository) as server:
        client = make_client(repository, tmp_path / "home", address=server.address)
        made = subprocess.run(
            [*COMMAND, "update", "--home", str(client.home)], capture_output=True, check=False
        )
        assert made.returncode == 0
        yield server, client


def test_it_says_what_an_update_would_do_and_that_it_remembers_nothing(
    installed: tuple[Server, SimulatedClient],
) -> None:
    server, client = installed
    before = contents(client.home)
    code, said = check(client.home)
    assert (code, said["result"]) == (0, "up-to-date")
    assert "nothing that was seen can be remembered here" in said["reason"]
    assert "Read-only file system" in said["reason"]
    server.repository.publish("2.0.0", HEALTHY)
    code, said = check(client.home)
    assert (code, said["result"], said["version"]) == (10, "offer", "2.0.0")
    assert contents(client.home) == before


def test_a_revocation_that_was_remembered_counts_without_a_server(
    installed: tuple[Server, SimulatedClient],
) -> None:
    server, client = installed
    server.repository.revoke("1.0.0")
    looked = [*COMMAND, "check", "--home", str(client.home)]
    assert subprocess.run(looked, capture_output=True, check=False).returncode == 10
    server.repository.spoil("metadata/", Kind.STATUS, 503)
    code, said = check(client.home)
    assert (code, said["result"]) == (10, "leave")


def test_a_server_that_is_gone_is_unknown(installed: tuple[Server, SimulatedClient]) -> None:
    server, client = installed
    server.stop()
    code, said = check(client.home)
    assert (code, said["result"]) == (12, "unknown")
    assert said["code"] == "transport"
