"""A real server behind Debian's nginx, with the very file that the containers run."""

import http.client
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_path
from tests.docs.pages import ROOT
from tests.simulators.nginx import (
    NginxProgram,
    as_whom,
    free_port,
    need_nginx,
    temporary_paths,
)
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess

CONFIG = ROOT / "deploy" / "compose" / "nginx.conf"
BIG = bytes(range(256)) * (9 << 12)  # 9 MiB: more than a slice


def here(text: str, server: ServerProcess, ports: dict[str, int]) -> str:
    """The file with what differs between a container and a folder of a test."""
    changes = {
        "pid /run/nginx.pid;": "pid nginx.pid;\ndaemon off;",
        "error_log /dev/stderr warn;": "error_log error.log warn;",
        "/var/cache/nginx/lockgate": "cache",
        "listen 8080;": f"listen 127.0.0.1:{ports['public']};",
        "listen 8081;": f"listen 127.0.0.1:{ports['api']};",
        "server public:8080;": f"server {urlsplit(server.public).netloc};",
        "server api:8081;": f"server {urlsplit(server.api).netloc};",
        "http {\n": f"http {{\n{temporary_paths()}",
    }
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return as_whom() + text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    need_nginx()
    folder = tmp_path_factory.mktemp("behind")
    with ServerProcess(folder / "data", LOCKGATE_TRUSTED_PROXIES="127.0.0.0/8") as running:
        yield running


@pytest.fixture(scope="module")
def nginx(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[NginxProgram, int]]:
    """nginx before a server with one release; and the port at which it leads to the API."""
    publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
    server.register(publisher)
    server.publish(publisher, publisher.build("1.0.0", {"any": BIG}))
    ports = {"public": free_port(), "api": free_port()}
    config = here(CONFIG.read_text("utf-8"), server, ports)
    folder = tmp_path_factory.mktemp("nginx")
    with NginxProgram(folder, config, ports["public"]) as running:
        yield running, ports["api"]
    assert "[emerg]" not in running.said()


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=said)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


ARTIFACT = f"/demo/{artifact_path(digest_bytes(BIG))}"


def test_an_artifact_comes_whole_and_in_any_part(nginx: tuple[NginxProgram, int]) -> None:
    port = nginx[0].port
    status, headers, body = ask(port, ARTIFACT)
    assert (status, body) == (200, BIG)
    assert "immutable" in headers["cache-control"]
    first = len(BIG) - (1 << 20) - 7
    for said, expected in {
        "bytes=0-9": BIG[:10],
        f"bytes={first}-": BIG[first:],
        f"bytes={(8 << 20) - 5}-{(8 << 20) + 4}": BIG[(8 << 20) - 5 : (8 << 20) + 5],
    }.items():
        status, headers, body = ask(port, ARTIFACT, Range=said)
        assert (status, body) == (206, expected), said


def test_metadata_is_kept_for_no_longer_than_the_server_says(
    nginx: tuple[NginxProgram, int], server: ServerProcess
) -> None:
    port = nginx[0].port
    _, direct, data = _direct(server, "/demo/metadata/timestamp.json")
    status, headers, body = ask(port, "/demo/metadata/timestamp.json")
    assert (status, body) == (200, data)
    assert headers["cache-control"] == direct["cache-control"] == "public, max-age=60"
    missing = ask(port, "/demo/metadata/9.root.json")
    assert (missing[0], missing[1]["cache-control"]) == (404, "public, max-age=10")


def test_uploads_the_api_and_nonsense_are_not_served_to_the_public(
    nginx: tuple[NginxProgram, int],
) -> None:
    port = nginx[0].port
    assert ask(port, "/demo/uploads/x/data")[0] == 404
    assert ask(port, "/api/v1/apps")[0] == 421
    assert ask(port, "/demo/reports", "POST", b"x" * (65 << 10))[0] == 413


def test_reports_arrive(nginx: tuple[NginxProgram, int]) -> None:
    report = {
        "kind": "active",
        "version": "1.0.0",
        "platform": "linux-x86_64",
        "channel": "stable",
        "last_counted": "",
    }
    body = json.dumps({"_type": "lockgate.reports", "reports": [report]}).encode()
    port = nginx[0].port
    status, _, answer = ask(port, "/demo/reports", "POST", body, Content_Type="application/json")
    assert (status, json.loads(answer)) == (202, {"accepted": 1, "dropped": 0})


def test_the_api_s_address_leads_to_the_api(
    nginx: tuple[NginxProgram, int], server: ServerProcess
) -> None:
    token = f"Bearer {server.token}"
    status, headers, body = ask(nginx[1], "/api/v1/apps", Authorization=token)
    assert (status, [app["app"] for app in json.loads(body)["apps"]]) == (200, ["demo"])
    # nginx names the request, so that its line and the server's can be laid side by side.
    assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])


def test_with_the_server_dead_clients_still_read_what_was_read_before(tmp_path: Path) -> None:
    need_nginx()
    ports = {"public": free_port(), "api": free_port()}
    with ServerProcess(tmp_path / "data") as server:
        publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
        server.register(publisher)
        config = here(CONFIG.read_text("utf-8"), server, ports)
        with NginxProgram(tmp_path / "nginx", config, ports["public"]) as nginx:
            path = "/demo/metadata/timestamp.json"
            before = ask(nginx.port, path)
            server.kill()
            assert ask(nginx.port, path)[2] == before[2]
            assert ask(nginx.port, "/demo/metadata/1.root.json")[0] == 502


def _direct(server: ServerProcess, path: str) -> tuple[int, dict[str, str], bytes]:
    return ask(urlsplit(server.public).port or 0, path)
