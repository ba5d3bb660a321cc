"""All uploads of one command: begun as early as makes sense, finished when everything is decided.

A large file is begun with while it is still being read and described. A small one waits until its
digest is known, so that nothing at all is sent of what the server has. Nothing is kept by the
server before `complete` is called; when the command is refused before that, what was sent is
dropped, and when it is cut off, it stays for the next run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
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
        self._turns = Turns()
        self._uploads: dict[Path, Upload] = {}
        self._ends: dict[Path, Future[bool]] = {}

    def begin(self, path: Path) -> None:
        """Begin to send the file, if it is large enough to be worth it before its digest is known.

        A path that cannot be read is let pass: whoever reads it next says so.
        """
        try:
            is_large = path.stat().st_size > LEAST_PART_BYTES
        except OSError:
            return
        if is_large and path not in self._uploads:
            self._start(path)
            self._run(path)

    def complete(self, files: Sequence[Outgoing]) -> dict[Sha256Hex, bool]:
        """Leave all files on the server; return for each digest whether it was not there yet.

        Raises:
            LockgateError: One does not get there.
        """
        wanted = {file.sha256: file for file in files}
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

    def stop(self) -> None:
        """Send nothing more, and wait until that is so. What was sent stays for the next run."""
        self.halt()
        self._leaders.end()
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

    def _run(self, path: Path) -> None:
        self._ends[path] = self._leaders.submit(self._uploads[path].run)

    def _settle(self, file: Outgoing) -> None:
        """Let an upload know its digest, and stop it where the server has these bytes already."""
        upload = self._uploads.get(file.path)
        if upload is None:
            self._start(file.path).tell_digest(file.sha256)
            self._run(file.path)
        elif self._api.has_artifact(self._app, file.sha256):
            upload.stop()
        else:
            upload.tell_digest(file.sha256)

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
