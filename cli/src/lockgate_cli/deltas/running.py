"""Deltas made in parallel, within a ceiling of memory, each in a process of its own.

What one delta may take follows from the sizes of its trees and from the ceiling alone, never from
what else runs: the same two trees under the same ceiling make the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field

from lockgate_cli.deltas.worker import Task
from lockgate_release.deltas.making import MadeDelta
from lockgate_release.errors import LocalError
from lockgate_release.names import Sha256Hex

__all__ = ["Workers", "memory_for"]

_FIXED_BYTES = 64 << 20
_BYTES_A_BYTE = 6
_CARRIED = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT")
"""What a worker sees of the environment: no token, no passphrase."""


def memory_for(old_tree_bytes: int, new_tree_bytes: int, ceiling_bytes: int) -> int:
    """Return what making a delta between two trees of these sizes may take, in bytes."""
    wanted = _FIXED_BYTES + _BYTES_A_BYTE * max(old_tree_bytes, new_tree_bytes)
    return min(wanted, ceiling_bytes)


@dataclass(slots=True, kw_only=True)
class Workers:
    """The processes that make deltas. Used by several threads.

    Attributes:
        environ: The environment, of which little is handed on.
        ceiling_bytes: What all of them may take together.
    """

    environ: Mapping[str, str]
    ceiling_bytes: int
    _taken_bytes: int = 0
    _ended: bool = False
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _turn: threading.Condition = field(default_factory=threading.Condition)

    @property
    def has_ended(self) -> bool:
        """Whether somebody has ended the run, so that nothing is worth beginning."""
        return self._ended

    def run(self, task: Task) -> MadeDelta:
        """Make one delta, once there is memory for it.

        Raises:
            LocalError: It could not be made; the message says why.
        """
        with self._memory(task.memory_bytes):
            answer = self._ask(task)
        if "sha256" not in answer:
            raise LocalError(
                f"no delta could be made: {answer.get('what') or 'the process ended'}",
                subject=str(answer.get("subject") or task.name),
                hint=str(answer.get("hint") or ""),
            )
        return MadeDelta(
            algorithm=str(answer["algorithm"]),
            size=int(str(answer["size"])),
            sha256=Sha256Hex(str(answer["sha256"])),
            memory_bytes=int(str(answer["memory_bytes"])),
            scratch_bytes=int(str(answer["scratch_bytes"])),
        )

    def end(self) -> None:
        """End every process that runs, and begin none any more."""
        with self._turn:
            self._ended = True
            for process in self._running:
                process.kill()
            self._turn.notify_all()

    @contextmanager
    def _memory(self, size_bytes: int) -> Iterator[None]:
        with self._turn:
            # The first always goes: it was given no more than the ceiling.
            self._turn.wait_for(
                lambda: (
                    self._ended
                    or not self._taken_bytes
                    or self._taken_bytes + size_bytes <= self.ceiling_bytes
                )
            )
            self._taken_bytes += size_bytes
        try:
            yield
        finally:
            with self._turn:
                self._taken_bytes -= size_bytes
                self._turn.notify_all()

    def _ask(self, task: Task) -> dict[str, object]:
        with self._turn:
            if self._ended:
                return {"what": "interrupted"}
            process = subprocess.Popen(
                # Nothing is imported from the folder that happens to be the current one.
                [sys.executable, "-P", "-m", "lockgate_cli.deltas.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: self.environ[name] for name in _CARRIED if name in self.environ},
            )
            self._running.add(process)
        try:
            return _exchange(process, task)
        finally:
            with self._turn:
                self._running.discard(process)


def _exchange(process: subprocess.Popen[bytes], task: Task) -> dict[str, object]:
    """Ask, and wait for the answer. stdin stays open meanwhile: it says that somebody waits."""
    line = b""
    with process:
        if process.stdin is not None and process.stdout is not None:
            with suppress(OSError):  # it has ended: its exit code says how
                process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
    if not line.endswith(b"\n"):
        return {"what": f"the process ended with {process.returncode}"}
    found: dict[str, object] = json.loads(line)
    return found
