"""A client's random id: the gate's message, drawn once for each machine, and never sent anywhere.

It is stored beside a hash of the machine's identity and drawn again where that differs, so that
cloned images do not all stand in the same place of every rollout. Reads and writes the disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.gate import is_client_id
from lockgate_release.strict_json import dump_json, parse_json
from lockgate_updater.state.durable import read_own_file, write_durably

__all__ = [
    "boot_id",
    "load_client_id",
    "machine_identity",
    "new_client_id",
    "process_start",
    "store_client_id",
]

_MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = Path("/sys/class/net")
_START_FIELD = 19  # counted from the state, which is field 3
_EXPECTED = "a UUID in 36 lower-case characters"


def new_client_id() -> str:
    """Return a new random id."""
    from uuid import uuid4  # noqa: PLC0415 (once in the life of a client)

    return str(uuid4())


def machine_identity() -> str:
    """Return a hash of what tells this machine from its clones: 64 hexadecimal digits.

    Its `/etc/machine-id`; where there is none, host name and network addresses.
    """
    for name in _MACHINE_ID_FILES:
        text = _read_text(Path(name))
        if text and text != "uninitialized":
            return _hash(f"machine-id {text}")
    addresses = sorted(_read_text(path) for path in _NETWORK.glob("*/address"))
    return _hash(f"host {os.uname().nodename} {' '.join(addresses)}")


def boot_id() -> str:
    """Return what tells this boot of the machine from all others, or "" where nothing does."""
    return _read_text(_BOOT_ID)[:64] or _boot_session()


def _boot_session() -> str:
    """Return the boot's id as macOS has it."""
    import ctypes  # noqa: PLC0415 (only where there is no /proc, and only for a trial)

    sysctl = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    if sysctl is None:
        return ""
    text = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(text))
    failed = sysctl(b"kern.bootsessionuuid", text, ctypes.byref(size), None, ctypes.c_size_t(0))
    return "" if failed else text.value.decode("ascii", "replace")


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(f"lockgate {text}".encode()).hexdigest()


def load_client_id(path: Path, machine: str, draw: Callable[[], str] = new_client_id) -> str:
    """Return the client's id, drawn anew where there is none, or where it is another machine's.

    Args:
        path: Where it is stored.
        machine: This machine's identity, from `machine_identity`.
        draw: Where new ids come from.

    Raises:
        LocalError: It cannot be read or stored.
    """
    data = read_own_file(path)
    if data is not None:
        try:
            fields = parse_json(data, subject=str(path))
            client_id = fields.checked("client_id", is_client_id, _EXPECTED)
            if fields.text("machine") == machine:
                return client_id
        except DocumentError:
            pass  # Damaged: any other id serves as well.
    client_id = draw()
    store_client_id(path, client_id, machine)
    return client_id


def store_client_id(path: Path, client_id: str, machine: str) -> None:
    """Leave this id on the disk.

    Raises:
        UsageError: It is not one.
        LocalError: It cannot be stored.
    """
    if not is_client_id(client_id):
        raise UsageError("not a client id", expected=_EXPECTED, found=repr(client_id[:80]))
    write_durably(path, dump_json({"client_id": client_id, "machine": machine}))


def process_start(pid: int) -> str:
    """Return when a process was started, in ticks since the boot, or "" where that is not known.

    Source: proc_pid_stat(5), field 22; what stands in parentheses before may hold anything.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return fields[_START_FIELD] if len(fields) > _START_FIELD else ""
