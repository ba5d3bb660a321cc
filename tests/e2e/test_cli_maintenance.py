"""What maintainers type after a publish, against the real api app."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.documents import (
    ChannelPolicy,
    ManualCheck,
    PolicyDocument,
    parse_policy,
)
from lockgate_release.errors import ExitCode
from lockgate_release.instants import utc_now
from lockgate_release.layout import POLICY_PATH, target_key
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk, open_desk

CLIENT = "6f1c1c56-5d44-4b58-8f86-3b0a2f3b8f01"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


@pytest.fixture
def real_time_desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """Clients look at the real clock, and so does what explains them."""
    with open_desk(tmp_path, utc_now()) as made:
        made.init()
        yield made


def revoke(version: str, *more: str) -> list[str]:
    return ["revoke", APP, version, "--reason", "it breaks", *more]


# Rollouts.


def test_a_rollout_is_shown_widened_paused_and_resumed(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--exposure", "10%")
    rollout = ["rollout", "set", APP, "1.1.0", "--channel", "stable"]
    assert "25%, active, epoch 2" in desk.person.must(*rollout, "--exposure", "25%").out
    for verb, state in (("pause", "paused"), ("resume", "active")):
        ended = desk.person.must("rollout", verb, APP, "1.1.0", "--channel", "stable", "--json")
        assert ended.json()["rollout"]["state"] == state
    shown = desk.person.must("rollout", "show", APP, "1.1.0", "--json").json()["rollouts"]
    assert [(item["version"], item["rollout"]["epoch"]) for item in shown] == [("1.1.0", 4)]
    table = desk.person.must("rollout", "show", APP, "--channel", "stable").out
    assert "1.1.0" in table
    assert "1.0.0" in table


def test_a_person_who_looked_at_an_older_state_is_told(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--exposure", "10%")
    rollout = ["rollout", "set", APP, "1.1.0", "--channel", "stable", "--expect-epoch", "1"]
    desk.person.must(*rollout, "--exposure", "20%")
    desk.person.must_end(ExitCode.CONFLICT, [*rollout, "--exposure", "30%"], "epoch 2")
    assert desk.offers()["1.1.0"] == 2000


def test_narrowing_a_rollout_is_done_with_a_warning(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--exposure", "50%")
    ended = desk.person.must(
        "rollout", "set", APP, "1.1.0", "--channel", "stable", "--exposure", "5%"
    )
    assert "warning" in ended.err


def test_no_such_rollout_is_a_usage_error(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    arguments = ["rollout", "pause", APP, "9.9.9", "--channel", "stable"]
    desk.person.must_end(ExitCode.USAGE, arguments, "9.9.9")
    assert "no such rollout" in desk.person.must("rollout", "show", APP, "9.9.9").err


def test_the_app_is_an_argument_an_option_or_a_setting(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--exposure", "10%")
    for words in ([APP, "1.1.0"], ["1.1.0", "--app", APP], ["1.1.0"], [APP, "1.1.0", "--app", APP]):
        desk.person.must("rollout", "set", *words, "--channel", "stable", "--exposure", "20%")
        desk.person.must("revoke", *words, "--reason", "bad", "--dry-run")
        desk.person.must("promote", *words, "--from", "stable", "--to", "beta", "--dry-run")
    for show in ([], [APP], ["--app", APP]):
        assert "1.0.0" in desk.person.must("rollout", "show", *show).out
    for show in ([APP, "1.1.0"], ["--app", APP, "1.1.0"]):
        assert "20%" in desk.person.must("rollout", "show", *show).out
    twice = ["revoke", APP, "1.1.0", "--app", "other", "--reason", "bad", "--yes"]
    desk.person.must_end(ExitCode.USAGE, twice, "two apps")
    many = ["revoke", APP, "1.1.0", "1.0.0", "--reason", "bad", "--yes"]
    desk.person.must_end(ExitCode.USAGE, many, "too many arguments")
    desk.person.must_end(ExitCode.USAGE, ["revoke", "--reason", "bad", "--yes"], "VERSION")


# Releases.


def test_releases_are_listed_newest_first_and_shown(desk: ReleaseDesk) -> None:
    (desk.folder / "notes.md").write_text("the notes")
    desk.publish("1.0.0", "--notes", "notes.md", "--floor", "1.0.0")
    desk.publish("1.10.0", "--exposure", "12.5%")
    desk.publish("1.9.0", "--channel", "beta")
    lines = desk.person.must("releases", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["version", "1.10.0", "1.9.0", "1.0.0"]
    assert "12.5%" in lines[1]
    listed = desk.person.must("releases", "list", "--json").json()["releases"]
    assert [item["version"] for item in listed] == ["1.10.0", "1.9.0", "1.0.0"]
    shown = desk.person.must("releases", "show", "1.0.0").out
    for text in ("the notes", PLATFORM, "stable 100%", "demo-1.0.0.tar.gz", "stable 1.0.0"):
        assert text in shown
    document = desk.person.must("releases", "show", "1.0.0", "--json").json()["document"]
    assert document["version"] == "1.0.0"


def test_a_release_that_is_not_there_is_a_usage_error(desk: ReleaseDesk) -> None:
    desk.person.must_end(ExitCode.USAGE, ["releases", "show", "9.9.9"], "9.9.9")
    assert "nothing is published" in desk.person.must("releases", "list").err


def test_old_releases_are_retired_and_offered_ones_stay(desk: ReleaseDesk) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        desk.publish(version)
    before = desk.files()
    assert "- 1.0.0" in desk.person.must("releases", "retire", "--keep", "1", "--dry-run").err
    assert desk.files() == before
    desk.person.must("releases", "retire", "--keep", "1")
    assert desk.versions() == {"1.1.0", "1.2.0"}, "1.1.0 is where 1.2.0 would go back to"
    desk.person.must("revoke", APP, "1.2.0", "--reason", "it breaks", "--yes")
    assert desk.offers() == {"1.1.0": 10_000}
    assert "Nothing to do" in desk.person.must("releases", "retire").err


def test_versions_and_a_number_at_once_make_no_sense(desk: ReleaseDesk) -> None:
    arguments = ["releases", "retire", "1.0.0", "--keep", "1"]
    desk.person.must_end(ExitCode.USAGE, arguments, "either")


# Renewing and status.


def test_what_is_due_is_renewed_and_nothing_else(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    assert "Nothing is due" in desk.person.must("renew").err
    desk.pass_time(days=121)
    said = desk.person.must("renew", "--json").json()
    assert said == {"due": ["releases"], "renewed": {"releases": 3}, "pending": None}
    assert desk.chain().releases.version == 3
    assert desk.chain().root.version == 1
    assert desk.versions() == {"1.0.0"}


def test_what_has_expired_is_renewed_too(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.pass_time(days=400)
    said = desk.person.must("renew", "--json").json()
    assert said["due"] == ["root", "targets", "releases"]
    chain = desk.chain()
    assert (chain.root.version, chain.targets.version, chain.releases.version) == (2, 2, 3)
    desk.sign_again()
    desk.publish("1.1.0")


def test_a_role_is_renewed_early_when_it_is_named(desk: ReleaseDesk) -> None:
    desk.person.must("renew", "--role", "targets")
    assert desk.chain().targets.version == 2
    assert "would be" in desk.person.must("renew", "--role", "root", "--dry-run").err
    assert desk.chain().root.version == 1


def test_maintainers_put_another_policy_in_force(real_time_desk: ReleaseDesk) -> None:
    desk = real_time_desk
    desk.publish("1.0.0")
    rules = {"stable": ChannelPolicy(manual_check=ManualCheck.WAIT), "*": ChannelPolicy(paths=())}
    policy = desk.folder / "policy.json"
    policy.write_bytes(PolicyDocument(app=APP, channels=rules).to_bytes())
    renew = ["renew", "--policy", "policy.json"]
    assert "targets would be signed again" in desk.person.must(*renew, "--dry-run").err
    ended = desk.person.must(*renew, "--json")
    assert ended.json()["renewed"] == {"targets": 2}
    target = desk.chain().targets.signed.targets[POLICY_PATH]
    key = target_key(APP, POLICY_PATH, Sha256Hex(target.hashes["sha256"]))
    in_force = parse_policy(desk.files()[key]).channel(ChannelName("stable"))
    assert in_force.manual_check is ManualCheck.WAIT
    desk.refuse(ExitCode.USAGE, "1.1.0", "--channel", "pr-1", words="the policy does not allow")
    for wrong in (b"{}", PolicyDocument(app=AppName("other")).to_bytes()):
        policy.write_bytes(wrong)
        desk.person.must_end(ExitCode.USAGE, renew, "policy.json")


def test_a_maintainer_s_role_is_not_renewed_with_a_publisher_s_key(desk: ReleaseDesk) -> None:
    key = "keys/publisher/publisher-1.pem"
    arguments = ["renew", "--role", "root", "--key", key]
    desk.person.must_end(ExitCode.USAGE, arguments, "1 missing", "publisher-1.pem")
    assert desk.chain().root.version == 1


def test_status_and_publish_warn_when_a_third_is_left(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    assert "warning" not in desk.person.must("status").err
    desk.pass_time(days=121)
    desk.sign_again()
    status = desk.person.must("status")
    assert status.err.count("releases expires") == 1
    assert "warning: releases expires in 59 days" in desk.publish("1.1.0").err


def test_status_shows_roles_channels_and_revocations(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    desk.person.must(*revoke("1.1.0", "--yes"))
    shown = desk.person.must("status").out
    for text in ("timestamp", "1.0.0", "100%", "revoked: it breaks"):
        assert text in shown
    assert desk.person.must("status", "--json").json()["app"] == APP


def test_status_of_all_apps_is_a_line_each(desk: ReleaseDesk) -> None:
    lines = desk.person.must("status", "--all").out.splitlines()
    assert [line.split()[0] for line in lines] == ["app", APP]
    nobody = desk.elsewhere("nobody", LOCKGATE_SERVER=desk.api, **desk.person.environ)
    assert nobody.must("status", "--json").json()["apps"][0]["app"] == APP


def test_status_without_an_app_is_of_the_one_that_is_named_elsewhere_as_its_help_says(
    desk: ReleaseDesk,
) -> None:
    said = " ".join(desk.person.must("status", "--help").out.split())
    assert "Without APP, the one that LOCKGATE_APP or lockgate.toml names." in said
    assert desk.person.must("status", "--json").json()["app"] == APP
    named = {"LOCKGATE_SERVER": desk.api, "LOCKGATE_APP": APP}
    nobody = desk.elsewhere("nobody", **named, **desk.person.environ)
    assert nobody.must("status", "--json").json()["app"] == APP


def test_status_of_no_app_at_all_says_so(tmp_path: Path) -> None:
    with open_desk(tmp_path) as desk:
        assert "no app" in desk.person.must("status", "--server", desk.api).err


def test_status_of_an_unknown_app_is_a_usage_error(desk: ReleaseDesk) -> None:
    desk.person.must_end(ExitCode.USAGE, ["status", "--app", "other"], "other")


def test_the_audit_log_tells_who_did_what(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.person.must(*revoke("1.0.0", "--yes"))
    shown = desk.person.must("audit").out
    for text in ("admin", "revoke", "it breaks", "publish", "done"):
        assert text in shown
    entries = desk.person.must("audit", "--limit", "1", "--json").json()["entries"]
    assert [entry["action"] for entry in entries] == ["revoke"]


# Explaining.


def explain(installed: str, *more: str) -> list[str]:
    arguments = ["explain", "--client-id", CLIENT, "--platform", PLATFORM]
    return [*arguments, *(["--installed", installed] if installed else []), *more]


def test_a_client_is_explained_by_the_rules_it_follows(real_time_desk: ReleaseDesk) -> None:
    desk = real_time_desk
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--exposure", "0%")
    held = desk.person.must(*explain("1.0.0"))
    assert "held (control)" in held.out
    assert "exposure 0 of 10000" in held.out
    first = desk.person.must(*explain("", "--json")).json()
    assert (first["verdict"], first["version"]) == ("offer", "1.0.0")
    assert [line["obstacle"] for line in first["considered"]] == ["control", None]
    assert "up to date" in desk.person.must(*explain("1.1.0")).out
    desk.person.must(*revoke("1.1.0", "--yes"))
    leave = desk.person.must(*explain("1.1.0")).out
    assert "leave 1.1.0 (replace)" in leave
    assert "go to 1.0.0" in leave


def test_an_explanation_shows_the_whole_chain(real_time_desk: ReleaseDesk) -> None:
    desk = real_time_desk
    desk.publish("1.0.0")
    desk.publish("1.1.0", "--rollout", "canary")
    said = desk.person.must(*explain("1.0.0", "--json")).json()["chain"]
    roles = {item["role"]: item for item in said["roles"]}
    assert set(roles) == {"root", "timestamp", "snapshot", "targets", "releases", "channels"}
    chain = desk.chain()
    assert roles["releases"]["version"] == chain.releases.version == 3
    assert roles["releases"]["key_ids"] == sorted(key.keyid for key in chain.release_keys()[0])
    assert roles["timestamp"]["key_ids"] == list(chain.online_key_ids())
    assert said["channel"]["sequence"] == 2
    assert [item["version"] for item in said["offers"]] == ["1.1.0", "1.0.0"]
    out = desk.person.must(*explain("1.0.0")).out
    assert "releases 3, until " in out
    assert "offer of 1.1.0: 1%, active, epoch 1; plan canary: 1% > 5% > 25% > 100%" in out
    assert "offer of 1.0.0: 100%, active, epoch 1; no plan: a person steers it" in out
    assert "bucket " in out


def test_explaining_needs_no_token_and_leaves_nothing(real_time_desk: ReleaseDesk) -> None:
    desk = real_time_desk
    desk.publish("1.0.0")
    del desk.person.environ["LOCKGATE_TOKEN"]
    before = desk.files()
    desk.person.must(*explain("1.0.0"))
    assert desk.files() == before


def test_what_cannot_be_explained_is_refused(real_time_desk: ReleaseDesk) -> None:
    desk = real_time_desk
    desk.publish("1.0.0")
    desk.person.must_end(ExitCode.USAGE, explain("1.0.0", "--channel", "beta"), "beta")
    desk.person.must_end(ExitCode.USAGE, ["explain", "--client-id", "me"], "UUID")
    desk.person.must_end(ExitCode.USAGE, explain("not one"), "--installed")


def test_a_frozen_repository_is_refused_and_not_explained(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.person.must_end(ExitCode.REFUSED, explain("1.0.0"), "expired")


def test_a_spoilt_trust_anchor_is_refused(real_time_desk: ReleaseDesk) -> None:
    desk = real_time_desk
    path = desk.folder / "keys" / "root.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    desk.person.must_end(ExitCode.REFUSED, explain("1.0.0"), "root")
    path.unlink()
    desk.person.must_end(ExitCode.USAGE, explain("1.0.0"), "root.json")
