"""`lockgate policy` and `lockgate approve`: bars are shown, checked, raised by ceremonies, met."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

MAINTAINER = "keys/root/maintainer-1.pem"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """Stable offers 1.0.0; Ann and Bob have keys of their own."""
    with open_desk(tmp_path) as desk:
        desk.init()
        desk.publish("1.0.0")
        for name in ("ann", "bob"):
            desk.person.must("keys", "generate", "--unencrypted", "--name", name, f"{name}.pem")
        yield desk


def _put_in_force(desk: ReleaseDesk, file: str) -> None:
    desk.person.must("root", "sign", file, "--key", MAINTAINER, "--yes")
    desk.person.must("root", "submit", file)


def _guard(desk: ReleaseDesk) -> None:
    """Stable takes what Ann or Bob have approved, as 1.0.0 is."""
    edit = ["policy", "edit", "c1.json", "--channel", "stable", "--approvals", "0"]
    desk.person.must(*edit, "--approver", "ann.pub", "--approver", "bob.pub")
    _put_in_force(desk, "c1.json")
    desk.person.must("approve", "1.0.0", "--channel", "stable", "--key", "ann.pem", "--yes")
    desk.person.must("policy", "edit", "c2.json", "--channel", "stable", "--approvals", "1")
    _put_in_force(desk, "c2.json")


def test_a_bar_is_raised_step_by_step_and_then_met(desk: ReleaseDesk) -> None:
    _guard(desk)
    shown = desk.person.must("policy", "show")
    rule = json.loads(shown.out)["channels"]["stable"]
    assert rule["approvals"]["threshold"] == 1
    assert rule["critical"] == ["approvals"]
    assert "approved by 1 of " in shown.err
    assert "ann (" in shown.err
    said = desk.publish("2.0.0")
    assert "waits for approval" in said.err
    assert desk.versions() == {"1.0.0", "2.0.0"}
    assert desk.offers() == {"1.0.0": 10_000}
    waiting = desk.person.must("status", APP)
    for words in ("2.0.0 for stable", "approved by 0 of 1", "lacking  1 of ann, bob"):
        assert words in waiting.out
    assert "To approve it: lockgate approve demo 2.0.0 --channel stable" in waiting.err
    approved = desk.person.must(
        "approve", APP, "2.0.0", "--channel", "stable", "--key", "bob.pem", "--yes", "--json"
    ).json()
    assert approved["is_enough"]
    assert approved["changed"]
    waiting = desk.person.must("status")
    assert "approved by 1 of 1\n           bob\n" in waiting.out
    assert "publish it again" in waiting.err
    desk.publish("2.0.0")
    assert desk.offers() == {"2.0.0": 10_000}
    assert desk.person.must("status", "--json").json()["awaited"] == []


def test_who_may_not_approve_is_told_who_may(desk: ReleaseDesk) -> None:
    _guard(desk)
    desk.person.must("keys", "generate", "--unencrypted", "--name", "eve", "eve.pem")
    approve = ["approve", "1.0.0", "--channel", "stable", "--yes"]
    desk.person.must_end(2, [*approve, "--key", "eve.pem"], "may not approve", "ann (")
    desk.person.must_end(2, ["approve", "1.0.0", "--channel", "beta", "--yes"], "names nobody")
    desk.person.must_end(2, ["approve", "9.0.0", "--channel", "stable", "--yes"], "not a live")
    unasked = ["approve", "1.0.0", "--channel", "stable", "--key", "bob.pem"]
    desk.person.must_end(2, unasked, "nobody is here to confirm")


def test_a_person_is_shown_what_they_approve_and_asked(desk: ReleaseDesk) -> None:
    _guard(desk)
    approve = ("approve", "1.0.0", "--channel", "stable", "--key", "bob.pem")
    dry = desk.person.must(*approve, "--dry-run")
    assert "Nothing was approved" in dry.err
    desk.person.watched = True
    desk.person.answers = ["no"]
    desk.person.must_end(2, approve, "nothing was approved")
    desk.person.answers = ["yes"]
    said = desk.person.must(*approve)
    assert "document: sha256" in said.err
    assert "approved by: ann (" in said.err
    assert "ann (" in said.err.rpartition("is approved for stable by")[2]
    again = desk.person.must(*approve)
    assert "approved it already" in again.err


def test_a_policy_that_would_take_an_offer_away_is_found_before_anybody_signs(
    desk: ReleaseDesk,
) -> None:
    rules = json.loads(desk.person.must("policy", "show").out)
    rules["channels"] = {"stable": {"paths": ["previews/*/release.json"]}}
    (desk.folder / "policy.json").write_text(json.dumps(rules))
    found = desk.person.must_end(2, ["policy", "check", "policy.json"], "stable: 1.0.0")
    assert "no role of releases speaks for previews/*/release.json" in found.err
    edited = desk.person.must("policy", "edit", "c.json", "--policy", "policy.json")
    assert "the server will refuse this" in edited.err
    desk.person.must("root", "sign", "c.json", "--key", MAINTAINER, "--yes")
    desk.person.must_end(2, ["root", "submit", "c.json"], "would not meet the channel's bar")
    rules["channels"] = {"stable": {"paths": ["releases/*/release.json"]}}
    (desk.folder / "policy.json").write_text(json.dumps(rules))
    assert "meets these rules" in desk.person.must("policy", "check", "policy.json").err


def test_a_rule_that_is_weaker_than_that_for_all_others_is_doubted(desk: ReleaseDesk) -> None:
    edit = ("policy", "edit", "c.json", "--manual-check", "wait")
    desk.person.must(*edit, "--channel", "*")
    weaker = ("policy", "edit", "c.json", "--channel", "beta", "--manual-check", "pass")
    said = desk.person.must(*weaker)
    assert "beta: has a rule of its own, so nothing of *'s counts there" in said.err


def test_more_signatures_than_publishers_are_doubted(desk: ReleaseDesk) -> None:
    edit = ("policy", "edit", "c.json", "--channel", "beta", "--signatures", "2", "--dry-run")
    said = desk.person.must(*edit)
    assert "only 1 of the keys that count speak for releases" in said.err
    assert not (desk.folder / "c.json").exists()
    strange = ("policy", "edit", "c.json", "--channel", "beta", "--signer", "abcdef")
    desk.person.must_end(2, strange, "no such key")
    desk.person.must_end(2, ["policy", "edit", "c.json"], "nothing to change")
    many = ["policy", "edit", "c.json", "--channel", "beta", "--approvals", "1"]
    desk.person.must_end(2, many, "more approvals than people")


def test_somebody_who_may_no_longer_approve_is_named_by_name(desk: ReleaseDesk) -> None:
    _guard(desk)
    edit = ("policy", "edit", "c.json", "--channel", "stable", "--no-approver")
    said = desk.person.must(*edit, "ann", "--dry-run")
    assert "the server will refuse this as things stand: stable: 1.0.0" in said.err
    desk.person.must_end(2, [*edit, "eve"], "no such key")
    desk.person.must("approve", "1.0.0", "--channel", "stable", "--key", "bob.pem", "--yes")
    desk.person.must(*edit, "ann.pub")
    _put_in_force(desk, "c.json")
    assert desk.offers() == {"1.0.0": 10_000}
    shown = desk.person.must("policy", "show")
    assert "approved by 1 of bob" in shown.err


def test_a_channel_that_demands_two_gets_two_one_after_the_other(tmp_path: Path) -> None:
    """The role takes one signature; for stable, and so for each list it offers from, two."""
    with open_desk(tmp_path) as desk:
        desk.init("--publishers", "2")
        one, two = (f"keys/publisher/publisher-{number}.pem" for number in (1, 2))
        edit = ("policy", "edit", "c.json", "--channel", "stable", "--signatures", "2")
        desk.person.must(*edit)
        _put_in_force(desk, "c.json")
        said = desk.publish("1.0.0", "--key", one)
        assert "1 more" in said.err or "lockgate sign" in said.err, said.err
        assert desk.versions() == set()
        desk.person.must("sign", APP, "1.0.0", "--key", two, "--yes")
        assert desk.offers() == {"1.0.0": 10_000}
        desk.publish("1.1.0-beta.1", "--channel", "beta", "--key", one)
        assert desk.offers("beta") == {}
        desk.person.must("sign", APP, "1.1.0-beta.1", "--key", two, "--yes")
        assert desk.offers("beta") == {"1.1.0-beta.1": 10_000}


def test_a_preview_waits_for_its_own_signers_and_in_nobodys_way(desk: ReleaseDesk) -> None:
    person = desk.person
    person.must("keys", "generate", "--unencrypted", "--name", "bot", "bot.pem")
    keys = ("--key", "bot.pub", "--key", "ann.pub", "--threshold", "2")
    person.must("policy", "add-role", "c.json", "previews", *keys)
    edit = ("policy", "edit", "c.json", "--channel", "nightly")
    person.must(*edit, "--path", "previews/*/release.json")
    _put_in_force(desk, "c.json")
    desk.publish("2.0.0-dev.1", "--channel", "nightly", "--key", "bot.pem")
    assert desk.offers("nightly") == {}
    desk.publish("1.1.0")
    assert desk.offers() == {"1.1.0": 10_000}
    person.must("sign", APP, "2.0.0-dev.1", "--key", "ann.pem", "--yes")
    assert desk.offers("nightly") == {"2.0.0-dev.1": 10_000}


def test_previews_are_published_by_other_keys_into_their_own_channel(desk: ReleaseDesk) -> None:
    person = desk.person
    person.must("keys", "generate", "--unencrypted", "--name", "nightbot", "nightbot.pem")
    person.must("policy", "add-role", "c.json", "previews", "--key", "nightbot.pub")
    edit = ("policy", "edit", "c.json", "--channel", "nightly")
    person.must(*edit, "--path", "previews/*/release.json")
    _put_in_force(desk, "c.json")
    assert "previews/ is signed by 1 of nightbot" in person.must("policy", "show").err
    desk.publish("2.0.0-dev.1", "--channel", "nightly", "--key", "nightbot.pem")
    assert desk.chain().further["previews"].version == 1
    assert desk.offers("nightly") == {"2.0.0-dev.1": 10_000}
    desk.publish("2.0.0-dev.2", "--channel", "nightly", "--key", "nightbot.pem")
    assert desk.chain().further["previews"].version == 2
    assert desk.chain().releases.version == 2
    promote = ["promote", "2.0.0-dev.2", "--from", "nightly", "--to", "stable"]
    promote.append("--allow-prerelease")
    for key in ("nightbot.pem", "keys/publisher/publisher-1.pem"):
        person.must_end(2, [*promote, "--key", key], "does not allow this release here")
    # Other publishers sign neither for the other.
    desk.refuse(2, "2.0.0-dev.3", "--channel", "nightly", words="not")
    desk.refuse(2, "1.1.0", "--key", "nightbot.pem", words="not")
    desk.publish("1.1.0")
    assert desk.offers() == {"1.1.0": 10_000}
    assert person.must("releases", "list", "--json").json()
    person.must("renew", "--role", "previews", "--key", "nightbot.pem")
    assert desk.chain().further["previews"].version == 3
    roles = person.must("status", "--json").json()["roles"]
    assert roles["previews"]["version"] == 3
