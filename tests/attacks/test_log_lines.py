"""What a stranger can put into the log: nothing but one short line a request, about that request.

Line breaks, escape sequences, faked objects and a megabyte of text are put into every header and
field that might reach a line, on both sides of the server, in both forms.
"""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.log.rules import LogFormat, LogRules, set_up_lines
from lockgate_server.ports import Scope
from tests.simulators.log_reader import read_log
from tests.simulators.server_scene import Scene

FORGED = '{"at": "x", "level": "info", "part": "api", "event": "change.in-force", "app": "demo"}'
HOSTILE = {
    "a line break and an object": f"x\r\n{FORGED}\n{FORGED}",
    "an object's end": f'x", "event": "change.in-force", "y": "{FORGED}',
    "escape sequences": "\x1b[2J\x1b]0;owned\x07\x9b1A\x85\u2028\u202e\x00\x7f",
    "a format": "%s %(levelname)s {0} {event} {0.__class__.__mro__}",
    "a megabyte": "A" * 1_000_000,
    "many other letters": "\xe9\U0001f600" * 20_000,
}
IDENTITY = {
    "REMOTE_ADDR": "203.0.113.77",
    "HTTP_X_FORWARDED_FOR": "198.51.100.88, 203.0.113.77",
    "HTTP_FORWARDED": "for=198.51.100.88",
    "HTTP_X_REAL_IP": "198.51.100.88",
    "HTTP_USER_AGENT": "agent-of-somebody/1.0",
    "HTTP_REFERER": "http://somebodys-intranet.example/",
    "HTTP_COOKIE": "session=somebodys-session",
    "HTTP_FROM": "somebody@example.com",
}
NOT_KEPT = ("203.0.113.77", "198.51.100.88", "agent-of", "somebody")
HEADERS = [
    "HTTP_X_REQUEST_ID", "HTTP_X_OPERATION_ID", "HTTP_AUTHORIZATION", "HTTP_USER_AGENT",
    "HTTP_X_FORWARDED_FOR", "HTTP_HOST", "HTTP_REFERER", "HTTP_ACCEPT", "HTTP_RANGE",
    "HTTP_IF_NONE_MATCH", "HTTP_COOKIE", "CONTENT_TYPE", "CONTENT_LENGTH", "QUERY_STRING",
    "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT",
]  # fmt: skip
Typed = Callable[[str, str], tuple[str, str, Any]]


@contextmanager
def logged(form: LogFormat) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        set_up_lines("api", stream, LogRules(form=form, level="debug"))
        yield stream
    finally:
        root.handlers[:], root.level = before
        logging.captureWarnings(capture=False)


