"""The four distributions move together, and the repository names no package index."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import lockgate_cli
import lockgate_release
import lockgate_server
import lockgate_updater

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "release": lockgate_release,
    "updater": lockgate_updater,
    "server": lockgate_server,
    "cli": lockgate_cli,
}
# Put together here, so that this file does not hold what it looks for.
INDEX_HOSTS = tuple("".join(parts) for parts in (("py", "pi.org"), ("pythonh", "osted.org")))
INDEX_OPTION = re.compile("|".join(["--(extra-)?" + "index-url", "--find" + "-links"]))


def _project(folder: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())[
        "project"
    ]
    return project


def _requirements(folder: str) -> dict[str, Requirement]:
    parsed = map(Requirement, _project(folder)["dependencies"])
    return {requirement.name: requirement for requirement in parsed}


def _tracked_texts() -> dict[str, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    names = [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(errors="replace") for name in names}


def test_the_four_versions_are_equal() -> None:
    assert len({_project(folder)["version"] for folder in PACKAGES}) == 1


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_package_says_the_version_of_its_distribution(folder: str) -> None:
    assert PACKAGES[folder].__version__ == _project(folder)["version"]


@pytest.mark.parametrize("folder", ["updater", "server", "cli"])
def test_the_release_library_is_pinned_to_the_same_version(folder: str) -> None:
    pin = _requirements(folder)["lockgate-release"]
    assert str(pin.specifier) == f"=={_project('release')['version']}"


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_package_says_that_it_is_typed(folder: str) -> None:
    assert (Path(PACKAGES[folder].__path__[0]) / "py.typed").is_file()


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_licence_goes_along(folder: str) -> None:
    assert _project(folder)["license-files"] == ["LICENSE"]
    assert (ROOT / folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("folder", ["release", "updater"])
def test_a_client_carries_no_server_code(folder: str) -> None:
    assert not _requirements(folder).keys() & {"flask", "gunicorn", "boto3", "sqlite-utils"}


def test_no_file_names_a_package_index() -> None:
    naming = {
        name
        for name, text in _tracked_texts().items()
        if any(host in text for host in INDEX_HOSTS) or INDEX_OPTION.search(text)
    }
    assert naming == set()
