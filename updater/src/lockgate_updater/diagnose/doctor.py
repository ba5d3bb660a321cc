"""Everything that can be wrong with a client on this machine, looked at once. Changes nothing.

Each check stands alone: one that fails, also in a way nobody thought of, never hides the rest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from lockgate_release.errors import LocalError, LockgateError
from lockgate_release.instants import format_instant
from lockgate_release.trust.verify import TrustedView
from lockgate_updater.diagnose.status import read_report_status
from lockgate_updater.fetch.freshness import check_clock
from lockgate_updater.fetch.look import read_anchor
from lockgate_updater.fetch.transport import Transport
from lockgate_updater.install.switch import read_current
from lockgate_updater.state.configuration import Configuration, load_configuration
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import Record, State, load_record
from lockgate_updater.state.listing import compare_tree, examine_tree, load_listing
from lockgate_updater.state.lock import read_holder
from lockgate_updater.state.memory import parse_memory
from lockgate_updater.state.preflight import NO_PROGRAMS, look_at_disk
from lockgate_updater.state.receipts import load_receipts

__all__ = ["Finding", "Level", "Patient", "examine"]

_LOW_BYTES = 64 << 20
_LOW_ENTRIES = 1000
_REINSTALL = "Bring it back with: lockgate-updater repair, or lockgate-updater update."


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check has found.

    Attributes:
        check: What was looked at.
        level: How bad it is.
        text: What was found, as a sentence.
    """

    check: str
    level: Level
    text: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.level.value:8}{self.check}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Whom the checks look at.

    Attributes:
        home: The home.
        environ: The environment.
        flags: Settings of the command line.
        now: The present, aware.
        deep: Read every file of the installed tree, not only names, kinds, modes and links.
        connect: Opens a transport for that configuration.
    """

    home: Home
    environ: Mapping[str, str]
    flags: Mapping[str, str | None]
    now: datetime
    deep: bool
    connect: Callable[[Configuration], Transport]

    def configuration(self) -> Configuration:
        """Return what the client is.

        Raises:
            LockgateError: It cannot be read, or makes no sense.
        """
        return load_configuration(self.home, self.environ, self.flags)


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield what every check finds."""
    for name, check in _CHECKS.items():
        try:
            level, text = check(patient)
        except (LockgateError, OSError) as exc:
            level, text = Level.PROBLEM, str(exc)
        except Exception as exc:  # noqa: BLE001 (a bug in one check must not hide the others)
            level, text = Level.PROBLEM, f"the check itself failed: {exc!r}"
        yield Finding(check=name, level=level, text=text)


def _check_home(patient: Patient) -> tuple[Level, str]:
    if patient.home.is_ours():
        return Level.OK, f"{patient.home.root} is ours alone, and holds no planted link"
    return (
        Level.PROBLEM,
        f"{patient.home.root}: a folder is missing, open to others or not ours, or holds a link; "
        "any verb but this one mends modes and missing folders, and names what it refuses",
    )


def _check_settings(patient: Patient) -> tuple[Level, str]:
    found = patient.configuration()
    return Level.OK, f"{found.app}, channel {found.channel}, from {', '.join(found.sources)}"


def _check_anchor(patient: Patient) -> tuple[Level, str]:
    read_anchor(patient.home)
    return Level.OK, "root.json can be read"


def _record(patient: Patient) -> Record:
    return load_record(patient.home.journal) or Record()


def _check_journal(patient: Patient) -> tuple[Level, str]:
    record = _record(patient)
    if record.state in {State.IDLE, State.TRIAL}:
        return Level.OK, f"the state is {record.state.value}"
    return Level.WARNING, f"the state is {record.state.value}: the next update goes on from there"


def _check_memory(patient: Patient) -> tuple[Level, str]:
    memory = parse_memory(patient.home.memory)
    count = len(memory.failures)
    return (Level.WARNING if count else Level.OK), f"{count} releases are in quarantine"


def _check_clock(patient: Patient) -> tuple[Level, str]:
    check_clock(parse_memory(patient.home.memory).online.signed_at, patient.now)
    return Level.OK, "not before anything that was signed and seen here"


def _check_current(patient: Patient) -> tuple[Level, str]:
    record, current = _record(patient), read_current(patient.home)
    attempt = record.attempt if record.state in {State.TRIAL, State.COMMITTED} else None
    expected = attempt.folder if attempt else record.installed
    if current == expected:
        return Level.OK, f"points to {current or 'nothing'}, as the journal says"
    text = f"points to {current or 'nothing'}; the journal says {expected or 'nothing'}"
    return Level.WARNING, f"{text}: the next update or run puts that right"


