"""What serving the pointer costs, beside a bare Flask view and beside nginx.

`timestamp.json` is what every client asks for, every hour. The bare view answers with as many bytes
from memory, in the same gunicorn; ours finds the file, its digest and its headers. nginx serves the
same file as the page on plain web servers says: that is what a mirror costs. Requests a second are
what each server's processor time allows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.served import Served, flask_view, hear_until, in_turns, public_side
from bench.table import Table
from tests.docs.pages import ROOT, blocks_of
from tests.simulators.nginx import Nginx
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_process import ServerProcess

ROUNDS = 5
REQUESTS = 4_000
BAR = 0.8
_PATH = "/demo/metadata/timestamp.json"
_PAGE = ROOT / "docs" / "how-to" / "serve-from-a-cdn.md"


def run() -> Table:
    """Measure the three in turns."""
    table = Table(heads=("requests/s for timestamp.json", "ours", "rival's", "ratio"))
    asked = f"GET {_PATH} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    with tempfile.TemporaryDirectory() as folder, _ours(Path(folder)) as (ours, pointer):
        hear = hear_until(b"200", pointer[-40:])
        view = f"lambda: Response({pointer!r}, content_type='application/json')"
        with flask_view(_PATH, view) as bare, _mirror(Path(folder), pointer) as nginx:
            rivals = {name: (served, hear) for name, served in
                      {"ours": ours, "bare Flask view": bare, "nginx": nginx}.items()}  # fmt: skip
            found = in_turns(rivals, lambda _turn: [asked] * REQUESTS, ROUNDS)
    for name in ("bare Flask view", "nginx"):
        ratio = round(found["ours"] / found[name], 2)
        missed = name != "nginx" and ratio < BAR
        table.missed += missed
        bar = "" if name == "nginx" else f" (bar {BAR}{', MISSED' if missed else ''})"
        table.add(f"beside {name}", f"{found['ours']:.0f}", f"{found[name]:.0f}", f"{ratio}{bar}")
    return table


@contextmanager
def _ours(folder: Path) -> Iterator[tuple[Served, bytes]]:
    with ServerProcess(folder / "data") as server:
        publisher = PublisherSimulator(now=datetime.now(UTC).replace(microsecond=0))
        server.register(publisher)
        server.publish(publisher, publisher.build("1.0.0"))
        yield public_side(server), server.call("GET", _PATH, side="public").body


@contextmanager
def _mirror(folder: Path, pointer: bytes) -> Iterator[Served]:
    file = folder / "www" / _PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(pointer)
    [block] = [block.text for block in blocks_of(_PAGE) if block.language == "nginx"]
    with Nginx(folder / "nginx", block, root=folder / "www") as nginx:
        yield Served(address=("127.0.0.1", nginx.port), pid=nginx.pid)
