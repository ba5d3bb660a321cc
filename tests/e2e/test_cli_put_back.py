"""A store that was put back: server and CI each notice it, and sign nothing on top."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from tests.simulators.release_desk import ReleaseDesk, open_desk

SIGNERS: dict[str, Callable[[ReleaseDesk], list[str]]] = {
    "publish": lambda desk: desk.publish_arguments("2.0.0"),
    "promote": lambda _: ["promote", "demo", "1.0.0", "--from", "stable", "--to", "beta"],
    "retire": lambda _: ["releases", "retire", "--app", "demo", "0.9.0", "--yes"],
    "renew": lambda _: ["renew", "--role", "releases"],
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path) as made:
        made.person.environ["LOCKGATE_MEMORY"] = str(tmp_path / "memory")
        made.init()
        made.publish("0.9.0")
        made.publish("1.0.0")
        yield made


def put_back(desk: ReleaseDesk, *, ledger: bool) -> None:
    """Publish once more, and bring back the files as they were before; the database too?"""
    objects = dict(desk.server.store.objects)
    highest = dict(desk.server.ledger.highest_by_app)
    desk.publish("1.1.0")
    desk.server.store.objects.clear()
    desk.server.store.objects.update(objects)
    if ledger:
        desk.server.ledger.highest_by_app.clear()
        desk.server.ledger.highest_by_app.update(highest)


@pytest.mark.parametrize("arguments", SIGNERS.values(), ids=SIGNERS)
def test_who_has_seen_newer_signs_nothing_on_top_of_it_though_the_server_would(
    desk: ReleaseDesk, arguments: Callable[[ReleaseDesk], list[str]]
) -> None:
    put_back(desk, ledger=True)
    before = desk.files()
    desk.person.must_end(
        ExitCode.REFUSED,
        arguments(desk),
        "an older state than was verified here before",
        "put back",
    )
    assert desk.files() == before


def test_a_server_that_knows_better_refuses_who_remembers_nothing(desk: ReleaseDesk) -> None:
    put_back(desk, ledger=False)
    del desk.person.environ["LOCKGATE_MEMORY"]
    chain = desk.chain()
    desk.person.must_end(
        ExitCode.REFUSED,
        desk.publish_arguments("2.0.0"),
        "the store was put back to an older state",
    )
    assert desk.chain() == chain


def test_a_list_that_was_accepted_is_remembered_before_it_is_ever_read_again(
    desk: ReleaseDesk,
) -> None:
    put_back(desk, ledger=True)
    ended = desk.refuse(ExitCode.REFUSED, "2.0.0", words="demo: releases")
    assert "at least 4; found 3" in ended.err


def test_each_app_and_each_root_of_trust_has_its_own_memory(desk: ReleaseDesk) -> None:
    (kept,) = Path(desk.person.environ["LOCKGATE_MEMORY"]).iterdir()
    assert kept.name.startswith("demo-")
    put_back(desk, ledger=True)
    kept.unlink()
    desk.publish("2.0.0")
    assert "2.0.0" in desk.versions()


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"root": "1"}', b"\xff"])
def test_a_damaged_memory_is_a_local_error_that_says_what_to_do(
    desk: ReleaseDesk, damage: bytes
) -> None:
    (kept,) = Path(desk.person.environ["LOCKGATE_MEMORY"]).iterdir()
    kept.write_bytes(damage)
    desk.refuse(ExitCode.LOCAL, "2.0.0", words="Remove it if it is damaged")


def test_where_nothing_can_be_kept_a_publish_goes_through(desk: ReleaseDesk) -> None:
    desk.person.environ["LOCKGATE_MEMORY"] = "/proc/nothing"
    desk.publish("2.0.0")
    assert "2.0.0" in desk.versions()
