"""What a delta makes our code do has limits, and ends when we do."""

import errno
import faulthandler
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from lockgate_release.archives.safe_tree import Limits, remove_tree
from lockgate_updater.install.patching.confined import (
    Apply,
    Ended,
    Ending,
    Job,
    apply_confined,
    apply_here,
    in_child,
)
from lockgate_updater.install.patching.memory import free_memory_bytes, read_free_memory
from tests.simulators.patching import make_bytes, write_tree
from tests.simulators.repository import HEALTHY

LARGE = bytes(range(256)) * (16 << 10)
TWO = {**HEALTHY, "lib/two": b"2" * 1000}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    delta, new = tmp_path / "delta", tmp_path / "new"
    delta.write_bytes(make_bytes(HEALTHY, TWO))
    new.mkdir()
    return Job(
        delta=delta,
        old=write_tree(HEALTHY, tmp_path / "old"),
        new=new,
        limits=Limits(size_bytes=10_000),
        memory_bytes=32 << 20,
    )


def test_a_delta_is_applied_by_another_process(job: Job) -> None:
    pids: Path = job.new / "pid"

    def apply(_: Job) -> None:
        pids.write_text(str(os.getpid()))

    assert in_child(job, apply) == Ending(kind=Ended.DONE)
    assert int(pids.read_text()) != os.getpid()


@contextmanager
def _another_thread() -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_beside_other_threads_it_is_applied_by_a_fresh_interpreter(job: Job) -> None:
    with _another_thread():
        assert apply_confined(job).kind is Ended.DONE
    assert (job.new / "lib" / "two").read_bytes() == b"2" * 1000


def test_that_interpreter_has_limits_too(job: Job) -> None:
    no_more_than_it_has = replace(job, memory_bytes=-(64 << 20))
    with _another_thread():
        assert apply_confined(no_more_than_it_has).kind in {Ended.LIMIT, Ended.REFUSED}


def test_an_interpreter_that_cannot_start_is_no_fault_of_the_delta(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with _another_thread():
        ending = apply_confined(job)
    assert ending.kind is Ended.MACHINE
    assert not ending.blames_delta


def test_where_no_process_can_be_had_a_delta_has_no_more_time_than_a_child(job: Job) -> None:
    """Its clock goes on by a twelfth of what it may take, each time that it is looked at."""
    assert apply_here(job, lambda: 0.0).kind is Ended.DONE
    assert (job.new / "lib" / "two").read_bytes() == b"2" * 1000
    remove_tree(job.new)
    job.new.mkdir()
    (job.old / "large").write_bytes(LARGE)
    job.delta.write_bytes(make_bytes({**HEALTHY, "large": LARGE}, {**TWO, "large": LARGE[::-1]}))
    large = replace(job, limits=Limits(size_bytes=8 << 20))
    ticks = count(step=8.0)
    ending = apply_here(large, lambda: next(ticks))
    assert (ending.kind, ending.reason) == (Ended.LIMIT, "it takes more time than it may")
    assert ending.blames_delta
    assert 10 < next(ticks) / 8.0 < 16, "it was not ended at once"
    assert (job.new / "large").stat().st_size < len(LARGE)


def test_what_is_no_delta_is_refused(job: Job) -> None:
    job.delta.write_bytes(b"x" * 1000)
    ending = apply_confined(job)
    assert ending.kind is Ended.REFUSED
    assert ending.blames_delta


def _take_memory(_: Job) -> None:
    bytearray(2 << 30)


def _write_too_much(job: Job) -> None:
    with (job.new / "large").open("wb") as stream:
        for _ in range(300):
            stream.write(bytes(10_000))


def _stumble(_: Job) -> None:
    raise RecursionError("too deep")


def _crash(_: Job) -> None:
    faulthandler.disable()  # pytest's own
    os.kill(os.getpid(), signal.SIGSEGV)


def _run_out_of_time(_: Job) -> None:
    os.kill(os.getpid(), signal.SIGXCPU)


def _be_killed(_: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("apply", "kind"),
    [
        (_take_memory, Ended.LIMIT),
        (_write_too_much, Ended.MACHINE),
        (_stumble, Ended.REFUSED),
        (_crash, Ended.REFUSED),
        (_run_out_of_time, Ended.LIMIT),
        (_be_killed, Ended.KILLED),
    ],
)
def test_whatever_happens_there_is_an_ending_here(job: Job, apply: Apply, kind: Ended) -> None:
    ending = in_child(job, apply)
    assert ending.kind is kind
    assert ending.reason
    assert ending.blames_delta is (kind in {Ended.REFUSED, Ended.LIMIT})


def _fail_in_a_folder_of_letters(job: Job) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.new / ("\U0001f680" * 600)))


