"""From one tree to another by a delta: what comes out is what would have been unpacked."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate_release.archives import Limits
from lockgate_release.deltas.algorithms import COLUMNS_1, ZSTD_1, makeable_algorithms
from lockgate_release.deltas.applying import apply_delta, supported_algorithms
from lockgate_release.deltas.making import MadeDelta, make_delta
from lockgate_release.digests import digest_bytes, digest_file, digest_tree
from lockgate_release.errors import ArchiveError, UsageError
from tests.unit.release.deltas.trees import MEMORY_BYTES, Pair, noise

ALGORITHMS = [ZSTD_1, COLUMNS_1]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def _fill(pair: Pair) -> None:
    """Make two trees that differ in every way that two releases can."""
    program = noise(1, 70_000)
    pair.old(
        {
            "bin/demo": (program, 0o755),
            "bin/tool": (noise(2, 9000), 0o755),
            "lib/demo-1.0/data.bin": noise(3, 5000),
            "lib/demo-1.0/more/text.txt": b"words " * 300,
            "gone/old.txt": b"of no more use",
            "same/a.txt": b"the same",
            "same/b.txt": b"the same too",
            "was a file": b"",
            "script": b"#!",
        }
    )
    pair.old_link("latest", "bin/demo")
    pair.old_link("stays", "same/a.txt")
    (pair.old_root / "empty").mkdir()
    (pair.old_root / "empty no more").mkdir()
    changed = program[:30_000] + b"inserted" + program[30_000:]
    pair.new(
        {
            "bin/demo": (changed, 0o755),
            "bin/tool": (noise(2, 9000), 0o755),
            "lib/demo-1.1/data.bin": noise(3, 5000),
            "lib/demo-1.1/more/text.txt": b"words " * 290 + b"and others",
            "same/a.txt": b"the same",
            "same/b.txt": b"the same too",
            "twin/one": noise(4, 3000),
            "twin/two": (noise(4, 3000), 0o755),
            "was a file/now.txt": b"a folder",
            "empty no more/x": b"",
            "script": (b"#!", 0o755),
            "\u00fcber/\u65e5\u672c": b"name",
        }
    )
    pair.new_link("latest", "bin/tool")
    pair.new_link("stays", "same/a.txt")
    (pair.new_root / "empty").mkdir()
    (pair.new_root / "empty/deeper").mkdir()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_kind_of_change_comes_out_as_the_new_tree(pair: Pair, algorithm: str) -> None:
    _fill(pair)

    made = pair.make(algorithm)
    pair.apply()

    assert digest_tree(pair.made_root) == digest_tree(pair.new_root)
    assert made.size == pair.delta.stat().st_size < 12_000
    assert made.sha256 == digest_file(pair.delta)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_two_trees_make_the_same_bytes_wherever_they_lie(
    tmp_path: Path, algorithm: str
) -> None:
    made: list[MadeDelta] = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        pair = Pair(tmp_path / name)
        _fill(pair)
        if name == "there":
            for path in sorted(pair.new_root.rglob("*"), reverse=True):
                os.utime(path, (1, 1), follow_symlinks=False)
        made.append(pair.make(algorithm))

    assert made[0] == made[1]


def test_modes_are_those_of_an_unpacked_archive(pair: Pair) -> None:
    pair.old({"stays": (b"a", 0o600), "tool": (b"b", 0o777), "now": b"c"})
    pair.new({"stays": b"a", "tool": (b"b", 0o755), "now": (b"c", 0o755), "deep/new": b"d"})

    pair.make(ZSTD_1)
    pair.apply()

    modes = {
        str(path.relative_to(pair.made_root)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in pair.made_root.rglob("*")
    }
    assert modes == {
        "stays": "0o644",
        "tool": "0o755",
        "now": "0o755",
        "deep": "0o755",
        "deep/new": "0o644",
    }


def test_a_link_that_leads_to_a_digest_is_no_file_with_that_digest(pair: Pair) -> None:
    content = b"all of it"
    pair.old({"kept": content})
    pair.old_link("name", digest_bytes(content))
    (pair.old_root / digest_bytes(content)).mkdir()
    pair.new({"name": content})
    pair.make(ZSTD_1)
    pair.apply()
    assert digest_tree(pair.made_root) == digest_tree(pair.new_root)


def test_files_that_stay_share_no_inode_with_the_old_tree(pair: Pair) -> None:
    pair.old({"stays": b"a" * 5000})
    pair.new({"stays": b"a" * 5000})

    pair.make(ZSTD_1)
    pair.apply()
    with (pair.made_root / "stays").open("r+b") as stream:
        stream.write(b"b")

    assert (pair.old_root / "stays").read_bytes() == b"a" * 5000


def test_what_stays_or_moves_costs_next_to_nothing(pair: Pair) -> None:
    files = {f"app-1.0/part {n // 40}/file {n}.bin": noise(n, 600) for n in range(800)}
    pair.old(files)
    pair.new({name.replace("1.0", "1.1"): data for name, data in files.items()})

    made = pair.make(ZSTD_1)
    pair.apply()

    assert digest_tree(pair.made_root) == digest_tree(pair.new_root)
    # Not a digest, nor even a byte, for each of the eight hundred.
    assert made.size < 400


def test_two_empty_trees_have_a_delta(pair: Pair) -> None:
    pair.old({})
    pair.new({})

    pair.make(ZSTD_1)
    pair.apply()

    assert list(pair.made_root.iterdir()) == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_tree_can_become_any_and_any_an_empty_one(pair: Pair, algorithm: str) -> None:
    pair.old({})
    pair.new({"a/b": noise(1, 3000), "c": (b"x", 0o755)})
    pair.make(algorithm)
    pair.apply()
    assert digest_tree(pair.made_root) == digest_tree(pair.new_root)

    pair.delta.unlink()
    back = pair.back()
    back.make(algorithm)
    back.apply()
    assert list(back.made_root.iterdir()) == []


def test_a_delta_for_another_tree_is_refused_before_anything_is_written(pair: Pair) -> None:
    pair.old({"a": b"1", "b": b"2"})
    pair.new({"a": b"1", "b": b"3"})
    pair.make(ZSTD_1)
    (pair.old_root / "c").write_bytes(b"")

    with pytest.raises(ArchiveError, match="another tree"):
        pair.apply()
    assert list(pair.made_root.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(size_bytes=10_999), "leads to more than it may"),
        (Limits(size_bytes=1 << 20, entries=2), "holds more entries than it may"),
    ],
)
def test_a_tree_beyond_the_limits_is_refused_before_anything_is_written(
    pair: Pair, limits: Limits, words: str
) -> None:
    pair.old({"a": noise(1, 5000)})
    pair.new({"a": noise(1, 5000), "b": noise(1, 5000), "c": noise(2, 1000)})
    pair.make(ZSTD_1)

    with pytest.raises(ArchiveError, match=words):
        pair.apply(limits)
    assert list(pair.made_root.iterdir()) == []


def test_an_old_file_that_shrank_meanwhile_is_noticed(pair: Pair) -> None:
    pair.old({"a": noise(1, 5000), "b": b"x"})
    pair.new({"a": noise(1, 5000) + b"more", "b": b"x"})
    pair.make(ZSTD_1)
    (pair.old_root / "a").write_bytes(noise(1, 4999))
    (pair.old_root / "b").write_bytes(b"xy")

    with pytest.raises(ArchiveError):
        pair.apply()


def test_nothing_is_left_of_a_delta_that_could_not_be_made(pair: Pair) -> None:
    pair.old({"a": b"1"})
    pair.new({"a": b"2"})

    with pytest.raises(UsageError, match="cannot be made here"):
        make_delta(
            pair.old_root,
            pair.new_root,
            pair.delta,
            algorithm="lockgate-magic-9",
            memory_bytes=MEMORY_BYTES,
        )
    assert not pair.delta.exists()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["readme", "README"], "two names that differ only by case or form"),
        (["Lib/a", "lib/b"], "two names that differ only by case or form"),
        (["a\\b"], "name that is not a relative path"),
    ],
)
def test_what_no_client_would_apply_is_refused_before_it_is_made(
    pair: Pair, names: list[str], words: str
) -> None:
    pair.new(dict.fromkeys(names, b"x"))

    with pytest.raises(ArchiveError, match=words):
        pair.make(COLUMNS_1)

    assert not pair.delta.exists()


def test_a_link_out_of_the_tree_is_refused_before_a_delta_is_made(pair: Pair) -> None:
    pair.new_link("out", "../elsewhere")

    with pytest.raises(ArchiveError, match="link out of the tree"):
        pair.make(COLUMNS_1)

    assert not pair.delta.exists()


def test_a_delta_is_never_written_over_another_file(pair: Pair) -> None:
    pair.old({"a": b"1"})
    pair.new({"a": b"2"})
    pair.delta.write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        pair.make(ZSTD_1)
    assert pair.delta.read_bytes() == b"mine"


def test_both_algorithms_are_known_here() -> None:
    assert supported_algorithms() == makeable_algorithms() == {COLUMNS_1, ZSTD_1}


def test_an_algorithm_of_tomorrow_is_refused_by_name(pair: Pair) -> None:
    pair.old({"a": b"1"})
    pair.new({"a": b"2"})
    pair.make(ZSTD_1)
    data = pair.delta.read_bytes()
    pair.delta.write_bytes(data.replace(b"lockgate-zstd-1", b"lockgate-zstd-9"))

    with pytest.raises(ArchiveError, match=r"not known here.*lockgate-zstd-9"):
        apply_delta(pair.delta, pair.old_root, pair.made_root, limits=Limits())


def test_a_client_applies_deltas_with_the_standard_library_alone(pair: Pair) -> None:
    _fill(pair)
    pair.make(COLUMNS_1)
    program = (
        "import sys; from pathlib import Path; from lockgate_release.archives import Limits\n"
        "from lockgate_release.deltas.applying import apply_delta\n"
        "apply_delta(*map(Path, sys.argv[1:]), limits=Limits())\n"
        "print(*sys.modules)"
    )
    places = [str(path) for path in (pair.delta, pair.old_root, pair.made_root)]
    done = subprocess.run(
        [sys.executable, "-c", program, *places], capture_output=True, text=True, check=True
    )

    assert digest_tree(pair.made_root) == digest_tree(pair.new_root)
    modules = set(done.stdout.split())
    assert "lzma" in modules
    assert not modules & {"hdiffpatch", "backports.zstd"}
    rooms = {name.rpartition(".")[2] for name in modules if name.startswith("lockgate_release.d")}
    assert not rooms & {"encoding", "matching", "making", "tree_matching", "plan_writing"}
