"""A ceremony file comes from anybody. Whoever is about to sign it finds out what it really does."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from securesystemslib.signer import Key, SSlibKey

from lockgate_cli.ceremonies.files import store_ceremony
from lockgate_cli.ceremonies.submitting import submit_file
from lockgate_release.ceremony_requests import CeremonyOutcome
from lockgate_release.documents import PolicyDocument, parse_policy
from lockgate_release.errors import (
    ConflictError,
    DocumentError,
    ExpiredError,
    TransportError,
    TrustError,
    UsageError,
)
from lockgate_release.trust import ceremony as cer
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.public_keys import check_public_key, parse_key_file, to_key_file
from tests.simulators.ceremony_people import PEOPLE_ROLES, People, named
from tests.unit.release.builders import APP


@pytest.fixture
def people() -> People:
    return People(maintainers=3, threshold=2)


def tampered(made: cer.Ceremony, role: str, change: Callable[[Any], None]) -> cer.Ceremony:
    """The ceremony as somebody has rewritten it on the way."""
    body = json.loads(made.parts[role])
    change(body)
    return replace(made, parts={**made.parts, role: json.dumps(body).encode()})


def key_json(signer: Any) -> dict[str, Any]:
    found: dict[str, Any] = signer.public_key.to_dict()
    return found


def test_words_that_lie_are_not_what_a_signer_is_told(people: People) -> None:
    mallory = people.newcomer("mallory")
    arrangement = cer.add_key(people.arrangement(), PEOPLE_ROLES, mallory)
    made = replace(people.make(arrangement), title="Renew root, nothing else")
    told = cer.tell_changes(people.examine(made))
    assert f"root and targets: + mallory {mallory.keyid} comes" in told
    assert not [line for line in told if "nothing else" in line]


def test_a_key_that_is_smuggled_into_a_renewal_is_told_of(people: People) -> None:
    made = people.make(renew=["root"])
    stranger = generate_signer()

    def smuggle(body: Any) -> None:
        body["signed"]["keys"][stranger.public_key.keyid] = key_json(stranger)
        body["signed"]["roles"]["root"]["keyids"].append(stranger.public_key.keyid)

    told = cer.tell_changes(people.examine(tampered(made, "root", smuggle)))
    assert f"root: + {stranger.public_key.keyid} comes" in told


def test_a_key_that_no_role_names_yet_cannot_be_smuggled_in(people: People) -> None:
    stranger = generate_signer()

    def smuggle(body: Any) -> None:
        body["signed"]["keys"][stranger.public_key.keyid] = key_json(stranger)

    made = tampered(people.make(renew=["root"]), "root", smuggle)
    with pytest.raises(TrustError, match="nobody would be told of"):
        people.examine(made)


def test_a_key_cannot_come_under_the_id_of_another(people: People) -> None:
    stranger, anna = generate_signer(), people.arrangement().of("root").ids[0]

    def smuggle(body: Any) -> None:
        body["signed"]["keys"][anna] = key_json(stranger)

    made = tampered(people.make(renew=["root"]), "root", smuggle)
    with pytest.raises(DocumentError, match="under an id that is not its own"):
        people.examine(made)


def test_a_public_key_file_cannot_claim_the_id_of_another(people: People) -> None:
    body = json.loads(to_key_file(generate_signer().public_key))
    body["keyid"] = people.arrangement().of("root").ids[0]
    with pytest.raises(DocumentError, match="under an id that is not its own"):
        parse_key_file(json.dumps(body).encode(), subject="anna.pub")


def test_one_person_does_not_count_twice_under_two_ids(people: People) -> None:
    anna = people.arrangement().of("root").ids[0]

    def smuggle(body: Any) -> None:
        body["signed"]["keys"]["ab" * 32] = body["signed"]["keys"][anna]
        body["signed"]["roles"]["root"]["keyids"].append("ab" * 32)

    made = tampered(people.make(renew=["root"]), "root", smuggle)
    with pytest.raises((TrustError, DocumentError)):
        people.examine(made)


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("root", lambda signed: signed.update(consistent_snapshot=False)),
        ("root", lambda signed: signed.update(spec_version="1.0.99")),
        ("root", lambda signed: signed.update({"x-hidden": "anything"})),
        ("root", lambda signed: signed.update({"x-lockgate-names": {"ab" * 32: "anna"}})),
        ("root", lambda signed: signed.update({"x-lockgate-names": ["anna"]})),
        ("targets", lambda signed: signed.update({"x-lockgate-names": {"1": "\u202e"}})),
        ("root", lambda signed: signed["roles"].update(mirrors={"keyids": [], "threshold": 1})),
        ("targets", lambda signed: signed["targets"].update({"x": _target()})),
        ("targets", lambda signed: signed["targets"].clear()),
        ("targets", lambda signed: signed["targets"].update({"policy.json": _target()})),
        ("targets", lambda signed: _delegation(signed, "releases").update(paths=["*"])),
        ("targets", lambda signed: _delegation(signed, "channels").update(paths=["*/*/*.json"])),
        ("targets", lambda signed: _delegation(signed, "releases").update(terminating=False)),
        ("targets", lambda signed: signed["delegations"]["roles"].reverse()),
        ("releases", lambda signed: signed["targets"].update({"releases/9/x.json": _target()})),
    ],
)  # fmt: skip
def test_what_has_no_words_cannot_be_signed_unseen(
    people: People, role: str, change: Callable[[Any], None]
) -> None:
    made = people.make(renew=["root", "targets", "releases"])
    changed = tampered(made, role, lambda body: change(body["signed"]))
    with pytest.raises((TrustError, DocumentError)):
        cer.tell_changes(people.examine(_told(changed)))


def _told(made: cer.Ceremony) -> cer.Ceremony:
    """As it comes out of a file."""
    return cer.parse_ceremony(made.to_bytes(), subject="a file")


def _target() -> dict[str, Any]:
    return {"length": 1, "hashes": {"sha256": "ab" * 32}}


def _delegation(signed: Any, name: str) -> Any:
    return next(one for one in signed["delegations"]["roles"] if one["name"] == name)


@pytest.mark.parametrize("role", ["root", "targets", "releases"])
def test_an_end_that_is_far_away_is_refused(people: People, role: str) -> None:
    made = people.make(renew=[role])

    def stretch(body: Any) -> None:
        body["signed"]["expires"] = "2099-01-01T00:00:00Z"

    with pytest.raises(ExpiredError, match="ends later than anybody may sign"):
        people.examine(tampered(made, role, stretch))


def test_a_file_whose_base_is_old_is_refused(people: People) -> None:
    old = people.make(cer.add_key(people.arrangement(), PEOPLE_ROLES, people.newcomer()))
    people.change(people.arrangement(), renew=["root"])
    with pytest.raises(ConflictError, match="another state than the one in force"):
        people.examine(old)


def test_a_file_that_claims_a_newer_base_than_it_has_is_refused(people: People) -> None:
    old = people.make(cer.add_key(people.arrangement(), PEOPLE_ROLES, people.newcomer()))
    people.change(people.arrangement(), renew=["root"])
    with pytest.raises(TrustError, match="not the next number"):
        people.examine(replace(old, base=cer.base_of(people.chain())))


def test_a_file_of_another_fork_of_root_is_refused(people: People) -> None:
    made = people.make(renew=["targets"])
    with pytest.raises(ConflictError, match="another state"):
        people.examine(replace(made, base=replace(made.base, root_sha256="ab" * 32)))


def test_a_number_is_never_skipped(people: People) -> None:
    def jump(body: Any) -> None:
        body["signed"]["version"] += 1

    with pytest.raises(TrustError, match="not the next number"):
        people.examine(tampered(people.make(renew=["root"]), "root", jump))


def test_a_signature_by_a_stranger_is_refused(people: People) -> None:
    made = people.make(renew=["root"])
    signed = cer.add_signatures(made, "root", [generate_signer()])
    with pytest.raises(TrustError, match="signed by a stranger"):
        people.examine(signed)


def test_a_publisher_s_signature_does_not_count_for_root(people: People) -> None:
    made = people.make(renew=["root"])
    signed = cer.add_signatures(made, "root", people.repository.publishers)
    with pytest.raises(TrustError, match="signed by a stranger"):
        people.examine(signed)


def test_a_signature_over_other_words_is_refused(people: People) -> None:
    anna = people.arrangement().of("root").ids[0]
    made = people.sign(people.make(renew=["root"]), anna)

    def change(body: Any) -> None:
        body["signed"]["expires"] = (
            (people.now + timedelta(days=300)).isoformat().replace("+00:00", "Z")
        )

    with pytest.raises(TrustError, match="a signature that is not right"):
        people.examine(tampered(made, "root", change))


def test_a_policy_that_is_not_the_one_that_is_signed_is_refused(people: People) -> None:
    made = people.make(renew=["targets"], policy=PolicyDocument(app=APP).to_bytes())
    other = {"policy.json": PolicyDocument(app=APP).to_bytes() + b" "}
    with pytest.raises((DocumentError, TrustError)):
        people.examine(replace(made, documents=other))


def test_the_server_s_key_cannot_become_a_person_s(people: People) -> None:
    online = people.repository.online

    def smuggle(body: Any) -> None:
        body["signed"]["roles"]["root"]["keyids"].append(online.public_key.keyid)

    made = tampered(people.make(renew=["root"]), "root", smuggle)
    with pytest.raises(TrustError, match="the server's own key may not speak for it"):
        people.examine(made)


def test_a_stranger_cannot_take_the_server_s_place(people: People) -> None:
    # Timestamp and snapshot that no server signs: clients would be locked out.
    arrangement = people.arrangement()
    (online,) = arrangement.of(cer.ONLINE).ids
    stranger = named(generate_signer(), "stranger")
    made = people.make(cer.replace_key(arrangement, [cer.ONLINE], online, stranger))
    with pytest.raises(TrustError, match="could no longer be verified"):
        people.examine(made)


def test_nobody_is_locked_out_by_targets_that_are_left_out(people: People) -> None:
    people = People(maintainers=2, threshold=1)
    first, _second = people.arrangement().of("root").ids
    people.submit(people.sign(people.make(renew=["targets"]), first))
    made = people.make(cer.remove_key(people.arrangement(), PEOPLE_ROLES, first))
    cut = replace(made, parts={"root": made.parts["root"]})
    with pytest.raises(TrustError, match="could no longer be verified by the next root"):
        people.examine(cut)


def test_two_people_who_are_shown_different_changes_hear_different_fingerprints(
    people: People,
) -> None:
    made = people.make(renew=["root"])
    other = people.make(cer.add_key(people.arrangement(), ["root"], people.newcomer()))
    signed = people.sign(made, people.arrangement().of("root").ids[0])
    assert cer.fingerprint(made) == cer.fingerprint(signed)
    assert cer.fingerprint(made) != cer.fingerprint(other)


def test_names_cannot_be_made_to_look_like_something_else() -> None:
    signer = generate_signer()
    body = json.loads(to_key_file(signer.public_key))
    body["name"] = "anna\u202e(1a2b3c4d)"
    with pytest.raises(DocumentError, match="not a name for a key"):
        parse_key_file(json.dumps(body).encode(), subject="anna.pub")


# One key under two ids, and rules that are not what they look like.


def rsa_under_two_ids() -> tuple[Key, Key]:
    """One RSA key with a scheme each, and so an id each; the second is written in other lines."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = [
        SSlibKey.from_crypto(private.public_key(), scheme=scheme)
        for scheme in ("rsassa-pss-sha256", "rsa-pkcs1v15-sha256")
    ]
    keys[1].keyval["public"] = "anna\n" + keys[1].keyval["public"]
    return keys[0], keys[1]


