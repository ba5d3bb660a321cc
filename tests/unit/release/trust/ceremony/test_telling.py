"""A ceremony in words: everything that it changes, and what deserves a second look."""

from dataclasses import replace

import pytest

from lockgate_release.documents import PolicyDocument
from lockgate_release.documents.policy import ChannelPolicy, SignatureRule
from lockgate_release.errors import UsageError
from lockgate_release.names import ChannelName
from lockgate_release.trust import ceremony as cer
from lockgate_release.trust.key_names import with_name
from tests.simulators.ceremony_people import PEOPLE_ROLES, People
from tests.unit.release.builders import APP


@pytest.fixture
def people() -> People:
    return People(maintainers=3, threshold=2, publishers=2, publisher_threshold=2)


def told(people: People, made: cer.Ceremony) -> tuple[str, ...]:
    return cer.tell_changes(people.examine(made), PolicyDocument(app=APP))


def test_keys_that_come_and_go_are_told_with_their_whole_ids(people: People) -> None:
    goes = people.arrangement().of("root").ids[0]
    dora = people.newcomer("dora")
    made = people.make(cer.replace_key(people.arrangement(), PEOPLE_ROLES, goes, dora))
    assert f"root and targets: + dora {dora.keyid} comes" in told(people, made)
    assert f"root and targets: - {goes} goes" in told(people, made)
    apart = people.make(cer.replace_key(people.arrangement(), ["root"], goes, dora))
    assert f"root: + dora {dora.keyid} comes" in told(people, apart)
    assert not any(line.startswith("targets:") for line in told(people, apart))


def test_a_threshold_is_told_with_what_it_was(people: People) -> None:
    made = people.make(cer.set_threshold(people.arrangement(), ["root"], 3))
    assert "root: 3 of 3 must sign, instead of 2 of 3" in told(people, made)
    lowered = people.make(cer.set_threshold(people.arrangement(), ["root"], 1))
    warnings = cer.tell_warnings(people.examine(lowered))
    assert "root: fewer must sign than now: 1, not 2" in warnings
    assert "root: whoever has one of its keys alone decides: threshold 1" in warnings


def test_what_changes_in_the_policy_is_told_line_by_line(people: People) -> None:
    rule = ChannelPolicy(paths=("previews/*/release.json",))
    policy = PolicyDocument(app=APP, channels={ChannelName("nightly"): rule})
    lines = told(people, people.make(renew=["targets"], policy=policy.to_bytes()))
    assert "policy.json: its words are changed" in lines
    assert any("+" in line and "previews/*/release.json" in line for line in lines)


def test_a_renewal_is_told_as_one_and_changes_nobody(people: People) -> None:
    people.pass_time(days=100)
    (line,) = told(people, people.make(renew=["root"]))
    assert line == "root number 2 follows 1: lasts until 2027-05-11, instead of 2027-01-31"


def test_a_name_that_is_given_to_a_key_is_told(people: People) -> None:
    arrangement = people.arrangement()
    first = arrangement.of("root").keys[0]
    renamed = with_name(first, "anna")
    for role in PEOPLE_ROLES:
        speakers = arrangement.of(role)
        keys = tuple(renamed if key == first else key for key in speakers.keys)
        arrangement = arrangement.with_role(role, replace(speakers, keys=keys))
    lines = told(people, people.make(arrangement))
    assert f"root and targets: {first.keyid[:8]} is called anna from now on" in lines


def test_a_key_that_nobody_has_seen_work_is_pointed_out(people: People) -> None:
    dora = people.newcomer("dora")
    made = people.make(cer.add_key(people.arrangement(), PEOPLE_ROLES, dora))
    words = f"dora ({dora.keyid[:8]}) comes and has not signed: nobody has seen that key work"
    assert words in cer.tell_warnings(people.examine(made))
    signed = people.sign(made, dora.keyid)
    assert words not in cer.tell_warnings(people.examine(signed))


def test_a_channel_that_could_get_nothing_any_more_is_pointed_out(people: People) -> None:
    publishers = people.arrangement().of("releases").ids
    rule = ChannelPolicy(signatures=SignatureRule(threshold=2, keys=publishers))
    policy = PolicyDocument(app=APP, channels={ChannelName("stable"): rule})
    smaller = cer.set_threshold(people.arrangement(), ["releases"], 1)
    smaller = cer.remove_key(smaller, ["releases"], publishers[0])
    warnings = cer.tell_warnings(people.examine(people.make(smaller)), policy)
    assert any("nothing could be offered there" in line for line in warnings)
    kept = people.make(renew=["targets"])
    assert not any(
        "nothing could be" in line for line in cer.tell_warnings(people.examine(kept), policy)
    )


def test_a_maintainer_who_publishes_too_is_pointed_out(people: People) -> None:
    anna = people.arrangement().of("root").keys[0]
    made = people.make(cer.add_key(people.arrangement(), ["releases"], anna))
    warnings = cer.tell_warnings(people.examine(made))
    assert any("is a maintainer's key too" in line for line in warnings)


def test_copies_that_were_signed_at_the_same_time_become_one(people: People) -> None:
    first, second, _third = people.arrangement().of("root").ids
    made = people.make(renew=["root", "targets"])
    merged = cer.merge_signatures(people.sign(made, first), people.sign(made, second))
    assert people.examine(merged).is_complete
    other = people.make(renew=["root"])
    with pytest.raises(UsageError, match="not a copy of the same ceremony"):
        cer.merge_signatures(made, other)


def test_a_first_ceremony_is_told_as_a_new_app(people: People) -> None:
    policy = PolicyDocument(app=APP).to_bytes()
    first = cer.make_first(APP, "x", people.arrangement(), policy, people.now)
    lines = cer.tell_changes(cer.examine(first, None, people.now))
    assert lines[0] == "demo is registered: it is a new app"
    assert "root and targets: 2 of 3 must sign" in lines
