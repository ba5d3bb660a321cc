"""The real updater against Debian's nginx, which serves a mirror as the page says it should."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.instants import utc_now
from lockgate_release.layout import artifact_path
from lockgate_updater import Updater, init
from tests.docs.pages import ROOT, blocks_of
from tests.simulators.command_line import CommandLine
from tests.simulators.nginx import Nginx, need_nginx
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.server_process import ServerProcess

PAGE = ROOT / "docs" / "how-to" / "serve-from-a-cdn.md"
UPDATER = str(Path(sys.executable).with_name("lockgate-updater"))
FOR_EVER, SHORT = "public, max-age=31536000, immutable", "public, max-age=60"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    with open_desk(tmp_path, utc_now()) as made:
        made.init()
        made.publish("1.0.0")
        made.person.must("mirror", "www")
        yield made


@pytest.fixture
def nginx(desk: ReleaseDesk) -> Iterator[Nginx]:
    need_nginx()
    folder = desk.folder.parent / "nginx"
    with Nginx(folder, the_block(), root=desk.folder / "www") as running:
        yield running
    assert "[emerg]" not in running.said()


def the_block() -> str:
    """The configuration as it stands on the page."""
    [block] = [block.text for block in blocks_of(PAGE) if block.language == "nginx"]
    return block


def ask(nginx: Nginx, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def update(desk: ReleaseDesk, nginx: Nginx) -> str:
    """Update a client of nginx, by the command, and return what is installed."""
    home = desk.folder.parent / "client"
    root = desk.folder / "keys" / "root.json"
    said = ["--home", str(home)]
    if not home.exists():
        also = ["--app", APP, "--repository", nginx.address, "--root", str(root)]
        subprocess.run([UPDATER, "init", *said, *also], check=True, timeout=60)
    subprocess.run([UPDATER, "update", *said], check=True, timeout=60)
    return (home / "current").readlink().name.rpartition("-")[0]


def test_the_updater_follows_a_mirror_that_nginx_serves(desk: ReleaseDesk, nginx: Nginx) -> None:
    assert update(desk, nginx) == "1.0.0"
    desk.publish("1.1.0")
    assert update(desk, nginx) == "1.0.0"
    desk.person.must("mirror", "www", "--prune")
    assert update(desk, nginx) == "1.1.0"
    desk.person.must("revoke", APP, "1.1.0", "--reason", "it breaks", "--yes")
    desk.person.must("mirror", "www", "--prune")
    assert update(desk, nginx) == "1.0.0"


def test_nothing_new_costs_two_requests_of_nginx_and_no_server(
    desk: ReleaseDesk, nginx: Nginx
) -> None:
    update(desk, nginx)
    before = len(nginx.answered())
    home = desk.folder.parent / "client"
    subprocess.run([UPDATER, "check", "--home", str(home)], check=True, timeout=60)
    statuses = [(line.split()[8], int(line.split()[9])) for line in nginx.answered()[before:]]
    assert [status for status, _ in statuses] == ["404", "200"], "the next root; the timestamp"
    assert sum(size_bytes for _, size_bytes in statuses) < 2048


def test_every_file_of_a_mirror_is_served_with_the_right_headers(
    desk: ReleaseDesk, nginx: Nginx
) -> None:
    served = [path for path in (desk.folder / "www" / APP).rglob("*") if path.is_file()]
    kinds = set()
    for path in served:
        name = path.relative_to(desk.folder / "www").as_posix()
        status, headers, body = ask(nginx, f"/{name}")
        assert (status, body) == (200, path.read_bytes()), name
        is_pointer = path.name in {"timestamp.json", "version.json"}
        assert headers["cache-control"] == (SHORT if is_pointer else FOR_EVER), name
        is_json = path.suffix == ".json"
        expected = "application/json" if is_json else "application/octet-stream"
        assert headers["content-type"] == expected, name
        kinds.add(name.split("/")[1])
    assert kinds == {"metadata", "targets", "artifacts", "channels"}


def test_what_is_not_there_is_not_remembered_for_long(nginx: Nginx) -> None:
    status, headers, _ = ask(nginx, f"/{APP}/metadata/2.root.json")
    assert (status, headers["cache-control"]) == (404, "public, max-age=10")


def test_nothing_else_is_served(desk: ReleaseDesk, nginx: Nginx) -> None:
    upload = desk.folder / "www" / APP / "uploads" / "1" / "data"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"?")
    for path in (
        "/",
        f"/{APP}/",
        f"/{APP}/artifacts/",
        f"/{APP}/uploads/1/data",
        "/.lockgate-mirror/lock",
        f"/.lockgate-mirror/{APP}/seen.json",
        f"/{APP}/metadata/../../.lockgate-mirror/{APP}/seen.json",
    ):
        assert ask(nginx, path)[0] in {400, 404}, path


def test_a_part_of_an_artifact_is_served_while_it_is_the_same(
    desk: ReleaseDesk, nginx: Nginx
) -> None:
    [artifact] = (desk.folder / "www" / APP / "artifacts").rglob("*/*")
    path = "/" + artifact.relative_to(desk.folder / "www").as_posix()
    tag = ask(nginx, path)[1]["etag"]
    status, headers, body = ask(nginx, path, Range="bytes=10-", **{"If-Range": tag})
    assert (status, body) == (206, artifact.read_bytes()[10:])
    assert headers["cache-control"] == FOR_EVER
    assert ask(nginx, path, Range="bytes=10-", **{"If-Range": '"other"'})[0] == 200


def test_a_server_that_redirects_leaves_the_artifacts_to_nginx(tmp_path: Path) -> None:
    need_nginx()
    publisher = PublisherSimulator(APP, now=utc_now())
    nginx = Nginx(tmp_path / "nginx", the_block(), root=tmp_path / "www")
    told = {"LOCKGATE_PUBLIC_URL": nginx.address, "LOCKGATE_ARTIFACTS": "redirect"}
    with nginx, ServerProcess(tmp_path / "data", **told) as server:
        assert server.call("GET", "/api/v1/").json()["public_url"] == nginx.address
        server.register(publisher)
        program = b"#!/bin/sh\n"
        server.publish(publisher, publisher.build("1.0.0", {"any": program}))
        root = tmp_path / "root.json"
        root.write_bytes(publisher.root)
        person = CommandLine(folder=tmp_path, environ={}, now=publisher.now)
        # The API's side redirects nobody: a mirror is what those are sent to.
        person.must("mirror", "www", "--app", APP, "--root", str(root), "--from", server.api)
        address = urlsplit(server.public).netloc
        path = f"/{APP}/{artifact_path(digest_bytes(program))}"
        moved = server.call("GET", path, side="public")
        assert (moved.status, moved.headers["Location"]) == (302, f"{nginx.address}{path}")
        updater = Updater.open(
            make_home(tmp_path / "home", root, f"http://{address}"),
            environ={"PATH": "/usr/bin:/bin"},
        )
        assert updater.update().version == "1.0.0"
        assert [line.split()[6] for line in nginx.answered()] == [path]


def make_home(home: Path, root: Path, repository: str) -> Path:
    init(home, app=APP, repository=repository, channel="stable", root=root.read_bytes())
    return home
