"""Publishers who sign together, each at a place of their own: 2 of 3, and a CI without a key.

with open_team(tmp_path) as team:
    team.begin("1.0.0")                    # CI, with --unsigned
    team.sign(team.ann, "1.0.0")           # each has one key, root.json, and nothing else
    team.sign(team.bob, "1.0.0")           # live
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate_server.ports import Scope
from tests.simulators.command_line import CommandLine, Ended
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

__all__ = ["Team", "first_release", "open_team"]

NAMES = ("ann", "bob", "cleo")


@dataclass(kw_only=True)
class Team:
    """Three publishers, of whom two must sign, and the desk at which CI builds.

    Attributes:
        desk: The server, and CI with a token of scope publish and no key.
        people: Each publisher, in a folder of their own with one key.
    """

    desk: ReleaseDesk
    people: dict[str, CommandLine]

    @property
    def ann(self) -> CommandLine:
        return self.people["ann"]

    @property
    def bob(self) -> CommandLine:
        return self.people["bob"]

    @property
    def cleo(self) -> CommandLine:
        return self.people["cleo"]

    @property
    def ci(self) -> CommandLine:
        return self.desk.person

    def begin(self, version: str, *more: str) -> Ended:
        """Publish as CI does that has no key."""
        return self.desk.publish(version, "--unsigned", *more)

    def sign(self, person: CommandLine, version: str, *more: str) -> Ended:
        """Sign without being asked."""
        return person.must("sign", APP, version, "--yes", *more)

    def sign_all(self, version: str) -> None:
        """Let Ann and Cleo sign, as many as must."""
        for person in (self.ann, self.cleo):
            self.sign(person, version)

    def change(self) -> str:
        """The id of the change that waits."""
        (waiting,) = self.waiting()
        return str(waiting["change"])

    def waiting(self) -> list[dict[str, Any]]:
        """What waits, as anybody may ask."""
        found: list[dict[str, Any]] = self.ci.must("pending", APP, "--json").json()["pending"]
        return found

    def reach(self, address: str, *people: CommandLine) -> None:
        """Let these people reach the server at another address."""
        for person in people:
            person.environ["LOCKGATE_SERVER"] = address


def first_release(desk: ReleaseDesk) -> None:
    """Publish 0.9.0 with two keys at once."""
    keys = [f"keys/publisher/publisher-{number}.pem" for number in (1, 2)]
    desk.publish("0.9.0", "--key", keys[0], "--key", keys[1])


@contextmanager
def open_team(
    tmp_path: Path, prepare: Callable[[ReleaseDesk], object] = lambda _: None
) -> Iterator[Team]:
    """Set up an app, hand each publisher one key, and keep none where CI runs.

    Args:
        tmp_path: Where everything lies.
        prepare: Does something while all keys are still in one place, such as a first release.
    """
    with open_desk(tmp_path) as desk:
        desk.init("--publishers", "3", "--publisher-threshold", "2")
        prepare(desk)
        people = {}
        for number, name in enumerate(NAMES, 1):
            person = desk.elsewhere(
                name,
                LOCKGATE_TOKEN=desk.server.token(Scope.PUBLISH),
                LOCKGATE_SERVER=desk.api,
                LOCKGATE_APP=APP,
                LOCKGATE_ROOT="root.json",
                LOCKGATE_KEYS="mine.pem",
                LOCKGATE_MEMORY="seen",
            )
            keys = desk.folder / "keys"
            shutil.copy(keys / "root.json", person.folder / "root.json")
            key = keys / "publisher" / f"publisher-{number}.pem"
            shutil.move(key, person.folder / "mine.pem")
            people[name] = person
        yield Team(desk=desk, people=people)
