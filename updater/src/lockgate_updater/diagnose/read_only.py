"""A check where the home cannot be written: on a copy of its records, which is forgotten after it.

What was remembered before counts as ever. What the check sees cannot be kept, and its reason says
so: a newer revocation or floor has to be seen again by the next check.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lockgate_release.errors import LocalError, RepositoryError, TransportError
from lockgate_updater.results import CheckResult, Unknown
from lockgate_updater.session import Client, open_session
from lockgate_updater.state.durable import local_errors
from lockgate_updater.state.home import Home

__all__ = ["judge_read_only"]


def judge_read_only(client: Client, refused: LocalError, *, force: bool) -> CheckResult:
    """Return what an update would do now, if the home could be written.

    Args:
        client: Whose home cannot be written.
        refused: How that was noticed.
        force: A person asks, and may pass the gate.
    """
    note = f"nothing that was seen can be remembered here ({refused})"
    try:
        with (
            _borrowed(client.home) as copy,
            open_session(
                replace(client, home=copy), purpose="check", observe=lambda _: None
            ) as session,
        ):
            decision = session.judge(force=force)
    except (RepositoryError, TransportError, LocalError) as exc:
        return Unknown(reason=f"{exc}; {note}", error=exc)
    return replace(decision, reason=f"{decision.reason}; {note}")


@contextmanager
def _borrowed(home: Home) -> Iterator[Home]:
    """Give a home of ours with the same records, and folders in place of its trees.

    Raises:
        LocalError: They cannot be read, or there is no room for a copy.
    """
    with local_errors("cannot be copied", home.state), tempfile.TemporaryDirectory() as folder:
        copy = Home.at(folder)
        # Links are copied as they are, so that the copy is held to the same as its original.
        ignored = shutil.ignore_patterns(home.downloads.name, home.lock.name)
        shutil.copytree(home.state, copy.state, symlinks=True, ignore=ignored)
        for tree in home.versions.iterdir():
            copy.tree(tree.name).mkdir(parents=True)
        if home.current.is_symlink():
            copy.current.symlink_to(home.current.readlink())
        yield copy
