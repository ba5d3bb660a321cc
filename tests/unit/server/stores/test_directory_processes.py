"""The directory under several processes at once, and under kills at every step."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lockgate_server.ports import Always, IfAbsent, IfMatch, LostRaceError
from lockgate_server.stores.directory import DirectoryStore

KEY = "app/metadata/timestamp.json"

_HEAD = """
import json, os, signal, sys
from pathlib import Path
from lockgate_server.ports import Always, IfAbsent, IfMatch, LostRaceError
from lockgate_server.stores.directory import DirectoryStore
store = DirectoryStore(Path(sys.argv[1]))
def read(key):
    with store.open(key) as found:
        return found.info.etag, found.read()
"""


def start(program: str, root: Path, *args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _HEAD + program, str(root), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_at_once(program: str, root: Path, count: int) -> list[str]:
    """Runs processes that all wait for a line before they begin, and returns what they say."""
    running = [start(program, root, str(number)) for number in range(count)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0] * count
    return said


def test_counting_in_several_processes_loses_no_count(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put(KEY, b"0", IfAbsent())
    # A nap before each rename keeps the time between looking and acting wide open.
    program = f"""
import time
sys.addaudithook(lambda event, _: time.sleep(0.002) if event == "os.rename" else None)
print("ready", flush=True); input()
done = 0
while done < 15:
    etag, value = read({KEY!r})
    try:
        store.put({KEY!r}, b"%d" % (int(value) + 1), IfMatch(etag))
    except LostRaceError:
        continue
    done += 1
"""
    run_at_once(program, tmp_path, 4)
    found = store.open(KEY)
    assert found is not None
    with found:
        assert found.read() == b"60"


def test_one_process_wins_each_create(tmp_path: Path) -> None:
    program = """
print("ready", flush=True); input()
won = []
for number in range(40):
    try:
        store.put(f"app/metadata/{number}.snapshot.json", sys.argv[2].encode(), IfAbsent())
        won.append(number)
    except LostRaceError:
        pass
print(json.dumps(won))
"""
    won = [json.loads(said) for said in run_at_once(program, tmp_path, 4)]
    assert sorted(number for numbers in won for number in numbers) == list(range(40))
    for process, numbers in enumerate(won):
        for number in numbers:
            stored = (tmp_path / f"app/metadata/{number}.snapshot.json").read_text()
            assert stored == str(process)


# --- kills -----------------------------------------------------------------------------------

# Every step a write takes on the disk is announced to Python's audit hooks before it is taken. A
# child is killed at its first step, the next one at its second, until one gets through.
_SWEEP = """
def body(version):
    return b"%d:" % version + b"x" * 3_000_000

def change(action):
    if action == "replace":
        store.put("app/x", body(2), Always())
    elif action == "replace if match":
        store.put("app/x", body(2), IfMatch(read("app/x")[0]))
    elif action == "create":
        store.put("app/new/folder/y", body(2), IfAbsent())
    elif action == "copy":
        store.copy("app/x", "app/new/folder/y", IfAbsent())
    elif action == "delete":
        store.delete("app/x")

def seen():
    return {info.key: read(info.key)[1][:2].decode() + str(info.size_bytes)
            for info in store.list("")}

root, action = Path(sys.argv[1]), sys.argv[2]
for step in range(1, 200):
    store = DirectoryStore(root / str(step))
    store.put("app/x", body(1), Always())
    child = os.fork()
    if child == 0:
        left = step
        def kill_at_step(event, args):
            global left
            if event == "open" or event.startswith(("os.", "fcntl.")):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(kill_at_step)
        change(action)
        left = -1
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(json.dumps([os.WIFSIGNALED(status), seen()]), flush=True)
    # The next writer is not held up by anything the dead one held, and finds a store that works.
    store.put("app/x", body(3), Always())
    store.put("app/after", b"", IfAbsent())
    assert read("app/x")[1] == body(3)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        break
"""

ONE, TWO = "1:3000002", "2:3000002"


@pytest.mark.parametrize(
    ("action", "new"),
    [
        ("replace", {"app/x": TWO}),
        ("replace if match", {"app/x": TWO}),
        ("create", {"app/x": ONE, "app/new/folder/y": TWO}),
        ("copy", {"app/x": ONE, "app/new/folder/y": ONE}),
        ("delete", {}),
    ],
)
def test_a_kill_at_any_step_leaves_old_or_new(
    tmp_path: Path, action: str, new: dict[str, str]
) -> None:
    sweep = start(_SWEEP, tmp_path, action)
    said, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 0
    outcomes = [json.loads(line) for line in said.splitlines()]
    old = {"app/x": ONE}
    assert len(outcomes) > 5
    assert [killed for killed, _ in outcomes] == [True] * (len(outcomes) - 1) + [False]
    assert all(state in (old, new) for _, state in outcomes)
    assert outcomes[0][1] == old
    assert outcomes[-1][1] == new


def self_proving(data: bytes) -> int:
    """The number in a body that is whole."""
    digest, _, rest = data.partition(b"\n")
    assert hashlib.sha256(rest).hexdigest().encode() == digest
    return int(rest.split(b" ")[0])


@pytest.mark.parametrize("round_number", range(6))
def test_kills_at_random_moments_leave_every_object_whole(
    tmp_path: Path, round_number: int
) -> None:
    program = """
import hashlib
number = 0
while True:
    number += 1
    rest = b"%d " % number + bytes(number * 1000 % 200_000)
    data = hashlib.sha256(rest).hexdigest().encode() + b"\\n" + rest
    etag = store.put("app/always", data, Always())
    store.put("app/match", data, IfMatch(read("app/match")[0]) if number > 1 else IfAbsent())
    store.put(f"app/new/{number}", data, IfAbsent())
    print(number, flush=True)
"""
    writer = start(program, tmp_path)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(random.Random(round_number).uniform(0, 0.1))
    writer.send_signal(signal.SIGKILL)
    finished = writer.communicate(timeout=60)[0].split()
    promised = int(finished[-1]) if finished else 1
    store = DirectoryStore(tmp_path)
    numbers = {}
    for info in store.list(""):
        found = store.open(info.key)
        assert found is not None
        with found:
            numbers[info.key] = self_proving(found.read())
    assert numbers["app/always"] in {promised, promised + 1}
    assert numbers["app/match"] in {promised, promised + 1}
    created = {key: number for key, number in numbers.items() if key.startswith("app/new/")}
    assert len(created) in {promised, promised + 1}
    assert all(key == f"app/new/{number}" for key, number in created.items())
    # Nobody is held up by what the dead writer held.
    store.put("app/always", b"", Always())
    with pytest.raises(LostRaceError):
        store.put("app/match", b"", IfAbsent())
    found = store.open("app/match")
    assert found is not None
    with found:
        store.put("app/match", b"", IfMatch(found.info.etag))
