"""Ceremony files and public key files on the disk: read whole, and replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

from securesystemslib.signer import Key

from lockgate_cli.context import read_file
from lockgate_release.errors import LocalError
from lockgate_release.trust.ceremony import Ceremony, parse_ceremony
from lockgate_release.trust.public_keys import parse_key_file

__all__ = ["load_ceremony", "load_public_key", "store_ceremony", "write_whole"]


def load_ceremony(path: Path) -> Ceremony:
    """Return the ceremony in a file; nothing in it is verified.

    Raises:
        UsageError: There is no such file.
        LocalError: It cannot be read.
        DocumentError: It is no ceremony.
    """
    hint = "lockgate root add-key, rotate, renew and their like begin one."
    return parse_ceremony(read_file(path, hint=hint), subject=path.name)


def store_ceremony(path: Path, ceremony: Ceremony) -> None:
    """Leave this ceremony in the file, or what was there before.

    Raises:
        LocalError: It cannot be written.
    """
    write_whole(path, ceremony.to_bytes())


def load_public_key(path: Path) -> Key:
    """Return the public key in a file that somebody gave us.

    Raises:
        UsageError: There is no such file.
        LocalError: It cannot be read.
        DocumentError: It is no public key, or not what it says.
    """
    hint = "Its owner makes it: lockgate keys generate, or lockgate keys inspect --out."
    return parse_key_file(read_file(path, hint=hint), subject=path.name)


def write_whole(path: Path, data: bytes) -> None:
    """Leave exactly these bytes at `path`, or what was there before.

    What somebody has planted beside it, in a folder that is shared, is not written through.

    Raises:
        LocalError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as exc:
        raise LocalError("cannot be written", subject=str(path), found=str(exc)) from exc
