"""The vector gate is the gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_cli.simulating.vector_gate import client_ids, draw_places, places_of
from lockgate_release.gate import bucket, is_client_id

SALT = "0196720b2521dd0259f43e4cee7f05f5"
SALTS = st.binary(min_size=16, max_size=16).map(bytes.hex)
IDS = st.lists(st.uuids().map(lambda found: str(found).encode()), min_size=1, max_size=80)


@given(SALTS, IDS)
def test_every_client_has_the_place_that_the_gate_gives_it(salt: str, ids: list[bytes]) -> None:
    assert places_of(salt, ids).tolist() == [bucket(salt, name.decode()) for name in ids]


def test_a_whole_block_of_drawn_clients_agrees_with_the_gate() -> None:
    ids = client_ids(7, 0, 20_000)
    assert len(set(ids)) == len(ids)
    assert all(is_client_id(name.decode()) for name in ids)
    assert places_of(SALT, ids).tolist() == [bucket(SALT, name.decode()) for name in ids]


def test_two_processes_draw_what_one_does() -> None:
    assert (
        draw_places(SALT, 260_000, seed=3, processes=2).tolist()
        == draw_places(SALT, 260_000, seed=3, processes=1).tolist()
    )


@pytest.mark.parametrize("salt", ["", "xy" * 16, SALT.upper()])
def test_a_malformed_salt_opens_no_gate(salt: str) -> None:
    with pytest.raises(ValueError, match="a salt is"):
        places_of(salt, client_ids(1, 0, 1))
