"""One delta, made in a process of its own: what it takes of memory goes back with it.

`python -m lockgate_cli.deltas.worker` reads one line of JSON from stdin (a `Task`), makes the
delta, applies it once to prove it, and answers by one line on stdout. When stdin ends, whoever
asked is gone, and so is this process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lockgate_release.archives import ArchiveKind, Limits, unpack
from lockgate_release.deltas.applying import apply_delta
from lockgate_release.deltas.making import MadeDelta, make_delta
from lockgate_release.digests import digest_tree
from lockgate_release.errors import DigestMismatchError, LockgateError

__all__ = ["Task", "carry_out", "main"]

_ROOM_BYTES = 512 << 20
"""What a process takes beside the matching, generously: the ceiling is a backstop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to make, in words that travel between processes.

    Attributes:
        old: The earlier artifact's file, verified by its digest.
        kind: Its format.
        name: Its name: what a single file is called in the tree.
        old_tree_sha256: Digest of the tree it unpacks to.
        old_tree_size: Bytes in the files of that tree.
        new: The folder of the new tree.
        new_tree_sha256: Digest of that tree.
        new_tree_size: Bytes in the files of that tree.
        target: Where the delta is to be.
        algorithm: How it is encoded.
        memory_bytes: What making it may take.
    """

    old: str
    kind: str
    name: str
    old_tree_sha256: str
    old_tree_size: int
    new: str
    new_tree_sha256: str
    new_tree_size: int
    target: str
    algorithm: str
    memory_bytes: int


def carry_out(task: Task) -> MadeDelta:
    """Make the delta, and prove it: applied to the old tree it leads to the new one.

    Raises:
        DigestMismatchError: A tree is not the one that was signed, or not what the delta leads to.
        ArchiveError: The old artifact is damaged.
        UsageError: Deltas of that algorithm cannot be made here.
        OSError: The disk is in the way.
    """
    target = Path(task.target)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="trees-") as name:
        old, made = Path(name) / "old", Path(name) / "made"
        old.mkdir()
        made.mkdir()
        limits = Limits(size_bytes=task.old_tree_size)
        unpack(Path(task.old), ArchiveKind(task.kind), old, name=task.name, limits=limits)
        _check_tree(old, task.old_tree_sha256, "the earlier artifact's tree")
        found = make_delta(
            old,
            Path(task.new),
            target,
            algorithm=task.algorithm,
            memory_bytes=task.memory_bytes,
        )
        try:
            apply_delta(target, old, made, limits=Limits(size_bytes=task.new_tree_size))
            _check_tree(made, task.new_tree_sha256, "what the delta leads to")
        except BaseException:
            target.unlink()  # The others may need its room.
            raise
    return found


def _check_tree(root: Path, expected: str, subject: str) -> None:
    found = digest_tree(root).sha256
    if found != expected:
        raise DigestMismatchError(
            "not the tree that was signed", subject=subject, expected=expected, found=found
        )


def limit_memory(memory_bytes: int) -> None:
    """Let this process take no more than that and some room; where that cannot be said, nothing."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 (not everywhere)

        most = memory_bytes + _ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Do what the line on stdin says."""
    task = Task(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_memory(task.memory_bytes)
    answer: dict[str, object]
    try:
        answer = asdict(carry_out(task))
    except LockgateError as exc:
        what = f"{exc.what}: {exc.found}" if exc.found else exc.what
        answer = {"what": what, "subject": exc.subject, "hint": exc.hint}
    except MemoryError:
        answer = {"what": "takes more memory than it was given", "subject": task.name}
    except OSError as exc:
        disk = shutil.disk_usage(Path(task.target).parent)
        subject = f"{exc.filename or task.target}, {disk.free >> 20} MiB free"
        answer = {"what": exc.strerror or str(exc), "subject": subject}
    except Exception as exc:  # noqa: BLE001 (nobody sees our stderr: it is said in the answer)
        answer = {"what": f"{type(exc).__name__}: {exc}", "subject": task.name}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    # A thread waits for the end of stdin, and nothing else is left to do.
    os._exit(0)


if __name__ == "__main__":
    main()
