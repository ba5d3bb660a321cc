"""A team of maintainers, each in a folder of their own, who pass ceremony files round.

with open_team(tmp_path) as team:
    found_app(team)                      # two of anna, bert and cleo must sign
    team.anna.must("root", "renew", "r.json")
    team.pass_round("r.json", "anna", "bert")
    team.submit("r.json")
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulators.command_line import CommandLine, Ended
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

__all__ = ["NAMES", "PASSPHRASE", "REGISTRATION", "Team", "found_app", "founding", "open_team"]

PASSPHRASE = "correct horse battery"
NAMES = ("anna", "bert", "cleo")
REGISTRATION = f"{APP}-registration.json"


@dataclass(kw_only=True)
class Team:
    """Anna begins, and has a token; Bert and Cleo have a key each, and no token.

    Attributes:
        desk: The server, and Anna's folder.
        people: Everybody by name.
    """

    desk: ReleaseDesk
    people: dict[str, CommandLine]

    @property
    def anna(self) -> CommandLine:
        return self.people["anna"]

    def mail(self, name: str) -> None:
        """Send Anna somebody's public half, called after them."""
        public = self.people[name].folder / "me.pub"
        (self.anna.folder / f"{name}.pub").write_bytes(public.read_bytes())

    def keys_of(self, role: str = "root") -> dict[str, str]:
        """Who speaks for a role: ids by name."""
        listed = self.anna.must("keys", "list", "--json").json()["keys"]
        return {one["name"] or one["keyid"]: one["keyid"] for one in listed if one["role"] == role}

    def hand(self, file: str, giver: str, taker: str) -> None:
        """Carry a file from one folder to the other."""
        if giver != taker:
            folders = self.people[giver].folder, self.people[taker].folder
            shutil.copy(folders[0] / file, folders[1] / file)

    def pass_time(self, **span: float) -> None:
        """Let the same time pass for everybody."""
        self.desk.pass_time(**span)
        for person in self.people.values():
            person.now = self.desk.person.now

    def newcomer(self, name: str, **environ: str) -> CommandLine:
        """Somebody with a new key, who knows the app from its root.json and lockgate.toml."""
        person = self.desk.elsewhere(name, LOCKGATE_KEY_PASSPHRASE=PASSPHRASE, **environ)
        person.must("keys", "generate", "me.pem", "--name", name)
        self.people[name] = person
        return person

    def tell(self, name: str) -> None:
        """Give somebody what is committed beside the code: the anchor and the settings."""
        folder = self.people[name].folder
        anchor = self.anna.folder / "keys" / "root.json"
        (folder / "root.json").write_bytes(anchor.read_bytes())
        said = f'app = "{APP}"\nserver = "{self.desk.api}"\nroot = "root.json"\n'
        (folder / "lockgate.toml").write_text(said + 'root_keys = ["me.pem"]\n')

    def sign(self, name: str, file: str) -> Ended:
        arguments = ["root", "sign", file, "--key", "me.pem", "--yes", "--server", self.desk.api]
        return self.people[name].must(*arguments)

    def pass_round(self, file: str, *names: str, giver: str = "anna") -> None:
        """Let these people sign one after the other; Anna has the file in the end."""
        for name in names:
            self.hand(file, giver, name)
            self.sign(name, file)
            giver = name
        self.hand(file, giver, "anna")

    def submit(self, file: str) -> Ended:
        return self.anna.must("root", "submit", file)


@contextmanager
def open_team(tmp_path: Path) -> Iterator[Team]:
    """Start a server on nothing, and give three people a key each."""
    with open_desk(tmp_path) as desk:
        desk.person.environ["LOCKGATE_KEY_PASSPHRASE"] = PASSPHRASE
        # Caches forget while Anna's command waits for them.
        desk.person.while_waiting = lambda wait_s: desk.pass_time(seconds=wait_s)
        made = Team(desk=desk, people={"anna": desk.person})
        desk.person.must("keys", "generate", "me.pem", "--name", "anna")
        for name in NAMES[1:]:
            made.newcomer(name)
        yield made


def founding(team: Team, *names: str, threshold: int = 2) -> list[str]:
    """What Anna types to found the app with these people's keys, which were mailed to her."""
    arguments = ["init", APP, "--server", team.desk.api, "--keys", "keys", "--publishers", "1"]
    arguments += ["--threshold", str(threshold)]
    for name in names:
        team.mail(name)
        arguments += ["--maintainer-key", f"{name}.pub"]
    return arguments


def found_app(team: Team) -> None:
    """Register an app of which two of three people must sign the rules; one key publishes."""
    team.anna.must(*founding(team, *NAMES))
    team.pass_round(REGISTRATION, "anna", "bert")
    team.submit(REGISTRATION)
    for name in NAMES:
        team.tell(name)
    settings = team.anna.folder / "lockgate.toml"
    settings.write_text(settings.read_text() + 'keys = ["keys/publisher/publisher-1.pem"]\n')
