"""Our own distributions: the same bytes from the same commit, and from nothing else."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from releasing.building import ROOT, SUMS, ReleaseError, build, compare
from releasing.looking import check_tag, check_tree, notes, version
from releasing.rehearsing import pack


@pytest.fixture(scope="module")
def commit() -> str:
    """What is checked out; its name stays, whatever is committed meanwhile."""
    return _read("rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def dist(commit: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "dist"
    build(commit, folder)
    return folder


def _read(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def test_built_again_elsewhere_and_with_another_umask_they_are_the_same(
    dist: Path, commit: str
) -> None:
    assert len(compare(commit, dist)) == 8


def test_what_was_changed_after_it_was_built_is_noticed(
    dist: Path, commit: str, tmp_path: Path
) -> None:
    copy = tmp_path / "dist"
    copy.mkdir()
    for path in dist.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    wheel = next(copy.glob("lockgate_release-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(ReleaseError, match=wheel.name):
        compare(commit, copy)


def test_what_is_built_is_the_commit_and_not_the_folder(dist: Path, commit: str) -> None:
    tracked = _read("ls-tree", "-r", "--name-only", commit, "updater/src").split()
    with tarfile.open(next(dist.glob("lockgate_updater-*.tar.gz"))) as packed:
        held = {name.partition("/")[2] for name in packed.getnames() if "/src/" in name}
    assert held == {path.removeprefix("updater/") for path in tracked}


def test_every_file_has_the_commits_time_and_a_plain_mode(dist: Path, commit: str) -> None:
    moment = _read("log", "-1", "--format=%ct", commit)
    for path in dist.glob("*.tar.gz"):
        with tarfile.open(path) as packed:
            assert {member.mtime for member in packed} == {int(moment)}
            assert {member.mode for member in packed} <= {0o644, 0o755}


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ReleaseError, match="not empty"):
        build("HEAD", tmp_path)


def test_the_digests_stand_beside_what_was_built(dist: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=dist, check=False, capture_output=True
    )
    assert checked.returncode == 0


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n- Soon.\n\n## [1.1.0]\n\n- Old.\n")
    _git(tmp_path, "init")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "begin")
    return tmp_path


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_changelog_that_is_not_closed_is_enough_until_it_has_to_be(checkout: Path) -> None:
    assert notes(checkout) == "- Soon.\n"
    with pytest.raises(ReleaseError, match="no section of this release"):
        notes(checkout, closed=True)
    (checkout / "CHANGELOG.md").write_text("## [1.2.0] - 2026-05-04\n\n- New.\n")
    assert notes(checkout, closed=True) == "- New.\n"


def test_a_tag_of_another_version_stops_a_release(checkout: Path) -> None:
    assert check_tag(checkout) == ""
    _git(checkout, "tag", "v1.2.0")
    assert check_tag(checkout) == "v1.2.0"
    _git(checkout, "tag", "v1.2.1")
    with pytest.raises(ReleaseError, match=r"v1\.2\.1"):
        check_tag(checkout)


def test_a_tree_with_changes_stops_a_release(checkout: Path) -> None:
    assert len(check_tree(checkout)) == 40
    (checkout / "new").write_text("new")
    with pytest.raises(ReleaseError, match="new"):
        check_tree(checkout)


def test_our_version_is_semver(checkout: Path) -> None:
    assert version() == version(ROOT)
    (checkout / "release" / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    with pytest.raises(ReleaseError, match="SemVer"):
        version(checkout)


def test_equal_trees_are_packed_to_equal_bytes_and_without_what_installers_note(
    tmp_path: Path,
) -> None:
    archives = []
    for name, umask, moment in (("one", 0o022, 1), ("two", 0o077, 2_000_000_000)):
        tree = tmp_path / name
        for place in ("lib/a/b.py", "lib/a-1.dist-info/METADATA", "lib/a-1.dist-info/RECORD",
                      "lib/a-1.dist-info/direct_url.json", "lib/bin/a", "bin/a",
                      "lib/a/__pycache__/b.pyc"):  # fmt: skip
            path = tree / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name if "RECORD" in place or "direct" in place else place)
            path.chmod((0o777 if place == "bin/a" else 0o666) & ~umask)
            os.utime(path, (moment, moment))
        archives.append(pack(tree, tmp_path / f"{name}.tar.gz"))
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as packed:
        assert {member.name: member.mode for member in packed} == {
            "bin/a": 0o755,
            "lib/a-1.dist-info/METADATA": 0o644,
            "lib/a/b.py": 0o644,
        }
