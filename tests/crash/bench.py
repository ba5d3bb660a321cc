"""A prepared scenario on a bench: tried again and again from the same beginning, and judged."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.crash.claims import (
    Expected,
    Listing,
    differences,
    is_cached,
    list_home,
    what_runs,
)
from tests.crash.process import Ending, Process, run, serving, updater
from tests.crash.scenarios import SCENARIOS, Command, Scenario, Stage, addressed
from tests.crash.shim import WATCH, Strike

__all__ = ["Bench", "prepared"]


class Bench:
    """A prepared scenario, that can be tried again and again from the same beginning."""

    def __init__(
        self, name: str, scenario: Scenario, stage: Stage, folder: Path, address: str
    ) -> None:
        self.name = name
        self.scenario = scenario
        self.address = address
        self.home = folder / "home"
        self.start = stage.home
        self.history = tuple(stage.history)
        self.files = stage.repository.checkpoint()
        self.expected = Expected(
            home=self.home,
            may_run=frozenset(stage.folders[version] for version in scenario.may_run),
            trees=stage.trees,
            releases=stage.releases,
        )
        command = stage.init_command() if scenario.command == ("init",) else scenario.command
        self.command = addressed(command, address)
        self.next_command = addressed(scenario.again, address) if scenario.again else self.command
        self.undisturbed = self._undisturbed()
        if scenario.begins_harmed:
            self.expected = replace(self.expected, mending=self._mending())
        self.endings: list[Listing] = [list_home(self.home)]
        self.endings += [self._ending_after(detour) for detour in scenario.detours]

    def _undisturbed(self) -> Ending:
        ending = self.run()
        assert ending.code == self.scenario.code, f"{ending.code}: {ending.said}"
        assert not (wrong := self.expected.judge()), wrong
        return ending

    def _mending(self) -> tuple[Listing, Listing]:
        """The tree that runs, as it begins and as it ends."""
        folder = what_runs(self.home)
        return list_home(self.start / "versions" / folder), list_home(self.home / "current")

    def beginning_at(self, start: Path) -> Bench:
        """The same scenario, begun from another home."""
        other = copy.copy(self)
        other.start = start
        return other

    def _ending_after(self, detour: tuple[Command, ...]) -> Listing:
        self.put_back()
        for command in detour:
            run(self.home, updater(self.home, addressed(command, self.address)))
        self.run_again()
        return list_home(self.home)

    def put_back(self) -> None:
        """Bring the home to where the scenario begins."""
        self.clear()
        if self.start.exists():
            shutil.copytree(self.start, self.home, symlinks=True)

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
        return run(self.home, updater(self.home, self.next_command), strike)

    def started(self, ending: Ending) -> bool:
        """Whether the launcher has started a program that may run."""
        may_say = {f"this is {version}" for version in self.scenario.may_run if version}
        return bool(may_say & set(ending.said.splitlines()))

    def judge(self) -> str:
        """What is wrong right after a crash, or ""."""
        return self.expected.judge()

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
    folder.mkdir(parents=True)
    stage = Stage(folder.resolve())
    scenario.prepare(stage)
    with serving(stage.repository) as address:
        yield Bench(name, scenario, stage, folder.resolve(), address)
