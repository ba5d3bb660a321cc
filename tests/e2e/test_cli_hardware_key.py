"""A maintainer's key that never leaves its token: PKCS#11, with SoftHSM in the token's place."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.instants import utc_now
from lockgate_release.trust.public_keys import parse_key_file
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.soft_token import SoftToken, need_soft_token


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Somebody who types commands in a process of its own, with the token plugged in."""

    desk: ReleaseDesk
    token: SoftToken

    def type(self, *arguments: str, pin: str = "") -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.desk.person.environ, **self.token.environ}
        environ["LOCKGATE_KEY_PIN"] = pin or self.token.pin
        return subprocess.run(
            [Path(sys.executable).parent / "lockgate", *arguments],
            cwd=self.desk.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def must(self, *arguments: str) -> str:
        done = self.type(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    need_soft_token()
    # A process of its own has the real time.
    with open_desk(tmp_path, utc_now()) as desk:
        yield Holder(desk=desk, token=SoftToken(folder=tmp_path / "token"))


def test_an_app_is_founded_and_renewed_with_a_key_on_a_token(holder: Holder) -> None:
    desk, token = holder.desk, holder.token
    holder.must("keys", "inspect", token.uri, "--name", "hanna", "--out", "hanna.pub")
    key = parse_key_file((desk.folder / "hanna.pub").read_bytes(), subject="hanna.pub")
    desk.person.must(
        "init", APP, "--server", desk.api, "--keys", "keys", "--maintainer-key", "hanna.pub",
        "--publishers", "1",
    )  # fmt: skip
    file = f"{APP}-registration.json"
    before = (desk.folder / file).read_bytes()
    wrong = holder.type("root", "sign", file, "--key", token.uri, "--yes", pin="000000")
    assert wrong.returncode == ExitCode.LOCAL, wrong.stderr
    assert (desk.folder / file).read_bytes() == before
    holder.must("root", "sign", file, "--key", token.uri, "--yes")
    desk.person.must("root", "submit", file)
    holder.must("renew", "--role", "targets", "--key", f"{token.uri}#{key.keyid}")
    chain = desk.chain()
    assert chain.root.signed.roles["root"].keyids == [key.keyid]
    assert chain.targets.version == 2
