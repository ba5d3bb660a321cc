"""The bytes of one open file in another, shared or copied by the kernel where it can."""

from __future__ import annotations

import errno
import os

from lockgate_release.errors import ArchiveError

__all__ = ["PLAIN_FILE", "copy_content"]

PLAIN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file of a tree is opened: a link is refused, and on a pipe in its place nobody waits."""

_AT_ONCE_BYTES = 1 << 30
_BUFFER_BYTES = 1 << 18
# What a kernel or a file system says that cannot do it: between two systems, or not at all.
_CANNOT = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY}
)


def copy_content(source: int, target: int, size_bytes: int, *, subject: str) -> None:
    """Write the first `size_bytes` of the open file `source` to `target`, where that stands.

    Where the file system can share them between both files, no byte is copied.

    Raises:
        ArchiveError: The file is shorter than that.
        OSError: One cannot be read, or the other written.

    Source: copy_file_range(2); a result of 0 also comes from file systems that lie about sizes.
    """
    done = _copy_by_kernel(source, target, size_bytes)
    while done < size_bytes:
        data = os.pread(source, min(size_bytes - done, _BUFFER_BYTES), done)
        if not data:
            raise ArchiveError(
                "shorter than it was",
                subject=subject,
                expected=f"{size_bytes} bytes",
                found=f"{done} bytes",
            )
        done += len(data)
        while data:
            data = data[os.write(target, data) :]


def _copy_by_kernel(source: int, target: int, size_bytes: int) -> int:
    """Return how many bytes the kernel copied: all of them, or none more."""
    if not hasattr(os, "copy_file_range"):
        return 0
    done = 0
    while done < size_bytes:
        try:
            count = os.copy_file_range(
                source, target, min(size_bytes - done, _AT_ONCE_BYTES), offset_src=done
            )
        except OSError as exc:
            if exc.errno not in _CANNOT:
                raise
            return done
        if count == 0:
            return done
        done += count
    return done
