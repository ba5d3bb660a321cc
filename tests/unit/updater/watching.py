"""A watch over a simulated client, whose waiting takes no time."""

import random
from collections.abc import Callable
from datetime import timedelta

from lockgate_updater.events import Event
from lockgate_updater.watch.health import HealthNote, load_note
from lockgate_updater.watch.loop import Round, Watch
from tests.simulators.client import SimulatedClient


class Time:
    """A waiter whose waiting takes no time: it moves the client's clocks."""

    def __init__(self, client: SimulatedClient) -> None:
        self.client = client
        self.seconds = 0.0
        self.naps: list[float] = []
        self.rung = 0

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds
        self.client.now += timedelta(seconds=seconds)

    def ring(self) -> None:
        self.rung += 1

    def close(self) -> None:
        """Nothing is held."""


class Scene:
    """A watch over a simulated client, for so many rounds."""

    def __init__(self, client: SimulatedClient) -> None:
        self.client = client
        self.time = Time(client)
        self.rounds: list[Round] = []
        self.events: list[Event] = []

    def loop(self, *, check_only: bool = False) -> Watch:
        return self.client.updater.watch(
            progress=self.events.append,
            check_only=check_only,
            waiter=self.time,
            monotonic=self.time.monotonic,
            uniform=random.Random(5).uniform,
        )

    def run(
        self,
        rounds: int,
        *,
        check_only: bool = False,
        after: Callable[[int], object] = lambda _: None,
    ) -> list[str]:
        loop = self.loop(check_only=check_only)

        def tell(found: Round) -> None:
            self.rounds.append(found)
            after(len(self.rounds))
            if len(self.rounds) >= rounds:
                loop.stop()

        loop.run(tell)
        return [found.outcome for found in self.rounds]

    @property
    def note(self) -> HealthNote:
        return load_note(self.client.home / "state" / "health.json")
