"""What must be true after every attack on a client that ran 1.0.0."""

import pytest

from lockgate_release.errors import ExitCode, LockgateError
from lockgate_updater import Unknown
from tests.simulators.client import SimulatedClient


def assert_refused(
    client: SimulatedClient,
    code: str,
    *,
    exit_code: ExitCode = ExitCode.REFUSED,
    runs: str = "1.0.0",
) -> LockgateError:
    """A check says unknown, an update refuses, and the machine is as it was; twice over."""
    before = client.snapshot()
    checked = client.updater.check()
    assert isinstance(checked, Unknown), checked
    _refusal(client, code)
    error = _refusal(client, code)
    assert error.exit_code is exit_code
    assert client.snapshot() == before
    assert client.runs() == runs
    return error


def assert_artifact_refused(
    client: SimulatedClient, code: str, *, keeps: tuple[str, ...] = ()
) -> LockgateError:
    """The documents are right, the artifact is not: the offer stands, and installs nothing.

    `keeps` names partial downloads whose chunks are right so far.
    """
    before = client.snapshot()
    _refusal(client, code)
    error = _refusal(client, code)
    assert client.snapshot() == before
    assert client.runs() == "1.0.0"
    assert client.leftovers() == list(keeps)
    return error


def _refusal(client: SimulatedClient, code: str) -> LockgateError:
    with pytest.raises(LockgateError) as caught:
        client.update()
    assert caught.value.code == code, str(caught.value)
    return caught.value
