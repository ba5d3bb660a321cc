"""Every key replaced, with clients in the field at every older root, behind stale caches."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.ceremony_requests import CeremonyRequest
from lockgate_server.patience import Patience
from lockgate_server.services.write.online_keys import end_overlap
from tests.simulators.field import (
    PATIENCE,
    Begin,
    Field,
    open_field,
    rotate_maintainers,
    rotate_online,
    rotate_publishers,
    rotate_stolen_publishers,
)
from tests.simulators.server_scene import APP, CALLER

EVERY_ROLE = (rotate_maintainers, rotate_stolen_publishers, rotate_online, rotate_publishers)
"""A root that a theft follows, a theft of both kinds, and a change without one."""


def test_every_role_is_rotated_and_no_client_ever_ends_in_not_verified(tmp_path: Path) -> None:
    field = open_field(tmp_path)
    for begin in EVERY_ROLE:
        field.rotate(begin)
        assert field.refused == [], begin.__name__
    root = field.scene.look().chain.root
    assert root.version == 3
    field.wait(hours=25)
    for client in field.everybody():
        assert client.check() == field.versions[-1], "the newest, in one check"
        assert client.root() == root.data
    assert field.refused == []


def test_answers_that_are_old_independently_of_each_other_are_never_more_than_stale(
    tmp_path: Path,
) -> None:
    """Each request meets another cache: a client hears of new and old, and goes back to nothing."""
    field = open_field(tmp_path)
    field.awake.clear()
    field.wait(minutes=3)  # no cache holds what was there before the first release any more
    for begin in (rotate_maintainers, rotate_online, rotate_stolen_publishers):
        for seed in range(2):
            field.join_many_nodes(random.Random(f"{begin.__name__} {seed}"))
        field.hold(begin(field))
        for _ in range(2):
            field.publish()
            field.wait(seconds=50)
        field.wait(hours=25)
    assert field.refused, "they were stale enough to tell"
    assert [said for said in field.refused if "repository.stale" not in said] == []
    field.wait(hours=1)
    assert {client.check() for client in field.awake} == {field.versions[-1]}
    assert {client.root() for client in field.awake} == {field.scene.look().chain.root.data}


@pytest.mark.parametrize("begin", [rotate_maintainers, rotate_online])
@pytest.mark.parametrize(
    "patience",
    [
        Patience(cached=timedelta(0), overlap=PATIENCE.overlap),
        Patience(cached=PATIENCE.cached, overlap=timedelta(0)),
    ],
)
def test_a_server_that_waits_for_no_cache_would_leave_clients_in_not_verified(
    tmp_path: Path, begin: Begin, patience: Patience
) -> None:
    """These caches are stale enough to tell: what the test above promises is not for free."""
    field = open_field(tmp_path, patience)
    field.hold(begin(field))
    field.wait(seconds=121)
    if not patience.overlap:
        field.hold(renew_targets(field))
    assert any("repository.trust" in said for said in field.refused)


def renew_targets(field: Field) -> CeremonyRequest:
    chain = field.scene.look().chain
    return CeremonyRequest(targets=field.scene.publisher.renew(chain, "targets").metadata)


def test_a_client_thirty_rotations_back_reaches_the_newest_in_one_check(tmp_path: Path) -> None:
    at_once = Patience(cached=timedelta(0), overlap=timedelta(0))
    field = open_field(tmp_path, at_once, maintainers=1)
    (sleeper,) = field.asleep
    field.awake.clear()
    for number in range(30):
        field.hold((rotate_maintainers, rotate_online)[number % 2](field))
        end_overlap(field.deps(), APP, CALLER)
    field.publish()
    assert field.scene.look().chain.root.version == 31
    sleeper.cache = field.new_cache()
    assert sleeper.check() == field.versions[-1]
    roots = [path for path in sleeper.cache.asked if path.endswith(".root.json")]
    assert roots == [f"/demo/metadata/{number}.root.json" for number in range(2, 33)]
    assert field.new_client().check() == field.versions[-1]
