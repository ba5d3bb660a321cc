"""A ceremony holds what its wish takes, and no more; and whoever held the old state can go on."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import LockgateError, UsageError
from lockgate_release.trust import ceremony as cer
from lockgate_release.trust.chain import load_chain
from lockgate_release.trust.key_names import key_name
from lockgate_release.trust.roles import EXPIRY
from tests.simulators.ceremony_people import PEOPLE_ROLES, People
from tests.unit.release.builders import APP


@pytest.fixture
def people() -> People:
    return People()


def ids(people: People, role: str) -> tuple[str, ...]:
    return people.arrangement().of(role).ids


def test_a_key_that_comes_takes_only_root(people: People) -> None:
    # The targets in force are signed by enough of the keys to come: nobody need sign them again.
    made = people.make(cer.add_key(people.arrangement(), PEOPLE_ROLES, people.newcomer()))
    assert set(made.parts) == {"root"}


def test_a_key_whose_signature_was_needed_takes_targets_along() -> None:
    people = People(maintainers=2, threshold=1)
    first, second = ids(people, "root")
    people.submit(people.sign(people.make(renew=["targets"]), first))
    stays = people.make(cer.remove_key(people.arrangement(), PEOPLE_ROLES, second))
    goes = people.make(cer.remove_key(people.arrangement(), PEOPLE_ROLES, first))
    assert set(stays.parts) == {"root"}
    assert set(goes.parts) == {"root", "targets"}


def test_targets_are_signed_by_who_counts_before_and_after() -> None:
    people = People(maintainers=2, threshold=2)
    first, second = ids(people, "root")
    third = people.newcomer("third")
    made = people.make(cer.replace_key(people.arrangement(), PEOPLE_ROLES, second, third))
    assert set(made.parts) == {"root", "targets"}
    signed = people.sign(made, first, third.keyid)
    assert {(one.part, one.by, one.missing) for one in people.examine(signed).demands} == {
        ("root", "the root in force", 1),
        ("root", "the next root", 0),
        ("targets", "the root in force", 1),
        ("targets", "the next root", 0),
    }
    assert people.examine(people.sign(signed, second)).is_complete


def test_another_publisher_takes_targets_and_the_list_signed_by_those_to_come() -> None:
    people = People(publishers=1)
    (old,) = ids(people, "releases")
    new = people.newcomer()
    made = people.make(cer.replace_key(people.arrangement(), ["releases"], old, new))
    assert set(made.parts) == {"targets", "releases"}
    examined = people.examine(made)
    assert examined.parts_of(new.keyid) == ("releases",)
    assert examined.parts_of(old) == ()
    people.submit(people.sign(made))
    assert ids(people, "releases") == (new.keyid,)


def test_one_more_publisher_takes_targets_alone(people: People) -> None:
    made = people.make(cer.add_key(people.arrangement(), ["releases"], people.newcomer()))
    assert set(made.parts) == {"targets"}


@pytest.mark.parametrize("role", ["root", "targets", "releases"])
def test_a_role_is_signed_again_for_longer(people: People, role: str) -> None:
    people.pass_time(days=100)
    made = people.make(renew=[role])
    assert set(made.parts) == {role}
    people.submit(people.sign(made))
    signed = getattr(people.chain(), role).signed
    assert (signed.version, signed.expires) == (2, people.now + EXPIRY[role])  # type: ignore[index]


def test_what_has_expired_is_renewed(people: People) -> None:
    people.pass_time(days=400)
    people.submit(people.sign(people.make(renew=["root", "targets", "releases"])))
    chain = people.chain()
    assert min(chain.root.signed.expires, chain.targets.signed.expires) > people.now


def test_nothing_to_change_is_no_ceremony(people: People) -> None:
    with pytest.raises(UsageError, match="nothing would change"):
        people.make()


def test_a_policy_is_carried_along(people: People) -> None:
    policy = PolicyDocument(app=APP).to_bytes()
    made = people.make(renew=["targets"], policy=policy)
    assert made.documents == {"policy.json": policy}


def test_what_is_extended_keeps_the_signatures_on_what_stays(people: People) -> None:
    (first, *_) = ids(people, "root")
    made = people.sign(people.make(renew=["targets"]), first)
    arrangement = cer.add_key(people.arrangement(), PEOPLE_ROLES, people.newcomer())
    extended = people.make(arrangement, renew=["targets"], earlier=made)
    assert set(extended.parts) == {"root", "targets"}
    assert extended.parts["targets"] == made.parts["targets"]


def test_a_file_is_read_back_as_it_was_written(people: People) -> None:
    made = people.sign(people.make(renew=["root", "targets"]), ids(people, "root")[0])
    assert cer.parse_ceremony(made.to_bytes(), subject="a file") == made


def test_the_first_ceremony_registers_an_app() -> None:
    people = People(maintainers=2, threshold=2, publishers=1)
    policy = PolicyDocument(app=APP).to_bytes()
    first = cer.make_first(APP, "a new app", people.arrangement(), policy, people.now)
    signed = first
    for keyid, signer in people.signers.items():
        for part in cer.examine(signed, None, people.now).parts_of(keyid):
            signed = cer.add_signatures(signed, part, [signer])
    assert not cer.examine(first, None, people.now).is_complete
    assert cer.examine(signed, None, people.now).is_complete
    assert signed.base == cer.Base()


def test_a_key_in_metadata_holds_nothing_but_what_its_id_is_computed_from(people: People) -> None:
    # Clients in other languages compute the id over all that the key holds, and refuse another.
    arrangement = cer.add_key(people.arrangement(), PEOPLE_ROLES, people.newcomer("dora"))
    arrangement = cer.add_key(arrangement, ["releases"], people.newcomer("ci"))
    people.change(arrangement)
    chain = people.chain()
    delegations = chain.targets.signed.delegations
    assert delegations is not None
    for keyid, key in {**chain.root.signed.keys, **delegations.keys}.items():
        canonical = encode_canonical(key.to_dict())
        assert canonical is not None
        assert digest_bytes(canonical.encode()) == keyid
    assert [key_name(key) for key in people.arrangement().of("root").keys][-1] == "dora"
    assert [key_name(key) for key in chain.release_keys()[0]][-1] == "ci"


# -- Whatever people wish, old clients follow ---------------------------------------------------

ROLES = st.sampled_from(["root", "targets", "releases"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "rotate", "threshold", "renew"]), ROLES,
              st.integers(0, 5)),
    min_size=1,
    max_size=5,
)  # fmt: skip


def _wish(people: People, step: tuple[str, str, int]) -> cer.Ceremony:
    verb, role, number = step
    arrangement = people.arrangement()
    speakers = arrangement.of(role)
    chosen = speakers.ids[number % len(speakers.ids)]
    match verb:
        case "add":
            arrangement = cer.add_key(arrangement, [role], people.newcomer())
        case "remove":
            arrangement = cer.remove_key(arrangement, [role], chosen)
        case "rotate":
            arrangement = cer.replace_key(arrangement, [role], chosen, people.newcomer())
        case "threshold":
            arrangement = cer.set_threshold(arrangement, [role], number)
        case _:
            return people.make(arrangement, renew=[role])
    return people.make(arrangement)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(maintainers=st.integers(1, 3), publishers=st.integers(1, 2), steps=STEPS)
def test_no_ceremony_yields_what_a_client_at_an_older_root_cannot_follow(
    maintainers: int, publishers: int, steps: list[tuple[str, str, int]]
) -> None:
    people = People(
        maintainers=maintainers,
        threshold=(maintainers + 1) // 2,
        publishers=publishers,
        publisher_threshold=publishers,
    )
    for step in steps:
        people.pass_time(days=1)
        try:
            made = _wish(people, step)
        except LockgateError:
            continue  # refused before anybody signed: nothing changed
        signed = people.sign(made)
        if people.examine(signed).is_complete:
            people.submit(signed)
    for files in people.states:
        for root in people.roots():
            _check_followed(files, root)


def _check_followed(files: dict[str, bytes], root: bytes) -> None:
    """A client at any root that these files hold verifies all of them, from the newest root on."""
    if root not in files.values():
        return  # this client met the files of a later moment
    chain = load_chain(lambda name: files.get(f"metadata/{name}"), root, now=None)
    newest = max(int(name.split("/")[1].split(".")[0]) for name in files if "root.json" in name)
    assert chain.root.version == newest
