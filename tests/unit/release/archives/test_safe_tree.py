"""What most names are is seen at one look, and it says the same as the whole look would."""

import itertools
from pathlib import Path

from lockgate_release.archives.safe_tree import Limits, SafeTree
from lockgate_release.errors import ArchiveError

PARTS = ("", ".", "..", "...", ".a", "a", "a.", "..a", "C:", "a:b", "ab:", "\\", "a\\b", "\0", " ")


def _verdict(name: str) -> str:
    """Which rule the name breaks, or ""."""
    tree = SafeTree(Path("nowhere"), Limits(), subject="a.bin", only=frozenset())
    try:
        tree.leaves_out(name)
    except ArchiveError as exc:
        return exc.what
    return ""


def test_a_plain_name_and_one_that_is_looked_at_in_full_get_the_same_verdict() -> None:
    names = {
        "/".join(parts) for count in (1, 2, 3) for parts in itertools.product(PARTS, repeat=count)
    }
    names |= {"a" * 255, "a" * 256, "a/" + "b" * 255, "a/" + "b" * 256}
    names |= {("a" * 99 + "/") * 10 + "b" * rest for rest in (20, 21, 22, 23)}
    # A letter of two bytes has no short way; two letters take as much room.
    verdicts = {name: (_verdict(f"{name}/uu"), _verdict(f"{name}/\u00fc")) for name in names}
    assert {name: both for name, both in verdicts.items() if both[0] != both[1]} == {}
    assert {plain for plain, _ in verdicts.values()} == {
        "",
        "name that is not a relative path",
        "name that leaves its folder",
        "name too long",
    }
