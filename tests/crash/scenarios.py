"""The situations that an updater can be cut off in: a home, a command, and how it must end."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from lockgate_release.documents import HealthCheck, Install, Remedy
from lockgate_release.settings import SETTINGS_FILE
from tests.crash.applications import (
    UPDATER,
    WHEELS,
    kin_tree,
    plain_tree,
    updater_tree,
    wheels_tree,
)
from tests.crash.stage import NOBODY, OWN_HOME, Command, Stage
from tests.simulators.repository import confirmed_by_itself

__all__ = ["SCENARIOS", "Scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One situation.

    Attributes:
        about: What happens, for people.
        prepare: Brings a stage to where it begins.
        may_run: The versions that may run at any moment, "" for none.
        command: What is cut off.
        code: How it ends when nothing cuts it off.
        again: What the machine does next; () for the same command once more.
        again_codes: How that may end, besides 0 and `code`.
        detours: What may happen instead of the command, and lead to an ending of its own: other
            commands, or () for nothing at all.
        begins_harmed: Whether what runs is not whole to begin with: then it may also stay as it
            was, file by file, until it is.
        own_home: Where below the home that home lies which is changed, or "" for the home itself.
        reboots: Whether the machine restarts before what it does next.
    """

    about: str
    prepare: Callable[[Stage], object]
    may_run: tuple[str, ...]
    command: Command = ("update",)
    code: int = 0
    again: Command = ()
    again_codes: tuple[int, ...] = ()
    detours: tuple[tuple[Command, ...], ...] = ()
    begins_harmed: bool = False
    own_home: str = ""
    reboots: bool = False


# -- The scenarios ----------------------------------------------------------------------------


def _first_install(stage: Stage) -> None:
    stage.init()
    stage.publish("1.0.0")


