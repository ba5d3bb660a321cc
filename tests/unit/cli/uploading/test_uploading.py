"""Files on their way to the server: in parts, several at once, and on from where it stopped."""

import hashlib
import random
import threading
import time
from collections.abc import Callable

import pytest

from lockgate_cli.uploading.session import Outgoing
from lockgate_release.errors import LockgateError, RepositoryError, TransportError, UsageError
from lockgate_release.names import Sha256Hex
from lockgate_release.uploads import LEAST_PART_BYTES
from tests.simulators.sender import MODES, PART, Sender, kept
from tests.simulators.upload_server import TOKEN, Fault, Held, UploadServer

# All goes well.


@MODES
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 5 * PART])
def test_a_file_of_any_size_arrives_as_it_is(
    server: UploadServer, sender: Sender, size: int
) -> None:
    file = sender.write(size=size)
    assert sender.send(file) == [True]
    assert kept(server, file)
    assert server.part_bytes_seen == size
    assert sender.journals() == []


@MODES
def test_nothing_is_sent_of_what_the_server_has(server: UploadServer, sender: Sender) -> None:
    file = sender.write()
    sender.send(file)
    server.asked.clear()
    assert sender.send(file) == [False]
    assert server.kinds() == ["begin"]


@MODES
def test_no_more_parts_than_allowed_are_on_their_way(server: UploadServer, sender: Sender) -> None:
    sender.parallel = 2
    files = [sender.write(f"{seed}", seed=seed) for seed in range(5)]
    assert sender.send(*files) == [True] * 5
    assert kept(server, *files)
    assert server.most_at_once <= 2


def test_parts_go_side_by_side(server: UploadServer, sender: Sender) -> None:
    barrier = threading.Barrier(4, timeout=30)

    def meet() -> None:
        barrier.wait()

    server.faults = {"part": [Fault(then=meet) for _ in range(4)]}
    assert sender.send(sender.write()) == [True]


def test_the_token_never_goes_to_the_store(server: UploadServer, sender: Sender) -> None:
    server.faults = {"part": [Fault(status=403), Fault(status=503)]}
    sender.send(sender.write())
    at_store = [asked for asked in server.asked if asked.side == "store"]
    assert at_store
    assert not any("authorization" in asked.headers for asked in at_store)
    assert not any(TOKEN in str(asked.headers) + asked.path for asked in at_store)


def test_the_same_file_for_two_platforms_is_sent_once(server: UploadServer, sender: Sender) -> None:
    file, same = sender.write("a"), sender.write("b")
    assert sender.send(file, same) == [True]
    assert server.part_bytes_seen == file.size_bytes


def test_two_files_that_look_alike_at_both_ends_are_told_apart(
    server: UploadServer, sender: Sender
) -> None:
    edge, size = 1 << 20, 3 << 20
    data = random.Random(7).randbytes(size)
    files = []
    for name in ("a", "b"):
        middle = hashlib.sha256(name.encode()).digest() * ((size - 2 * edge) // 32)
        content = data[:edge] + middle + data[-edge:]
        path = sender.folder / name
        path.write_bytes(content)
        sha256 = Sha256Hex(hashlib.sha256(content).hexdigest())
        files.append(Outgoing(path=path, name=name, sha256=sha256, size_bytes=size))
    assert sender.send(*files) == [True, True]
    assert kept(server, *files)
    # On the server they have one id: the second waits for the first, and neither is sent twice.
    assert server.part_bytes_seen == 2 * size


# A large file is begun with before its digest is known.


@pytest.fixture
def large(server: UploadServer, sender: Sender) -> Outgoing:
    server.part_bytes = 4 << 20
    return sender.write(size=LEAST_PART_BYTES + 1)


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.01)


def test_a_large_file_is_on_its_way_while_it_is_read_and_kept_only_when_told(
    server: UploadServer, sender: Sender, large: Outgoing
) -> None:
    with sender.open() as uploads:
        uploads.begin(large.path)
        until(lambda: server.part_bytes_seen == large.size_bytes)
        assert server.artifacts == {}
        uploads.complete([large])
    assert kept(server, large)
    assert server.part_bytes_seen == large.size_bytes


