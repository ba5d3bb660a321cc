"""Holds the shim to strace: the real command's system calls are the calls that the shim has seen.

Every other campaign believes the shim. This one starts the bare command under strace, without it,
and compares each call that changes or syncs something below the home, in their order.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from itertools import groupby, islice, zip_longest
from pathlib import Path

from tests.crash.bench import Bench
from tests.crash.shim import CHANGES, SYNCS, Call
from tests.crash.tally import Sample, Tally, timed

__all__ = ["compare_with_strace"]

_BY_PATH = {
    "openat": "open",
    "open": "open",
    "creat": "open",
    "truncate": "ftruncate",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "link": "link",
    "linkat": "link",
    "symlink": "symlink",
    "symlinkat": "symlink",
    "mkdir": "mkdir",
    "mkdirat": "mkdir",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "rmdir": "rmdir",
    "chmod": "chmod",
    "fchmodat": "chmod",
    "fchmodat2": "chmod",
    "utimensat": "utimens",
}
_BY_HANDLE = {
    "write": "write",
    "pwrite64": "write",
    "writev": "write",
    "pwritev": "write",
    "pwritev2": "write",
    "sendfile": "write",
    "copy_file_range": "write",
    "splice": "write",
    "fallocate": "write",
    "ftruncate": "ftruncate",
    "fchmod": "chmod",
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "syncfs": "syncfs",
    "mmap": "mmap",
}
"""System calls, and what the shim calls them."""

_LINE = re.compile(r"(\w+)\((.*)\)\s+= (\d+)")
_OPERAND = re.compile(r'(?:AT_FDCWD|\b\d+)<(?P<handle>[^>]*)>|"(?P<name>[^"]*)"')
_FOR_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
_SHARED_FOR_WRITING = re.compile(r"PROT_WRITE.*MAP_SHARED")
_RANDOM_NAME = re.compile(r"/tmp\w{8}$")

_Seen = tuple[str, str]
"""What was done, and where below the home."""


def compare_with_strace(bench: Bench, _: Sample) -> Tally:
    """Run the bare command under strace; it must do what the shim has seen, and nothing else."""
    with timed("strace", bench.name) as tally:
        by_strace = _joined(_seen_by_strace(bench))
        by_shim = _joined(_seen_by_shim(bench.undisturbed.calls))
        tally.points = len(by_strace)
        for at, (real, seen) in enumerate(zip_longest(by_strace, by_shim)):
            tally.add(
                f"call {at}", "" if real == seen else f"{real} for strace, {seen} for the shim"
            )
    return tally


def _joined(seen: list[_Seen]) -> list[_Seen]:
    """Count writes to one file in a row as one: a network cuts bodies as it likes."""
    return [
        one for one, row in groupby(seen) for _ in (islice(row, 1) if one[0] == "write" else row)
    ]


def _seen_by_strace(bench: Bench) -> list[_Seen]:
    bench.put_back()
    with tempfile.TemporaryDirectory() as folder:
        # One log for each process, so that no call is cut in two by another's; each with its time.
        traced = ["strace", "-ff", "-ttt", "-y", "-qq", "-s", "0", "-o", f"{folder}/log"]
        calls = ",".join(f"?{name}" for name in {**_BY_PATH, **_BY_HANDLE})
        verb, *rest = bench.command
        command = [sys.executable, "-m", "lockgate_updater", verb, "--home", str(bench.home), *rest]
        ran = subprocess.run(
            [*traced, "-e", f"trace={calls}", *command], check=False, capture_output=True, text=True
        )
        assert ran.returncode == bench.scenario.code, ran.stderr
        lines = [line for path in Path(folder).iterdir() for line in path.read_text().splitlines()]
    timed_lines = sorted((line.partition(" ") for line in lines), key=lambda parts: float(parts[0]))
    return list(_below(bench.home, (call for _, _, call in timed_lines)))


def _below(home: Path, lines: Iterable[str]) -> Iterable[_Seen]:
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, arguments, _ = match.groups()
        if name == "mmap" and not _SHARED_FOR_WRITING.search(arguments):
            continue
        if name == "openat" and not _FOR_WRITING.search(arguments):
            continue
        place = _place(name, arguments)
        if place == str(home) or place.startswith(f"{home}/"):
            yield _normal(_meaning(name, arguments), os.path.relpath(place, home))


def _meaning(name: str, arguments: str) -> str:
    if name == "unlinkat" and "AT_REMOVEDIR" in arguments:
        return "rmdir"
    return {**_BY_PATH, **_BY_HANDLE}[name]


def _place(name: str, arguments: str) -> str:
    """The path that a call is about; for a rename and a link, where from."""
    handle, names = "", []
    for operand in _OPERAND.finditer(arguments):
        if operand["handle"] is not None:
            handle = operand["handle"]
            if name in _BY_HANDLE and name != "copy_file_range":  # which names its source first
                return handle
        else:
            names.append(str(Path(handle, operand["name"])))
    if name.startswith("symlink"):
        return names[1]
    return names[0] if names else handle


def _seen_by_shim(calls: Iterable[Call]) -> list[_Seen]:
    return [
        _normal(call.name if call.name not in {"create", "truncate"} else "open", call.path)
        for call in calls
        if call.name in CHANGES | SYNCS | {"open"} and call.result >= 0
    ]


def _normal(name: str, path: str) -> _Seen:
    return name, _RANDOM_NAME.sub("/tmp*", path)
