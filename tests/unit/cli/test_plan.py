"""What the next list of releases is."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_cli.listing import Listing, NextList
from lockgate_cli.plan import (
    channel_floors,
    join_floors,
    plan_release,
    plan_retirement,
)
from lockgate_release.documents import ReleaseEntry
from lockgate_release.errors import UsageError, VersionError
from lockgate_release.layout import release_path
from lockgate_release.names import ChannelName
from lockgate_release.versions import VersionScheme

STABLE = ChannelName("stable")
BETA = ChannelName("beta")
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


def listing(
    *versions: str,
    channels: tuple[ChannelName, ...] = (STABLE,),
    floors: Mapping[ChannelName, str] | None = None,
    offered: tuple[str, ...] = (),
) -> Listing:
    entries = {
        release_path(version): ReleaseEntry(version=version, channels=channels, floors=floors or {})
        for version in versions
    }
    return Listing(entries=entries, offered=dict.fromkeys(offered, (STABLE,)))


def plan(
    base: Listing,
    version: str,
    *,
    channels: tuple[ChannelName, ...] = (STABLE,),
    floors: Mapping[ChannelName, str] | None = None,
    keep: int = 50,
) -> NextList:
    return plan_release(base, version=version, channels=channels, floors=floors or {}, keep=keep)


def live(following: NextList) -> set[str]:
    return {entry.version for entry in following.entries.values()}


def test_a_new_release_joins_those_that_are_live() -> None:
    following = plan(listing("1.0.0"), "1.1.0")
    assert live(following) == {"1.0.0", "1.1.0"}
    assert (following.appears, following.vanishes, following.changes) == (("1.1.0",), (), ())


def test_the_same_release_in_the_same_channel_changes_nothing() -> None:
    assert not plan(listing("1.0.0"), "1.0.0").changed


def test_the_same_release_in_another_channel_is_a_promotion_that_takes_nothing_away() -> None:
    following = plan(listing("1.0.0", channels=(BETA,)), "1.0.0")
    assert following.entries[release_path("1.0.0")].channels == (BETA, STABLE)
    assert following.changes == ("1.0.0: may be offered in stable too",)
    assert following.appears == ()


def test_marks_this_version_does_not_know_stay_on_an_entry() -> None:
    base = listing("1.0.0", channels=(BETA,))
    path = release_path("1.0.0")
    odd = replace(base.entries[path], lifted={BETA: NOW}, unknown={"later": 1})
    following = plan(Listing(entries={path: odd}), "1.0.0")
    assert following.entries[path].unknown == {"later": 1}
    assert following.entries[path].lifted == {BETA: NOW}


@pytest.mark.parametrize("other", ["1.0.0+build", "1.0.0-RC.1"])
def test_a_version_that_could_be_taken_for_a_live_one_is_refused(other: str) -> None:
    base = listing("1.0.0", "1.0.0-rc.1")
    with pytest.raises(UsageError, match="another live version is equal"):
        plan(base, other)


def test_a_text_that_is_no_version_is_refused() -> None:
    with pytest.raises(VersionError, match="SemVer"):
        plan(listing(), "one.two")


def test_the_app_s_own_order_of_versions_counts() -> None:
    base = Listing(scheme=VersionScheme.PEP440)
    assert live(plan(base, "1.0.post1")) == {"1.0.post1"}


# Floors.


def test_a_floor_stands_in_every_entry_and_goes_with_each_next_list() -> None:
    first = plan(listing("1.0.0", "1.1.0"), "1.2.0", floors={STABLE: "1.1.0"})
    assert {dict(entry.floors)[STABLE] for entry in first.entries.values()} == {"1.1.0"}
    second = plan(Listing(entries=first.entries), "1.3.0")
    assert {dict(entry.floors)[STABLE] for entry in second.entries.values()} == {"1.1.0"}


def test_a_floor_is_not_forgotten_when_the_channel_s_last_release_goes() -> None:
    entries = {
        **listing("1.0.0", channels=(BETA,), floors={BETA: "1.0.0"}).entries,
        **listing("2.0.0", floors={BETA: "1.0.0"}).entries,
    }
    following = plan_retirement(Listing(entries=entries), versions=("1.0.0",), keep=50)
    assert channel_floors(Listing(entries=following.entries)) == {BETA: "1.0.0"}


def test_a_floor_never_sinks() -> None:
    base = listing("1.2.0", floors={STABLE: "1.2.0"})
    with pytest.raises(UsageError, match=r"floor of stable.*1\.2\.0 or later.*1\.1\.0"):
        plan(base, "1.3.0", floors={STABLE: "1.1.0"})


def test_a_release_below_the_floor_is_refused() -> None:
    base = listing("1.2.0", floors={STABLE: "1.2.0"})
    with pytest.raises(UsageError, match="below the floor"):
        plan(base, "1.1.0")


def test_a_floor_of_another_channel_does_not_concern_a_release() -> None:
    base = listing("1.2.0", floors={BETA: "1.2.0"})
    assert "1.1.0" in live(plan(base, "1.1.0"))


def test_an_equal_floor_in_other_words_is_the_one_that_is_signed() -> None:
    base = listing("1.2.0", floors={STABLE: "1.2.0"})
    following = plan(base, "1.3.0", floors={STABLE: "1.2.0+again"})
    assert channel_floors(Listing(entries=following.entries)) == {STABLE: "1.2.0"}


def test_floors_in_the_settings_hold_when_nothing_is_said() -> None:
    base = listing("1.2.0", floors={STABLE: "1.0.0"})
    assert join_floors(base, {}, {STABLE: "1.1.0"}) == {STABLE: "1.1.0"}


def test_floors_in_the_settings_that_were_overtaken_are_no_fault() -> None:
    base = listing("1.2.0", floors={STABLE: "1.2.0"})
    assert join_floors(base, {}, {STABLE: "1.1.0"}) == {}


def test_asking_for_less_than_the_settings_say_is_refused() -> None:
    with pytest.raises(UsageError, match="as the settings say"):
        join_floors(listing("1.2.0"), {STABLE: "1.0.0"}, {STABLE: "1.1.0"})


# Retiring.


def test_what_lies_beyond_the_newest_is_retired_in_the_same_list() -> None:
    base = listing("1.0.0", "1.10.0", "1.9.0")
    following = plan(base, "1.11.0", keep=2)
    assert live(following) == {"1.11.0", "1.10.0"}
    assert following.vanishes == ("1.0.0", "1.9.0")


def test_what_a_channel_offers_is_kept_however_old() -> None:
    base = listing("1.0.0", "1.1.0", offered=("1.0.0",))
    assert live(plan(base, "1.2.0", keep=1)) == {"1.0.0", "1.2.0"}


def test_what_a_channel_would_fall_back_to_is_kept_however_old() -> None:
    base = replace(listing("1.0.0", "1.1.0", offered=("1.1.0",)), fallbacks=frozenset({"1.0.0"}))
    assert live(plan(base, "1.2.0", keep=1)) == {"1.0.0", "1.1.0", "1.2.0"}
    assert live(plan_retirement(base, versions=(), keep=1)) == {"1.0.0", "1.1.0"}
    assert live(plan_retirement(base, versions=("1.0.0",), keep=1)) == {"1.1.0"}


def test_what_is_for_previews_alone_takes_nobody_s_place_and_goes_when_offered_nowhere() -> None:
    preview = ChannelName("pr-1")
    alone = listing("1.2.0-pr.1", "1.2.0-pr.3", channels=(preview,)).entries
    shared = listing("1.2.0-pr.2", channels=(preview, BETA)).entries
    base = Listing(
        entries={**listing("1.0.0", "1.1.0").entries, **alone, **shared},
        offered={"1.2.0-pr.3": (preview,)},
        previews=frozenset({preview}),
    )
    following = plan(base, "1.3.0", keep=3)
    assert live(following) == {"1.3.0", "1.2.0-pr.2", "1.2.0-pr.3", "1.1.0"}
    assert following.vanishes == ("1.0.0", "1.2.0-pr.1")


def test_a_lifted_revocation_is_kept_however_old() -> None:
    base = listing("1.0.0", "1.1.0")
    path = release_path("1.0.0")
    entries = {**base.entries, path: replace(base.entries[path], lifted={STABLE: NOW})}
    assert "1.0.0" in live(plan(replace(base, entries=entries), "1.2.0", keep=1))


def test_a_release_that_is_being_published_is_kept_however_old() -> None:
    base = listing("1.1.0", "1.2.0")
    assert "1.0.0" in live(plan(base, "1.0.0", channels=(BETA,), keep=1))


def test_retiring_what_a_channel_offers_is_refused() -> None:
    base = listing("1.0.0", "1.1.0", offered=("1.0.0",))
    with pytest.raises(UsageError, match="offered in stable"):
        plan_retirement(base, versions=("1.0.0",), keep=50)


def test_retiring_what_is_not_live_is_refused() -> None:
    with pytest.raises(UsageError, match="not a live release"):
        plan_retirement(listing("1.0.0"), versions=("2.0.0",), keep=50)


def test_retiring_by_number_keeps_the_newest() -> None:
    following = plan_retirement(listing("1.0.0", "2.0.0", "3.0.0"), versions=(), keep=2)
    assert live(following) == {"2.0.0", "3.0.0"}


def test_nothing_to_retire_is_nothing_to_sign() -> None:
    assert not plan_retirement(listing("1.0.0"), versions=(), keep=2).changed


@given(
    numbers=st.sets(st.integers(0, 30), min_size=1, max_size=12),
    offered=st.sets(st.integers(0, 30)),
    keep=st.integers(1, 15),
)
def test_a_list_never_loses_what_is_offered_or_new_and_never_a_floor(
    numbers: set[int], offered: set[int], keep: int
) -> None:
    versions = [f"1.{number}.0" for number in numbers]
    shown = tuple(f"1.{number}.0" for number in numbers & offered)
    base = listing(*versions, floors={STABLE: "1.0.0"}, offered=shown)
    following = plan(base, "1.99.0", keep=keep)
    assert {*shown, "1.99.0"} <= live(following)
    assert len(live(following)) <= max(keep, 1) + len(shown)
    assert channel_floors(Listing(entries=following.entries)) == {STABLE: "1.0.0"}


def test_a_release_names_the_targets_that_were_in_force_when_it_was_let_into_a_channel() -> None:
    path = release_path("1.0.0")
    old = replace(listing("1.0.0", channels=(BETA,)), targets_version=4)
    new = plan(old, "1.1.0", channels=(BETA,))
    assert new.entries[release_path("1.1.0")].targets_version == 4
    assert new.entries[path].targets_version == 0
    promoted = plan(old, "1.0.0")
    assert promoted.entries[path].targets_version == 4
    again = plan(replace(old, entries=promoted.entries, targets_version=5), "1.0.0")
    assert again.entries[path].targets_version == 4
    assert not again.changed
