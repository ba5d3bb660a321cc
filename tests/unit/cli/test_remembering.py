"""What is remembered of a state, and which state counts as older than it."""

from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_cli.remembering import Remembered, check_not_older, join_remembered
from lockgate_release.errors import StaleMirrorError
from lockgate_release.names import AppName

APP = AppName("demo")
KNOWN = Remembered(root=2, targets=3, releases=4, timestamp=5, snapshot=6, online_key="one")


def check(found: Remembered) -> None:
    check_not_older(APP, KNOWN, found, Path("file"))


@pytest.mark.parametrize("name", ["root", "targets", "releases", "timestamp", "snapshot"])
def test_a_state_that_is_lower_in_anything_is_older(name: str) -> None:
    check(KNOWN)
    with pytest.raises(StaleMirrorError, match=f"demo: {name}"):
        check(replace(KNOWN, **{name: getattr(KNOWN, name) - 1}))
    check(replace(KNOWN, **{name: getattr(KNOWN, name) + 1}))


def test_what_an_online_key_said_is_forgotten_with_the_key() -> None:
    high = replace(KNOWN, timestamp=2**52, snapshot=2**52)
    fresh = replace(KNOWN, timestamp=6, snapshot=7, online_key="two")
    check_not_older(APP, high, fresh, Path("file"))
    assert join_remembered(high, fresh) == fresh


def test_what_people_signed_is_not_forgotten_with_the_online_key() -> None:
    with pytest.raises(StaleMirrorError, match="releases"):
        check(replace(KNOWN, releases=3, online_key="two"))


def test_joining_never_lowers_a_number() -> None:
    other = replace(KNOWN, root=9, targets=1, timestamp=1)
    assert join_remembered(KNOWN, other) == replace(KNOWN, root=9)
