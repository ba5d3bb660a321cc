"""A maintainer and release CI at work against a real api app: the scene of the command's tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lockgate_release.layout import target_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.trust.chain import Chain, load_chain
from lockgate_server.ports import Scope
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.renewing import resign
from tests.simulators.api_server import ServerSide, serve_app
from tests.simulators.archives import make_archive
from tests.simulators.command_line import CommandLine, Ended
from tests.simulators.publisher import NOW

APP = AppName("demo")
PLATFORM = "linux-x86_64"


@dataclass(kw_only=True)
class ReleaseDesk:
    """Everything is in one folder: settings, keys, builds.

    Attributes:
        server: The server's state: look at it, or damage it.
        api: The api app's address.
        person: Who types, with a token of scope admin.
    """

    server: ServerSide
    api: str
    person: CommandLine

    @property
    def folder(self) -> Path:
        return self.person.folder

    def pass_time(self, **span: float) -> None:
        """Let the same time pass for everybody."""
        self.person.pass_time(**span)
        self.server.now = self.person.now

    def sign_again(self) -> None:
        """Do what the server's worker does each day: sign what is due of the server's roles."""
        resign(self.server.write_deps(), APP, Caller(actor="worker"))

    def init(self, *more: str) -> Ended:
        return self.person.must("init", APP, "--server", self.api, "--keys", "keys", *more)

    def build(self, version: str, *, content: str = "") -> Path:
        """Make an artifact of this version and return its path."""
        path = self.folder / f"{APP}-{version}.tar.gz"
        script = f"#!/bin/sh\necho {version} {content}\n".encode()
        path.write_bytes(make_archive({"bin/app": script, "share/version": version.encode()}))
        return path

    def publish_arguments(self, version: str, *more: str) -> list[str]:
        path = self.folder / f"{APP}-{version}.tar.gz"
        if not path.exists():
            self.build(version)
        artifact = f"{PLATFORM}={path.name}"
        arguments = ["publish", "--app", APP, "--version", version, "--artifact", artifact]
        if "--channel" not in more:
            arguments += ["--channel", "stable"]
        return [*arguments, *more]

    def publish(self, version: str, *more: str) -> Ended:
        return self.person.must(*self.publish_arguments(version, *more))

    def refuse(self, code: int, version: str, *more: str, words: str = "") -> Ended:
        """Publish, and be refused without a trace on the server."""
        before = self.files()
        arguments = self.publish_arguments(version, *more)
        ended = self.person.must_end(code, arguments, words)
        assert self.files() == before
        return ended

    def files(self) -> dict[str, bytes]:
        """All that the server holds."""
        return {key: found.data for key, found in self.server.store.objects.items()}

    def stored(self, path: str) -> bytes:
        """The bytes of a document as the state in force names it."""
        target = self.chain().target(path)
        assert target is not None
        return self.files()[target_key(APP, path, Sha256Hex(target.hashes["sha256"]))]

    def chain(self) -> Chain:
        """The state in force, verified from the trust anchor in the folder."""
        files = self.files()
        root = (self.folder / "keys" / "root.json").read_bytes()
        return load_chain(lambda name: files.get(f"{APP}/metadata/{name}"), root, now=None)

    def versions(self) -> set[str]:
        return {entry.version for entry in self.chain().entries().values()}

    def offers(self, channel: str = "stable") -> dict[str, int]:
        """What the channel offers, and to what share."""
        for item in self.person.must("status", "--json").json()["channels"]:
            if item["channel"] == channel:
                return {
                    offer["version"]: offer["rollout"]["exposure_bp"] for offer in item["offers"]
                }
        return {}

    def elsewhere(self, name: str, **environ: str) -> CommandLine:
        """Somebody in another, empty folder."""
        folder = self.folder.parent / name
        folder.mkdir()
        return CommandLine(folder=folder, environ=dict(environ), now=self.person.now)


@contextmanager
def open_desk(tmp_path: Path, now: datetime = NOW) -> Iterator[ReleaseDesk]:
    """Start a server on nothing, and give a person an empty folder and a token."""
    folder = tmp_path / "desk"
    folder.mkdir(parents=True)
    server = ServerSide(folder=tmp_path / "server-keys", now=now)
    token = server.token(Scope.ADMIN)
    person = CommandLine(folder=folder, environ={"LOCKGATE_TOKEN": token}, now=now)
    with serve_app(server.api()) as api:
        yield ReleaseDesk(server=server, api=api, person=person)
