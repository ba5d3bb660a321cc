"""All uploads of one command: begun as early as makes sense, finished when everything is decided.

A large file is begun with while it is still being read and described. A small one waits until its
digest is known, so that nothing at all is sent of what the server has, and goes while the next one
is read. Nothing is kept by the server before `complete` is called; when the command is refused
before that, what was sent is dropped, and when it is cut off, it stays for the next run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.progress import Progress, Task
from lockgate_cli.uploading.crew import Crew
from lockgate_cli.uploading.sending import Rules, Turns, Upload
from lockgate_release.errors import ConflictError, RepositoryError, UsageError
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.uploads import LEAST_PART_BYTES

__all__ = ["Outgoing", "Uploads", "open_uploads"]

_LOOK_S = 0.2
_LIGHT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A file that is to be on the server.

    Attributes:
        path: Where it is.
        name: What it is called.
        sha256: Its digest.
        size_bytes: Its size.
    """

    path: Path
    name: str
    sha256: Sha256Hex
    size_bytes: int


class Uploads:
    """The uploads of one command."""

    def __init__(self, api: Api, app: AppName, *, rules: Rules, progress: Progress) -> None:
        """Send nothing yet."""
        self._api = api
        self._app = app
        self._rules = rules
        self._progress = progress
        self._senders = Crew(rules.parallel)
        self._leaders = Crew(rules.parallel)
        # A small file is mostly waited for: the server begins it, reads it, and puts it in place.
        self._light_leaders = Crew(_LIGHT * rules.parallel)
        self._turns = Turns()
        self._uploads: dict[Path, Upload] = {}
        self._ends: dict[Path, Future[bool]] = {}
        self._told: dict[Sha256Hex, Path] = {}

    def begin(self, path: Path, sha256: Sha256Hex | None = None) -> None:
        """Begin to send the file, unless it is small and its digest is not known yet.

        A path that cannot be read is let pass: whoever reads it next says so.
        """
        try:
            is_large = path.stat().st_size > LEAST_PART_BYTES
        except OSError:
            return
        if path in self._uploads:
            return
        if is_large:
            self._start(path)
            self._run(path, self._leaders)
        elif sha256 is not None and sha256 not in self._told:
            self._begin_told(path, sha256, self._light_leaders)

    def _begin_told(self, path: Path, sha256: Sha256Hex, leaders: Crew) -> None:
        self._told[sha256] = path
        self._start(path).tell_digest(sha256)
        self._run(path, leaders)

    def complete(self, files: Sequence[Outgoing]) -> dict[Sha256Hex, bool]:
        """Leave all files on the server; return for each digest whether it was not there yet.

        Raises:
            LockgateError: One does not get there.
        """
        wanted: dict[Sha256Hex, Outgoing] = {}
        for file in files:
            # The first of several that are the same, or the one that is on its way.
            path = self._told.get(file.sha256, file.path)
            wanted.setdefault(file.sha256, replace(file, path=path))
        self._stop_all_but({file.path for file in wanted.values()})
        for file in wanted.values():
            self._settle(file)
        tasks = [self._task(file) for file in wanted.values()]
        pending = {self._ends[file.path] for file in wanted.values()}
        with self._progress.board(tasks) as draw:
            while pending:
                done, pending = wait(pending, timeout=_LOOK_S)
                draw()
                for end in done:
                    end.result()
        return {sha256: self._ends[file.path].result() for sha256, file in wanted.items()}

    def _stop_all_but(self, wanted: set[Path]) -> None:
        """Let go of what is the same as another: it may be what that one waits for."""
        for path, upload in self._uploads.items():
            if path not in wanted:
                upload.stop()

    def stop(self) -> None:
        """Send nothing more, and wait until that is so. What was sent stays for the next run."""
        self.halt()
        self._leaders.end()
        self._light_leaders.end()
        self._senders.end()

    def halt(self) -> None:
        """Send nothing more, and do not wait."""
        for upload in self._uploads.values():
            upload.stop()

    def give_up(self) -> None:
        """Send nothing more, and leave nothing on the server that was not finished."""
        self.stop()
        for upload in self._uploads.values():
            upload.drop()

    def _start(self, path: Path) -> Upload:
        upload = Upload(
            self._api,
            self._app,
            path,
            rules=self._rules,
            senders=self._senders,
            turns=self._turns,
        )
        self._uploads[path] = upload
        return upload

    def _run(self, path: Path, leaders: Crew) -> None:
        self._ends[path] = leaders.submit(self._uploads[path].run)

    def _settle(self, file: Outgoing) -> None:
        """Have an upload finished, or stop it where the server has these bytes already."""
        if file.path not in self._uploads:
            is_large = file.size_bytes > LEAST_PART_BYTES
            leaders = self._leaders if is_large else self._light_leaders
            self._begin_told(file.path, file.sha256, leaders)
        upload = self._uploads[file.path]
        if file.sha256 not in self._told:
            if self._api.has_artifact(self._app, file.sha256):
                upload.stop()
                return
            upload.tell_digest(file.sha256)
        upload.want()

    def _task(self, file: Outgoing) -> Task:
        tally = self._uploads[file.path].tally
        return Task(label=file.name, size_bytes=file.size_bytes, tally=tally)


@contextmanager
def open_uploads(api: Api, app: AppName, *, rules: Rules, progress: Progress) -> Iterator[Uploads]:
    """Yield the uploads of one command, and leave none of them half done without a reason.

    What was begun and is not wanted after all is dropped; what was cut off stays for the next run.
    """
    uploads = Uploads(api, app, rules=rules, progress=progress)
    try:
        yield uploads
    except KeyboardInterrupt:
        uploads.halt()
        raise
    except (UsageError, RepositoryError, ConflictError):
        uploads.give_up()
        raise
    except BaseException:
        uploads.stop()
        raise
    else:
        uploads.give_up()