def test_one_key_does_not_count_twice_however_it_is_written(people: People) -> None:
    arrangement = people.arrangement()
    for key in rsa_under_two_ids():
        check_public_key(key, subject="anna.pub")
        arrangement = cer.add_key(arrangement, PEOPLE_ROLES, key)
    with pytest.raises((TrustError, UsageError), match="one key would count twice"):
        people.make(arrangement)


def policy_ceremony(people: People, keys: dict[str, Any], **rule: Any) -> cer.Ceremony:
    approvals = {"threshold": min(2, len(keys)), "keys": keys}
    said = {"paths": ["releases/*/release.json"], "approvals": approvals, **rule}
    said.setdefault("critical", ["approvals"])
    body = {"_type": "lockgate.policy", "app": APP, "versions": "semver"}
    data = json.dumps({**body, "channels": {"stable": said}}).encode()
    return people.make(policy=data)


def test_an_approver_who_is_one_counts_once_however_the_key_is_written(people: People) -> None:
    keys = {key.keyid: key.to_dict() for key in rsa_under_two_ids()}
    with pytest.raises((TrustError, DocumentError), match=r"twice|under two ids"):
        people.examine(policy_ceremony(people, keys))


def test_an_approver_who_is_one_counts_once_whatever_stands_beside_the_key() -> None:
    key = key_json(generate_signer())
    other = {**key, "keyval": {**key["keyval"], "more": "x"}}
    rule = {"paths": [], "approvals": {"threshold": 2, "keys": {"ab" * 32: key, "cd" * 32: other}}}
    body = {"_type": "lockgate.policy", "app": APP, "versions": "semver"}
    with pytest.raises(DocumentError, match="the same key under two ids"):
        parse_policy(json.dumps({**body, "channels": {"stable": rule}}).encode())


