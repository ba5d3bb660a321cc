"""Bodies that do not come: a byte now and then holds no thread, and files are served on."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create

from lockgate_server.public import PublicDeps, create_public_app
from lockgate_server.views.slow_bodies import BodyWatch
from tests.simulators.server_scene import APP, Scene


@dataclass
class Clock:
    """Stands until somebody moves it."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Ends:
    """Both ends of real connections, closed at the end."""

    held: list[socket.socket] = field(default_factory=list)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """The server's end, and the client's."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        self.held += [ours, theirs]
        return ours, theirs


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    for sock in made.held:
        sock.close()


def _serve(scene: Scene, ours: socket.socket, watch: BodyWatch) -> None:
    """Answer one request as gunicorn does: its parser, its socket, its response."""
    deps = PublicDeps(
        store=scene.store,
        health=scene.health(is_public=True),
        api_port=1,
        new_id=lambda: "r",
        intake=scene.intake(),
        bodies=watch,
    )
    config = Config()
    request = next(RequestParser(config, ours, ("127.0.0.1", 1)))
    response, environ = create(request, ours, ("127.0.0.1", 1), ("127.0.0.1", 80), config)
    app: Any = create_public_app(deps)
    for piece in app.wsgi_app(environ, response.start_response):
        response.write(piece)
    response.close()


def _answer(ours: socket.socket, theirs: socket.socket) -> bytes:
    """All that the client was sent."""
    ours.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: theirs.recv(1 << 16), b""))


def _head(size: int) -> bytes:
    lines = (f"POST /{APP}/reports HTTP/1.1", "Host: x", f"Content-Length: {size}", "", "")
    return "\r\n".join(lines).encode()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(folder=tmp_path)
    made.register()
    return made


def test_a_body_that_comes_byte_by_byte_is_left_when_its_time_is_over(
    scene: Scene, ends: Ends
) -> None:
    ours, theirs = ends.pair()
    with closing(BodyWatch(most=1, monotonic_s=time.monotonic, limit_s=0.05)) as watch:
        theirs.sendall(_head(100) + b"{")
        served = threading.Thread(target=_serve, args=(scene, ours, watch))
        served.start()
        served.join()
    answer = _answer(ours, theirs)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come in time" in answer


def test_a_body_that_comes_in_time_is_taken_and_its_connection_stays(
    scene: Scene, ends: Ends
) -> None:
    ours, theirs = ends.pair()
    watch = BodyWatch(most=1, monotonic_s=time.monotonic)
    body = b'{"format": 1, "reports": []}'
    theirs.sendall(_head(len(body)) + body)
    _serve(scene, ours, watch)
    assert not theirs.recv(1 << 16).startswith(b"HTTP/1.1 408")
    theirs.sendall(b"next")
    assert ours.recv(4) == b"next"


def test_no_more_bodies_are_waited_for_than_leave_threads_for_files(
    scene: Scene, ends: Ends
) -> None:
    ours, theirs = ends.pair()
    clock = Clock()
    watch = BodyWatch(most=1, monotonic_s=clock, limit_s=20)
    first = watch.begin(None)
    assert first is not None
    theirs.sendall(_head(2) + b"{}")
    _serve(scene, ours, watch)
    answer = _answer(ours, theirs)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After" in answer
    clock.now_s = 20
    watch.look()
    assert watch.begin(None) is not None
    assert not watch.end(first)
    watch.close()


def test_each_has_its_own_time(ends: Ends) -> None:
    clock = Clock()
    watch = BodyWatch(most=3, monotonic_s=clock, limit_s=20)
    (early, _), (late, other) = ends.pair(), ends.pair()
    first = watch.begin(early)
    clock.now_s = 10
    second = watch.begin(late)
    clock.now_s = 20
    watch.look()
    assert early.recv(1) == b""
    other.sendall(b"x")
    assert late.recv(1) == b"x"
    assert not watch.end(first)
    assert watch.end(second)
    watch.close()


def test_where_no_thread_can_be_had_the_next_body_is_watched_all_the_same(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    watch = BodyWatch(most=1, monotonic_s=clock, limit_s=0.01)
    ours, _ = ends.pair()

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            watch.begin(ours)
    ticket = watch.begin(ours)
    assert ticket is not None
    clock.now_s = 1
    assert ours.recv(1) == b""
    watch.close()
    assert not watch.end(ticket)
