"""From pairs of artifacts to deltas: fetched, verified, made in parallel, and looked at.

1. The earlier tree comes from the server's own artifact: fetched, held to the signed size and
   digest, unpacked, and held to the signed digest of its tree. So does the new one where it was
   uploaded before; else it is the file that goes up.
2. What is larger than 70 % of the archive is thrown away: it saves too little for what it costs.
3. A delta is an offer to save time. Where one cannot be made, the others are, and it is said why.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.context import Call
from lockgate_cli.deltas.running import Workers, memory_for
from lockgate_cli.deltas.sources import Pair
from lockgate_cli.deltas.wish import DeltaWish
from lockgate_cli.deltas.worker import Task as Order
from lockgate_cli.output import format_size, say, warn
from lockgate_cli.progress import Tally, Task
from lockgate_cli.uploading.session import Outgoing
from lockgate_release.archives import ArchiveKind, Limits, unpack
from lockgate_release.deltas.making import MadeDelta
from lockgate_release.documents import Artifact, Delta
from lockgate_release.errors import DigestMismatchError, LocalError, LockgateError
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, Platform

__all__ = [
    "MOST_SHARE_PERCENT",
    "Made",
    "make_deltas",
    "tell_made",
]

MOST_SHARE_PERCENT = 70
"""Rule 2."""

_LOOK_S = 0.2
_MOST_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of one pair.

    Attributes:
        pair: The two artifacts.
        delta: What the extras say of it, or None: there is none.
        file: The delta's file, or None.
        reason: Why there is none, or "".
        size_bytes: How large it was, or would have been; 0: nobody knows.
    """

    pair: Pair
    delta: Delta | None = None
    file: Outgoing | None = None
    reason: str = ""
    size_bytes: int = 0

    def line(self) -> str:
        """Return what came of it, for people."""
        if self.delta is None:
            return f"no delta {self.pair.name}: {self.reason}"
        share = _percent(self.delta.size, self.pair.new.size)
        size = format_size(self.delta.size)
        return f"delta {self.pair.name}: {size}, {share} % of the archive"


def make_deltas(
    call: Call,
    api: Api,
    app: AppName,
    pairs: Sequence[Pair],
    folder: Path,
    *,
    wish: DeltaWish,
    files: Mapping[Platform, Path | None],
) -> tuple[Made, ...]:
    """Return what came of each pair, in their order (rules 1 to 3).

    Args:
        call: This run.
        api: Where artifacts are fetched.
        app: The app.
        pairs: What to make.
        folder: Where deltas are left, and all that it takes meanwhile.
        wish: How.
        files: The new artifacts' files by their platform, where they are on this machine.
    """
    if not pairs:
        return ()
    desk = _Desk(
        api=api,
        app=app,
        folder=folder,
        wish=wish,
        workers=Workers(environ=call.around.environ, ceiling_bytes=wish.memory_bytes),
        trees={},
    )
    say(f"making {len(pairs)} {'delta' if len(pairs) == 1 else 'deltas'}")
    tasks = [_task_of(pair) for pair in pairs]
    at_once = min(len(pairs), os.cpu_count() or 1, _MOST_AT_ONCE)
    with ThreadPoolExecutor(at_once, "deltas") as pool:
        try:
            with call.progress().board(tasks) as draw:
                for pair in pairs:
                    desk.prepare(pair.new, files.get(pair.new.platform))
                ends = [
                    pool.submit(desk.make, number, pair, task.tally)
                    for number, (pair, task) in enumerate(zip(pairs, tasks, strict=True))
                ]
                _wait(ends, draw)
        except BaseException:
            desk.workers.end()
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(end.result() for end in ends)


def _wait(ends: Iterable[Future[Made]], draw: Callable[[], None]) -> None:
    pending = set(ends)
    while pending:
        _, pending = wait(pending, timeout=_LOOK_S)
        draw()


def _task_of(pair: Pair) -> Task:
    return Task(
        label=f"delta {pair.name}",
        size_bytes=pair.old.size,
        tally=Tally(),
        afterwards="fetched, and being matched",
    )