def _check_tree(patient: Patient) -> tuple[Level, str]:
    folder = read_current(patient.home)
    if not folder:
        return Level.WARNING, "nothing is installed: lockgate-updater update"
    receipt = load_receipts(patient.home).get(folder)
    if receipt is None:
        return Level.PROBLEM, f"{folder} is gone, or its receipt is. {_REINSTALL}"
    if patient.deep:
        examine_tree(patient.home, receipt)
        return Level.OK, f"{folder} is exactly what was signed"
    entries = load_listing(patient.home, receipt)
    if entries is None:
        return Level.WARNING, f"{folder} has no listing; lockgate-updater repair makes it again"
    found = compare_tree(patient.home.tree(folder), entries, reads_files=False)
    if found:
        return Level.PROBLEM, f"{folder}: {len(found)} entries differ: {found[0]} … {_REINSTALL}"
    return Level.OK, f"{folder} has the right names, modes and links (--deep reads its files too)"


def _check_disk(patient: Patient) -> tuple[Level, str]:
    disk = look_at_disk(patient.home.root)
    text = f"{disk.free_bytes} bytes free"
    if disk.is_read_only or not os.access(patient.home.root, os.W_OK):
        return Level.PROBLEM, "read-only: nothing can be installed"
    if disk.is_noexec:
        return Level.WARNING, f"{text}; {NO_PROGRAMS}"
    files = disk.free_files
    if disk.free_bytes < _LOW_BYTES or (files is not None and files < _LOW_ENTRIES):
        return Level.WARNING, f"{text}, room for {files} files: nearly full"
    return Level.OK, text


def _check_lock(patient: Patient) -> tuple[Level, str]:
    holder = read_holder(patient.home.lock)
    return (Level.OK, "free") if holder is None else (Level.WARNING, f"held: {holder}")


def _check_way(patient: Patient) -> tuple[Level, str]:
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    said = [
        name for name in names if patient.environ.get(name) or patient.environ.get(name.upper())
    ]
    ca = patient.configuration().ca
    if ca and not Path(ca).is_file():
        raise LocalError("no such file of certificate authorities", subject=ca)
    return Level.OK, f"proxies from: {', '.join(said) or 'none'}; authorities: {ca or 'the system'}"


def _check_repository(patient: Patient) -> tuple[Level, str]:
    """Verify it from the anchor on, beside the cache, which stays as it is."""
    configuration = patient.configuration()
    transport = patient.connect(configuration)
    try:
        with tempfile.TemporaryDirectory() as folder:
            view = TrustedView(
                app=configuration.app,
                repository=configuration.repository,
                cache=Path(folder),
                bootstrap=read_anchor(patient.home),
                fetch=transport,
            )
            view.refresh()
            if view.channel(configuration.channel) is None:
                return Level.PROBLEM, f"it has no channel {configuration.channel}"
            expiries = view.expiries()
    finally:
        transport.close()
    role = min(expiries, key=lambda name: expiries[name])
    return Level.OK, f"reached and verified; {role} expires first, at {expiries[role]}"


def _check_reports(patient: Patient) -> tuple[Level, str]:
    configuration = patient.configuration()
    found = read_report_status(patient.home, configuration)
    if not configuration.reports:
        return Level.OK, "switched off: nothing is reported"
    if not found.to:
        return Level.WARNING, "switched on, but the repository is a folder: say `reports_url`"
    text = f"to {found.to}; {found.waiting} wait"
    if found.sent_at is None:
        return Level.OK, f"{text}; none was sent yet"
    went_well = found.answer.startswith("status 2")
    text = f"{text}; the last were sent {format_instant(found.sent_at)}: {found.answer}"
    return (Level.OK if went_well else Level.WARNING), text


_CHECKS: dict[str, Callable[[Patient], tuple[Level, str]]] = {
    "home": _check_home,
    "settings": _check_settings,
    "trust anchor": _check_anchor,
    "journal": _check_journal,
    "memory": _check_memory,
    "clock": _check_clock,
    "current": _check_current,
    "tree": _check_tree,
    "disk": _check_disk,
    "lock": _check_lock,
    "network": _check_way,
    "repository": _check_repository,
    "reports": _check_reports,
}
