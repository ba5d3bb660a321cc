"""One updater at a time, and who waits is told for whom."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import LocalError
from lockgate_updater import Unknown
from lockgate_updater.state.lock import hold_lock, read_holder
from lockgate_updater.state.owner import Owner
from tests.simulators.client import SimulatedClient

HOLDER = """
import sys, time
from pathlib import Path
from lockgate_updater.state.lock import hold_lock
with hold_lock(Path(sys.argv[1]), purpose="update"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        hold_lock(path, purpose="update"),
        pytest.raises(LocalError, match=f"update by process {os.getpid()}"),
        hold_lock(path, purpose="check", wait_s=0.1),
    ):
        pass


def test_the_lock_of_a_dead_process_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LocalError), hold_lock(path, purpose="check", wait_s=0):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with hold_lock(path, purpose="check", wait_s=0):
        assert f'"pid":{os.getpid()}' in path.read_text()


def test_a_lock_that_says_nothing_is_a_lock_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_lock(path, purpose="update"):
        path.write_bytes(b"\xff")
        with (
            pytest.raises(LocalError, match="did not say"),
            hold_lock(path, purpose="check", wait_s=0),
        ):
            pass


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with hold_lock(tmp_path / "lock", purpose="update"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with hold_lock(tmp_path / "lock", purpose="update", wait_s=0):
        pass


def test_a_check_beside_a_running_update_is_unknown(client: SimulatedClient) -> None:
    client.updater.status()
    lock = client.home / "state" / "lock"
    with hold_lock(lock, purpose="update"):
        unknown = client.updater.check(wait_s=0.05)
    assert isinstance(unknown, Unknown)
    assert "another updater" in unknown.reason


def test_status_does_not_wait_for_a_running_update(client: SimulatedClient) -> None:
    client.update()
    with hold_lock(client.home / "state" / "lock", purpose="update"):
        assert client.updater.status().installed == "1.0.0"


def _owner(**changes: Any) -> Owner:
    fields: dict[str, Any] = {"pid": os.getpid(), "purpose": "update", "since": "now"}
    return Owner(**{**fields, **changes})


def test_a_free_lock_has_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert read_holder(path) is None
    with hold_lock(path, purpose="update"):
        pass
    assert read_holder(path) is None


def test_the_holder_is_told_and_is_alive(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_lock(path, purpose="update"):
        holder = read_holder(path)
        assert isinstance(holder, Owner)
        assert (holder.pid, holder.purpose) == (os.getpid(), "update")
        assert holder.is_alive()
        assert "which is alive" in str(holder)


def test_a_number_that_was_given_to_another_process_is_not_the_holder() -> None:
    assert _owner().is_alive()
    assert not _owner(started="1").is_alive()


def test_a_holder_of_another_boot_or_machine_is_told_apart() -> None:
    assert "started anew" in str(_owner(boot="another"))
    assert "on another machine, elsewhere" in str(_owner(host="elsewhere"))


def test_a_child_that_outlives_the_holder_is_named_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    stays = "    import os\n    if os.fork() == 0:\n        time.sleep(60)\n    os._exit(0)\n"
    script = HOLDER.replace("    time.sleep(60)\n", stays)
    holder = subprocess.Popen(
        [sys.executable, "-c", script, path],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.wait()
        with (
            pytest.raises(LocalError, match="which is gone"),
            hold_lock(path, purpose="check", wait_s=0),
        ):
            pass
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()
