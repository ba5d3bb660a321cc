"""A ceremony file from a stranger: read, or refused with a reason; and nothing else happens."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import DocumentError, LockgateError
from lockgate_release.trust import ceremony as cer
from tests.simulators.ceremony_people import PEOPLE_ROLES, People
from tests.unit.release.builders import APP

PEOPLE = People(maintainers=2, threshold=2)


def _make() -> cer.Ceremony:
    arrangement = cer.add_key(PEOPLE.arrangement(), PEOPLE_ROLES, PEOPLE.newcomer("dora"))
    policy = PolicyDocument(app=APP).to_bytes()
    made = PEOPLE.make(arrangement, renew=["targets", "releases"], policy=policy)
    return PEOPLE.sign(made, PEOPLE.arrangement().of("root").ids[0])


MADE = _make()
CHAIN = PEOPLE.chain()
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 3), st.text(max_size=4), st.just([]), st.just({}),
    st.just({"x": {}}), st.just("ab" * 32), st.just("2026-06-01T00:00:00Z"),
)  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = list(value)
    elif isinstance(value, list):
        inner = list(range(len(value)))
    found = [path] if path else []
    for name in inner:
        found += _paths(value[name], (*path, name))
    return found


PATHS = _paths(json.loads(MADE.to_bytes()))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), value=ANYTHING, remove=st.booleans())
def test_whatever_is_changed_in_a_file_it_is_refused_or_told_of(
    path: tuple[Any, ...], value: Any, remove: bool
) -> None:
    body = json.loads(MADE.to_bytes())
    place = body
    for name in path[:-1]:
        place = place[name]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    data = json.dumps(body).encode()
    try:
        found = cer.parse_ceremony(data, subject="a file")
        examined = cer.examine(found, CHAIN, PEOPLE.now)
    except LockgateError:
        return
    # Accepted: then what is signed is what was signed before, or the words tell of it.
    if cer.fingerprint(found) != cer.fingerprint(MADE):
        before = cer.examine(MADE, CHAIN, PEOPLE.now)
        assert cer.tell_changes(examined) != cer.tell_changes(before)


@pytest.mark.parametrize(
    "path",
    [
        ("parts", "root", "signatures", 0, "keyid"),
        ("parts", "root", "signed", "roles", "snapshot", "keyids", 0),
    ],
)
def test_ids_that_are_no_texts_are_refused_with_a_reason(path: tuple[Any, ...]) -> None:
    body = json.loads(MADE.to_bytes())
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = None
    found = cer.parse_ceremony(json.dumps(body).encode(), subject="a file")
    with pytest.raises(LockgateError):
        cer.examine(found, CHAIN, PEOPLE.now)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"_type":"lockgate.ceremony"}',
        MADE.to_bytes().replace(b'"lockgate.ceremony"', b'"lockgate.policy"'),
        MADE.to_bytes().replace(b'"policy.json":', b'"../policy.json":'),
        MADE.to_bytes().replace(b'"app": "demo"', b'"app": "../demo"'),
        b" " * (33 << 20),
    ],
)
def test_what_is_no_ceremony_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        cer.parse_ceremony(data, subject="a file")
