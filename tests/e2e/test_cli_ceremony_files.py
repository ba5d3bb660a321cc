"""A ceremony file on its way: what somebody writes into it, what breaks off, and other paths."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockgate_cli.main import INTERRUPTED
from lockgate_release.errors import ExitCode
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.public_keys import to_key_file
from lockgate_server.ports import Scope
from tests.simulators.ceremony_team import (
    NAMES,
    REGISTRATION,
    Team,
    found_app,
    founding,
    open_team,
)
from tests.simulators.release_desk import APP, open_desk


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with open_team(tmp_path) as made:
        yield made


@pytest.fixture
def founded(team: Team) -> Team:
    found_app(team)
    return team


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


def _smuggle(body: Any) -> None:
    mallory = generate_signer().public_key
    body["parts"]["root"]["signed"]["keys"][mallory.keyid] = mallory.to_dict()


def _sign_as_a_stranger(body: Any) -> None:
    signature = {"keyid": "ab" * 32, "sig": "00" * 64}
    body["parts"]["root"]["signatures"].append(signature)


def _count_down(body: Any) -> None:
    body["base"]["targets"] -= 1


def _weaken(body: Any) -> None:
    body["parts"]["root"]["signed"]["roles"]["root"]["threshold"] = 1


def test_what_somebody_wrote_into_a_file_is_neither_signed_nor_submitted(founded: Team) -> None:
    founded.anna.must("root", "renew", "c.json")
    founded.pass_round("c.json", "anna", "bert")
    path, server = founded.anna.folder / "c.json", founded.desk.files()
    honest = path.read_text()
    for change, words in (
        (_smuggle, "nobody would be told of"),
        (_sign_as_a_stranger, "signed by a stranger"),
        (_count_down, "another state"),
        (_weaken, "a signature that is not right"),
    ):
        body = json.loads(honest)
        change(body)
        path.write_text(json.dumps(body))
        before = path.read_bytes()
        for verb in (["sign", "c.json", "--key", "me.pem", "--yes"], ["submit", "c.json"]):
            ended = founded.anna.run("root", *verb)
            assert ended.code in {ExitCode.REFUSED, ExitCode.CONFLICT}, ended.err
            assert words in ended.err
        assert path.read_bytes() == before
        assert founded.desk.files() == server


def _leave_copy(team: Team, name: str) -> None:
    """Leave what the server holds now in somebody's folder, as a mirror has it."""
    for key, data in team.desk.files().items():
        path = team.people[name].folder / "copy" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_who_has_seen_a_newer_root_signs_nothing_on_top_of_an_older_one(founded: Team) -> None:
    # Signed, it would be a second root 2, with a key that the first one took out.
    bert = founded.people["bert"]
    bert.environ["XDG_STATE_HOME"] = str(bert.folder / "state")
    _leave_copy(founded, "bert")
    founded.anna.must("root", "renew", "old.json")
    founded.hand("old.json", "anna", "bert")
    founded.anna.must("root", "remove-key", "c.json", "cleo")
    founded.pass_round("c.json", "anna", "bert")
    founded.submit("c.json")
    bert.must("keys", "list")
    arguments = ["root", "sign", "old.json", "--key", "me.pem", "--yes", "--from", "copy"]
    before = (bert.folder / "old.json").read_bytes()
    bert.must_end(ExitCode.REFUSED, arguments, "an older state than was verified here before")
    assert (bert.folder / "old.json").read_bytes() == before


def test_a_state_that_may_hide_a_newer_one_is_pointed_out(founded: Team) -> None:
    founded.pass_time(days=20)
    words = "make sure that the server is only down"
    assert words in founded.anna.must("root", "renew", "c.json").err
    founded.desk.sign_again()
    assert words not in founded.anna.must("root", "show", "c.json").err


def test_only_the_change_that_was_told_of_is_signed(founded: Team) -> None:
    made = founded.anna.must("root", "renew", "c.json", "--json").json()["fingerprint"]
    founded.anna.must("root", "set-threshold", "other.json", "3")
    arguments = ["--key", "me.pem", "--yes", "--fingerprint", made]
    before = (founded.anna.folder / "other.json").read_bytes()
    founded.anna.must_end(
        ExitCode.CONFLICT, ["root", "sign", "other.json", *arguments], "another change"
    )
    assert (founded.anna.folder / "other.json").read_bytes() == before
    founded.anna.must("root", "sign", "c.json", *arguments)


def test_a_file_for_another_app_is_not_signed(founded: Team) -> None:
    founded.anna.must("root", "renew", "c.json")
    rewritten(founded, "c.json", app="another")
    founded.anna.must_end(ExitCode.USAGE, ["root", "show", "c.json"], "another app's ceremony")


