"""`docs/release-checklist.md` as something that runs.

A block behind `<!-- release-check -->` is run as it stands, by a shell that ends at the first
failure, in the root of the repository. `$VERSION` is the distributions' version and `$DIST` a
folder that is thrown away at the end. Everything else is for people, and is named.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from releasing.building import ROOT

__all__ = ["MARK", "PAGE", "Step", "read_steps", "run_checklist"]

PAGE = ROOT / "docs" / "release-checklist.md"
MARK = "<!-- release-check -->"
_STEP = re.compile(r"(?P<number>[0-9]+)\. +\*\*(?P<title>.+?)\*\*")
_FENCE = "```"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the checklist.

    Attributes:
        number: As it stands on the page.
        title: Its first words.
        scripts: What is run of it.
        by_hand: Whether something of it is left to a person.
    """

    number: int
    title: str
    scripts: tuple[str, ...]
    by_hand: bool


def read_steps(text: str) -> tuple[Step, ...]:
    """Return the page's steps, in order."""
    steps: list[Step] = []
    parts = re.split(r"(?m)^(?=[0-9]+\. )", text)
    for part in parts:
        head = _STEP.match(part)
        if head is None:
            continue
        scripts, blocks = [], 0
        lines = iter(part.splitlines())
        marked = False
        for line in lines:
            if line.strip() == MARK:
                marked = True
            elif line.strip().startswith(_FENCE):
                script = _read_block(lines)
                blocks += 1
                if marked:
                    scripts.append(script)
                marked = False
        steps.append(
            Step(
                number=int(head["number"]),
                title=head["title"].rstrip(".:"),
                scripts=tuple(scripts),
                by_hand=not scripts or len(scripts) < blocks,
            )
        )
    return tuple(steps)


def _read_block(lines: Iterable[str]) -> str:
    block = []
    for line in lines:
        if line.strip() == _FENCE:
            break
        block.append(line.strip())
    return "\n".join(block) + "\n"


def run_checklist(version: str, only: Iterable[int] = (), *, page: Path = PAGE) -> int:
    """Run what can be run, print how each step ended, and return how many failed."""
    wanted = frozenset(only)
    failed, left = 0, []
    with tempfile.TemporaryDirectory(prefix="lockgate-release-") as made:
        environ = {**os.environ, "VERSION": version, "DIST": str(Path(made) / "dist")}
        environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for step in read_steps(page.read_text()):
            if wanted and step.number not in wanted:
                continue
            for script in step.scripts:
                failed += not _run(step, script, environ)
            if step.by_hand:
                left.append(f"  {step.number}. {step.title}")
    if left:
        print("\nFor people, wholly or in part:", *left, sep="\n")
    print(f"\n{'Everything that can be run holds' if not failed else f'{failed} steps failed'}.")
    return failed


def _run(step: Step, script: str, environ: dict[str, str]) -> bool:
    begun = time.monotonic()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    word = "ok" if done.returncode == 0 else "FAILED"
    spent_s = time.monotonic() - begun
    print(f"{word:>6}  {step.number}. {step.title} ({spent_s:.0f} s)", flush=True)
    if done.returncode != 0:
        shown = done.stdout.strip().splitlines()[-20:]
        print(*(f"        {line}" for line in shown), sep="\n", flush=True)
    return done.returncode == 0
