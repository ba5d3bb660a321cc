"""An S3 service on a loopback port, in a process of its own: moto, made atomic.

S3 decides about a condition and writes in one step; moto takes two. So requests that change
something go through one at a time.

Prints its port, and ends when its standard input does, so that it never outlives the tests.

A weakness, from `tests/simulators/weak_store.py`, makes it worse than S3.
"""

import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"


@contextmanager
def s3_server(weakness: str = "") -> Iterator[str]:
    """Yields the address of an empty service."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.s3_server", weakness],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(timeout=30)


class _OneWriteAtATime:
    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        with self._lock:
            return list(self._app(environ, start_response))


def _serve(weakness: str) -> None:
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    from tests.simulators.weak_store import weaken

    app = weaken(_OneWriteAtATime(DomainDispatcherApplication(create_backend_app)), weakness)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    _serve(sys.argv[1])