def _percent(part: int, whole: int) -> int:
    return -(-100 * part // max(whole, 1))


@dataclass(slots=True, kw_only=True)
class _Desk:
    """Where deltas are made: what they share, and how one is made. Used by several threads."""

    api: Api
    app: AppName
    folder: Path
    wish: DeltaWish
    workers: Workers
    trees: dict[str, Path | str]

    def prepare(self, new: Artifact, path: Path | None) -> None:
        """Unpack a new artifact, once for all its deltas; what is in the way is kept for later."""
        if new.platform in self.trees:
            return
        root = self.folder / f"new-{len(self.trees)}"
        fetched = root.with_suffix(".archive")
        try:
            root.mkdir()
            if path is None:
                self._fetch(new, fetched, Tally())
            limits = Limits(size_bytes=new.tree_size)
            unpack(path or fetched, ArchiveKind(new.kind), root, name=new.name, limits=limits)
            fetched.unlink(missing_ok=True)
            self.trees[new.platform] = root
        except LockgateError as exc:
            self.trees[new.platform] = str(exc)
        except OSError as exc:
            self.trees[new.platform] = f"no room to unpack: {exc.strerror or exc}"

    def make(self, number: int, pair: Pair, tally: Tally) -> Made:
        """Make one delta; what is in the way is said in the answer."""
        tree = self.trees[pair.new.platform]
        if not isinstance(tree, Path):
            return Made(pair=pair, reason=tree)
        archive = self.folder / f"old-{number}"
        try:
            self._fetch(pair.old, archive, tally)
            tally.is_checking = True
            made = self.workers.run(self._order(number, pair, archive, tree))
        except LockgateError as exc:
            return Made(pair=pair, reason=str(exc))
        except OSError as exc:
            return Made(pair=pair, reason=exc.strerror or str(exc))
        finally:
            archive.unlink(missing_ok=True)
        return self._judge(number, pair, made)

    def _order(self, number: int, pair: Pair, archive: Path, tree: Path) -> Order:
        old, new = pair.old, pair.new
        return Order(
            old=str(archive),
            kind=old.kind,
            name=old.name,
            old_tree_sha256=old.tree_sha256,
            old_tree_size=old.tree_size,
            new=str(tree),
            new_tree_sha256=new.tree_sha256,
            new_tree_size=new.tree_size,
            target=str(self._target(number)),
            algorithm=self.wish.algorithm,
            memory_bytes=memory_for(old.tree_size, new.tree_size, self.wish.memory_bytes),
        )

    def _target(self, number: int) -> Path:
        return self.folder / f"{number}.delta"

    def _judge(self, number: int, pair: Pair, made: MadeDelta) -> Made:
        """Keep what is small enough (rule 2)."""
        target = self._target(number)
        if 100 * made.size > MOST_SHARE_PERCENT * pair.new.size:
            target.unlink()
            share = _percent(made.size, pair.new.size)
            reason = f"it would be {share} % of the archive, and {MOST_SHARE_PERCENT} % is the most"
            return Made(pair=pair, reason=reason, size_bytes=made.size)
        delta = Delta(
            platform=pair.new.platform,
            from_version=pair.from_version,
            from_tree_sha256=pair.old.tree_sha256,
            algorithm=made.algorithm,
            size=made.size,
            sha256=made.sha256,
            path=artifact_path(made.sha256),
            memory_bytes=made.memory_bytes,
            scratch_bytes=made.scratch_bytes,
        )
        name = f"{self.app}-from-{pair.from_version}-{pair.new.platform}.delta"
        file = Outgoing(path=target, name=name, sha256=made.sha256, size_bytes=made.size)
        return Made(pair=pair, delta=delta, file=file, size_bytes=made.size)

    def _fetch(self, artifact: Artifact, target: Path, tally: Tally) -> None:
        digest, size_bytes = hashlib.sha256(), 0
        with target.open("xb") as out:
            for chunk in self.api.stream_artifact(self.app, artifact.sha256):
                if self.workers.has_ended:
                    raise LocalError("interrupted", subject=artifact.name)
                size_bytes += len(chunk)
                if size_bytes > artifact.size:
                    break
                digest.update(chunk)
                out.write(chunk)
                tally.send(len(chunk))
        if (size_bytes, digest.hexdigest()) != (artifact.size, artifact.sha256):
            raise DigestMismatchError(
                "not the bytes that were signed",
                subject=artifact.name,
                expected=f"{artifact.size} bytes, sha256 {artifact.sha256}",
                found=f"{size_bytes} bytes, sha256 {digest.hexdigest()}",
            )


def tell_made(made: Iterable[Made]) -> None:
    """Say what came of each pair: a fault as a warning, the rest as words."""
    for one in made:
        (say if one.delta is not None or one.size_bytes else warn)(one.line())
