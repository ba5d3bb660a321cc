"""One durable record of what is going on, written before each side effect.

The launcher reads it too, so its format is older than any release: format N is written, N and N-1
are read, and one from a newer updater is refused, not guessed at. A damaged record is set aside
and the state derived from the disk (`recovery.derive`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from lockgate_release.errors import DocumentError, LocalError
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import Fields, dump_json, parse_json
from lockgate_release.versions import is_version_text
from lockgate_updater.state.durable import read_own_file, write_durably

__all__ = [
    "FORMAT",
    "Attempt",
    "DamagedJournalError",
    "NewerJournalError",
    "Record",
    "State",
    "is_folder_name",
    "load_record",
    "store_record",
]

FORMAT = 1
_MAX_REASON = 1000


class DamagedJournalError(LocalError):
    """The journal cannot be read: the state must be derived from the disk."""

    code = "local.journal"


class NewerJournalError(LocalError):
    """A newer updater wrote the journal: it is not guessed at."""

    code = "local.newer"


class State(StrEnum):
    """What is going on."""

    IDLE = "idle"
    DOWNLOADING = "downloading"
    STAGED = "staged"
    TRIAL = "trial"
    COMMITTED = "committed"
    ROLLING_BACK = "rolling-back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to go from one tree to another.

    Attributes:
        id: Random, so that its failure is counted once.
        folder: The tree to go to; while rolling back, the tree to leave.
        version: Its version.
        release_sha256: The digest of its release's document.
        back_to: The tree to return to, or "" for none.
        tries_left: Starts that are left before it has failed.
        quarantine: While rolling back: whether the release has failed here.
        reason: While rolling back: why.
        boot: The machine's boot in which a try is in flight, taken and not yet judged, or "".
        forgiven: How many tries were given back because the machine restarted.
        demanded: Whether it has to prove more than its release says, to who began the attempt: an
            updater that is to look after an app.
        failure: While rolling back: how it failed, in the one word that reports have for it, or "".
    """

    id: str
    folder: str
    version: str
    release_sha256: Sha256Hex
    back_to: str
    tries_left: int = 0
    quarantine: bool = False
    reason: str = ""
    boot: str = ""
    forgiven: int = 0
    demanded: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is going on, and what is installed.

    Attributes:
        state: The state.
        installed: The folder of the good tree, or "".
        attempt: What is being tried, in every state but idle.
        recoveries: How often a start has found this attempt unfinished: the loop guard.
    """

    state: State = State.IDLE
    installed: str = ""
    attempt: Attempt | None = None
    recoveries: int = 0

    def going(self, state: State, attempt: Attempt) -> Record:
        """Return the record in another state of the same or a new attempt."""
        recoveries = self.recoveries if self.attempt and self.attempt.id == attempt.id else 0
        return replace(self, state=state, attempt=attempt, recoveries=recoveries)

    def at_rest(self, installed: str) -> Record:
        """Return the record with nothing going on."""
        return Record(installed=installed)


def is_folder_name(text: str) -> bool:
    """Whether `text` has the shape of a tree's folder: `<version>-<8 hexadecimal digits>`."""
    version, separator, digest = text.rpartition("-")
    shaped = len(digest) == 8 and all(digit in "0123456789abcdef" for digit in digest)
    return bool(separator) and is_version_text(version) and shaped


def store_record(path: Path, record: Record, *, with_name: bool = True) -> None:
    """Leave the record on the disk.

    Args:
        path: Where.
        record: What is announced.
        with_name: Whether it must be there before anything else is done. Else a power cut may
            bring back the record before it, until the folder is synced.

    Raises:
        LocalError: It cannot be written: what it was to announce must not be done.
    """
    attempt = record.attempt
    write_durably(
        path,
        dump_json(
            {
                "format": FORMAT,
                "state": record.state.value,
                "installed": record.installed,
                "recoveries": record.recoveries,
                "attempt": None
                if attempt is None
                else {
                    "id": attempt.id,
                    "folder": attempt.folder,
                    "version": attempt.version,
                    "release_sha256": attempt.release_sha256,
                    "back_to": attempt.back_to,
                    "tries_left": attempt.tries_left,
                    "quarantine": attempt.quarantine,
                    "reason": attempt.reason[:_MAX_REASON],
                    "boot": attempt.boot,
                    "forgiven": attempt.forgiven,
                    "demanded": attempt.demanded,
                    "failure": attempt.failure,
                },
            }
        ),
        with_name=with_name,
    )


def load_record(path: Path) -> Record | None:
    """Return the record, or None if there is none yet.

    Raises:
        DamagedJournalError: It is damaged.
        LocalError: It cannot be read, or a newer updater wrote it.
    """
    data = read_own_file(path)
    if data is None:
        return None
    try:
        fields = parse_json(data, subject=str(path))
        found = fields.integer("format", minimum=1)
        if found > FORMAT:
            raise NewerJournalError(
                "written by a newer updater",
                subject=str(path),
                expected=f"format {FORMAT}",
                found=f"format {found}",
                hint="Update this updater.",
            )
        return _parse(fields)
    except DocumentError as exc:
        raise DamagedJournalError("damaged journal", subject=str(path), found=exc.what) from exc


def _parse(fields: Fields) -> Record:
    state = fields.choice("state", State)
    attempt = _parse_attempt(fields.object("attempt")) if fields.has("attempt") else None
    if (state is State.IDLE) is not (attempt is None):
        fields.fail("attempt", "does not fit the state", found=state)
    return Record(
        state=state,
        installed=_parse_folder(fields, "installed"),
        attempt=attempt,
        recoveries=fields.integer("recoveries"),
    )


def _parse_attempt(fields: Fields) -> Attempt:
    return Attempt(
        id=fields.text("id", max_length=64),
        folder=fields.checked("folder", is_folder_name, "a tree's folder"),
        version=fields.checked("version", is_version_text, "a version"),
        release_sha256=Sha256Hex(fields.checked("release_sha256", is_sha256, "a SHA-256")),
        back_to=_parse_folder(fields, "back_to"),
        tries_left=fields.integer("tries_left"),
        quarantine=fields.boolean("quarantine"),
        reason=fields.text("reason"),
        boot=fields.text("boot", default="", max_length=64),
        forgiven=fields.integer("forgiven", default=0),
        demanded=fields.boolean("demanded", default=False),
        failure=fields.text("failure", default="", max_length=64),
    )


def _parse_folder(fields: Fields, name: str) -> str:
    text = fields.text(name)
    if text and not is_folder_name(text):
        fields.fail(name, "wrong value", expected="a tree's folder", found=repr(text[:80]))
    return text
