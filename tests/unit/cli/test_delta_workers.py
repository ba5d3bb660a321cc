"""The processes that make deltas: what they take, what they see, and when they end."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lockgate_cli.deltas.running import Workers
from lockgate_cli.deltas.worker import Task, carry_out
from lockgate_release.archives import ArchiveKind, unpack
from lockgate_release.digests import digest_tree
from lockgate_release.errors import DigestMismatchError, LocalError
from tests.simulators.archives import make_archive

CEILING_BYTES = 256 << 20


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """One delta between two small trees."""
    trees = {}
    for name in ("old", "new"):
        archive = tmp_path / f"{name}.tar.gz"
        archive.write_bytes(make_archive({"bin/app": name.encode() * 5000, "same": b"x" * 9}))
        trees[name] = tmp_path / name
        trees[name].mkdir()
        unpack(archive, ArchiveKind.TAR_GZ, trees[name], name=archive.name)
    old, new = digest_tree(trees["old"]), digest_tree(trees["new"])
    return Task(
        old=str(tmp_path / "old.tar.gz"),
        kind="tar.gz",
        name="old.tar.gz",
        old_tree_sha256=old.sha256,
        old_tree_size=old.size_bytes,
        new=str(trees["new"]),
        new_tree_sha256=new.sha256,
        new_tree_size=new.size_bytes,
        target=str(tmp_path / "a.delta"),
        algorithm="lockgate-columns-1",
        memory_bytes=CEILING_BYTES,
    )


def workers(**environ: str) -> Workers:
    return Workers(environ={**environ, "PATH": os.defpath}, ceiling_bytes=CEILING_BYTES)


def test_a_process_makes_what_this_one_would(task: Task, tmp_path: Path) -> None:
    apart = workers().run(task)
    here = carry_out(replace(task, target=str(tmp_path / "b.delta")))
    assert apart == here
    assert (tmp_path / "a.delta").read_bytes() == (tmp_path / "b.delta").read_bytes()
    assert not list(tmp_path.glob("trees-*"))


@pytest.mark.parametrize("which", ["old_tree_sha256", "new_tree_sha256"])
def test_a_tree_that_nobody_has_signed_makes_no_delta(task: Task, which: str) -> None:
    wrong = replace(task, **{which: "0" * 64})  # type: ignore[arg-type]
    with pytest.raises(DigestMismatchError, match="not the tree that was signed"):
        carry_out(wrong)
    assert not Path(task.target).exists()
    with pytest.raises(LocalError, match="not the tree that was signed"):
        workers().run(wrong)


def test_a_damaged_archive_is_said_by_name(task: Task) -> None:
    Path(task.old).write_bytes(b"not an archive")
    with pytest.raises(LocalError, match=r"old\.tar\.gz: no delta could be made: damaged: "):
        workers().run(task)


def test_a_process_sees_no_secret(task: Task, tmp_path: Path) -> None:
    spy = tmp_path / "spy"
    (spy / "lockgate_cli" / "deltas").mkdir(parents=True)
    (spy / "lockgate_cli" / "__init__.py").touch()
    (spy / "lockgate_cli" / "deltas" / "__init__.py").touch()
    worker = spy / "lockgate_cli" / "deltas" / "worker.py"
    seen = tmp_path / "seen"
    worker.write_text(f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))")
    with pytest.raises(LocalError, match="the process ended with 0"):
        workers(PYTHONPATH=str(spy), LOCKGATE_TOKEN="lg_secret", HOME="/home").run(task)
    assert "PYTHONPATH" in seen.read_text()
    assert "lg_secret" not in seen.read_text()
    assert "HOME" not in seen.read_text()


def test_what_lies_in_the_current_folder_is_not_run(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "checkout" / "lockgate_cli"
    planted.mkdir(parents=True)
    (planted / "__init__.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(planted.parent)
    assert workers().run(task).size > 0


def test_a_process_ends_when_whoever_asked_is_gone(task: Task, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "waits")
    blocked = replace(task, old=str(tmp_path / "waits"))
    process = subprocess.Popen(
        [sys.executable, "-m", "lockgate_cli.deltas.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(blocked)).encode() + b"\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.stdin.close()
        assert process.wait(30) == 1


def test_an_interrupted_run_ends_its_processes_and_begins_no_more(
    task: Task, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "waits")
    blocked = replace(task, old=str(tmp_path / "waits"))
    found: list[LocalError] = []
    desk = workers()

    def run() -> None:
        with pytest.raises(LocalError) as caught:
            desk.run(blocked)
        found.append(caught.value)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not desk._running:
        time.sleep(0.01)
    # The ceiling lets one run; the other waits for its memory.
    assert len(desk._running) == 1
    desk.end()
    for thread in threads:
        thread.join(30)
    assert sorted("interrupted" in str(error) for error in found) == [False, True]
    assert not desk._running


def test_what_takes_more_memory_than_it_was_given_is_held() -> None:
    code = (
        "from lockgate_cli.deltas.worker import limit_memory\n"
        "limit_memory(128 << 20)\n"
        "try:\n    bytearray(1 << 30)\n"
        "except MemoryError:\n    print('held')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "held\n"
