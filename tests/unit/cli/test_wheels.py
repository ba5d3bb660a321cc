"""A Python application is published as the folder of its wheels, and says what it needs."""

import io
import tarfile
from pathlib import Path

import pytest

from lockgate_cli.artifacts import ArtifactFacts, describe_file
from lockgate_cli.defaults import PublishOptions
from lockgate_cli.programs import check_programs
from lockgate_cli.progress import Progress
from lockgate_release.errors import UsageError
from tests.simulators.wheels import make_wheel

QUIET = Progress(clock=lambda: 0.0, watched=False)


@pytest.fixture
def found(tmp_path: Path) -> ArtifactFacts:
    name, wheel = make_wheel("myapp", "1.0.0", {"myapp.py": b""}, scripts={"myapp": "myapp:main"})
    path = tmp_path / "myapp.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"wheels/{name}")
        member.size = len(wheel)
        archive.addfile(member, io.BytesIO(wheel))
    return describe_file(path, name=path.name, progress=QUIET)


def test_wheels_are_what_a_release_with_them_asks_an_updater_for() -> None:
    options = PublishOptions(wheels="wheels", python_requires=">=3.11", capabilities=("more",))
    assert options.requires().capabilities == ("more", "python-wheels")
    python = options.install().python
    assert python is not None
    assert python.to_json() == {"wheels": "wheels", "requires": ">=3.11"}
    assert PublishOptions(entrypoint="bin/app").install().python is None


def test_a_python_without_wheels_is_refused() -> None:
    with pytest.raises(UsageError, match="not where the wheels are"):
        PublishOptions(python_requires=">=3.11").install()


def test_a_program_of_the_environment_need_not_be_in_the_artifact(found: ArtifactFacts) -> None:
    options = PublishOptions(wheels="wheels", entrypoint="bin/myapp", health=("bin/python", "-V"))
    check_programs(options.install(), found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (PublishOptions(wheels="wheel"), "no wheels in that folder"),
        (PublishOptions(wheels="wheels", entrypoint="myapp"), "not a program of the environment"),
        (PublishOptions(wheels="wheels", health=("sbin/x",)), "not a program of the environment"),
    ],
)
def test_what_every_client_would_have_to_roll_back_is_refused(
    found: ArtifactFacts, options: PublishOptions, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_programs(options.install(), found)
