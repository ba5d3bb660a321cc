"""From options to an updater."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from lockgate_release.errors import UsageError
from lockgate_updater.updater import Updater

__all__ = ["home_of", "open_updater"]

_FLAGS = ("repository", "channel", "ca", "pin")


def home_of(options: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    """Return the home that is meant.

    Raises:
        UsageError: It is said nowhere.
    """
    home = options.home or environ.get("LOCKGATE_HOME")
    if not home:
        raise UsageError("no home", hint="Say --home DIR, or set LOCKGATE_HOME.")
    return Path(home)


def open_updater(options: argparse.Namespace, environ: Mapping[str, str]) -> Updater:
    """Return the updater of that home.

    Raises:
        UsageError: No client lives there, or a setting makes no sense.
        LocalError: It cannot be read.
    """
    flags = {name: getattr(options, name, None) for name in _FLAGS}
    if flags["ca"]:
        # What is typed is meant from where it is typed; what the home's file says, from the home.
        flags["ca"] = str(Path(flags["ca"]).absolute())
    flags["skip"] = " ".join(getattr(options, "skip", []))
    return Updater.open(
        home_of(options, environ),
        flags=flags,
        environ=environ,
        allow_unattested=getattr(options, "allow_unattested", False),
    )