def test_nobody_is_tricked_into_registering_a_known_app_anew(founded: Team, tmp_path: Path) -> None:
    # Mallory begins an app of the same name on a server of her own, with everybody's public keys.
    with open_desk(tmp_path / "mallory") as other:
        founded.mail("bert")
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
    _leave_copy(founded, "bert")
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
    (old,) = founded.keys_of("online").values()
    founded.anna.must("root", "rotate", "s.json", "--role", "online")
    founded.pass_round("s.json", "anna", "bert")
    founded.submit("s.json")
    (new,) = founded.keys_of("online").values()
    assert new != old
    founded.desk.publish("1.1.0")
    assert founded.desk.versions() == {"1.0.0", "1.1.0"}


def test_too_few_keys_for_renew_are_told_of_the_file_that_is_carried(founded: Team) -> None:
    founded.anna.must_end(
        ExitCode.USAGE, ["renew", "--role", "root", "--key", "me.pem"], "lockgate root renew"
    )


# -- What breaks off, and what is thought of later ----------------------------------------------


def test_a_submission_that_is_interrupted_while_it_waits_is_finished_by_the_next(
    founded: Team,
) -> None:
    founded.newcomer("dora")
    founded.mail("dora")
    founded.anna.must("root", "rotate", "c.json", "anna", "dora.pub")
    founded.pass_round("c.json", "anna", "bert", "cleo")
    waits, founded.anna.while_waiting = founded.anna.while_waiting, _interrupted
    assert founded.anna.run("root", "submit", "c.json").code == INTERRUPTED
    assert "In force already: targets" in founded.anna.must("root", "show", "c.json").err
    assert founded.desk.chain().root.version == 1
    founded.desk.publish("1.0.0")  # nothing is locked out meanwhile
    founded.anna.while_waiting = waits
    founded.submit("c.json")
    assert set(founded.keys_of()) == {"bert", "cleo", "dora"}


def _interrupted(_wait_s: float) -> None:
    raise KeyboardInterrupt


def test_somebody_joins_before_the_app_is_registered(team: Team) -> None:
    team.anna.must(*founding(team, "anna", "bert"))
    team.sign("anna", REGISTRATION)
    team.mail("cleo")
    joined = team.anna.must("root", "add-key", REGISTRATION, "cleo.pub", "--json").json()
    assert all(not demand["signed"] for demand in joined["demands"][:2])  # others' words, now
    team.anna.must("root", "sign", REGISTRATION, "--yes")  # the publisher's key, made by init
    team.pass_round(REGISTRATION, "anna", "cleo")
    team.submit(REGISTRATION)
    assert set(team.keys_of()) == {"anna", "bert", "cleo"}
    assert "registered already" in team.submit(REGISTRATION).err


def test_a_registration_that_came_too_late_is_a_conflict(team: Team) -> None:
    arguments = founding(team, *NAMES)
    team.anna.must(*arguments)
    team.anna.must(*arguments, "--file", "other.json")
    team.pass_round(REGISTRATION, "anna", "bert")
    other = team.desk.elsewhere("other", **team.anna.environ)
    other.must("init", APP, "--server", team.desk.api, "--keys", "keys")
    before = team.desk.files()
    team.anna.must_end(ExitCode.CONFLICT, ["root", "submit", REGISTRATION], "another root")
    assert team.desk.files() == before


def test_a_service_that_does_not_sign_leaves_the_file_as_it_was(founded: Team) -> None:
    founded.anna.must("root", "renew", "c.json")
    before = (founded.anna.folder / "c.json").read_bytes()
    (anna, *_) = founded.keys_of().values()
    for uri in ("hsm:9?label=nowhere", f"hsm:9?label=nowhere#{anna}", "missing.pem"):
        founded.anna.must_end(ExitCode.LOCAL, ["root", "sign", "c.json", "--key", uri, "--yes"])
        assert (founded.anna.folder / "c.json").read_bytes() == before


def test_a_file_whose_state_is_gone_is_not_extended_into_undoing_what_came_since(
    founded: Team,
) -> None:
    founded.anna.must("root", "renew", "old.json")
    founded.anna.must("root", "remove-key", "c.json", "cleo")
    founded.pass_round("c.json", "anna", "bert")
    founded.submit("c.json")
    before = (founded.anna.folder / "old.json").read_bytes()
    for arguments in (["renew", "old.json"], ["set-threshold", "old.json", "1"]):
        founded.anna.must_end(ExitCode.CONFLICT, ["root", *arguments], "in another file")
    assert (founded.anna.folder / "old.json").read_bytes() == before
