"""Threads begin under coverage and an audit hook, as they do in every test of a server."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import sys, threading
from tests.guard.tracing import let_threads_begin

let_threads_begin()
is_inside, may_go = threading.Event(), threading.Event()

def wait(event, arguments):
    if event == "sys.settrace" and threading.current_thread().name == "first":
        is_inside.set()
        may_go.wait(10)

sys.addaudithook(wait)
first = threading.Thread(name="first", target=lambda: sys.settrace(None))
first.start()
is_inside.wait(10)
sys.settrace(None)
print("installed")
may_go.set()
first.join()
"""


def test_a_thread_begins_while_another_one_is_about_to_be_traced() -> None:
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "installed\n", "")