def _update(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    stage.publish("3.0.0")


def _reporting(stage: Stage) -> None:
    """Nobody hears its reports, so that all of them wait to be compared."""
    stage.install("1.0.0", "2.0.0")
    with (stage.home / SETTINGS_FILE).open("a") as settings:
        settings.write(f'reports = true\nreports_url = "{NOBODY}/demo/reports"\n')
    stage.publish("3.0.0")


def _failing(stage: Stage) -> None:
    stage.install("1.0.0")
    stage.publish("2.0.0", sick=True)


def _revoked(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    stage.repository.revoke("2.0.0", remedy=Remedy.LAST_GOOD)


def _replaced(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    stage.repository.revoke("2.0.0")
    stage.publish("3.0.0")


def _publish_for_trial(stage: Stage, *, sick: bool = False, tries: int = 3) -> None:
    stage.install("1.0.0")
    stage.publish("2.0.0", sick=sick, install=confirmed_by_itself("bin/app", tries=tries))


def _on_trial(stage: Stage) -> None:
    _publish_for_trial(stage)
    stage.update()


def _on_last_trial(stage: Stage) -> None:
    _publish_for_trial(stage, sick=True, tries=1)
    stage.update()


def _damaged_journal(stage: Stage) -> None:
    stage.install("1.0.0", "2.0.0")
    (stage.home / "state" / "journal.json").write_bytes(b'{"format": 1, "sta')


def _large(stage: Stage) -> None:
    """As many files, of the same size, as the rival is given."""
    for version in ("1.0.0", "2.0.0"):
        chosen = random.Random(version)
        parts = {f"lib/part{at % 20}/file{at}": chosen.randbytes(64 << 10) for at in range(400)}
        stage.publish(version, {**plain_tree(version), **parts})
        if not stage.home.exists():
            stage.init()
            stage.update()


def _harmed(stage: Stage) -> None:
    """One file of what runs has rotted, one is gone, and one is too many."""
    stage.install("1.0.0", "2.0.0")
    tree = stage.home / "versions" / stage.folders["2.0.0"]
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    (tree / "lib" / "data").write_bytes(b"rotten")
    (tree / "bin" / "check").unlink()
    (tree / "lib" / "more").write_bytes(b"nobody signed this")


def _wheels(stage: Stage) -> None:
    stage.init()
    for version in ("1.0.0", "2.0.0"):
        stage.publish(version, wheels_tree(version), install=WHEELS)
        stage.update()
    stage.publish("3.0.0", wheels_tree("3.0.0"), install=WHEELS)


def _install_kin(stage: Stage, *versions: str) -> None:
    stage.init()
    for version in versions:
        stage.publish(version, kin_tree(version))
        stage.update()


def _delta(stage: Stage) -> None:
    _install_kin(stage, "1.0.0", "2.0.0")
    stage.publish("3.0.0", kin_tree("3.0.0"))
    stage.publish_delta("2.0.0", "3.0.0")


def _chain(stage: Stage) -> None:
    _install_kin(stage, "1.0.0")
    for before, version in (("1.0.0", "2.0.0"), ("2.0.0", "3.0.0")):
        stage.publish(version, kin_tree(version))
        stage.publish_delta(before, version)


def _false_delta(stage: Stage) -> None:
    """It leads to a tree that is not the one that was signed."""
    _install_kin(stage, "1.0.0")
    stage.publish("2.0.0", kin_tree("2.0.0"))
    stage.publish_delta("1.0.0", "2.0.0", to=kin_tree("6.6.6"))


def _itself(stage: Stage, *, sick: bool = False) -> None:
    """An updater in a home of its own; its entry is an older one, so that it is written too."""
    stage.install("1.0.0")
    app = stage.turn_to_updater()
    stage.publish("1.0.0", updater_tree("1.0.0", app), install=UPDATER)
    stage.act(("self-update",))
    entry = stage.home / OWN_HOME / "bin" / "lockgate-updater"
    entry.write_text(entry.read_text() + "# of an older one\n")
    stage.publish("2.0.0", updater_tree("2.0.0", app, sick=sick), install=UPDATER)


def _only_try(stage: Stage) -> None:
    """The release has one try: if a restart burns it, the release is rolled back."""
    stage.install("1.0.0")
    once = HealthCheck(command=("bin/check",), tries=1)
    stage.publish("2.0.0", install=Install(entrypoint="bin/app", health=once))


def _on_only_trial(stage: Stage) -> None:
    _publish_for_trial(stage, tries=1)
    stage.update()


def _nothing(_: Stage) -> None:
    """Not even a home."""


SCENARIOS = {
    "init": Scenario(about="a home is made", prepare=_nothing, may_run=("",), command=("init",)),
    "first": Scenario(about="first install", prepare=_first_install, may_run=("", "1.0.0")),
    "update": Scenario(
        about="update; the oldest version goes", prepare=_update, may_run=("2.0.0", "3.0.0")
    ),
    "reports": Scenario(
        about="the same by a client that reports", prepare=_reporting, may_run=("2.0.0", "3.0.0")
    ),
    "failing": Scenario(
        about="the release fails its health check",
        prepare=_failing,
        may_run=("1.0.0", "2.0.0"),
        code=30,
    ),
    "revoked": Scenario(
        about="a revoked release is left", prepare=_revoked, may_run=("1.0.0", "2.0.0")
    ),
    "replaced": Scenario(
        about="a revoked release is replaced",
        prepare=_replaced,
        # The last good version is at hand where the replacement cannot be had.
        may_run=("1.0.0", "2.0.0", "3.0.0"),
        detours=((("check",), ("run",)),),
    ),
    "trial": Scenario(
        about="a release goes on trial", prepare=_publish_for_trial, may_run=("1.0.0", "2.0.0")
    ),
    "confirm": Scenario(
        about="a release on trial is confirmed",
        prepare=_on_trial,
        may_run=("2.0.0",),
        command=("confirm",),
    ),
    "start": Scenario(
        about="run: a good release is started",
        prepare=lambda stage: stage.install("1.0.0"),
        may_run=("1.0.0",),
        command=("run",),
    ),
    "quit": Scenario(
        about="run: the program on trial ends well",
        prepare=_on_trial,
        may_run=("1.0.0", "2.0.0"),
        command=("run",),
    ),
    "run": Scenario(
        about="run: the program on trial ends badly",
        prepare=_on_last_trial,
        may_run=("1.0.0", "2.0.0"),
        command=("run",),
        code=1,
    ),
    "rollback": Scenario(
        about="rollback by hand",
        prepare=lambda stage: stage.install("1.0.0", "2.0.0"),
        may_run=("1.0.0", "2.0.0"),
        command=("rollback",),
        again=("update",),
        again_codes=(30,),
        detours=((),),
    ),
    "repair": Scenario(
        about="a damaged tree is repaired",
        prepare=_harmed,
        may_run=("2.0.0",),
        command=("repair",),
        begins_harmed=True,
    ),
    "wheels": Scenario(
        about="a Python application's update: an environment beside the tree",
        prepare=_wheels,
        may_run=("2.0.0", "3.0.0"),
    ),
    "delta": Scenario(
        about="update by a delta, made by a process of its own",
        prepare=_delta,
        may_run=("2.0.0", "3.0.0"),
    ),
    "chain": Scenario(
        about="update by two deltas, over a release that is never installed",
        prepare=_chain,
        may_run=("1.0.0", "3.0.0"),
    ),
    "false": Scenario(
        about="a signed delta leads elsewhere; the whole archive is fetched",
        prepare=_false_delta,
        may_run=("1.0.0", "2.0.0"),
    ),
    "itself": Scenario(
        about="the updater updates itself",
        prepare=_itself,
        may_run=("1.0.0", "2.0.0"),
        command=("self-update",),
        own_home=OWN_HOME,
    ),
    "misfit": Scenario(
        about="the new updater cannot read the app's home",
        prepare=lambda stage: _itself(stage, sick=True),
        may_run=("1.0.0", "2.0.0"),
        command=("self-update",),
        code=30,
        own_home=OWN_HOME,
    ),
    "reboot": Scenario(
        about="the machine restarts during an update whose release has one try",
        prepare=_only_try,
        may_run=("1.0.0", "2.0.0"),
        reboots=True,
    ),
    "restart": Scenario(
        about="run: the machine restarts during the only try of the program on trial",
        prepare=_on_only_trial,
        may_run=("1.0.0", "2.0.0"),
        command=("run",),
        reboots=True,
    ),
    "large": Scenario(about="update of 400 files", prepare=_large, may_run=("1.0.0", "2.0.0")),
    "damaged": Scenario(
        about="the journal is found damaged", prepare=_damaged_journal, may_run=("2.0.0",)
    ),
}
