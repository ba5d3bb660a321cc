"""Publishing by two of three people, each with one key in a folder of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.layout import artifact_key
from lockgate_server.ports import Scope
from tests.simulators.release_desk import APP
from tests.simulators.signers import Team, first_release, open_team

APP_OPTION = f"--app={APP}"


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with open_team(tmp_path, first_release) as made:
        yield made


# From the first to the last signature.


def test_what_ci_begins_without_a_key_is_live_when_two_have_signed(team: Team) -> None:
    before = team.desk.files()
    begun = team.begin("1.0.0", "--json")
    assert begun.code == 0
    said = begun.json()
    assert (said["live"], said["pending"]["missing"]) == (False, 2)
    assert "To sign it: lockgate sign demo 1.0.0" in begun.err
    first = team.sign(team.ann, "1.0.0")
    assert "waits for 1 more signature: 1 of 2" in first.err
    artifact = artifact_key(APP, said["artifacts"][0]["sha256"])
    assert team.desk.files().keys() - before.keys() == {artifact}
    assert {key: data for key, data in team.desk.files().items() if key in before} == before
    last = team.sign(team.cleo, "1.0.0", "--json")
    assert last.json()["live"] is True
    assert "It is live" in last.err
    assert team.desk.offers() == {"1.0.0": 10_000}
    assert team.waiting() == []


def test_a_publish_with_one_key_counts_as_the_first_signature(team: Team) -> None:
    key = str(team.ann.folder / "mine.pem")
    begun = team.desk.publish("1.0.0", "--key", key)
    assert "waits for 1 more signature: 1 of 2" in begun.err
    team.sign(team.bob, "1.0.0")
    assert team.desk.versions() == {"0.9.0", "1.0.0"}


def test_status_and_pending_show_who_has_signed(team: Team) -> None:
    team.begin("1.0.0")
    team.sign(team.bob, "1.0.0")
    shown = team.ci.must("pending", APP).out
    for words in ("publish 1.0.0 to stable", "by admin", "signed   by 1 of 2", "1.0.0 in stable"):
        assert words in shown
    assert team.change() in shown
    assert len(team.waiting()[0]["lacking"]) == 2
    for words in ("signed   by 1 of 2", "lacking  1 of ", "reports waiting to be counted: none"):
        assert words in team.ci.must("status", APP).out
    assert team.ci.must("status", APP_OPTION, "--json").json()["pending"] == team.waiting()
    row = team.ci.must("status", "--all").out.splitlines()[1].split()
    assert row[:6] == [APP, "1", "2", "1", "stable", "0.9.0"]
    assert row[6:8] == ["1", "timestamp"]
    team.ci.must_end(2, ["status", APP, "--all"], "both one app and all")
    team.ci.must_end(2, ["status", APP, "beta"], "too many arguments")
    reader = team.desk.elsewhere(
        "reader", LOCKGATE_TOKEN=team.desk.server.token(Scope.READ), LOCKGATE_SERVER=team.desk.api
    )
    assert team.change() in reader.must("pending", APP).out


def test_a_plan_and_several_channels_go_live_together(team: Team) -> None:
    team.begin("1.0.0", "--channel", "stable", "--channel", "beta", "--rollout", "canary")
    team.sign(team.ann, "1.0.0")
    assert team.desk.offers("beta") == {}
    shown = team.bob.must("sign", APP, "1.0.0", "--dry-run").out
    assert "> the server will offer 1.0.0 in beta, by the plan canary" in shown
    team.sign(team.bob, "1.0.0")
    assert team.desk.offers() == {"1.0.0": 100, "0.9.0": 10_000}
    assert set(team.desk.offers("beta")) == {"1.0.0"}


def test_promotion_retirement_a_lift_and_a_renewal_take_two_people_too(team: Team) -> None:
    team.begin("1.0.0")
    team.sign(team.ann, "1.0.0")
    team.sign(team.bob, "1.0.0")
    promoted = team.ci.must(
        "promote", APP, "1.0.0", "--from", "stable", "--to", "beta", "--unsigned"
    )
    assert "waits for 2 more" in promoted.err
    shown = team.ann.must("sign", APP, "1.0.0", "--dry-run").out
    assert "~ 1.0.0: may be offered in beta too" in shown
    team.sign_all("1.0.0")
    assert team.desk.offers("beta") == {"1.0.0": 10_000}
    team.ci.must("releases", "retire", APP_OPTION, "0.9.0", "--unsigned", "--yes")
    assert "- 0.9.0 vanishes" in team.ann.must("sign", APP, "0.9.0", "--dry-run").out
    team.sign_all("0.9.0")
    assert team.desk.versions() == {"1.0.0"}
    team.ci.must("revoke", APP, "1.0.0", "--channel", "beta", "--reason", "bad", "--yes")
    team.ci.must("unrevoke", APP, "1.0.0", "--reason", "good", "--unsigned", "--yes")
    shown = team.ann.must("sign", APP, "1.0.0", "--dry-run").out
    assert "its revocation in beta is lifted" in shown
    assert "> the server will take back the revocation of 1.0.0 in beta" in shown
    team.sign_all("1.0.0")
    team.ci.must("promote", APP, "1.0.0", "--from", "beta", "--to", "beta")
    before = team.desk.chain().releases.version
    renewed = team.ci.must("renew", APP_OPTION, "--role", "releases", "--unsigned")
    assert "To sign it: lockgate sign demo renewal" in renewed.err
    assert "the list stays as it is" in team.bob.must("sign", APP, "renewal", "--dry-run").out
    team.sign_all("renewal")
    assert team.desk.chain().releases.version == before + 1


# What a signer sees, and decides.


def test_an_exception_that_the_channel_does_not_need_is_told_too_and_no_other(team: Team) -> None:
    team.begin("1.0.0", "--allow-unattested")
    shown = team.ann.must("sign", APP, "1.0.0", "--dry-run")
    assert "which stable does not demand today" in shown.err
    joined = team.begin("1.1.0", "--join")
    assert "wants 1.0.0 offered in stable without anybody asking" in joined.err
    team.ci.must("withdraw", APP, "1.1.0", "--yes")
    team.begin("1.0.0")
    assert team.waiting()[0]["unattested"] == []
    assert "unattested" not in team.ann.must("sign", APP, "1.0.0", "--dry-run").err


def test_the_signer_sees_what_is_signed(team: Team) -> None:
    (team.desk.folder / "notes.md").write_text("# What changed\n\nEverything.\n")
    arguments = ("--entrypoint", "bin/app", "--health", "bin/app --check", "--notes", "notes.md")
    begun = team.begin("1.0.0", *arguments, "--floor", "0.9.0", "--json").json()
    shown = team.ann.must("sign", APP, "1.0.0", "--dry-run").out
    for words in (
        "+ 1.0.0 appears in the signed list",
        "~ 0.9.0: floors are now stable 0.9.0",
        begun["artifacts"][0]["sha256"],
        "allowed in stable",
        '"entrypoint": "bin/app"',
        '"command": ["bin/app", "--check"]',
        "    Everything.",
        "0 of 2 signatures",
        f"change {team.change()}",
    ):
        assert words in shown, shown
    assert team.waiting()[0]["signatures"] == []


def test_who_has_built_it_too_signs_that_and_nothing_else(team: Team) -> None:
    team.begin("1.0.0")
    built = team.desk.folder / "demo-1.0.0.tar.gz"
    theirs = team.ann.folder / "theirs.tar.gz"
    theirs.write_bytes(built.read_bytes() + b"!")
    arguments = ["sign", APP, "1.0.0", "--yes", "--artifact"]
    other = [*arguments, "linux-x86_64=theirs.tar.gz"]
    team.ann.must_end(ExitCode.REFUSED, other, "linux-x86_64: not what was built here")
    stranger = [*arguments, "linux-aarch64=theirs.tar.gz"]
    team.ann.must_end(ExitCode.USAGE, stranger, "nothing new for this platform")
    missing = [*arguments, "linux-x86_64=missing.tar.gz"]
    team.ann.must_end(ExitCode.LOCAL, missing, "missing.tar.gz")
    assert team.waiting()[0]["signatures"] == []
    theirs.write_bytes(built.read_bytes())
    team.ann.must(*other)
    assert team.waiting()[0]["missing"] == 1


def test_nothing_is_signed_that_nobody_confirms(team: Team) -> None:
    team.begin("1.0.0")
    team.ann.must_end(ExitCode.USAGE, ["sign", APP, "1.0.0"], "nobody is here to confirm")
    team.ann.watched = True
    team.ann.answers = ["no"]
    team.ann.must_end(ExitCode.USAGE, ["sign", APP, "1.0.0"], "not confirmed")
    assert team.waiting()[0]["signatures"] == []
    team.ann.answers = ["y"]
    team.ann.must("sign", APP, "1.0.0")
    assert team.change()[:12] in team.ann.questions[-1]
    assert team.waiting()[0]["missing"] == 1


def test_signing_again_and_signing_what_is_live_change_nothing(team: Team) -> None:
    team.begin("1.0.0")
    team.sign(team.ann, "1.0.0")
    again = team.sign(team.ann, "1.0.0", "--json")
    assert "Your key has signed it already" in again.err
    assert (again.json()["changed"], again.json()["pending"]["missing"]) == (False, 1)
    team.sign(team.bob, "1.0.0")
    late = team.sign(team.cleo, "1.0.0", "--json")
    assert "live already" in late.err
    assert late.json()["live"] is True
    unknown = ["sign", APP, "3.0.0", "--yes"]
    team.cleo.must_end(ExitCode.USAGE, unknown, "nothing of that name waits")


def test_a_key_that_is_no_publishers_signs_nothing(team: Team) -> None:
    team.begin("1.0.0")
    maintainer = str(team.desk.folder / "keys" / "root" / "maintainer-1.pem")
    arguments = ["sign", APP, "1.0.0", "--yes", "--key", maintainer]
    team.ann.must_end(ExitCode.USAGE, arguments, "not keys of this role")
    reader = team.desk.server.token(Scope.READ)
    denied = ["sign", APP, "1.0.0", "--yes", "--token", reader]
    team.ann.must_end(ExitCode.DENIED, denied, "scope publish")
    assert team.waiting()[0]["signatures"] == []


def test_a_last_signature_that_is_refused_is_kept_and_its_owner_told_so(team: Team) -> None:
    said = team.begin("1.0.0", "--json").json()
    team.sign(team.ann, "1.0.0")
    key = artifact_key(APP, said["artifacts"][0]["sha256"])
    kept = team.desk.server.store.objects.pop(key)
    words = ("The signatures are kept", "the artifact is not on the server")
    team.bob.must_end(ExitCode.USAGE, ["sign", APP, "1.0.0", "--yes"], *words)
    assert "not on the server" in team.ci.must("pending", APP).err
    assert "not on the server" in team.ci.must("status", APP_OPTION).err
    assert team.desk.versions() == {"0.9.0"}
    team.desk.server.store.objects[key] = kept
    assert team.sign(team.bob, "1.0.0", "--json").json()["live"] is True
    assert team.desk.publish("1.0.0", "--unsigned", "--json").json()["live"] is True


# One at a time.


def test_a_second_publish_is_told_what_waits(team: Team) -> None:
    team.begin("1.0.0")
    team.sign(team.bob, "1.0.0")
    key = str(team.ann.folder / "mine.pem")
    words = (
        "'publish 1.0.0 to stable'",
        "begun by admin",
        "1 of 2",
        "lockgate withdraw demo 1.0.0",
    )
    arguments = team.desk.publish_arguments("1.1.0", "--key", key)
    before = team.desk.files()
    team.ci.must_end(ExitCode.CONFLICT, arguments, *words)
    assert team.desk.files() == before, "uploaded for nothing"
    assert team.ci.waited_s == [], "it was asked again, though nothing changes by that"
    renewal = ["renew", APP_OPTION, "--role", "releases", "--key", key]
    team.ci.must_end(ExitCode.CONFLICT, renewal, *words)


def test_the_same_publish_again_changes_nothing_while_it_waits(team: Team) -> None:
    team.begin("1.0.0")
    team.sign(team.ann, "1.0.0")
    change, before = team.change(), team.desk.files()
    team.desk.pass_time(hours=1)
    for more in (["--unsigned"], ["--key", str(team.bob.folder / "mine.pem")]):
        again = team.desk.publish("1.0.0", *more, "--json")
        assert "waits for signatures already, just so" in again.err
        assert again.json()["pending"]["change"] == change
    assert (team.change(), team.desk.files()) == (change, before)
    team.desk.build("1.0.0", content="another")
    other = team.desk.publish_arguments("1.0.0", "--unsigned")
    team.ci.must_end(ExitCode.CONFLICT, other, "another change waits for signatures")
    team.sign(team.bob, "1.0.0")
    assert team.desk.versions() == {"0.9.0", "1.0.0"}


def test_what_nobody_has_signed_is_joined_by_a_run_that_signs_nothing(team: Team) -> None:
    team.begin("1.0.0")
    first = team.change()
    joined = team.begin("1.1.0", "--channel", "beta")
    assert "+ 1.0.0 appears in the signed list" in joined.err
    assert team.change() != first
    shown = team.ann.must("sign", APP, "1.0.0", "--dry-run").out
    for words in ("+ 1.0.0 appears", "+ 1.1.0 appears", "1.0.0 in stable", "1.1.0 in beta"):
        assert words in shown
    team.sign(team.ann, "1.1.0")
    arguments = team.desk.publish_arguments("1.2.0", "--unsigned")
    team.ci.must_end(ExitCode.CONFLICT, arguments, "1 of 2")
    team.sign(team.bob, "1.0.0")
    assert team.desk.versions() == {"0.9.0", "1.0.0", "1.1.0"}
    assert team.desk.offers() == {"1.0.0": 10_000}
    assert team.desk.offers("beta") == {"1.1.0": 10_000}


def test_who_signs_joins_only_if_they_say_so_and_have_seen_it(team: Team) -> None:
    team.begin("1.0.0")
    key = ("--key", str(team.ann.folder / "mine.pem"))
    arguments = team.desk.publish_arguments("1.1.0", *key)
    team.ci.must_end(ExitCode.CONFLICT, arguments, "--join")
    team.ci.watched = True
    team.ci.answers = ["n"]
    team.ci.must_end(ExitCode.USAGE, [*arguments, "--join"], "+ 1.0.0 appears", "not confirmed")
    assert team.waiting()[0]["versions"] == ["1.0.0"]
    team.ci.answers = ["y"]
    team.ci.must(*arguments, "--join")
    team.sign(team.bob, "1.1.0")
    assert team.desk.versions() == {"0.9.0", "1.0.0", "1.1.0"}


def test_what_somebody_else_began_is_joined_whole(team: Team) -> None:
    team.begin("1.0.0")
    promote = ("promote", APP, "0.9.0", "--from", "stable", "--to", "beta", "--unsigned")
    team.bob.must(*promote)
    (waiting,) = team.waiting()
    assert waiting["versions"] == ["0.9.0", "1.0.0"]
    assert {offer["channel"] for offer in waiting["offers"]} == {"stable", "beta"}
    team.sign_all("1.0.0")
    assert set(team.desk.offers("beta")) == {"0.9.0"}
    assert set(team.desk.offers()) == {"1.0.0"}


def test_what_is_withdrawn_makes_room(team: Team) -> None:
    team.begin("1.0.0")
    change = team.change()
    asked = ["withdraw", APP, "1.0.0"]
    team.ci.must_end(ExitCode.USAGE, asked, "nobody is here to confirm")
    assert "publish 1.0.0" in team.ann.must(*asked, "--dry-run").out
    assert team.change() == change
    team.ann.must_end(
        ExitCode.DENIED, [*asked, "--yes"], "somebody else has begun it", "maintainer"
    )
    assert team.change() == change
    gone = team.ci.must(*asked, "--reason", "the wrong build", "--yes", "--json")
    assert gone.json()["change"] == change
    team.bob.must_end(ExitCode.USAGE, ["sign", APP, "1.0.0", "--yes"], "nothing of that name")
    team.ci.must_end(ExitCode.USAGE, [*asked, "--yes"], "nothing of that name")
    team.begin("1.0.1")
    team.sign_all("1.0.1")
    assert team.desk.versions() == {"0.9.0", "1.0.1"}
    bob = ["promote", APP, "1.0.1", "--from", "stable", "--to", "beta", "--unsigned"]
    team.bob.must(*bob)
    team.bob.must("withdraw", APP, "1.0.1", "--yes")
    log = team.ci.must("audit", APP_OPTION, "--json").json()["entries"]
    actions = [entry["action"] for entry in log if entry["action"].startswith("pending")]
    assert actions[-2:] == ["pending.withdraw", "pending.begin"]
    assert actions[:2] == ["pending.withdraw", "pending.begin"]


def test_what_could_never_go_live_can_be_made_again(team: Team) -> None:
    team.begin("1.0.0")
    team.sign(team.ann, "1.0.0")
    ledger = team.desk.server.ledger
    kept = dict(ledger.changes)
    ledger.changes.clear()
    team.begin("0.9.5")
    team.sign_all("0.9.5")
    ledger.changes.update(kept)
    assert "another list is in force" in team.ci.must("pending", APP).err
    arguments = ["sign", APP, "1.0.0", "--yes"]
    team.bob.must_end(ExitCode.CONFLICT, arguments, "does not follow the list in force")
    team.begin("1.0.0")
    team.sign_all("1.0.0")
    assert team.desk.versions() == {"0.9.0", "0.9.5", "1.0.0"}
