"""Brings the rig's own process to where every updater is after its first steps.

Children are forked from it. What an updater imports late, and compiles once, it would import and
compile in each of them; and a garbage collector that touches every old object in a child makes the
kernel copy all of their pages. Both are paid for once here, and change no call on the home: the
campaign `strace` holds the forked command to one that was started afresh.
"""

from __future__ import annotations

import gc
import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

from lockgate_updater.command import main
from tests.crash.applications import WHEELS, kin_tree, wheels_tree
from tests.crash.process import serving
from tests.crash.stage import Command, Stage, addressed

__all__ = ["freeze", "warm_up"]


@cache
def warm_up() -> None:
    """Install, update and go back once, in this very process."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder).resolve())
        _carry_out(stage, stage.init_command())
        for version in ("1.0.0", "2.0.0"):
            stage.publish(version)
            _carry_out(stage, ("update",))
        for command in (("check",), ("repair",), ("rollback",)):
            _carry_out(stage, command)
        stage.publish("3.0.0", wheels_tree("3.0.0"), install=WHEELS)
        _carry_out(stage, ("update",))
        for version in ("4.0.0", "5.0.0"):
            stage.publish(version, kin_tree(version))
            if version == "5.0.0":
                stage.publish_delta("4.0.0", version)
            _carry_out(stage, ("update",))


def _carry_out(stage: Stage, command: Command) -> None:
    said = io.StringIO()
    with serving(stage.repository) as address, redirect_stdout(said), redirect_stderr(said):
        verb, *rest = addressed(command, address)
        code = main([verb, "--home", str(stage.home), *rest])
    assert code in {0, 10}, f"{verb}: {code} {said.getvalue()}"


def freeze() -> None:
    """Leave what is there now out of all garbage collections to come, in children above all."""
    gc.collect()
    gc.freeze()
