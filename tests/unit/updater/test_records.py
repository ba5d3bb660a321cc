"""The records on the disk: read strictly, written whole, refused or set aside, never guessed at."""

import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.documents import Remedy
from lockgate_release.errors import LocalError, LockgateError, UsageError
from lockgate_release.names import ChannelName, Sha256Hex
from lockgate_release.versions import VersionScheme
from lockgate_updater.state.durable import read_own_file, set_aside, sync_tree, write_durably
from lockgate_updater.state.identity import load_client_id, machine_identity, store_client_id
from lockgate_updater.state.journal import (
    Attempt,
    DamagedJournalError,
    Record,
    State,
    is_folder_name,
    load_record,
    store_record,
)
from lockgate_updater.state.memory import (
    Memory,
    OnlineWord,
    load_memory,
    store_memory,
    with_failure,
)

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
STABLE = ChannelName("stable")
SHA = Sha256Hex("ab" * 32)
ATTEMPT = Attempt(
    id="x", folder="2.0.0-0000000a", version="2.0.0", release_sha256=SHA, back_to="1.0.0-0000000b"
)
ID_1 = "00000000-0000-4000-8000-000000000001"
ID_2 = "00000000-0000-4000-8000-000000000002"


@pytest.mark.parametrize("state", State)
def test_a_record_comes_back_as_it_was_stored(tmp_path: Path, state: State) -> None:
    attempt = None if state is State.IDLE else replace(ATTEMPT, quarantine=True, reason="ü")
    record = Record(state=state, installed="1.0.0-0000000b", attempt=attempt, recoveries=3)
    store_record(tmp_path / "journal.json", record)
    assert load_record(tmp_path / "journal.json") == record
    assert [path.name for path in tmp_path.iterdir()] == ["journal.json"]


def test_no_record_is_no_record(tmp_path: Path) -> None:
    assert load_record(tmp_path / "journal.json") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"format":1}',
        b'{"format":1,"state":"idle","installed":"../x","recoveries":0,"attempt":null}',
        b'{"format":1,"state":"trial","installed":"","recoveries":0,"attempt":null}',
        b'{"format":1,"state":"flying","installed":"","recoveries":0,"attempt":null}',
        b'{"format":1,"format":1}',
        b'{"format":0,"state":"idle","installed":"","recoveries":0,"attempt":null}',
    ],
)
def test_a_damaged_record_is_said_to_be_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "journal.json").write_bytes(data)
    with pytest.raises(DamagedJournalError):
        load_record(tmp_path / "journal.json")


@given(data=st.binary(max_size=200), cut=st.integers(min_value=0, max_value=300))
def test_no_bytes_make_the_journal_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.json"
    store_record(path, Record(state=State.TRIAL, installed="", attempt=ATTEMPT))
    whole = path.read_bytes()
    for spoilt in (data, whole[:cut], whole[:cut] + data + whole[cut:]):
        path.write_bytes(spoilt)
        with suppress(LocalError):
            assert isinstance(load_record(path), Record)


def test_folder_names_cannot_leave_their_folder() -> None:
    assert is_folder_name("1.0.0-rc.1-0123abcd")
    for name in ("", "1.0.0", "../..-00000000", "/-00000000", "1.0.0-0000000g", ".x-00000000"):
        assert not is_folder_name(name), name


def test_a_memory_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    memory = Memory(
        scheme=VersionScheme.PEP440,
        revocations={STABLE: {"1.0": Remedy.LAST_GOOD}},
        floors={STABLE: "0.9"},
        online=OnlineWord(
            key_ids=("k",), timestamp_version=7, sequences={STABLE: 9}, signed_at=NOW
        ),
    )
    memory = with_failure(memory, sha256=SHA, version="2.0", attempt="x", reason="bad", now=NOW)
    store_memory(tmp_path / "memory.json", memory)
    assert load_memory(tmp_path / "memory.json") == (memory, None)


def test_the_same_attempt_fails_once_however_often_it_is_written_down() -> None:
    once = with_failure(Memory(), sha256=SHA, version="2.0", attempt="x", reason="bad", now=NOW)
    later = NOW + timedelta(hours=3)
    assert (
        with_failure(once, sha256=SHA, version="2.0", attempt="x", reason="bad", now=later) == once
    )
    twice = with_failure(once, sha256=SHA, version="2.0", attempt="y", reason="bad", now=later)
    assert [failure.failures for failure in twice.failures] == [2]
    assert twice.failures[0].until == later + timedelta(hours=4)


def test_a_client_id_is_drawn_once_for_each_machine(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    drawn = iter([ID_1, ID_2])
    assert load_client_id(path, "machine one", lambda: next(drawn)) == ID_1
    assert load_client_id(path, "machine one", lambda: next(drawn)) == ID_1
    assert load_client_id(path, "its clone", lambda: next(drawn)) == ID_2
    assert load_client_id(path, "its clone") == ID_2


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"client_id":"x","machine":"m"}', b"\xff"])
def test_a_damaged_identity_is_drawn_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "identity.json"
    path.write_bytes(damage)
    assert load_client_id(path, "m", lambda: ID_1) == ID_1


def test_only_a_uuid_is_a_client_id(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="client id"):
        store_client_id(tmp_path / "identity.json", "me", "machine")


def test_the_machines_identity_is_a_hash_and_stays() -> None:
    assert machine_identity() == machine_identity()
    assert len(machine_identity()) == 64


def test_a_record_is_not_written_through_a_planted_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in ("record", ".record.new"):
        (tmp_path / name).symlink_to(victim)
    write_durably(tmp_path / "record", b"ours")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "record").read_bytes() == b"ours"
    assert not (tmp_path / "record").is_symlink()


def test_only_plain_files_of_a_sane_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "large")
    for name in ("pipe", "large", "link", "."):
        with pytest.raises(LocalError):
            read_own_file(tmp_path / name, limit_bytes=4)
    assert read_own_file(tmp_path / "none") is None


def test_what_is_set_aside_is_never_overwritten(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "x").write_bytes(str(number).encode())
        assert set_aside(tmp_path / "x").name == f"x.damaged-{number}"
    assert (tmp_path / "x.damaged-1").read_bytes() == b"1"


def test_a_disk_that_refuses_is_a_local_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="nowhere"):
        write_durably(tmp_path / "nowhere" / "x", b"")
    with pytest.raises(LocalError, match="nowhere"):
        sync_tree(tmp_path / "nowhere")
    assert issubclass(LocalError, LockgateError)
