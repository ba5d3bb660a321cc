"""A folder for what is made on the way, gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate_release.errors import LocalError

__all__ = ["scratch_folder"]


@contextmanager
def scratch_folder(what: str) -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards.

    Args:
        what: What it is for, in one word: it stands in the folder's name.

    Raises:
        LocalError: The disk is in the way.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=f"lockgate-{what}-")
    except OSError as exc:
        raise LocalError(
            f"no room for {what}", subject=tempfile.gettempdir(), found=exc.strerror or str(exc)
        ) from exc
    with folder as path:
        yield Path(path)
