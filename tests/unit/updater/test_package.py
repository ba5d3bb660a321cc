"""What the package is to those who import it."""

import subprocess
import sys
from pathlib import Path

import pytest

import lockgate_updater
from tests.simulators.http_server import serve
from tests.simulators.repository import RepositorySimulator


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, lockgate_updater; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"tuf", "urllib3", "cryptography", "lockgate_release.decision"}


CHECK_IMPORTS = {
    "lockgate_release": (
        "capabilities decision decision_values documents errors gate instants layout names"
        " platforms settings strict_json trust versions words"
    ),
    "lockgate_release.documents": (
        "attestation channel chunks common delta entry extras policy python_wheels release trusted"
    ),
    "lockgate_release.trust": "client verify",
    "lockgate_updater": "command fetch results session state updater",
    "lockgate_updater.command": "looking main options output parser",
    "lockgate_updater.fetch": "freshness look network transport",
    "lockgate_updater.state": (
        "configuration durable home identity journal lock memory quarantine receipts"
    ),
}
"""Every check of every client pays for these modules: one more needs a reason."""


def test_a_check_imports_these_modules_and_no_other(
    repository: RepositorySimulator, tmp_path: Path
) -> None:
    code = "import sys; from lockgate_updater.command import main; main(); print(*sys.modules)"
    with serve(repository) as server:
        home = lockgate_updater.Updater.create(
            tmp_path / "home",
            app=repository.app,
            repository=server.address,
            channel="stable",
            root=repository.root_bytes,
        )
        home.update()
        check = [sys.executable, "-c", code, "check", "--home", str(home.home)]
        ran = subprocess.run(check, capture_output=True, text=True, check=True)
    assert "offers nothing newer" in ran.stderr
    loaded = set(ran.stdout.split())
    listed = {
        f"{package}.{name}" for package, names in CHECK_IMPORTS.items() for name in names.split()
    }
    found = {name for name in loaded if name.startswith("lockgate_")}
    assert found == listed | {"lockgate_release", "lockgate_updater"}


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
