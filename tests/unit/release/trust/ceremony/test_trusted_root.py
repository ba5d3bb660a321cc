"""What origins are verified with comes and goes by the maintainers' signatures alone, in words."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lockgate_release.documents import ChannelPolicy, PolicyDocument
from lockgate_release.documents.trusted_root import parse_trusted_root
from lockgate_release.errors import DocumentError, TrustError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.trust import ceremony as cer
from tests.attacks.test_ceremony_files import tampered
from tests.simulators.ceremony_people import People
from tests.simulators.trusted_roots import trusted_root
from tests.unit.release.builders import APP, ATTESTED

DEMANDING = PolicyDocument(app=APP, channels={"stable": ChannelPolicy(attestations=ATTESTED)})


@pytest.fixture
def people() -> People:
    return People()


def wish(people: People, data: bytes | None, policy: bytes | None = None) -> cer.Ceremony:
    wanted = cer.Wish(arrangement=people.arrangement(), policy=policy, trusted_root=data)
    return cer.make_ceremony(APP, "origins", people.chain(), wanted, people.now)


def words_of(examined: cer.Examined) -> bytes:
    assert examined.policy is not None
    return examined.policy.to_bytes()


def put_in_force(people: People, data: bytes) -> None:
    people.submit(people.sign(wish(people, data)))


def test_it_takes_the_maintainers_signatures_on_targets_alone(people: People) -> None:
    made = wish(people, trusted_root())
    assert set(made.parts) == {"targets"}
    assert made.documents == {TRUSTED_ROOT_PATH: trusted_root()}
    put_in_force(people, trusted_root())
    target = people.chain().targets.signed.targets[TRUSTED_ROOT_PATH]
    target.verify_length_and_hashes(trusted_root())
    assert people.chain().targets.signed.targets.keys() == {POLICY_PATH, TRUSTED_ROOT_PATH}


def test_each_service_that_comes_or_goes_is_told(people: People) -> None:
    told = cer.tell_changes(people.examine(wish(people, trusted_root())))
    assert any(
        line.startswith("sigstore/trusted_root.json:   + certificate authority https://ca.example")
        for line in told
    )
    put_in_force(people, trusted_root())
    before = parse_trusted_root(trusted_root(), subject="x")
    made = wish(people, trusted_root("other"))
    told = cer.tell_changes(people.examine(made), None, before)
    words = [line for line in told if TRUSTED_ROOT_PATH in line]
    assert [("other" in line, line.endswith(" goes")) for line in words[1:]] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]


def test_what_comes_with_it_in_one_ceremony_stays_in_force(people: People) -> None:
    both = wish(people, trusted_root(), DEMANDING.to_bytes())
    assert words_of(people.examine(both)) == DEMANDING.to_bytes()
    people.submit(people.sign(both))
    later = people.make(renew=["targets"])
    assert people.examine(later).trusted_root is None
    people.submit(people.sign(later))
    assert TRUSTED_ROOT_PATH in people.chain().targets.signed.targets


def test_a_policy_that_nobody_could_verify_is_not_signed(people: People) -> None:
    with pytest.raises(DocumentError, match="nothing to verify them with"):
        people.examine(wish(people, None, DEMANDING.to_bytes()))
    put_in_force(people, trusted_root())
    made = wish(people, None, DEMANDING.to_bytes())
    assert words_of(people.examine(made)) == DEMANDING.to_bytes()


def test_other_bytes_than_those_that_are_signed_are_found(people: People) -> None:
    made = replace(
        wish(people, trusted_root()), documents={TRUSTED_ROOT_PATH: trusted_root("other")}
    )
    with pytest.raises((TrustError, DocumentError)):
        people.examine(made)
    without = replace(wish(people, trusted_root()), documents={})
    with pytest.raises(TrustError, match="nobody would be told of"):
        people.examine(without)


@pytest.mark.parametrize(
    "change",
    [
        lambda targets: targets.pop(TRUSTED_ROOT_PATH) and None,
        lambda targets: targets.update({"sigstore/other.json": targets[TRUSTED_ROOT_PATH]}),
        lambda targets: targets[TRUSTED_ROOT_PATH].update(custom={"x": 1}),
    ],
)
def test_it_cannot_be_taken_away_or_joined_unseen(
    people: People, change: Callable[[Any], None]
) -> None:
    put_in_force(people, trusted_root())
    made = people.make(renew=["targets"])
    changed = tampered(made, "targets", lambda body: change(body["signed"]["targets"]))
    with pytest.raises(TrustError, match="nobody would be told of"):
        people.examine(changed)


def removal(people: People, policy: bytes | None) -> cer.Ceremony:
    wanted = cer.Wish(
        arrangement=people.arrangement(), policy=policy, removed=frozenset({TRUSTED_ROOT_PATH})
    )
    return cer.make_ceremony(APP, "no origins", people.chain(), wanted, people.now)


def test_it_is_taken_away_beside_a_policy_that_does_without_and_is_told(people: People) -> None:
    put_in_force(people, trusted_root())
    made = removal(people, PolicyDocument(app=APP).to_bytes())
    before = parse_trusted_root(trusted_root(), subject="x")
    told = cer.tell_changes(people.examine(made), None, before)
    words = [line for line in told if TRUSTED_ROOT_PATH in line]
    assert "nobody's word" in words[0]
    assert len(words) == 1 + len(before.in_words())
    people.submit(people.sign(made))
    assert people.chain().targets.signed.targets.keys() == {POLICY_PATH}


def test_it_is_not_taken_away_while_it_is_needed_or_without_the_policy(people: People) -> None:
    people.submit(people.sign(wish(people, trusted_root(), DEMANDING.to_bytes())))
    with pytest.raises(TrustError, match="nobody would be told of"):
        people.examine(removal(people, None))
    with pytest.raises(DocumentError, match="nothing to verify them with"):
        people.examine(removal(people, DEMANDING.to_bytes()))


def test_what_is_no_trusted_root_is_not_signed(people: People) -> None:
    with pytest.raises(DocumentError, match="mediaType"):
        people.examine(wish(people, b'{"mediaType": "application/json"}'))


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp_authorities": [{"uri": "https://clock.evil.test"}]},
        {"ctlogs": [{"baseUrl": "https://ct.test", "publicKey": {"valid_for": {}}}]},
    ],
)
def test_a_service_in_sigstores_other_spelling_is_not_signed_unseen(
    changes: dict[str, Any],
) -> None:
    """sigstore reads `timestamp_authorities` as well, and nobody would be told of them."""
    with pytest.raises(DocumentError, match="another spelling"):
        parse_trusted_root(trusted_root(**changes), subject="x")