def test_an_approver_cannot_come_under_the_id_of_another(people: People) -> None:
    anna, mallory = generate_signer(), generate_signer()
    keys = {anna.public_key.keyid: key_json(mallory)}
    with pytest.raises(DocumentError, match="under an id that is not its own"):
        people.examine(policy_ceremony(people, keys))


def test_a_demand_that_older_clients_would_pass_over_is_not_signed(people: People) -> None:
    anna = generate_signer()
    keys = {anna.public_key.keyid: key_json(anna)}
    assert people.examine(policy_ceremony(people, keys)).policy is not None
    with pytest.raises(DocumentError, match="a demand that is not critical"):
        people.examine(policy_ceremony(people, keys, critical=[]))


def test_a_title_has_one_line_and_cannot_look_like_what_is_changed(people: People) -> None:
    made = people.make(renew=["root"])
    forged = replace(made, title="Renewal\nFingerprint: 0000 0000 0000 0000")
    with pytest.raises(DocumentError, match="title"):
        cer.parse_ceremony(forged.to_bytes(), subject="r.json")


def test_a_link_that_is_planted_beside_a_ceremony_is_not_written_through(
    people: People, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / ".r.json.new").symlink_to(precious)
    store_ceremony(tmp_path / "r.json", people.make(renew=["root"]))
    assert precious.read_bytes() == b"mine"
    assert not (tmp_path / "r.json").is_symlink()


