"""Plans: whatever two trees look like, what is written of the way between them reads the same."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.archives import Limits
from lockgate_release.deltas.plan_reading import decode_plan
from lockgate_release.deltas.plan_writing import encode_plan
from lockgate_release.deltas.tree_matching import match_trees, to_old_entry
from lockgate_release.deltas.tree_plan import NewEntry, TreePlan
from lockgate_release.deltas.varints import VarintReader, fold, pack_varint, unfold
from lockgate_release.digests import EntryKind, TreeEntry, digest_bytes
from lockgate_release.errors import ArchiveError

LIMITS = Limits()
FILE, FOLDER, LINK = EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.LINK


def _entry(path: str, what: str) -> TreeEntry:
    match what[0]:
        case "d":
            return TreeEntry(path=path, kind=FOLDER)
        case "l":
            return TreeEntry(path=path, kind=LINK, value=what[1:])
        case mode:
            content = what[1:]
            return TreeEntry(
                path=path,
                kind=FILE,
                executable=mode == "x",
                value=digest_bytes(content.encode()),
                size_bytes=len(content),
            )


def _tree(entries: dict[str, str]) -> list[TreeEntry]:
    paths = sorted(entries, key=str.encode)
    return [_entry(path, entries[path]) for path in paths]


NAMES = st.sampled_from(["a", "b", "lib-1", "lib-2", "über", "x.y", "0"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
WHATS = st.sampled_from(["d", "la", "l../a", "f", "x", "f1", "f22", "f333", "x1", "x22", "f4444"])
TREES = st.dictionaries(PATHS, WHATS, max_size=25).map(_tree)


def _through(old: Sequence[TreeEntry], new: Sequence[TreeEntry]) -> TreePlan:
    listing = [to_old_entry(entry) for entry in old]
    data = encode_plan(match_trees(old, new), listing)
    return decode_plan(data, listing, limits=LIMITS, subject="plan")


@given(TREES, TREES)
def test_any_tree_comes_from_any_other(old: list[TreeEntry], new: list[TreeEntry]) -> None:
    plan = _through(old, new)

    content = {entry.value for entry in old}
    made: set[str] = set()
    assert [entry.path for entry in plan.entries] == [entry.path for entry in new]
    for found, wanted in zip(plan.entries, new, strict=True):
        assert (found.kind, found.executable) == (wanted.kind, wanted.executable)
        assert found.size_bytes == wanted.size_bytes
        if wanted.kind is LINK:
            assert found.target == wanted.value
        elif found.old is not None:
            assert old[found.old].value == wanted.value
        elif found.twin is not None:
            assert new[found.twin].value == wanted.value
            assert found.twin < len(new)
        elif wanted.kind is FILE:
            # Only what is nowhere in the old tree, and each content once.
            assert wanted.value not in content | made
            made.add(wanted.value)
    assert all(old[number].kind is FILE for number in plan.references)


@given(TREES)
def test_a_tree_that_stays_is_one_run(tree: list[TreeEntry]) -> None:
    plan = _through(tree, tree)

    assert plan.new_bytes == 0
    assert plan.references == ()
    assert len(encode_plan(plan, [to_old_entry(entry) for entry in tree])) < 20


def test_a_renamed_folder_lends_its_files_where_many_have_the_same_content() -> None:
    licence = "f" + "the same everywhere"
    old = _tree({"a": "d", "a/LICENSE": licence, "v1": "d", "v1/LICENSE": licence, "v1/z": "f1"})
    new = _tree({"a": "d", "a/LICENSE": licence, "v2": "d", "v2/LICENSE": licence, "v2/z": "f2"})

    plan = _through(old, new)

    assert [entry.old for entry in plan.entries] == [None, 1, None, 3, None]
    assert plan.entries[4].is_new
    assert plan.references == (4,)


def test_old_files_that_stay_can_be_read_as_well() -> None:
    old = _tree({"a": "f1", "b": "f22", "c": "f333"})
    listing = [to_old_entry(entry) for entry in old]
    matched = match_trees(old, _tree({"a": "f1", "b": "f22", "d": "f4444"}))
    plan = TreePlan(entries=matched.entries, references=(1, 2))

    found = decode_plan(encode_plan(plan, listing), listing, limits=LIMITS, subject="plan")

    assert found.references == (1, 2)


def test_a_name_that_is_not_utf8_has_no_delta() -> None:
    plan = TreePlan(entries=(NewEntry("\udcff", FOLDER),), references=())
    with pytest.raises(ArchiveError, match="not UTF-8"):
        encode_plan(plan, [])


def test_more_names_than_fit_a_plan_have_no_delta() -> None:
    # They share what they begin with, so that little is written; but a client holds them whole.
    names = tuple(NewEntry("x" * 900 + f"{n:06}", FOLDER) for n in range(38_000))
    with pytest.raises(ArchiveError, match="too many names"):
        encode_plan(TreePlan(entries=names, references=()), [])


@given(st.integers(-(1 << 61), 1 << 61), st.integers(0, (1 << 63) - 1))
def test_numbers_come_back(signed: int, number: int) -> None:
    assert unfold(fold(signed)) == signed
    reader = VarintReader(pack_varint(number) + pack_varint(fold(signed)), subject="numbers")
    assert reader.number((1 << 63) - 1) == number
    assert reader.signed(1 << 61) == signed
    assert reader.is_at_end


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\xff" * 10 + b"\x01", b"\xff" * 4000, b"\x80\x01"]
)
def test_numbers_without_an_end_or_out_of_bounds_are_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        VarintReader(data, subject="numbers").number(127)