def test_a_large_file_that_the_server_has_leaves_nothing(
    server: UploadServer, sender: Sender, large: Outgoing
) -> None:
    sender.send(large)
    with sender.open() as uploads:
        uploads.begin(large.path)
        until(lambda: bool(server.uploads))
        assert uploads.complete([large]) == {large.sha256: False}
    assert kept(server, large)
    assert sender.journals() == []


@pytest.mark.parametrize("error", [UsageError("no"), RepositoryError("no")])
def test_a_command_that_is_refused_leaves_nothing(
    server: UploadServer, sender: Sender, large: Outgoing, error: LockgateError
) -> None:
    def be_refused() -> None:
        with sender.open() as uploads:
            uploads.begin(large.path)
            until(lambda: server.part_bytes_seen > 0)
            raise error

    with pytest.raises(type(error)):
        be_refused()
    assert (server.artifacts, server.uploads, sender.journals()) == ({}, {}, [])


def test_a_command_that_has_nothing_to_do_leaves_nothing(
    server: UploadServer, sender: Sender, large: Outgoing
) -> None:
    with sender.open() as uploads:
        uploads.begin(large.path)
        until(lambda: server.part_bytes_seen > 0)
    assert (server.artifacts, server.uploads, sender.journals()) == ({}, {}, [])


def test_a_command_that_is_cut_off_goes_on_from_what_arrived(
    server: UploadServer, sender: Sender, large: Outgoing
) -> None:
    def be_interrupted() -> None:
        with sender.open() as uploads:
            uploads.begin(large.path)
            until(lambda: server.part_bytes_seen == large.size_bytes)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    server.part_bytes_seen = 0
    until(lambda: sum(map(len_of, server.uploads.values())) == large.size_bytes)
    assert sender.send(large) == [True]
    assert server.part_bytes_seen == 0


def len_of(held: Held) -> int:
    return sum(len(data) for _, data in held.parts.values())


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("parallel", [1, 4])
def test_large_files_that_are_the_same_are_kept_once_and_hold_nobody_up(
    server: UploadServer, sender: Sender, large: Outgoing, first: int, parallel: int
) -> None:
    sender.parallel = parallel
    same = sender.write("same.zip", size=large.size_bytes)
    both = [large, same]
    with sender.open() as uploads:
        uploads.begin(both[first].path)
        until(lambda: server.part_bytes_seen == large.size_bytes)
        uploads.begin(both[1 - first].path)
        assert uploads.complete([large, same]) == {large.sha256: True}
    assert kept(server, large)


# A small one is sent once its digest is known, and kept only when told.


def test_a_small_file_is_on_its_way_while_the_next_is_read_and_kept_only_when_told(
    server: UploadServer, sender: Sender
) -> None:
    files = [sender.write(f"{seed}", seed=seed) for seed in range(3)]
    with sender.open() as uploads:
        for file in files:
            uploads.begin(file.path)
        assert server.asked == []
        for file in files:
            uploads.begin(file.path, file.sha256)
        until(lambda: server.part_bytes_seen == sum(file.size_bytes for file in files))
        assert server.artifacts == {}
        assert list(uploads.complete(files).values()) == [True] * 3
    assert kept(server, *files)
    assert server.part_bytes_seen == sum(file.size_bytes for file in files)


def test_more_small_files_than_go_at_once_all_arrive(server: UploadServer, sender: Sender) -> None:
    sender.parallel = 1
    files = [sender.write(f"{seed}", seed=seed, size=5) for seed in range(7)]
    with sender.open() as uploads:
        for file in files:
            uploads.begin(file.path, file.sha256)
        assert list(uploads.complete(files).values()) == [True] * 7
    assert kept(server, *files)


def test_small_files_that_are_the_same_are_sent_once(server: UploadServer, sender: Sender) -> None:
    files = [sender.write(name) for name in ("a", "b")]
    with sender.open() as uploads:
        for file in files:
            uploads.begin(file.path, file.sha256)
        assert uploads.complete(files[::-1]) == {files[0].sha256: True}
    assert kept(server, files[0])
    assert server.part_bytes_seen == files[0].size_bytes