def on_the_wire(text: str) -> str:
    """As WSGI hands over what came in UTF-8."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def check(stream: io.StringIO, form: LogFormat, *, lines: int) -> None:
    said = stream.getvalue()
    assert said.count("\n") == lines, said[:2000]
    for line in said.splitlines():
        assert line.isprintable()
        assert len(line) < 12_000
    assert not [word for word in NOT_KEPT if word in said]
    if form is LogFormat.JSON:
        assert said.isascii()
        for found in read_log(said):
            assert found["event"].startswith("request."), found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A server that all these requests leave as it is."""
    scene = Scene(folder=tmp_path_factory.mktemp("scene"))
    scene.register()
    scene.publish("1.0.0")
    return scene


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_header_makes_up_a_line(scene: Scene, name: str, form: LogFormat) -> None:
    hostile = on_the_wire(HOSTILE[name])
    api, web = scene.api(), scene.public(intake=scene.intake())
    with logged(form) as stream:
        for header in HEADERS:
            environ = {**IDENTITY, header: hostile}
            api.http.get("/api/v1/apps/demo", environ_overrides=environ)
            web.get("/demo/metadata/timestamp.json", environ_overrides=environ)
            web.post("/demo/reports", data=b"{}", environ_overrides=environ)
    check(stream, form, lines=3 * len(HEADERS))


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_address_and_no_method_makes_up_a_line(scene: Scene, name: str, form: LogFormat) -> None:
    hostile = on_the_wire(HOSTILE[name][:8_000])  # more than gunicorn lets through
    api, web = scene.api(), scene.public()
    paths = ("/{}", "/demo/{}", "/demo/metadata/{}.json", "/{}/reports", "/health/{}", "/api/{}")
    with logged(form) as stream:
        for path in paths:
            environ = {**IDENTITY, "PATH_INFO": path.replace("{}", hostile)}
            web.get("/", environ_overrides=environ)
            api.http.get("/", environ_overrides=environ)
        environ = {**IDENTITY, "REQUEST_METHOD": hostile}
        web.get("/demo/metadata/timestamp.json", environ_overrides=environ)
    check(stream, form, lines=2 * len(paths) + 1)


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_field_of_a_body_makes_up_a_line(scene: Scene, name: str, form: LogFormat) -> None:
    hostile = HOSTILE[name]
    api = scene.api()
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/apps/demo/revocations", {"version": hostile, "reason": "x"}),
        ("POST", "/apps/demo/stop", {"reason": hostile, "channel": hostile}),
        ("POST", "/apps/demo/publish", {"releases": hostile}),
        ("POST", "/apps/demo/publish", {hostile: hostile}),
        ("POST", "/apps/demo/uploads", {"sha256": hostile, "size_bytes": 1}),
        ("PUT", "/apps/other", {"root": hostile}),
        ("PATCH", "/apps/demo/channels/stable/rollouts/1.0.0", {"action": hostile}),
        ("POST", "/apps/demo/metadata", {"role": hostile, "data": hostile}),
    ]
    with logged(form) as stream:
        for method, path, body in asked:
            status = api(method, path, body, environ_overrides=IDENTITY).status_code
            assert status < 500, (path, status)
    check(stream, form, lines=len(asked))


@pytest.mark.parametrize("form", [LogFormat.JSON, LogFormat.TEXT])
def test_the_label_of_a_token_makes_up_no_line(scene: Scene, form: LogFormat) -> None:
    for hostile in HOSTILE.values():
        secret = f"lg_{digest_bytes(hostile.encode())}{form}"
        scene.ledger.create_token(
            scope=Scope.READ,
            label=hostile,
            secret_sha256=digest_bytes(secret.encode()),
            now=scene.now,
        )
        api = scene.api(secret)
        with logged(form) as stream:
            api("GET", "/apps/demo", environ_overrides=IDENTITY)
        check(stream, form, lines=1)


def test_a_stranger_is_answered_with_no_id_but_a_good_one(scene: Scene) -> None:
    api = scene.api()
    for hostile in map(on_the_wire, HOSTILE.values()):
        environ = {"HTTP_X_REQUEST_ID": hostile, "HTTP_X_OPERATION_ID": hostile}
        answer = api.http.get("/api/v1/apps/demo", environ_overrides=environ)
        assert answer.headers["X-Request-Id"] == "made-id"
        assert "X-Operation-Id" not in answer.headers


def test_what_is_stored_names_no_client(scene: Scene) -> None:
    """After all that was asked, neither files nor the audit log hold anything of who asked."""
    api, web = scene.api(), scene.public(intake=scene.intake())
    for path in ("/demo/metadata/timestamp.json", "/demo/nothing", "/health/ready"):
        web.get(path, environ_overrides=IDENTITY)
    web.post("/demo/reports", data=b"{}", environ_overrides=IDENTITY)
    body = {"version": "1.0.0", "reason": "bad"}
    assert (
        api("POST", "/apps/demo/revocations", body, environ_overrides=IDENTITY).status_code == 200
    )
    audit = api("GET", "/apps/demo/audit").get_data(as_text=True)
    kept = [audit, *(repr(scene.store.open(info.key)) for info in scene.store.list(""))]
    assert not [word for word in NOT_KEPT for text in kept if word in text]