@pytest.mark.parametrize("name", ["re*", "ch*", "[r]eleases", "p?eviews", "online", "a\nroot: - b"])
def test_a_role_cannot_speak_for_more_folders_than_its_name_says(people: People, name: str) -> None:
    key = generate_signer().public_key

    def smuggle(body: Any) -> None:
        delegations = body["signed"]["delegations"]
        delegations["keys"][key.keyid] = key.to_dict()
        role = {"name": name, "keyids": [key.keyid], "threshold": 1, "terminating": True}
        delegations["roles"].append({**role, "paths": [f"{name}/*/*.json"]})

    with pytest.raises(TrustError):
        people.examine(tampered(people.make(renew=["targets"]), "targets", smuggle))


def test_a_server_cannot_have_a_maintainer_wait_for_ever(people: People) -> None:
    waits: list[float] = []
    outcome = CeremonyOutcome(
        timestamp_version=1,
        root_version=1,
        targets_version=1,
        releases_version=1,
        changed=False,
        wait_s=2**53,
    )
    call: Any = SimpleNamespace(around=SimpleNamespace(sleep=waits.append))
    api: Any = SimpleNamespace(hold_ceremony=lambda *_: outcome)
    with pytest.raises(TransportError, match="still waits"):
        submit_file(call, api, people.make(renew=["root"]))
    assert max(waits) <= 600
