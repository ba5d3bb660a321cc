"""Files of attestations: those that were named, and those that lie beside artifacts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lockgate_cli.attesting.reading import MAX_FILE_BYTES, Said, read_attestations
from lockgate_release.errors import LocalError, UsageError

__all__ = ["BUNDLE_ENDING", "find_files", "read_attestation_file", "read_folder"]

BUNDLE_ENDING = ".sigstore.json"
"""What the file of an artifact's bundle is called, after the artifact's whole name."""

_ENDINGS = (BUNDLE_ENDING, ".sigstore", ".intoto.jsonl", ".jsonl")
_SBOM_ENDINGS = (".cdx.json", ".cdx.xml", ".bom.json", ".cyclonedx.json", ".spdx.json", ".spdx")
_MOST_FILES = 100_000


def read_attestation_file(path: Path) -> tuple[Said, ...]:
    """Return the attestations in the file at `path`, at least one.

    Raises:
        UsageError: There is no such file, or it holds none that is known.
        LocalError: It cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError("not a plain file", subject=str(path))
        if status.st_size > MAX_FILE_BYTES:
            raise UsageError(
                "too large for an attestation",
                subject=str(path),
                expected=f"at most {MAX_FILE_BYTES} bytes",
                found=str(status.st_size),
            )
        data = path.read_bytes()
    except FileNotFoundError as exc:
        raise UsageError("no such file", subject=str(path)) from exc
    except OSError as exc:
        raise LocalError("cannot be read", subject=str(path), found=exc.strerror or "") from exc
    return read_attestations(data, subject=str(path))


def find_files(folder: Path, *, deep: bool, everything: bool) -> tuple[Path, ...]:
    """Return the files of attestations in a folder, in the order of their names.

    Args:
        folder: The folder.
        deep: Whether to look into the folders below, too.
        everything: Whether to take lists of attestations and SBOMs too, by their usual endings;
            otherwise `*.sigstore.json` alone.

    Raises:
        UsageError: There is no such folder, or more in it than anybody means.
        LocalError: It cannot be read.
    """
    if not folder.is_dir():
        raise UsageError("no such folder", subject=str(folder))
    endings = (*_ENDINGS, *_SBOM_ENDINGS) if everything else (BUNDLE_ENDING,)
    found = []
    for path in _walk(folder, deep=deep):
        if path.name.endswith(endings):
            found.append(path)
        if len(found) > _MOST_FILES:
            raise UsageError(
                "too many files", subject=str(folder), expected=f"at most {_MOST_FILES}"
            )
    return tuple(sorted(found))


def _walk(folder: Path, *, deep: bool) -> Iterator[Path]:
    """Yield what lies in a folder; links to folders are not followed."""

    def fail(exc: OSError) -> None:
        raise LocalError(
            "cannot be read", subject=str(exc.filename), found=exc.strerror or ""
        ) from exc

    for where, folders, names in os.walk(folder, onerror=fail):
        if not deep:
            folders.clear()
        for name in names:
            yield Path(where, name)


def read_folder(folder: Path) -> tuple[tuple[Said, ...], tuple[str, ...]]:
    """Return the attestations in a folder and all below it, and the files that hold none.

    Raises:
        UsageError: There is no such folder.
        LocalError: A file cannot be read.
    """
    found: list[Said] = []
    broken: list[str] = []
    for path in find_files(folder, deep=True, everything=True):
        try:
            found += read_attestation_file(path)
        except UsageError as exc:
            broken.append(str(exc))
    return tuple(found), tuple(broken)
