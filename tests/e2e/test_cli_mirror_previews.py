"""A copy of an app with previews serves them too, to clients and to `lockgate explain`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.instants import utc_now
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

CLIENT = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    # Whoever explains goes by the real time.
    with open_desk(tmp_path, now=utc_now().replace(microsecond=0)) as desk:
        desk.init()
        desk.publish("1.0.0")
        person = desk.person
        person.must("keys", "generate", "--unencrypted", "--name", "bot", "bot.pem")
        person.must("policy", "add-role", "c.json", "previews", "--key", "bot.pub")
        edit = ("policy", "edit", "c.json", "--channel", "nightly")
        person.must(*edit, "--path", "previews/*/release.json")
        person.must("root", "sign", "c.json", "--key", "keys/root/maintainer-1.pem", "--yes")
        person.must("root", "submit", "c.json")
        desk.publish("2.0.0-dev.1", "--channel", "nightly", "--key", "bot.pem")
        yield desk


def test_a_mirror_carries_the_lists_of_further_roles(desk: ReleaseDesk) -> None:
    desk.person.must("mirror", "copy")
    copied = {path.name for path in (desk.folder / "copy" / APP / "metadata").iterdir()}
    assert {"1.previews.json", "timestamp.json"} <= copied
    explain = ("explain", "--client-id", CLIENT, "--platform", "linux-x86_64", "--from", "copy")
    nightly = desk.person.must(*explain, "--channel", "nightly", "--json").json()
    assert (nightly["verdict"], nightly["version"]) == ("offer", "2.0.0-dev.1")
    # Who follows nightly downloads the list of previews, and not that of releases.
    lists = {role["role"] for role in nightly["chain"]["roles"]} & {"previews", "releases"}
    assert lists == {"previews"}
    assert nightly["chain"]["policy"]["paths"] == ["previews/*/release.json"]
    stable = desk.person.must(*explain, "--json").json()
    assert (stable["verdict"], stable["version"]) == ("offer", "1.0.0")


def test_a_preview_is_retired_and_lifted_in_its_own_list(desk: ReleaseDesk) -> None:
    person = desk.person
    person.must("revoke", "2.0.0-dev.1", "--reason", "it breaks", "--yes")
    assert desk.offers("nightly") == {}
    lift = ("unrevoke", "2.0.0-dev.1", "--reason", "it does not", "--yes", "--key", "bot.pem")
    person.must(*lift)
    assert desk.chain().further["previews"].version == 2
    assert desk.chain().releases.version == 2
    desk.publish("2.0.0-dev.1", "--channel", "nightly", "--key", "bot.pem")
    assert desk.offers("nightly") == {"2.0.0-dev.1": 10_000}
    desk.publish("2.0.0-dev.2", "--channel", "nightly", "--key", "bot.pem")
    person.must("releases", "retire", "2.0.0-dev.1", "--key", "bot.pem", "--yes")
    assert desk.versions() == {"1.0.0", "2.0.0-dev.2"}
