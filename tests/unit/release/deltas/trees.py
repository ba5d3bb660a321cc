"""Two trees on the disk, the delta between them, and what it makes of the first."""

import random
from collections.abc import Mapping
from pathlib import Path

from lockgate_release.archives import Limits
from lockgate_release.deltas.applying import apply_delta
from lockgate_release.deltas.making import MadeDelta, make_delta

MEMORY_BYTES = 256 << 20
Content = bytes | tuple[bytes, int]


def noise(seed: int, size_bytes: int) -> bytes:
    """Return bytes that nothing compresses, always the same."""
    return random.Random(seed).randbytes(size_bytes)


def write_tree(root: Path, files: Mapping[str, Content]) -> None:
    """Write files, each with its content, or with its content and its mode."""
    for name, content in files.items():
        data, mode = content if isinstance(content, tuple) else (content, 0o644)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)


class Pair:
    """An old and a new tree below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.old_root, self.new_root = root / "old", root / "new"
        self.made_root = root / "made"
        self.delta = root / "a.delta"
        for folder in (self.old_root, self.new_root, self.made_root):
            folder.mkdir(parents=True)

    def old(self, files: Mapping[str, Content]) -> None:
        write_tree(self.old_root, files)

    def new(self, files: Mapping[str, Content]) -> None:
        write_tree(self.new_root, files)

    def old_link(self, name: str, target: str) -> None:
        (self.old_root / name).symlink_to(target)

    def new_link(self, name: str, target: str) -> None:
        (self.new_root / name).symlink_to(target)

    def make(self, algorithm: str) -> MadeDelta:
        return make_delta(
            self.old_root, self.new_root, self.delta, algorithm=algorithm, memory_bytes=MEMORY_BYTES
        )

    def apply(self, limits: Limits | None = None) -> None:
        limits = limits or Limits(size_bytes=1 << 24, entries=5000)
        apply_delta(self.delta, self.old_root, self.made_root, limits=limits)

    def back(self) -> "Pair":
        """Return the same two trees the other way round."""
        other = Pair(self._root / "back")
        other.old_root, other.new_root = self.new_root, self.old_root
        return other