def test_a_long_reason_in_any_script_does_not_blame_the_delta(job: Job) -> None:
    ending = in_child(job, _fail_in_a_folder_of_letters)
    assert ending.kind is Ended.MACHINE
    assert os.strerror(errno.ENOSPC) in ending.reason


def test_where_no_process_can_be_started_it_has_not_failed_for_the_delta(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, "too many processes")

    monkeypatch.setattr(os, "fork", fork)
    ending = in_child(job, _be_killed)
    assert ending.kind is Ended.MACHINE
    assert "too many processes" in ending.reason
    assert not ending.blames_delta


def test_the_limits_are_the_systems(job: Job) -> None:
    import resource

    def apply(job: Job) -> None:
        names = (
            resource.RLIMIT_CPU,
            resource.RLIMIT_FSIZE,
            resource.RLIMIT_CORE,
            resource.RLIMIT_AS,
        )
        (job.new / "limits").write_text(
            " ".join(str(resource.getrlimit(name)[1]) for name in names)
        )

    assert in_child(job, apply).kind is Ended.DONE
    cpu_s, write_bytes, core_bytes, memory_bytes = map(
        int, (job.new / "limits").read_text().split()
    )
    assert cpu_s == 65 + 32  # A tree of many small files takes more time than its bytes say.
    assert write_bytes == 10_000 + (1 << 20)
    assert core_bytes == 0
    assert 96 << 20 <= memory_bytes < 4 << 30


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = f"""
        import time
        from pathlib import Path
        from lockgate_release.archives.safe_tree import Limits
        from lockgate_updater.install.patching.confined import Job, in_child
        def apply(job):
            print("begun", flush=True)
            time.sleep(600)
        here = Path({str(tmp_path)!r})
        in_child(Job(delta=here, old=here, new=here, limits=Limits(), memory_bytes=0), apply)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "begun\n"
        (child,) = _children_of(parent.pid)
        parent.kill()
    for _ in range(1000):
        if not _lives(child):
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("it outlives its parent")


def _children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_a_person_who_ends_it_ends_the_child_first(job: Job) -> None:
    def apply(job: Job) -> None:
        (job.new / "pid").write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)

    # Whoever runs the tests in the background may have us pass Ctrl-C over.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            in_child(job, apply)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert not _lives(int((job.new / "pid").read_text()))


MACHINE = "MemTotal: 4000 kB\nMemAvailable:    2000 kB\nSwapFree: 1 kB\n"


@pytest.mark.parametrize(
    ("machine", "most", "taken", "stat", "free"),
    [
        (MACHINE, "", "", "", 2_048_000),
        (MACHINE, "max\n", "500\n", "", 2_048_000),
        (MACHINE, "1500\n", "500\n", "", 1000),
        (MACHINE, "1500\n", "1500\n", "anon 7\ninactive_file 1200\nactive_file 9\n", 1200),
        (MACHINE, "500\n", "1500\n", "", 0),
        ("", "1500", "500", "", 1000),
        ("", "", "", "", None),
    ],
)
def test_free_memory_is_the_least_of_what_is_known(
    machine: str, most: str, taken: str, stat: str, free: int | None
) -> None:
    assert read_free_memory(machine, most, taken, stat) == free


def test_free_memory_is_read_where_the_system_says_it(tmp_path: Path) -> None:
    assert free_memory_bytes(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(MACHINE)
    assert free_memory_bytes(tmp_path) == 2_048_000
