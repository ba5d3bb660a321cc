"""Three maintainers, each with a folder of their own, change keys on a file they pass round."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.trust.chain import load_chain
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.public_keys import to_key_file
from lockgate_server.ports import Scope
from tests.simulators.command_line import CommandLine, Ended
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

PASSPHRASE = "correct horse battery"
NAMES = ("anna", "bert", "cleo")
REGISTRATION = f"{APP}-registration.json"


@dataclass(kw_only=True)
class Team:
    """Anna begins, and has a token; Bert and Cleo have a key each, and no token.

    Attributes:
        desk: The server, and Anna's folder.
        people: Everybody by name.
    """

    desk: ReleaseDesk
    people: dict[str, CommandLine]

    @property
    def anna(self) -> CommandLine:
        return self.people["anna"]

    def hand(self, file: str, giver: str, taker: str) -> None:
        """Carry a file from one folder to the other."""
        if giver != taker:
            folders = self.people[giver].folder, self.people[taker].folder
            shutil.copy(folders[0] / file, folders[1] / file)

    def pass_time(self, **span: float) -> None:
        """Let the same time pass for everybody."""
        self.desk.pass_time(**span)
        for person in self.people.values():
            person.now = self.desk.person.now

    def newcomer(self, name: str, **environ: str) -> CommandLine:
        """Somebody with a new key, who knows the app from its root.json and lockgate.toml."""
        person = self.desk.elsewhere(name, LOCKGATE_KEY_PASSPHRASE=PASSPHRASE, **environ)
        person.must("keys", "generate", "me.pem", "--name", name)
        self.people[name] = person
        return person

    def tell(self, name: str) -> None:
        """Give somebody what is committed beside the code: the anchor and the settings."""
        folder = self.people[name].folder
        anchor = self.anna.folder / "keys" / "root.json"
        (folder / "root.json").write_bytes(anchor.read_bytes())
        said = f'app = "{APP}"\nserver = "{self.desk.api}"\nroot = "root.json"\n'
        (folder / "lockgate.toml").write_text(said + 'root_keys = ["me.pem"]\n')

    def sign(self, name: str, file: str) -> Ended:
        arguments = ["root", "sign", file, "--key", "me.pem", "--yes", "--server", self.desk.api]
        return self.people[name].must(*arguments)

    def pass_round(self, file: str, *names: str, giver: str = "anna") -> None:
        """Let these people sign one after the other; Anna has the file in the end."""
        for name in names:
            self.hand(file, giver, name)
            self.sign(name, file)
            giver = name
        self.hand(file, giver, "anna")

    def submit(self, file: str) -> Ended:
        return self.anna.must("root", "submit", file)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with open_desk(tmp_path) as desk:
        desk.person.environ["LOCKGATE_KEY_PASSPHRASE"] = PASSPHRASE
        # Caches forget while Anna's command waits for them.
        desk.person.while_waiting = lambda wait_s: desk.pass_time(seconds=wait_s)
        made = Team(desk=desk, people={"anna": desk.person})
        desk.person.must("keys", "generate", "me.pem", "--name", "anna")
        for name in NAMES[1:]:
            made.newcomer(name)
        yield made


def public_keys(team: Team, *names: str) -> list[str]:
    """Everybody's public half, as it was mailed to Anna."""
    found = []
    for name in names:
        mailed = team.anna.folder / f"{name}.pub"
        mailed.write_bytes((team.people[name].folder / "me.pub").read_bytes())
        found += ["--maintainer-key", mailed.name]
    return found


@pytest.fixture
def founded(team: Team) -> Team:
    """An app of which two of three people must sign the rules; one key in CI publishes."""
    begun = team.anna.must(
        "init", APP, "--server", team.desk.api, "--keys", "keys", "--publishers", "1",
        "--threshold", "2", *public_keys(team, *NAMES),
    )  # fmt: skip
    assert "Nothing is registered yet" in begun.err
    team.pass_round(REGISTRATION, "anna", "bert")
    team.submit(REGISTRATION)
    for name in NAMES:
        team.tell(name)
    settings = team.anna.folder / "lockgate.toml"
    settings.write_text(settings.read_text() + 'keys = ["keys/publisher/publisher-1.pem"]\n')
    return team


