"""One upload from beginning to end: joined where it stands, sent, checked by the server.

1. Nothing is asked to be kept before the whole file's digest is known and the command has decided
   that it wants it; and nobody but the server's own digest decides what is kept.
2. An upload that is gone, or lacks parts in the end, is joined anew; what has arrived counts.
3. An upload that the server's digest refuses is sent once more from its beginning, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event, Lock

from lockgate_cli.api import Api
from lockgate_cli.progress import Tally
from lockgate_cli.uploading.crew import Crew
from lockgate_cli.uploading.files import SentFile, open_sent
from lockgate_cli.uploading.journal import Journal, open_journal
from lockgate_cli.uploading.parts import PartSender, Road, read_joined
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import (
    ConflictError,
    DigestMismatchError,
    LockgateError,
    TransportError,
)
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.trust.verify import NotFoundError
from lockgate_release.uploads import ArrivedPart, BeginRequest, FinishRequest, UploadId

__all__ = ["Rules", "StoppedError", "Turns", "Upload"]

_ROUNDS = 4


class StoppedError(Exception):
    """The upload is wanted no more. It never leaves this room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How uploads are done.

    Attributes:
        parallel: How many parts are on their way at once, > 0.
        waits: How failures are waited out.
        clock: Seconds that only go forward.
        now_s: The present, in seconds since 1970.
        journals: Where journals are, or None for nowhere.
    """

    parallel: int
    waits: WaitRules
    clock: Callable[[], float]
    now_s: float
    journals: Path | None


class Turns:
    """Lets uploads of the same id wait for each other: on the server they are one."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._lock = Lock()
        self._locks: dict[UploadId, Lock] = {}

    @contextmanager
    def take(self, upload: UploadId) -> Iterator[None]:
        """Have the upload for oneself in the block."""
        with self._lock:
            own = self._locks.setdefault(upload, Lock())
        with own:
            yield


class Upload:
    """One file on its way."""

    def __init__(
        self, api: Api, app: AppName, path: Path, *, rules: Rules, senders: Crew, turns: Turns
    ) -> None:
        """Do nothing yet."""
        self.tally = Tally()
        self._api = api
        self._app = app
        self._path = path
        self._rules = rules
        self._senders = senders
        self._turns = turns
        self._digest: Future[Sha256Hex] = Future()
        self._wanted: Future[None] = Future()
        self._stopped = Event()
        self._begun: UploadId | None = None
        self._journal = Journal(None, {})

    def tell_digest(self, sha256: Sha256Hex) -> None:
        """Say what the whole file's digest is, once."""
        if not self._digest.cancelled():
            self._digest.set_result(sha256)

    def want(self) -> None:
        """Say, once, that it is wanted for certain: only now can it be finished (rule 1)."""
        if not self._wanted.cancelled():
            self._wanted.set_result(None)

    def stop(self) -> None:
        """Have `run` come to its end soon."""
        self._stopped.set()
        self._digest.cancel()
        self._wanted.cancel()

    def drop(self) -> None:
        """Leave nothing of an upload that was begun and not finished. Call it after `run`."""
        if self._begun is not None:
            with suppress(LockgateError):
                self._api.drop_upload(self._app, self._begun)
            self._journal.forget()

    def run(self) -> bool:
        """Leave the file on the server; return whether it was not there yet.

        Raises:
            LockgateError: It does not get there.
        """
        with (
            suppress(StoppedError),
            open_sent(self._path) as file,
            self._turns.take(file.upload_id),
        ):
            self._check(Event())
            self._journal = open_journal(
                self._rules.journals,
                server=self._api.base,
                app=self._app,
                upload=file.upload_id,
                now_s=self._rules.now_s,
            )
            return self._run(file)
        return False

    def _run(self, file: SentFile) -> bool:
        refused = False
        for _ in range(_ROUNDS):
            self.tally.restart()
            try:
                return self._send(file, from_scratch=refused)
            except (NotFoundError, ConflictError):
                # Rule 2.
                continue
            except DigestMismatchError:
                # Rule 3.
                file.check_unchanged()
                self._journal.forget()
                if refused:
                    raise
                refused = True
        raise TransportError(
            "the upload got lost again and again",
            subject=self._path.name,
            hint="Somebody else may be sending the same file; else look at the server's log.",
        )

    def _send(self, file: SentFile, *, from_scratch: bool) -> bool:
        # Where the digest is known beforehand, nothing is sent that is there already.
        known = self._wait_for_digest() if self._digest.done() else None
        request = BeginRequest(upload_id=file.upload_id, size_bytes=file.size_bytes, sha256=known)
        answer = self._api.begin_upload(self._app, request)
        joined = read_joined(answer, file.size_bytes)
        if joined.is_present:
            self.tally.skip(file.size_bytes)
            return False
        self._begun = file.upload_id
        if from_scratch:
            joined = replace(joined, arrived={}, is_complete=False)
        if joined.is_complete:
            self.tally.skip(file.size_bytes)
            parts: Sequence[ArrivedPart] = ()
        else:
            halted = Event()
            sender = PartSender(self._road(file, halted), joined)
            parts = self._gather(sender, halted)
        sha256 = self._wait_until_wanted()
        file.check_unchanged()
        self.tally.is_checking = True
        finish = FinishRequest(sha256=sha256, size_bytes=file.size_bytes, parts=parts)
        is_new = self._api.finish_upload(self._app, file.upload_id, finish)
        self._begun = None
        self.tally.is_checking = False
        self._journal.forget()
        return is_new

    def _gather(self, sender: PartSender, halted: Event) -> Sequence[ArrivedPart]:
        """Return every part when all have arrived; when one cannot, the others are let go."""

        def send(number: int) -> ArrivedPart:
            try:
                return sender.send(number)
            except BaseException:
                halted.set()
                raise

        futures = [self._senders.submit(partial(send, number)) for number in sender.numbers]
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, StoppedError):
                raise error
        if errors:
            raise StoppedError
        return [future.result() for future in futures]

    def _road(self, file: SentFile, halted: Event) -> Road:
        return Road(
            api=self._api,
            app=self._app,
            name=self._path.name,
            file=file,
            journal=self._journal,
            tally=self.tally,
            waits=self._rules.waits,
            clock=self._rules.clock,
            check=lambda: self._check(halted),
        )

    def _check(self, halted: Event) -> None:
        if self._stopped.is_set() or halted.is_set():
            raise StoppedError

    def _wait_until_wanted(self) -> Sha256Hex:
        try:
            self._wanted.result()
        except CancelledError:
            raise StoppedError from None
        return self._wait_for_digest()

    def _wait_for_digest(self) -> Sha256Hex:
        try:
            return self._digest.result()
        except CancelledError:
            raise StoppedError from None
