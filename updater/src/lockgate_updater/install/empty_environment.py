"""An empty Python environment, made by the standard library, that knows no place of its own."""

from __future__ import annotations

import os
import venv
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import StrOrBytesPath

__all__ = ["make_empty_environment"]


def make_empty_environment(folder: Path) -> None:
    """Make an environment of this Python in `folder`, which does not exist. It can be renamed.

    Raises:
        OSError: The disk refuses.
    """
    _Builder(symlinks=True, with_pip=False).create(folder)
    settings = folder / "pyvenv.cfg"
    lines = settings.read_text("utf-8").splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("command")), "utf-8")


class _Builder(venv.EnvBuilder):
    """An environment without scripts of its own: those name the folder they were made in."""

    def ensure_directories(self, env_dir: StrOrBytesPath) -> SimpleNamespace:
        """Take the Python by the name that an upgrade to another one removes."""
        context = super().ensure_directories(env_dir)
        context.executable = os.path.realpath(context.executable)
        context.python_dir, context.python_exe = os.path.split(context.executable)
        context.env_exe = os.path.join(context.bin_path, context.python_exe)  # noqa: PTH118
        return context

    def symlink_or_copy(
        self,
        src: StrOrBytesPath,
        dst: StrOrBytesPath,
        relative_symlinks_ok: bool = False,  # noqa: FBT001, FBT002 (as in `venv`)
    ) -> None:
        """Link, or fail: where a link fails `venv` copies, and a full disk's copy may be half."""
        target = os.path.basename(src) if relative_symlinks_ok else src  # noqa: PTH119
        if not os.path.islink(dst):  # noqa: PTH114
            os.symlink(target, dst)  # noqa: PTH211

    def setup_scripts(self, context: SimpleNamespace) -> None:
        """Write none."""