def keys_of(team: Team, role: str = "root") -> dict[str, str]:
    """Who speaks for a role: ids by name."""
    listed = team.anna.must("keys", "list", "--json").json()["keys"]
    return {one["name"] or one["keyid"]: one["keyid"] for one in listed if one["role"] == role}


def test_no_one_person_holds_all_keys_of_a_new_app(founded: Team) -> None:
    desk = founded.desk
    chain = desk.chain()
    assert chain.root.signed.roles["root"].threshold == 2
    assert set(keys_of(founded)) == set(NAMES)
    for name in NAMES:
        pems = list(founded.people[name].folder.rglob("*.pem"))
        assert b"ENCRYPTED" in (founded.people[name].folder / "me.pem").read_bytes()
        assert len(pems) == (2 if name == "anna" else 1)  # Anna made the publisher's key, too
    desk.publish("1.0.0")
    assert desk.versions() == {"1.0.0"}


def test_a_new_app_needs_as_many_signatures_as_its_threshold(team: Team) -> None:
    team.anna.must(
        "init", APP, "--server", team.desk.api, "--keys", "keys", "--publishers", "1",
        "--threshold", "2", *public_keys(team, *NAMES),
    )  # fmt: skip
    team.sign("anna", REGISTRATION)
    before = team.desk.files()
    ended = team.anna.must_end(
        ExitCode.USAGE, ["root", "submit", REGISTRATION], "not enough signatures", "can still sign"
    )
    assert "bert" in ended.err
    assert team.desk.files() == before


def test_a_second_init_goes_on_with_the_ceremony_that_is_there(team: Team) -> None:
    arguments = [
        "init", APP, "--server", team.desk.api, "--keys", "keys", "--publishers", "1",
        "--threshold", "2", *public_keys(team, *NAMES),
    ]  # fmt: skip
    team.anna.must(*arguments)
    team.sign("anna", REGISTRATION)
    team.anna.pass_time(hours=1)
    ended = team.anna.must(*arguments, "--json")
    assert "going on with the ceremony" in ended.err
    assert [one["name"] for one in ended.json()["demands"][0]["signed"]] == ["anna"]
    arguments[arguments.index("2")] = "3"
    team.anna.must_end(ExitCode.CONFLICT, arguments, "holds another ceremony")


def test_two_of_three_people_replace_the_third_s_key(founded: Team) -> None:
    desk, cleo = founded.desk, keys_of(founded)["cleo"]
    founded.newcomer("dora")
    shutil.copy(founded.people["dora"].folder / "me.pub", founded.anna.folder / "dora.pub")
    made = founded.anna.must("root", "rotate", "c.json", "cleo", "dora.pub")
    assert f"- cleo {cleo} goes" in made.err
    founded.pass_round("c.json", "anna", "bert")
    founded.submit("c.json")
    assert set(keys_of(founded)) == {"anna", "bert", "dora"}
    assert set(keys_of(founded, "targets")) == {"anna", "bert", "dora"}
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
    (old,) = keys_of(founded, "releases").values()
    ci = founded.newcomer("ci")
    shutil.copy(ci.folder / "me.pub", founded.anna.folder / "ci.pub")
    founded.anna.must("root", "rotate", "p.json", old[:8], "ci.pub", "--role", "releases")
    founded.tell("ci")
    founded.pass_round("p.json", "anna", "bert", "ci")
    founded.submit("p.json")
    assert list(keys_of(founded, "releases")) == ["ci"]
    desk.refuse(ExitCode.USAGE, "1.1.0", words="not enough signatures")
    shutil.copy(ci.folder / "me.pem", founded.anna.folder / "ci.pem")
    desk.publish("1.1.0", "--key", "ci.pem")
    assert desk.versions() == {"1.0.0", "1.1.0"}


def test_a_release_in_between_is_taken_in_without_new_signatures_on_the_rules(
    founded: Team,
) -> None:
    (old,) = keys_of(founded, "releases").values()
    ci = founded.newcomer("ci")
    shutil.copy(ci.folder / "me.pub", founded.anna.folder / "ci.pub")
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
    assert "All of it is in force" in founded.anna.must("root", "show", "r.json").err


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
        shutil.copy(founded.people[name].folder / "me.pub", founded.anna.folder / f"{name}.pub")
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


# -- The file on its way -----------------------------------------------------------------------


def rewritten(team: Team, file: str, **changes: Any) -> None:
    """Somebody on the way changes the file."""
    path = team.anna.folder / file
    body = json.loads(path.read_bytes())
    path.write_text(json.dumps({**body, **changes}))


