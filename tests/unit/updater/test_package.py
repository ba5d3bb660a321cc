"""What the package is to those who import it."""

import subprocess
import sys
from pathlib import Path

import pytest

import lockgate_updater
from tests.simulators.repository import RepositorySimulator


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, lockgate_updater; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"tuf", "urllib3", "cryptography", "lockgate_release.decision"}


def test_a_check_imports_nothing_that_unpacks_or_starts_programs() -> None:
    code = "import sys; from lockgate_updater import Updater; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    ours = {name for name in loaded if name.startswith("lockgate_")}
    assert "lockgate_updater.updater" in ours
    assert not ours & {
        "lockgate_updater.install.operation",
        "lockgate_updater.install.stage",
        "lockgate_updater.run.trial",
        "lockgate_updater.run.launcher",
        "lockgate_release.archives",
        "lockgate_release.trust.sign",
    }


@pytest.mark.parametrize("name", lockgate_updater.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(lockgate_updater)
    assert getattr(lockgate_updater, name) is not None


def test_a_program_makes_its_own_home_below_its_users(
    repository: RepositorySimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = lockgate_updater.Updater.create(
        "~/.app",
        app=repository.app,
        repository="http://127.0.0.1:9",
        channel="stable",
        root=repository.root_bytes,
    )
    assert made.home == tmp_path / ".app"
    assert lockgate_updater.Updater.open("~/.app").status().app == repository.app


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="no attribute"):
        lockgate_updater.nothing  # noqa: B018
