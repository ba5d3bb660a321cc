"""Three releases that are like each other, and what an update by deltas did."""

import random

from lockgate_updater import Event, Step
from lockgate_updater.install.patching.plan import FetchPlan
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import HEALTHY, RepositorySimulator

NOISE = random.Random(1).randbytes(40_000)
ONE = {**HEALTHY, "lib/same": NOISE, "lib/data": NOISE[:30_000], "lib/gone": b"gone"}
TWO = {
    **HEALTHY,
    "lib/same": NOISE,
    "lib/data": NOISE[:15_000] + b"changed" + NOISE[15_000:30_000],
    "lib/new/empty": b"",
}
THREE = {**TWO, "lib/data": TWO["lib/data"] + b"more", "bin/tool": b"#!/bin/sh\nexit 0\n"}


def fetched(repository: RepositorySimulator) -> list[str]:
    return [key.rpartition("/")[2] for key in repository.requests if "/artifacts/" in key]


def update(client: SimulatedClient) -> tuple[FetchPlan, list[Step]]:
    client.repository.requests.clear()
    events: list[Event] = []
    result = client.updater.update(progress=events.append)
    assert result.outcome == "updated"
    assert client.leftovers() == []
    assert result.plan is not None
    return result.plan, [event for event in events if isinstance(event, Step)]