def test_bert_is_told_what_the_file_does_and_not_what_it_says(founded: Team) -> None:
    mallory = generate_signer()
    (founded.anna.folder / "m.pub").write_bytes(to_key_file(mallory.public_key))
    founded.anna.must("root", "add-key", "c.json", "m.pub")
    rewritten(founded, "c.json", title="Renew root, nothing else")
    founded.hand("c.json", "anna", "bert")
    ended = founded.people["bert"].must("root", "show", "c.json")
    assert f"root and targets: + {mallory.public_key.keyid} comes" in ended.err
    assert "Somebody called it: Renew root, nothing else" in ended.err


def test_a_file_for_another_app_is_not_signed(founded: Team) -> None:
    founded.anna.must("root", "renew", "c.json")
    rewritten(founded, "c.json", app="another")
    founded.anna.must_end(ExitCode.USAGE, ["root", "show", "c.json"], "another app's ceremony")


def test_nobody_is_tricked_into_registering_a_known_app_anew(founded: Team, tmp_path: Path) -> None:
    # Mallory begins an app of the same name on a server of her own, with everybody's public keys.
    with open_desk(tmp_path / "mallory") as other:
        public_keys(founded, "bert")
        shutil.copy(founded.anna.folder / "bert.pub", other.folder / "bert.pub")
        other.person.must(
            "init", APP, "--server", other.api, "--keys", "keys", "--publishers", "1",
            "--maintainers", "1", "--maintainer-key", "bert.pub",
        )  # fmt: skip
        shutil.copy(other.folder / REGISTRATION, founded.people["bert"].folder)
    founded.people["bert"].must_end(
        ExitCode.CONFLICT,
        ["root", "sign", REGISTRATION, "--key", "me.pem", "--yes"],
        "this app is known here",
    )


def test_submitting_takes_scope_admin(founded: Team) -> None:
    founded.anna.must("root", "renew", "r.json")
    founded.pass_round("r.json", "anna", "bert")
    before = founded.desk.files()
    founded.anna.environ["LOCKGATE_TOKEN"] = founded.desk.server.token(Scope.PUBLISH)
    founded.anna.must_end(ExitCode.DENIED, ["root", "submit", "r.json"])
    assert founded.desk.files() == before


def test_a_machine_without_a_network_signs_what_it_compared_with_a_copy(founded: Team) -> None:
    for key, data in founded.desk.files().items():
        path = founded.people["bert"].folder / "copy" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    founded.anna.must("root", "renew", "c.json")
    founded.hand("c.json", "anna", "bert")
    (founded.people["bert"].folder / "lockgate.toml").unlink()
    founded.people["bert"].must(
        "root", "sign", "c.json", "--key", "me.pem", "--yes", "--from", "copy",
        "--root", "root.json",
    )  # fmt: skip
    founded.pass_round("c.json", "anna", giver="bert")
    founded.submit("c.json")
    assert founded.desk.chain().root.version == 2


def test_people_who_signed_copies_at_the_same_time_put_them_together(founded: Team) -> None:
    founded.anna.must("root", "renew", "c.json")
    founded.hand("c.json", "anna", "bert")
    founded.sign("bert", "c.json")
    founded.sign("anna", "c.json")
    shutil.copy(founded.people["bert"].folder / "c.json", founded.anna.folder / "from-bert.json")
    merged = founded.anna.must("root", "merge", "c.json", "from-bert.json", "--json")
    assert merged.json()["complete"] is True
    founded.submit("c.json")
    assert founded.desk.chain().root.version == 2


def test_the_server_s_key_is_replaced_once_both_have_signed(founded: Team) -> None:
    founded.desk.publish("1.0.0")
    (old,) = keys_of(founded, "online").values()
    founded.anna.must("root", "rotate", "s.json", "--role", "online")
    founded.pass_round("s.json", "anna", "bert")
    founded.submit("s.json")
    (new,) = keys_of(founded, "online").values()
    assert new != old
    founded.desk.publish("1.1.0")
    assert founded.desk.versions() == {"1.0.0", "1.1.0"}


def test_too_few_keys_for_renew_are_told_of_the_file_that_is_carried(founded: Team) -> None:
    founded.anna.must_end(
        ExitCode.USAGE, ["renew", "--role", "root", "--key", "me.pem"], "lockgate root renew"
    )
