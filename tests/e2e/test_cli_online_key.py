"""The server's key replaced by command, as the runbook says: CI, a mirror and its client go on."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_release.instants import utc_now
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.online_keys import end_overlap
from lockgate_updater import Updater, init
from tests.simulators.command_line import Ended
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """A client looks at the real clock, so everybody begins there."""
    with open_desk(tmp_path, utc_now()) as made:
        made.person.environ["LOCKGATE_MEMORY"] = str(tmp_path / "memory")
        made.person.while_waiting = lambda wait_s: made.pass_time(seconds=wait_s)
        made.init()
        made.publish("1.0.0")
        yield made


def rotate(desk: ReleaseDesk) -> Ended:
    desk.person.must("root", "rotate", "online.json", "--role", "online")
    desk.person.must("root", "sign", "online.json", "--yes")
    return desk.person.must("root", "submit", "online.json")


def test_the_key_is_replaced_by_three_commands_and_the_old_one_ends_by_itself(
    desk: ReleaseDesk,
) -> None:
    (old,) = desk.chain().online_key_ids()
    assert "has to wait 120 s" in rotate(desk).err
    (new,) = desk.chain().online_key_ids()
    assert new != old
    assert set(desk.chain().timestamp.metadata.signatures) == {old, new}
    assert f"the old online key {old[:16]}… signs along until" in desk.person.must("status").err
    desk.publish("1.1.0")
    desk.pass_time(hours=24)
    assert end_overlap(desk.server.write_deps(), APP, Caller(actor="worker")) == old
    desk.publish("1.2.0")
    assert set(desk.chain().timestamp.metadata.signatures) == {new}
    said = desk.person.must("audit").out
    assert "online-key.next" in said
    assert "online-key.drop" in said


def test_ci_forgets_what_only_the_old_key_has_said(desk: ReleaseDesk) -> None:
    """A thief has shown CI numbers far ahead: it signs nothing more, until the key is replaced."""
    (kept,) = Path(desk.person.environ["LOCKGATE_MEMORY"]).iterdir()
    known = json.loads(kept.read_text("utf-8"))
    kept.write_text(json.dumps({**known, "timestamp": 2**52, "snapshot": 2**52}), "utf-8")
    desk.refuse(ExitCode.REFUSED, "1.1.0", words="an older state than was verified here before")
    elsewhere = desk.person.environ.pop("LOCKGATE_MEMORY")
    desk.person.environ["LOCKGATE_MEMORY"] = f"{elsewhere}-of-a-maintainer"
    rotate(desk)
    desk.person.environ["LOCKGATE_MEMORY"] = elsewhere
    desk.publish("1.1.0")
    assert desk.offers() == {"1.1.0": 10_000}


def test_a_mirror_and_its_client_go_on(desk: ReleaseDesk) -> None:
    desk.person.must("mirror", "copy")
    home = desk.folder.parent / "client"
    init(
        home,
        app=APP,
        repository=(desk.folder / "copy").as_uri(),
        channel="stable",
        root=(desk.folder / "keys" / "root.json").read_bytes(),
    )

    def client() -> Updater:
        return Updater.open(home, environ={"PATH": "/bin"}, clock=lambda: desk.person.now)

    client().update()
    assert (home / "current").readlink().name.startswith("1.0.0-")
    rotate(desk)
    desk.person.must("mirror", "copy")
    assert (desk.folder / "copy" / APP / "metadata" / "2.root.json").exists()
    desk.publish("1.1.0")
    desk.pass_time(hours=24)
    end_overlap(desk.server.write_deps(), APP, Caller(actor="worker"))
    desk.publish("1.2.0")
    desk.person.must("mirror", "copy")
    client().update()
    assert (home / "current").readlink().name.startswith("1.2.0-")
    assert desk.person.now - desk.server.now == timedelta(0)
