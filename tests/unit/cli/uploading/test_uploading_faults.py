"""Uploads through every kind of failure: of the network, the store, the server and the file."""

import threading

import pytest

from lockgate_release.errors import (
    DeniedError,
    DigestMismatchError,
    LocalError,
    TransportError,
    UsageError,
)
from tests.simulators.sender import MODES, PART, Sender, kept
from tests.simulators.upload_server import Fault, UploadServer

# The network and the store fail.

FAULTS = {
    "slow down": Fault(status=503),
    "a fault of the store": Fault(status=500),
    "too many": Fault(status=429),
    "a reset in the middle": Fault(drops=True, reads_bytes=1000),
    "a body that came too slowly": Fault(status=400, body=b"<Code>RequestTimeout</Code>"),
    "an address that has expired": Fault(status=403, body=b"<Code>AccessDenied</Code>"),
    "an answer that got lost": Fault(drops=True, is_done=True),
    "an answer that ends early": Fault(status=200, short_by=10, is_done=True),
    "no name for what arrived": Fault(status=200),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_part_that_fails_at_the_store_is_sent_again_to_another_address(
    server: UploadServer, sender: Sender, name: str
) -> None:
    server.faults = {"part:3": [FAULTS[name]]}
    file = sender.write()
    assert sender.send(file) == [True]
    assert kept(server, file)
    assert server.numbers_sent().count(3) == 2
    assert len(server.numbers_sent()) == 8
    third = [asked.path for asked in server.asked if asked.kind == "part" and asked.number == 3]
    assert len(set(third)) == 2
    assert sender.waited_s == [0.5]


@pytest.mark.parametrize("mode", ["server"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(drops=True, reads_bytes=1000),
        Fault(drops=True, is_done=True),
        Fault(status=422, body=b"{}"),
    ],
)
def test_a_part_that_fails_at_the_server_is_sent_again(
    server: UploadServer, sender: Sender, fault: Fault
) -> None:
    server.faults = {"part:3": [fault]}
    file = sender.write()
    assert sender.send(file) == [True]
    assert kept(server, file)
    assert server.numbers_sent().count(3) == 2


def test_waits_grow_and_the_other_side_s_wish_goes_first(
    server: UploadServer, sender: Sender
) -> None:
    asks = {"Retry-After": "7"}
    server.faults = {"part:3": [Fault(), Fault(), Fault(headers=asks)]}
    sender.send(sender.write())
    assert sender.waited_s == [0.5, 1.0, 7.0]


@MODES
@pytest.mark.parametrize("kind", ["begin", "urls", "finish"])
@pytest.mark.parametrize(
    "fault", [Fault(), Fault(drops=True), Fault(drops=True, is_done=True), Fault(status=504)]
)
def test_an_answer_of_the_server_that_gets_lost_is_asked_for_again(
    server: UploadServer, sender: Sender, kind: str, fault: Fault
) -> None:
    server.faults = {kind: [fault]}
    file = sender.write()
    sender.send(file)
    assert kept(server, file)
    assert server.part_bytes_seen == file.size_bytes


@MODES
@pytest.mark.parametrize("kind", ["part:5", "finish"])
def test_an_upload_that_is_gone_is_begun_again(
    server: UploadServer, sender: Sender, kind: str
) -> None:
    server.faults = {kind: [Fault(status=404, then=server.uploads.clear)]}
    file = sender.write()
    assert sender.send(file) == [True]
    assert kept(server, file)


def test_an_upload_that_is_always_gone_ends_with_words(
    server: UploadServer, sender: Sender
) -> None:
    server.faults = {"finish": [Fault(status=404)] * 9}
    assert "lost again and again" in sender.fail(TransportError, sender.write())


@MODES
def test_parts_that_are_missing_in_the_end_are_sent(server: UploadServer, sender: Sender) -> None:
    def lose() -> None:
        (held,) = server.uploads.values()
        del held.parts[2]

    server.faults = {"finish": [Fault(status=409, then=lose)]}
    file = sender.write()
    assert sender.send(file) == [True]
    assert server.numbers_sent().count(2) == 2
    assert len(server.numbers_sent()) == 8


def test_a_wrong_etag_is_found_out_in_the_end_and_mended(
    server: UploadServer, sender: Sender
) -> None:
    lie = Fault(status=200, headers={"ETag": '"0123"'}, is_done=True)
    server.faults = {"part:3": [lie]}
    server.names_by_md5 = False
    file = sender.write()
    assert sender.send(file) == [True]
    assert kept(server, file)
    assert server.numbers_sent().count(3) == 2


# What does not get better.


def test_a_store_that_is_down_ends_with_words_and_keeps_what_arrived(
    server: UploadServer, sender: Sender
) -> None:
    server.faults = {"part:4": [Fault(status=503)] * 9}
    file = sender.write()
    said = sender.fail(TransportError, file)
    assert "app.zip, part 4" in said
    assert "status 503" in said
    assert len(sender.journals()) == 1


def test_a_store_that_takes_no_address_is_named_after_three(
    server: UploadServer, sender: Sender
) -> None:
    denial = Fault(status=403, body=b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
    server.faults = {"part": [denial] * 99}
    said = sender.fail(TransportError, sender.write(size=10))
    assert "status 403, SignatureDoesNotMatch" in said
    assert "clock" in said
    assert len(server.numbers_sent()) == 3


def test_a_refusal_that_no_repetition_helps_is_not_repeated(
    server: UploadServer, sender: Sender
) -> None:
    server.faults = {"part": [Fault(status=411)]}
    assert "status 411" in sender.fail(TransportError, sender.write(size=10))
    assert len(server.numbers_sent()) == 1


@pytest.mark.parametrize("mode", ["server"])
def test_a_token_that_may_not_is_refused_at_once(server: UploadServer, sender: Sender) -> None:
    server.faults = {"part": [Fault(status=403)]}
    sender.fail(DeniedError, sender.write(size=10))
    assert len(server.numbers_sent()) == 1


@MODES
def test_other_bytes_are_sent_once_more_from_the_beginning(
    server: UploadServer, sender: Sender
) -> None:
    def spoil() -> None:
        (held,) = server.uploads.values()
        name, data = held.parts[2]
        held.parts[2] = (name, bytes(len(data)))

    server.faults = {"finish:0": [Fault(then=spoil, drops=True)]}
    file = sender.write()
    assert sender.send(file) == [True]
    assert kept(server, file)
    assert server.part_bytes_seen == 2 * file.size_bytes


def test_other_bytes_again_are_an_error(server: UploadServer, sender: Sender) -> None:
    refusal = Fault(status=422, body=b'{"code": "repository.digest", "detail": "other bytes"}')
    problem = Fault(**{**refusal.__dict__, "headers": {"Content-Type": "application/problem+json"}})
    server.faults = {"finish": [problem] * 9}
    file = sender.write()
    assert "other bytes" in sender.fail(DigestMismatchError, file)
    assert server.kinds().count("finish") == 2
    assert (server.artifacts, server.uploads, sender.journals()) == ({}, {}, [])


# The file changes.


@MODES
@pytest.mark.parametrize("size", [0, 1, 7 * PART])
def test_a_file_that_is_written_to_meanwhile_is_noticed(
    server: UploadServer, sender: Sender, size: int
) -> None:
    file = sender.write()

    def meddle() -> None:
        file.path.write_bytes(b"x" * size)

    server.faults = {"part:3": [Fault(then=meddle)]}
    said = sender.fail(LocalError, file)
    assert "changed while it was being sent" in said
    assert "finish" not in server.kinds()


def test_a_file_that_is_not_there_is_named(sender: Sender) -> None:
    file = sender.write()
    file.path.unlink()
    assert "app.zip" in sender.fail(UsageError, file)


# One fails, others with it.


def test_one_file_that_fails_ends_the_others_and_they_go_on_later(
    server: UploadServer, sender: Sender
) -> None:
    server.faults = {"part:7": [Fault(status=411)]}
    files = [sender.write(f"{seed}", seed=seed) for seed in range(3)]
    sender.fail(TransportError, *files)
    assert sender.send(*files)
    assert kept(server, *files)


def test_no_thread_is_left(server: UploadServer, sender: Sender) -> None:
    before = set(threading.enumerate())
    sender.send(sender.write())
    server.faults = {"part": [Fault(status=411)]}
    sender.fail(TransportError, sender.write(seed=2))
    left = [t for t in set(threading.enumerate()) - before if "process_request" not in t.name]
    assert left == []


def test_a_cache_folder_that_cannot_be_written_to_only_costs_the_journal(
    server: UploadServer, sender: Sender
) -> None:
    sender.cache = sender.write("a-file").path / "below"
    file = sender.write()
    assert sender.send(file) == [True]
    assert kept(server, file)


def test_an_answer_that_makes_no_sense_is_no_upload(server: UploadServer, sender: Sender) -> None:
    for body in (b"{}", b'{"mode": "other", "part_bytes": 5}', b'{"mode": "direct", "parts": []}'):
        server.faults = {"begin": [Fault(status=200, body=body)]}
        assert "unexpected" in sender.fail(TransportError, sender.write())