def test_a_small_file_that_the_server_has_is_told_by_one_request(
    server: UploadServer, sender: Sender
) -> None:
    file = sender.write()
    sender.send(file)
    server.asked.clear()
    with sender.open() as uploads:
        uploads.begin(file.path, file.sha256)
        assert uploads.complete([file]) == {file.sha256: False}
    assert server.kinds() == ["begin"]
    assert kept(server, file)


def test_a_command_that_is_refused_leaves_nothing_of_small_files(
    server: UploadServer, sender: Sender
) -> None:
    def be_refused() -> None:
        with sender.open() as uploads:
            file = sender.write()
            uploads.begin(file.path, file.sha256)
            until(lambda: server.part_bytes_seen == file.size_bytes)
            raise UsageError("no")

    with pytest.raises(UsageError):
        be_refused()
    assert (server.artifacts, server.uploads, sender.journals()) == ({}, {}, [])


# Going on.


def stop_after(server: UploadServer, sender: Sender, file: Outgoing) -> set[int]:
    """Have the network end in the middle; return which parts have arrived."""
    server.faults = {"part:4": [Fault(drops=True)] * 4}
    sender.parallel = 1
    sender.fail(TransportError, file)
    sender.parallel = 4
    (held,) = server.uploads.values()
    server.part_bytes_seen = 0
    server.asked.clear()
    server.faults.clear()
    return set(held.parts)


@MODES
def test_only_what_is_missing_is_sent_again(server: UploadServer, sender: Sender) -> None:
    file = sender.write()
    arrived = stop_after(server, sender, file)
    assert arrived == {1, 2, 3}
    assert sender.send(file) == [True]
    assert set(server.numbers_sent()) == set(range(1, 8)) - arrived
    assert len(server.numbers_sent()) == 7 - len(arrived)
    assert kept(server, file)


@MODES
def test_another_machine_goes_on_from_what_the_server_lists(
    server: UploadServer, sender: Sender
) -> None:
    file = sender.write()
    arrived = stop_after(server, sender, file)
    sender.cache = sender.folder / "another-machine"
    assert sender.send(file) == [True]
    assert set(server.numbers_sent()) == set(range(1, 8)) - arrived


def test_the_journal_recognises_parts_that_the_store_names_in_its_own_way(
    server: UploadServer, sender: Sender
) -> None:
    server.names_by_md5 = False
    file = sender.write()
    arrived = stop_after(server, sender, file)
    sender.send(file)
    assert set(server.numbers_sent()) == set(range(1, 8)) - arrived


@MODES
def test_a_store_that_cannot_list_is_sent_everything_again(
    server: UploadServer, sender: Sender
) -> None:
    file = sender.write()
    stop_after(server, sender, file)
    server.lists_parts = False
    assert sender.send(file) == [True]
    assert kept(server, file)


@MODES
def test_a_part_that_has_changed_since_is_sent_again(server: UploadServer, sender: Sender) -> None:
    file = sender.write(size=64 * PART)
    server.faults = {f"part:{number}": [Fault(drops=True)] * 4 for number in range(50, 54)}
    sender.fail(TransportError, file)
    server.asked.clear()
    data = bytearray(file.path.read_bytes())
    data[30 * PART] ^= 1
    file.path.write_bytes(data)
    sha256 = Sha256Hex(hashlib.sha256(data).hexdigest())
    changed = Outgoing(path=file.path, name=file.name, sha256=sha256, size_bytes=file.size_bytes)
    assert sender.send(changed) == [True]
    assert 31 in server.numbers_sent()
    assert 1 not in server.numbers_sent()
    assert kept(server, changed)


def test_another_file_does_not_go_on_from_it(server: UploadServer, sender: Sender) -> None:
    stop_after(server, sender, sender.write())
    other = sender.write(seed=2)
    sender.send(other)
    assert server.part_bytes_seen == other.size_bytes
