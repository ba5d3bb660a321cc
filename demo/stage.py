"""What the demonstration speaks and types with: words, real commands, and what they must return."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


class StageError(Exception):
    """A step did not do what its line says."""


@dataclass(kw_only=True)
class Stage:
    """A folder to work in, and the record of what was shown.

    Attributes:
        folder: Where commands run.
        secrets: Environment for the maintainer's commands.
        shown: One line for each thing that was shown to be so.
    """

    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)
    shown: list[tuple[str, str]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Narrate a step."""
        print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)

    def note(self, text: str) -> None:
        """Add a line of detail."""
        print(f"  {text}", flush=True)

    def run(self, *command: str, exits: int = 0, quiet: bool = False) -> str:
        """Type a command, show it and what it says, and hold it to its exit code.

        Raises:
            StageError: It exits with another one.
        """
        if not quiet:
            print(f"  $ {shlex.join(command)}", flush=True)
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=self.folder,
            env={**os.environ, **self.secrets},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if not quiet or done.returncode != exits:
            for line in (done.stderr + done.stdout).splitlines():
                print(f"    {line}", flush=True)
        if done.returncode != exits:
            raise StageError(
                f"{shlex.join(command)} exited with {done.returncode} instead of {exits}"
            )
        return done.stdout

    def ask(self, *command: str, exits: int = 0) -> Any:  # noqa: ANN401 (whatever the command says)
        """Run a command with `--json`, without showing it, and return what it says."""
        return json.loads(self.run(*command, "--json", exits=exits, quiet=True))

    def show(self, what: str, *, found: object, expected: object) -> None:
        """Hold one claim to be true, and put it into the summary.

        Raises:
            StageError: It is not.
        """
        if found != expected:
            raise StageError(f"{what}: expected {expected!r}, found {found!r}")
        self.shown.append((what, str(found)))
        self.note(f"✓ {what}: {found}")

    def summarise(self) -> None:
        """Print what was shown, as a table."""
        width = max(len(what) for what, _ in self.shown)
        self.say("What you have seen")
        for what, found in self.shown:
            print(f"  {what.ljust(width)}  {found}")
