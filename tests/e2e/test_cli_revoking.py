"""`lockgate revoke` and `unrevoke` against the real api app."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.reports import parse_reports
from lockgate_server.ports import Scope
from lockgate_server.ports.reports import Admitted
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.init()
        yield made


def revoke(version: str, *more: str) -> list[str]:
    return ["revoke", APP, version, "--reason", "it breaks", *more]


def test_a_dry_run_says_how_many_clients_sit_on_it(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    report_active(desk, "1.0.0", 3)
    report_active(desk, "1.1.0", 2)
    ended = desk.person.must(*revoke("1.1.0", "--dry-run", "--json"))
    today = f"{desk.server.now:%Y-%m-%d}"
    assert ended.json()["clients"] == {"day": today, "on_it": {"stable": 2}, "of": {"stable": 5}}
    assert f"stable: 2 of 5 clients that reported on {today} have it" in ended.err
    assert "stable: clients go to 1.0.0" in ended.err
    desk.pass_time(days=1)
    again = desk.person.must(*revoke("1.1.0", "--dry-run", "--json")).json()
    assert again["clients"]["day"] == today, "nobody has reported yet today"
    desk.pass_time(days=1)
    assert desk.person.must(*revoke("1.1.0", "--dry-run", "--json")).json()["clients"] is None


def report_active(desk: ReleaseDesk, version: str, clients: int) -> None:
    reports = [
        {
            "kind": "active",
            "nonce": f"{version.encode().hex()}{number:02x}".zfill(32),
            "channel": "stable",
            "version": version,
            "platform": PLATFORM,
            "last_counted": "",
        }
        for number in range(clients)
    ]
    body = json.dumps({"_type": "lockgate.reports", "reports": reports}).encode()
    now = desk.server.now
    admitted = [
        Admitted(app=APP, report=report, until=now + timedelta(days=2))
        for report in parse_reports(body).reports
    ]
    desk.server.write_deps().reports.add(admitted, {}, now=now)


def test_a_person_sees_what_it_does_before_confirming(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.person.watched = True
    desk.person.answers = ["no"]
    ended = desk.person.must_end(ExitCode.USAGE, revoke("1.0.0"), "nothing was done")
    assert "channel stable is left empty" in ended.err
    assert desk.offers() == {"1.0.0": 10_000}


def test_a_person_confirms_a_revocation_by_typing_the_version(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    desk.person.watched = True
    desk.person.answers = ["yes", "1.1.0"]
    desk.person.must_end(ExitCode.USAGE, revoke("1.1.0"), "nothing was done")
    assert desk.offers() == {"1.1.0": 10_000}
    ended = desk.person.must(*revoke("1.1.0"))
    assert desk.offers() == {"1.0.0": 10_000}
    assert "stable: clients go to 1.0.0" in ended.err
    assert "2026-01-31T09:13:00Z" in ended.err


def test_without_a_terminal_a_revocation_demands_yes(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.person.must_end(ExitCode.USAGE, revoke("1.0.0"), "--yes")
    assert desk.offers() == {"1.0.0": 10_000}


def test_revoking_the_last_release_says_that_nothing_is_left(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    ended = desk.person.must(*revoke("1.0.0", "--yes", "--json"))
    assert ended.json()["goes_to"] == {"stable": None}
    assert "warning" in ended.err
    assert desk.offers() == {}


def test_revoking_again_changes_nothing_and_says_so(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.person.must(*revoke("1.0.0", "--yes", "--remedy", "block-new"))
    before = desk.files()
    ended = desk.person.must(*revoke("1.0.0", "--yes", "--remedy", "block-new"))
    assert "Nothing to do" in ended.err
    assert desk.files() == before


def test_a_revocation_may_stay_in_one_channel(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0", "--channel", "stable", "--channel", "beta")
    desk.person.must(*revoke("1.0.0", "--yes", "--channel", "beta"))
    assert desk.offers("stable") == {"1.0.0": 10_000}
    assert desk.offers("beta") == {}


def test_a_dry_run_of_a_revocation_shows_who_is_concerned(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    before = desk.files()
    ended = desk.person.must(*revoke("1.0.0", "--dry-run", "--json"))
    said = ended.json()
    assert (said["dry_run"], said["changed"], said["would_change"]) == (True, False, True)
    assert said["offered_in"] == {"stable": 10_000}
    assert said["goes_to"] == {"stable": None}
    assert said["clients"] is None
    assert "this server has no reports" in ended.err
    assert "channel stable is left empty" in ended.err
    assert "Clients that check hourly have heard by" in ended.err
    assert "no channel offers it" in desk.person.must(*revoke("2.0.0", "--dry-run")).err
    assert desk.files() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["revoke", APP, "1.0.0", "--yes"],
        ["revoke", APP, "1.0.0", "--reason", "  ", "--yes"],
        ["revoke", APP, "not/one", "--reason", "bad", "--yes"],
        ["revoke", APP, "1.0.0", "--reason", "bad", "--yes", "--remedy", "pray"],
        ["revoke", APP, "1.0.0", "--reason", "bad", "--yes", "--channel", "No"],
    ],
)
def test_a_revocation_that_makes_no_sense_is_refused(
    desk: ReleaseDesk, arguments: list[str]
) -> None:
    desk.publish("1.0.0")
    assert desk.person.run(*arguments).code == ExitCode.USAGE
    assert desk.offers() == {"1.0.0": 10_000}


def test_publishing_cannot_revoke(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    token = desk.server.token(Scope.PUBLISH)
    desk.person.must_end(ExitCode.DENIED, revoke("1.0.0", "--yes", "--token", token))


def test_a_revoked_release_is_not_published_again(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    desk.person.must(*revoke("1.1.0", "--yes"))
    desk.refuse(ExitCode.USAGE, "1.1.0", words="it breaks")


def test_a_revocation_is_taken_back_with_the_publishers_signatures(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    desk.person.must(*revoke("1.1.0", "--yes"))
    unrevoke = ["unrevoke", APP, "1.1.0", "--reason", "it was the printer"]
    before = desk.files()
    said = desk.person.must(*unrevoke, "--dry-run").err
    assert "1.1.0: its revocation in stable is lifted" in said
    desk.person.must_end(ExitCode.USAGE, unrevoke, "--yes")
    assert desk.files() == before
    ended = desk.person.must(*unrevoke, "--yes", "--json")
    assert ended.json()["lifted_in"] == ["stable"]
    assert desk.offers() == {"1.0.0": 10_000}, "a lift offers nothing"
    assert "Nothing to do" in desk.person.must(*unrevoke, "--yes").err
    hint = "lockgate promote demo 1.1.0 --from stable --to stable"
    assert hint in ended.err
    desk.person.must(*hint.split()[1:])
    assert desk.offers() == {"1.1.0": 10_000}
    actions = [item["action"] for item in desk.person.must("audit", "--json").json()["entries"]]
    assert "unrevoke" in actions


def test_a_revocation_that_was_lifted_once_can_be_made_again(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    unrevoke = ["unrevoke", APP, "1.0.0", "--reason", "no", "--yes"]
    for _ in range(2):
        desk.person.must(*revoke("1.0.0", "--yes"))
        desk.refuse(ExitCode.USAGE, "1.0.0", words="revoked")
        desk.person.must(*unrevoke)
    desk.publish("1.0.0")
    assert desk.offers() == {"1.0.0": 10_000}


def test_what_cannot_be_unrevoked_is_refused(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    unrevoke = ["unrevoke", APP, "1.1.0", "--reason", "no", "--yes"]
    assert "Nothing to do" in desk.person.must(*unrevoke).err
    desk.person.must_end(ExitCode.USAGE, [*unrevoke, "--channel", "beta"], "no such channel")
    desk.person.must(*revoke("1.1.0", "--yes"))
    missing = desk.folder / "keys" / "nobody.pem"
    desk.person.must_end(ExitCode.LOCAL, [*unrevoke, "--key", str(missing)], "nobody.pem")
    desk.person.must("releases", "retire", "1.1.0", "--yes")
    desk.person.must_end(ExitCode.USAGE, unrevoke, "sealed is for good")


def test_a_revoked_release_is_promoted_nowhere(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.person.must(*revoke("1.0.0", "--yes"))
    promote = ["promote", APP, "1.0.0", "--from", "stable", "--to", "lts"]
    desk.person.must_end(ExitCode.USAGE, promote, "revoked")
    assert desk.offers("lts") == {}


def test_a_revoked_release_is_sealed_by_retiring_it(desk: ReleaseDesk) -> None:
    desk.publish("1.0.0")
    desk.publish("1.1.0")
    retire = ["releases", "retire", "1.1.0"]
    desk.person.must_end(ExitCode.USAGE, retire, "still offered")
    desk.person.must(*revoke("1.1.0", "--yes"))
    desk.person.must(*retire)
    assert desk.versions() == {"1.0.0"}
