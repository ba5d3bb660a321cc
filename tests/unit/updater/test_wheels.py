"""A Python application is wheels in a signed tree; its environment is made of them alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate_release.documents import HealthCheck, Install, PythonWheels
from lockgate_release.errors import ArchiveError, DigestMismatchError, LocalError
from lockgate_release.layout import artifact_path
from lockgate_updater import Updater
from tests.simulators.archives import Tree
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.patching import COLUMNS, ZSTD, add_delta
from tests.simulators.repository import RepositorySimulator
from tests.simulators.wheels import make_wheel

MYAPP = Install(
    entrypoint="bin/myapp",
    health=HealthCheck(command=("bin/myapp", "--check"), timeout_s=60),
    python=PythonWheels(wheels="wheels", requires=">=3.11"),
)
MAIN = """
import sys
import greeting
from importlib.metadata import version
def main():
    assert sys.prefix != sys.base_prefix and sys.flags.no_user_site in (0, 1)
    print("myapp", version("myapp"), greeting.WORDS, *sys.argv[1:])
    return {code}
"""


def _tree(version: str, *, code: int = 0, words: str = "hello") -> Tree:
    """An application of two wheels, the second of which the first one needs."""
    app = make_wheel(
        "myapp",
        version,
        {"myapp/__init__.py": b"", "myapp/main.py": MAIN.format(code=code).encode()},
        scripts={"myapp": "myapp.main:main"},
    )
    library = make_wheel("greeting", "1.0", {"greeting.py": f"WORDS = {words!r}\n".encode()})
    return {f"wheels/{name}": data for name, data in (app, library)}


@pytest.fixture
def repository() -> RepositorySimulator:
    repository = RepositorySimulator()
    repository.publish("1.0.0", _tree("1.0.0"), install=MYAPP)
    return repository


@pytest.fixture
def client(repository: RepositorySimulator, tmp_path: Path) -> SimulatedClient:
    return make_client(repository, tmp_path / "home")


def _environments(client: SimulatedClient) -> dict[str, Path]:
    """The environments on the disk, staging included, by version."""
    folder = client.home / "environments"
    return {path.name.rpartition("-")[0]: path for path in folder.iterdir()}


def _say(client: SimulatedClient, *arguments: str) -> str:
    """What the installed program says, when it is started as people start it."""
    code = (
        "import sys; from lockgate_updater import Updater\n"
        f"sys.exit(Updater.open({str(client.home)!r}).run({list(arguments)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_wheels_are_installed_and_their_program_runs(client: SimulatedClient) -> None:
    assert client.update() == "updated"
    assert _say(client, "now") == "myapp 1.0.0 hello now"
    assert client.updater.verify() == "1.0.0"
    assert client.leftovers() == []
    assert set(_environments(client)) == {"1.0.0"}


def test_an_update_switches_tree_and_environment_with_one_pointer_and_keeps_the_old_ones(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", _tree("2.0.0", words="servus"), install=MYAPP)
    assert client.update() == "updated"
    assert _say(client) == "myapp 2.0.0 servus"
    assert set(_environments(client)) == {"1.0.0", "2.0.0"}
    client.updater.rollback()
    assert _say(client) == "myapp 1.0.0 hello"
    assert set(_environments(client)) == {"1.0.0"}
    assert client.leftovers() == []


def test_a_release_whose_program_fails_is_left_with_its_environment(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", _tree("2.0.0", code=3), install=MYAPP)
    assert client.update() == "rolled-back"
    assert set(_environments(client)) == {"1.0.0"}
    assert _say(client) == "myapp 1.0.0 hello"
    assert client.leftovers() == []


def test_an_environment_can_be_entered_and_read_by_everybody_whatever_the_umask(
    client: SimulatedClient,
) -> None:
    usual = os.umask(0o077)
    try:
        client.update()
    finally:
        os.umask(usual)
    environment = _environments(client)["1.0.0"]
    found = [environment, *environment.rglob("*")]
    modes = {path: path.lstat().st_mode & 0o777 for path in found if not path.is_symlink()}
    assert {modes[path] for path in modes if path.is_dir()} == {0o755}
    assert {modes[path] for path in modes if path.is_file()} == {0o644, 0o755}
    assert modes[environment / "bin" / "myapp"] == 0o755
    assert client.updater.verify() == "1.0.0"


@pytest.mark.parametrize("algorithm", [COLUMNS, ZSTD])
def test_an_update_by_a_delta_makes_the_environment_of_the_wheels_that_it_made(
    client: SimulatedClient, repository: RepositorySimulator, algorithm: str
) -> None:
    client.update()
    old, new = _tree("1.0.0"), _tree("2.0.0", words="servus")
    repository.publish("2.0.0", new, install=MYAPP)
    delta = add_delta(repository, ("1.0.0", old), ("2.0.0", new), algorithm=algorithm)
    repository.requests.clear()
    result = client.updater.update()
    assert result.outcome == "updated"
    assert result.plan is not None
    assert result.plan.kind == "delta"
    assert [key for key in repository.requests if "/artifacts/" in key] == [
        f"{repository.app}/{artifact_path(delta.sha256)}"
    ]
    assert _say(client) == "myapp 2.0.0 servus"
    assert client.updater.verify() == "2.0.0"
    client.updater.rollback()
    assert _say(client) == "myapp 1.0.0 hello"
    assert client.leftovers() == []


def test_a_program_of_wheels_that_writes_into_its_tree_is_updated_by_the_archive(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    (client.home / "current" / "wheels" / "cache").write_bytes(b"the program's own")
    old, new = _tree("1.0.0"), _tree("2.0.0", words="servus")
    repository.publish("2.0.0", new, install=MYAPP)
    add_delta(repository, ("1.0.0", old), ("2.0.0", new))
    result = client.updater.update()
    assert (result.outcome, result.plan and result.plan.kind) == ("updated", "full")
    assert _say(client) == "myapp 2.0.0 servus"


def test_an_environment_goes_with_its_tree(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    for version in ("2.0.0", "3.0.0"):
        repository.publish(version, _tree(version), install=MYAPP)
        client.update()
    assert set(_environments(client)) == {"2.0.0", "3.0.0"}


def test_a_changed_environment_is_seen_by_verify_and_made_again_from_the_wheels(
    client: SimulatedClient,
) -> None:
    client.update()
    environment = _environments(client)["1.0.0"]
    (module,) = environment.rglob("greeting.py")
    module.write_text("WORDS = 'evil'\n")
    with pytest.raises(DigestMismatchError, match="not the environment that was made"):
        client.updater.verify()
    client.updater.repair()
    assert client.updater.verify() == "1.0.0"
    assert _say(client) == "myapp 1.0.0 hello"
    assert client.leftovers() == []
    assert [path.name for path in environment.parent.iterdir()] == [environment.name]


@pytest.mark.parametrize("gone", ["python", "environment", "record"])
def test_a_start_makes_a_broken_environment_again(client: SimulatedClient, gone: str) -> None:
    """As after an upgrade of the system that took the old Python away."""
    client.update()
    environment = _environments(client)["1.0.0"]
    if gone == "python":
        for path in (environment / "bin").glob("python*"):
            path.unlink()
            path.symlink_to("/no/such/python3.10")
    elif gone == "environment":
        environment.rename(client.home / "elsewhere")
    else:
        (record,) = (client.home / "state" / "receipts").glob("*.environment")
        record.unlink()
    assert _say(client) == "myapp 1.0.0 hello"
    assert client.updater.verify() == "1.0.0"


def test_the_programs_that_may_be_started_are_those_of_the_environment(
    client: SimulatedClient,
) -> None:
    client.update()
    code = (
        "import sys; from lockgate_updater import Updater\n"
        f"u = Updater.open({str(client.home)!r})\n"
        "u.run(['-c', 'import greeting; print(greeting.WORDS)'], program=sys.argv[1])"
    )

    def start(program: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, program]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert start("bin/python").stdout == "hello\n"
    for program in ("../../../../../bin/sh", "bin/../../../root.json", "wheels"):
        assert "no such program" in start(program).stderr


def _spoilt() -> dict[str, tuple[str, bytes]]:
    content = {"evil.py": b"x = 1\n"}
    name, data = make_wheel("evil", "1.0", content)
    return {
        "record": make_wheel("evil", "1.0", content, record={"evil.py": b"x = 2\n"}),
        "unlisted": make_wheel("evil", "1.0", content, unlisted={"more.py": b""}),
        "cut off": (name, data[: len(data) // 2]),
        "no zip": (name, b"nothing"),
        "name": ("evil.whl", data),
        "out of its folder": make_wheel("evil", "1.0", {"../../../evil.py": b""}),
        "far out": make_wheel("evil", "1.0", {"/tmp/lockgate-evil.py": b""}),
        "another's file": make_wheel("evil", "1.0", {"greeting.py": b"WORDS = 'evil'"}),
        "python itself": make_wheel("evil", "1.0", {"evil-1.0.data/data/bin/python": b"#!x"}),
    }


@pytest.mark.parametrize("how", _spoilt())
def test_a_wheel_that_is_wrong_installs_nothing(
    client: SimulatedClient, repository: RepositorySimulator, how: str
) -> None:
    client.update()
    before = client.snapshot()
    name, data = _spoilt()[how]
    repository.publish("2.0.0", {**_tree("2.0.0"), f"wheels/{name}": data}, install=MYAPP)
    with pytest.raises(ArchiveError):
        client.update()
    assert client.snapshot() == before
    assert set(_environments(client)) == {"1.0.0"}
    assert not list(client.home.parent.rglob("*evil*"))
    assert _say(client) == "myapp 1.0.0 hello"


def test_a_wheel_for_another_machine_is_refused_and_one_that_fits_is_preferred(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    tree = dict(_tree("2.0.0"))
    name, data = make_wheel("fast", "1.0", {"fast.py": b""}, tag="cp311-cp311-win_amd64")
    repository.publish("2.0.0", {**tree, f"wheels/{name}": data}, install=MYAPP)
    with pytest.raises(LocalError, match="no wheel for this Python"):
        client.update()
    minor = f"cp3{sys.version_info[1]}-none-any"
    better, content = make_wheel("greeting", "1.0", {"greeting.py": b"WORDS = 'best'"}, tag=minor)
    repository.publish("3.0.0", {**_tree("3.0.0"), f"wheels/{better}": content}, install=MYAPP)
    assert client.update() == "updated"
    assert _say(client) == "myapp 3.0.0 best"


def test_another_python_is_asked_for_before_anything_is_fetched(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    asked = len(repository.requests)
    future = PythonWheels(wheels="wheels", requires=">=99")
    install = Install(entrypoint="bin/myapp", python=future)
    repository.publish("2.0.0", _tree("2.0.0"), install=install)
    result = client.updater.update()
    assert result.outcome == "held"
    assert "2.0.0 needs Python >=99, and this updater runs with 3." in result.reason
    assert not [key for key in repository.requests[asked:] if "artifacts/" in key]
    assert client.runs() == "1.0.0"


def test_what_a_killed_updater_was_making_is_removed(client: SimulatedClient) -> None:
    client.update()
    folder = client.home / "environments"
    (folder / ".staging-2.0.0-00000000").mkdir()
    (folder / "2.0.0-00000000").mkdir()
    (client.home / "state" / "receipts" / "2.0.0-00000000.environment").write_bytes(b"{}")
    assert client.update() == "up-to-date"
    assert set(_environments(client)) == {"1.0.0"}
    assert client.leftovers() == []


_KILLED_AT = """
import os, signal, sys
from pathlib import Path
from lockgate_updater import Updater
seen = 0
def watch(event, arguments):
    global seen
    if event in {"os.rename", "os.remove", "os.symlink"} and "environment" in str(arguments):
        seen += 1
        if seen == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
Updater.open(sys.argv[1]).update()
"""


@pytest.mark.parametrize("step", [1, 4, 5, 6, 7])
def test_an_update_killed_while_it_makes_the_environment_leaves_all_old_and_goes_on(
    repository: RepositorySimulator, tmp_path: Path, step: int
) -> None:
    served = tmp_path / "served"

    def serve() -> None:
        for key, data in repository.files.items():
            (served / key).parent.mkdir(parents=True, exist_ok=True)
            (served / key).write_bytes(data)

    serve()
    address = served.as_uri()
    client = make_client(repository, tmp_path / "home", address=address)
    here = Updater.open(client.home)
    here.update()
    repository.publish("2.0.0", _tree("2.0.0", words="servus"), install=MYAPP)
    serve()
    command = [sys.executable, "-c", _KILLED_AT, str(client.home), str(step)]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert _say(client) == "myapp 1.0.0 hello"
    assert here.update().outcome == "updated"
    assert _say(client) == "myapp 2.0.0 servus"
    assert here.verify() == "2.0.0"
    assert client.leftovers() == []
    assert set(_environments(client)) == {"1.0.0", "2.0.0"}
