"""Three maintainers, each with a folder of their own, change keys on a file they pass round."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.trust.chain import load_chain
from tests.simulators.ceremony_team import (
    NAMES,
    PASSPHRASE,
    REGISTRATION,
    Team,
    found_app,
    founding,
    open_team,
)
from tests.simulators.release_desk import APP


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with open_team(tmp_path) as made:
        yield made


@pytest.fixture
def founded(team: Team) -> Team:
    found_app(team)
    return team


def test_no_one_person_holds_all_keys_of_a_new_app(founded: Team) -> None:
    desk = founded.desk
    chain = desk.chain()
    assert chain.root.signed.roles["root"].threshold == 2
    assert set(founded.keys_of()) == set(NAMES)
    for name in NAMES:
        pems = list(founded.people[name].folder.rglob("*.pem"))
        assert b"ENCRYPTED" in (founded.people[name].folder / "me.pem").read_bytes()
        assert len(pems) == (2 if name == "anna" else 1)  # Anna made the publisher's key, too
    desk.publish("1.0.0")
    assert desk.versions() == {"1.0.0"}


def test_a_new_app_needs_as_many_signatures_as_its_threshold(team: Team) -> None:
    team.anna.must(*founding(team, *NAMES))
    team.sign("anna", REGISTRATION)
    before = team.desk.files()
    ended = team.anna.must_end(
        ExitCode.USAGE, ["root", "submit", REGISTRATION], "not enough signatures", "can still sign"
    )
    assert "bert" in ended.err
    assert team.desk.files() == before


def test_a_second_init_goes_on_with_the_ceremony_that_is_there(team: Team) -> None:
    arguments = founding(team, *NAMES)
    team.anna.must(*arguments)
    team.sign("anna", REGISTRATION)
    team.anna.pass_time(hours=1)
    ended = team.anna.must(*arguments, "--json")
    assert "going on with the ceremony" in ended.err
    assert [one["name"] for one in ended.json()["demands"][0]["signed"]] == ["anna"]
    arguments[arguments.index("2")] = "3"
    team.anna.must_end(ExitCode.CONFLICT, arguments, "holds another ceremony")


def test_two_of_three_people_replace_the_third_s_key(founded: Team) -> None:
    desk, cleo = founded.desk, founded.keys_of()["cleo"]
    founded.newcomer("dora")
    founded.mail("dora")
    made = founded.anna.must("root", "rotate", "c.json", "cleo", "dora.pub")
    assert f"- cleo {cleo} goes" in made.err
    founded.pass_round("c.json", "anna", "bert")
    founded.submit("c.json")
    assert set(founded.keys_of()) == {"anna", "bert", "dora"}
    assert set(founded.keys_of("targets")) == {"anna", "bert", "dora"}
    # The one who left counts for nothing, and the newcomer counts, once caches know it.
    founded.pass_time(days=2)
    founded.anna.must("root", "renew", "r.json")
    founded.hand("r.json", "anna", "cleo")
    founded.people["cleo"].must_end(
        ExitCode.USAGE,
        ["root", "sign", "r.json", "--key", "me.pem", "--yes"],
        "does not count here",
    )
    founded.tell("dora")
    founded.pass_round("r.json", "dora", "bert")
    founded.submit("r.json")
    assert desk.chain().root.version == 3
    desk.publish("1.0.0")
    assert desk.versions() == {"1.0.0"}


def test_one_of_three_changes_nothing(founded: Team) -> None:
    before = founded.desk.files()
    founded.anna.must("root", "set-threshold", "c.json", "1")
    founded.sign("anna", "c.json")
    founded.anna.must_end(ExitCode.USAGE, ["root", "submit", "c.json"], "not enough signatures")
    assert founded.desk.files() == before


def test_publishers_are_replaced_by_maintainers_and_the_new_publisher(founded: Team) -> None:
    desk = founded.desk
    desk.publish("1.0.0")
    (old,) = founded.keys_of("releases").values()
    ci = founded.newcomer("ci")
    founded.mail("ci")
    founded.anna.must("root", "rotate", "p.json", old[:8], "ci.pub", "--role", "releases")
    founded.tell("ci")
    founded.pass_round("p.json", "anna", "bert", "ci")
    founded.submit("p.json")
    assert list(founded.keys_of("releases")) == ["ci"]
    desk.refuse(ExitCode.USAGE, "1.1.0", words="not enough signatures")
    shutil.copy(ci.folder / "me.pem", founded.anna.folder / "ci.pem")
    desk.publish("1.1.0", "--key", "ci.pem")
    assert desk.versions() == {"1.0.0", "1.1.0"}


def test_a_release_in_between_is_taken_in_without_new_signatures_on_the_rules(
    founded: Team,
) -> None:
    (old,) = founded.keys_of("releases").values()
    ci = founded.newcomer("ci")
    founded.mail("ci")
    founded.anna.must("root", "rotate", "p.json", old, "ci.pub", "--role", "releases")
    founded.pass_round("p.json", "anna", "bert")
    founded.desk.publish("1.0.0")
    founded.tell("ci")
    founded.hand("p.json", "anna", "ci")
    ci.must_end(
        ExitCode.CONFLICT,
        ["root", "sign", "p.json", "--key", "me.pem", "--yes"],
        "another state",
        "lockgate root renew",
    )
    founded.anna.must("root", "renew", "p.json")
    founded.pass_round("p.json", "ci")
    founded.submit("p.json")
    assert founded.desk.versions() == {"1.0.0"}


def test_what_has_expired_is_renewed(founded: Team) -> None:
    founded.pass_time(days=400)
    founded.desk.sign_again()
    roles = ["--role", "root", "--role", "targets", "--role", "releases"]
    founded.anna.must("root", "renew", "r.json", *roles)
    founded.pass_round("r.json", "anna", "bert")
    founded.anna.must("root", "sign", "r.json", "--yes")  # the publisher's key, from the settings
    founded.submit("r.json")
    chain = founded.desk.chain()
    for role in ("root", "targets", "releases"):
        assert getattr(chain, role).signed.expires > founded.anna.now


def test_submitting_again_changes_nothing_and_says_so(founded: Team) -> None:
    founded.anna.must("root", "renew", "r.json")
    founded.pass_round("r.json", "anna", "bert")
    founded.submit("r.json")
    files = founded.desk.files()
    assert founded.anna.must("root", "submit", "r.json", "--json").json()["changed"] is False
    assert founded.desk.files() == files
    shown = founded.anna.must("root", "show", "r.json", "--json")
    assert "All of it is in force" in shown.err
    assert shown.json()["in_force"] == ["root", "targets"]


def test_a_dry_run_writes_nothing_anywhere(founded: Team) -> None:
    before = founded.desk.files()
    founded.anna.must("root", "renew", "r.json", "--dry-run")
    assert not (founded.anna.folder / "r.json").exists()
    founded.anna.must("root", "renew", "r.json")
    made = (founded.anna.folder / "r.json").read_bytes()
    founded.anna.must("root", "sign", "r.json", "--key", "me.pem", "--dry-run")
    assert (founded.anna.folder / "r.json").read_bytes() == made
    founded.pass_round("r.json", "anna", "bert")
    founded.anna.must("root", "submit", "r.json", "--dry-run")
    assert founded.desk.files() == before


def test_nothing_is_signed_before_a_person_has_said_yes(founded: Team) -> None:
    founded.anna.must("root", "renew", "r.json")
    made = (founded.anna.folder / "r.json").read_bytes()
    arguments = ["root", "sign", "r.json", "--key", "me.pem"]
    founded.anna.must_end(ExitCode.USAGE, arguments, "nobody is here to confirm")
    founded.anna.watched, founded.anna.answers = True, ["no"]
    founded.anna.must_end(ExitCode.USAGE, arguments, "nothing was signed")
    assert (founded.anna.folder / "r.json").read_bytes() == made
    del founded.anna.environ["LOCKGATE_KEY_PASSPHRASE"]
    founded.anna.answers, founded.anna.secrets = ["yes"], [PASSPHRASE]
    assert "Signed by anna" in founded.anna.must(*arguments).err


def test_what_makes_no_sense_is_refused_before_anybody_signs(founded: Team) -> None:
    for words, arguments in {
        "no key of this role": ["remove-key", "c.json", "anna", "--role", "releases"],
        "nobody could sign any more": ["set-threshold", "c.json", "4"],
        "speaks for it already": ["add-key", "c.json", "anna.pub"],
        "nothing would change": ["set-threshold", "c.json", "2"],
        "no such role": ["set-threshold", "c.json", "2", "--role", "strangers"],
        "not a role that is renewed by people": ["renew", "c.json", "--role", "online"],
        "which key by which": ["rotate", "c.json", "anna"],
        "no such file": ["add-key", "c.json", "missing.pub"],
    }.items():
        founded.anna.must_end(ExitCode.USAGE, ["root", *arguments], words)
        assert not (founded.anna.folder / "c.json").exists()


def test_keys_that_go_one_by_one_never_lock_everybody_out(founded: Team) -> None:
    founded.anna.must("root", "remove-key", "c.json", "cleo")
    founded.anna.must_end(
        ExitCode.USAGE, ["root", "remove-key", "c.json", "bert"], "nobody could sign any more"
    )
    ended = founded.anna.must("root", "remove-key", "c.json", "bert", "--threshold", "1")
    assert "whoever has one of its keys alone decides" in ended.err


def test_a_client_at_the_first_root_follows_every_ceremony(founded: Team) -> None:
    desk = founded.desk
    first = (founded.anna.folder / "keys" / "root.json").read_bytes()
    previous = "cleo"
    for number in range(3):
        name = f"new-{number}"
        founded.newcomer(name)
        founded.mail(name)
        founded.anna.must("root", "rotate", f"{number}.json", previous, f"{name}.pub")
        founded.pass_round(f"{number}.json", "anna", "bert")
        desk.pass_time(hours=1)
        founded.submit(f"{number}.json")
        previous = name
        files = desk.files()
        chain = load_chain(
            lambda name, files=files: files.get(f"{APP}/metadata/{name}"),  # type: ignore[misc]
            first,
            now=None,
        )
        assert chain.root.version == number + 2
