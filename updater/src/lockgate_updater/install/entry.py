"""The entry: the one small program by which everybody starts the updater.

A script for the system's shell, so that no updater, however broken, is needed to find one that
works. It starts what `current` leads to; while the journal says that this is on trial or being
left, the updater it came from; and where that is gone, the newest that was ever committed here.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from lockgate_updater.state.durable import local_errors, sync_folder
from lockgate_updater.state.home import Home

__all__ = ["entry_path", "write_entry"]

_MODE = 0o755

_SCRIPT = r"""#!/bin/sh
# Starts the updater that was last proven here. Made by `lockgate-updater self-update`.
home=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
program=PROGRAM
journal=$(cat "$home/state/journal.json" 2>/dev/null)

# Values are taken from between quotes; within a value JSON escapes them.
said() {
    printf '%s\n' "$journal" | sed -n 's/.*"'"$1"'":"\([^"\\]*\)".*/\1/p'
}

current=$(basename -- "$(readlink -- "$home/current")")
good=$(
    ls -t "$home"/state/receipts/*.json 2>/dev/null | while read -r receipt; do
        grep -q '"rank":[1-9]' "$receipt" && basename -- "$receipt" .json
    done
)
case $(said state) in
    trial | rolling-back) folders="$(said back_to) $(said installed) $good $current" ;;
    *) folders="$current $(said installed) $good" ;;
esac
for folder in $folders; do
    if [ -f "$home/versions/$folder/$program" ] && [ -x "$home/versions/$folder/$program" ]; then
        exec "$home/versions/$folder/$program" "$@"
    fi
done
echo "$0: no updater is left in $home/versions" >&2
exit 125
"""


def entry_path(home: Home) -> Path:
    """Return where the entry of the updater in `home` is."""
    return home.root / "bin" / "lockgate-updater"


def write_entry(home: Home, program: str) -> None:
    """Leave the entry on the disk, by one rename; one that is right already is not touched.

    Args:
        home: The updater's own home.
        program: The program of its trees, relative to the tree.

    Raises:
        LocalError: The disk refuses.
    """
    path = entry_path(home)
    data = _SCRIPT.replace("PROGRAM", shlex.quote(program), 1).encode()
    with local_errors("cannot be written", path):
        if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_name(".lockgate-updater.new")
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
        sync_folder(home.root)
