"""What readers of hostile bytes raise where nobody foresaw them, as the one error of ours.

The standard library's readers promise less than they raise; each of ours says what its own may.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lockgate_release.errors import ArchiveError

__all__ = ["damage_as_error"]


@contextmanager
def damage_as_error(damage: tuple[type[Exception], ...], subject: str) -> Iterator[None]:
    """Say of a file that it is damaged where reading it ends by one of these.

    Args:
        damage: What the readers raise of hostile bytes.
        subject: The file's name.

    Raises:
        ArchiveError: It did.
    """
    try:
        yield
    except damage as exc:
        raise ArchiveError("damaged", subject=subject, found=ascii(str(exc))[1:-1][:200]) from exc
