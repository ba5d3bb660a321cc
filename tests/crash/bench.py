"""A prepared scenario on a bench: tried again and again from the same beginning, and judged."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from lockgate_release.digests import digest_tree
from tests.crash.claims import (
    Expected,
    Listing,
    differences,
    is_cached,
    judge_entry,
    list_home,
    what_runs,
)
from tests.crash.process import Ending, Process, run, serving, updater
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.shim import WATCH, Strike
from tests.crash.snapshot import Snapshot
from tests.crash.stage import Command, Stage, addressed, settle
from tests.crash.warm import freeze, warm_up

__all__ = ["Bench", "prepared"]


class Bench:
    """A prepared scenario, that can be tried again and again from the same beginning."""

    def __init__(
        self, name: str, scenario: Scenario, stage: Stage, folder: Path, address: str
    ) -> None:
        self.name = name
        self.scenario = scenario
        self.address = address
        self.home = stage.home
        self.start = folder / "start"
        self._boots = count(1)
        self.history = tuple(stage.history)
        self.files = stage.repository.checkpoint()
        self.expected = Expected(
            home=self.home / scenario.own_home,
            may_run=frozenset(stage.folders[version] for version in scenario.may_run),
            trees=stage.trees,
            releases=stage.releases,
        )
        command = stage.init_command() if scenario.command == ("init",) else scenario.command
        self.command = addressed(command, address)
        self.next_command = addressed(scenario.again, address) if scenario.again else self.command
        if self.home.exists():
            settle(self.home, address)
            self.home.rename(self.start)
        self._snapshot = Snapshot(self.start)
        self.undisturbed = self._undisturbed()
        self.expected = replace(self.expected, environments=self._environments())
        if scenario.begins_harmed:
            self.expected = replace(self.expected, mending=self._mending())
        self.endings: list[Listing] = [list_home(self.home)]
        self.endings += [self._ending_after(detour) for detour in scenario.detours]

    def _undisturbed(self) -> Ending:
        ending = self.run()
        assert ending.code == self.scenario.code, f"{ending.code}: {ending.said}"
        assert not (wrong := self.expected.judge()), wrong
        return ending

    def _environments(self) -> dict[str, str]:
        """The digest of each environment, before and after: they are made alike every time."""
        found = [*self.start.glob("environments/*"), *self.home.glob("environments/*")]
        return {path.name: digest_tree(path).sha256 for path in found}

    def _mending(self) -> tuple[Listing, Listing]:
        """The tree that runs, as it begins and as it ends."""
        folder = what_runs(self.home)
        return list_home(self.start / "versions" / folder), list_home(self.home / "current")

    def beginning_at(self, start: Path) -> Bench:
        """The same scenario, begun from another home."""
        other = copy.copy(self)
        other.start = start
        other._snapshot = Snapshot(start)
        return other

    def _ending_after(self, detour: tuple[Command, ...]) -> Listing:
        self.put_back()
        for command in detour:
            self.run_next(addressed(command, self.address))
        self.run_again()
        return list_home(self.home)

    @property
    def journal(self) -> str:
        """Where the journal of what is changed lies, below the home."""
        return str(Path(self.scenario.own_home, "state", "journal.json"))

    def put_back(self) -> None:
        """Bring the home to where the scenario begins."""
        self._snapshot.put_back(self.home)

    def clear(self) -> None:
        """Remove the home."""
        if self.home.exists():
            shutil.rmtree(self.home)

    def begin(self, strike: Strike = WATCH) -> Process:
        """Start the scenario's command in the home as it is."""
        return Process(self.home, updater(self.home, self.command), strike)

    def run(self, strike: Strike = WATCH) -> Ending:
        """Put everything back, and run the scenario's command."""
        self.put_back()
        return self.begin(strike).wait()

    def run_again(self, strike: Strike = WATCH) -> Ending:
        """Do what the machine does next."""
        return self.run_next(self.next_command, strike)

    def run_next(self, command: Command, strike: Strike = WATCH) -> Ending:
        """Run any command in the home as it is, after a restart of the machine if there is one."""
        if self.scenario.reboots:
            strike = replace(strike, boot=f"boot {next(self._boots)}")
        return run(self.home, updater(self.home, command), strike)

    def started(self, ending: Ending) -> bool:
        """Whether the launcher has started a program that may run."""
        may_say = {f"this is {version}" for version in self.scenario.may_run if version}
        return bool(may_say & set(ending.said.splitlines()))

    def judge(self) -> str:
        """What is wrong right after a crash, or ""."""
        wrong = self.expected.judge()
        if not wrong and self.scenario.own_home:
            wrong = judge_entry(self.expected)
        return wrong

    def converge(self) -> str:
        """What is wrong after the next run, or ""."""
        wrong, found = self._next()
        if not wrong and found not in self.endings and self._differ_in_cache_only(found):
            # It had something to finish, and did not look; the next look mends the cache.
            wrong, found = self._next()
        if wrong or found in self.endings:
            return wrong
        return "the next run does not converge: " + "; ".join(differences(found, self.endings[0]))

    def _next(self) -> tuple[str, Listing]:
        ending = self.run_again()
        if ending.code not in {0, self.scenario.code, *self.scenario.again_codes}:
            return f"the next run ended with {ending.code}: {ending.said[-600:]}", {}
        wrong = self.judge()
        return f"after the next run {wrong}" if wrong else "", list_home(self.home)

    def _differ_in_cache_only(self, found: Listing) -> bool:
        return any(
            all(is_cached(words) for words in differences(found, ending)) for ending in self.endings
        )


@contextmanager
def prepared(name: str, folder: Path) -> Iterator[Bench]:
    """A bench for the scenario called `name`, in an empty folder, and its server."""
    scenario = SCENARIOS[name]
    warm_up()
    folder.mkdir(parents=True)
    stage = Stage(folder.resolve())
    scenario.prepare(stage)
    freeze()
    with serving(stage.repository) as address:
        yield Bench(name, scenario, stage, folder.resolve(), address)
