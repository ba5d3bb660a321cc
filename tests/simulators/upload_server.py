"""A server that takes uploads, and the store beside it, on two loopback ports; both can be spoilt.

It speaks the API's half of uploads as the real one does, keeps everything in memory, counts what
it is sent, and does to any request what it is told to. The store knows no token: it takes what an
address of its own is good for, once.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lockgate_release.uploads import part_bytes_of, part_sizes

TOKEN = "lg_secret-of-ci"
SECRET = "X-Amz-Signature"
_UPLOAD = re.compile(r"/api/v1/apps/demo/uploads(?:/(\w+)(?:/(urls|finish|parts)(?:/(\d+))?)?)?")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to one request instead of what it asks for.

    Attributes:
        status: Answer this.
        headers: With these.
        body: And this.
        drops: Close the connection without a word.
        reads_bytes: After so many bytes of the body; None: all of it.
        is_done: Whether it was done nevertheless, and only the answer is lost.
        short_by: The answer ends so many bytes early.
        then: Something that happens meanwhile.
    """

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    drops: bool = False
    reads_bytes: int | None = None
    is_done: bool = False
    short_by: int = 0
    then: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: on which side, and with what."""

    side: str
    kind: str
    path: str
    headers: dict[str, str]
    number: int = 0
    body: bytes = b""


@dataclass(kw_only=True)
class Held:
    """An upload as the server has it: each part's bytes, by number and name."""

    size: int
    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)


class UploadServer:
    """Both sides.

    Attributes:
        mode: `direct` or `server`.
        part_bytes: Smaller parts than a real server asks for; None: just as it does.
        lists_parts: Whether the store can tell what has arrived.
        names_by_md5: Whether it names parts by their MD5, as stores that encrypt nothing do.
        artifacts: What has been kept, by digest.
        uploads: What is under way.
        asked: Every request, in turn.
        faults: What happens to the next requests of a kind: `begin`, `urls`, `part`, `finish`,
            `head`, `delete`. A part's may be for one number: `part:3`.
        part_bytes_seen: Bytes of parts that came in, whole or not.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.part_bytes: int | None = None
        self.lists_parts = True
        self.names_by_md5 = True
        self.artifacts: dict[str, bytes] = {}
        self.uploads: dict[str, Held] = {}
        self.asked: list[Asked] = []
        self.faults: dict[str, list[Fault]] = {}
        self.part_bytes_seen = 0
        self.most_at_once = 0
        self.lock = threading.Lock()
        self.api = _Side(self, "api")
        self.store = _Side(self, "store")
        self._at_once = 0
        self._good: set[str] = set()
        self._counter = 0

    def kinds(self) -> list[str]:
        """What was asked for, in turn."""
        return [asked.kind for asked in self.asked]

    def numbers_sent(self) -> list[int]:
        """The parts that were sent, in turn."""
        return [asked.number for asked in self.asked if asked.kind == "part"]

    def fault_for(self, asked: Asked) -> Fault | None:
        with self.lock:
            for kind in (f"{asked.kind}:{asked.number}", asked.kind):
                if self.faults.get(kind):
                    return self.faults[kind].pop(0)
        return None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with self.lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self.lock:
                self._at_once -= 1

    def saw(self, size_bytes: int) -> None:
        with self.lock:
            self.part_bytes_seen += size_bytes

    # What is asked for.

    def do(self, asked: Asked) -> tuple[int, dict[str, str], Any]:
        with self.lock:
            if asked.side == "store":
                return self._store_part(asked)
            if asked.headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, {}, {"status": 401, "detail": "no token"}
            return self._do(asked)

    def _do(self, asked: Asked) -> tuple[int, dict[str, str], Any]:
        match asked.kind:
            case "head":
                return 200 if asked.path.rpartition("/")[2] in self.artifacts else 404, {}, None
            case "begin":
                return self._begin(json.loads(asked.body))
        upload = asked.path.split("/")[6]
        held = self.uploads.get(upload)
        match asked.kind:
            case "delete":
                self.uploads.pop(upload, None)
                answer: tuple[int, dict[str, str], Any] = 204, {}, None
            case "finish":
                answer = self._finish(upload, held, json.loads(asked.body))
            case _ if held is None:
                answer = 404, {}, {"status": 404, "code": "not-found.upload"}
            case "urls":
                answer = self._urls(upload, json.loads(asked.body)["numbers"])
            case _:
                answer = self._server_part(held, asked)
        return answer

    def _begin(self, said: Any) -> tuple[int, dict[str, str], Any]:
        if said.get("sha256") in self.artifacts:
            return 200, {}, self._state(said["upload_id"], Held(size=said["size"]), present=True)
        held = self.uploads.setdefault(said["upload_id"], Held(size=said["size"]))
        return 200, {}, self._state(said["upload_id"], held, present=False)

    def _state(self, upload: str, held: Held, *, present: bool) -> dict[str, Any]:
        name = "etag" if self.mode == "direct" else "sha256"
        parts = [
            {"number": number, "size": len(data), name: named}
            for number, (named, data) in held.parts.items()
            if self.lists_parts
        ]
        return {
            "upload_id": upload,
            "size": held.size,
            "part_bytes": self.part_bytes or part_bytes_of(held.size),
            "mode": self.mode,
            "parts": parts,
            "present": present,
        }

    def _urls(self, upload: str, numbers: list[int]) -> tuple[int, dict[str, str], Any]:
        urls = []
        for number in numbers:
            self._counter += 1
            path = f"/bucket/{upload}/{number}?{SECRET}=s{self._counter}"
            self._good.add(path)
            urls.append({"number": number, "url": self.store.address + path})
        return 200, {}, {"urls": urls, "expires_s": 900}

    def _store_part(self, asked: Asked) -> tuple[int, dict[str, str], Any]:
        held = self.uploads.get(asked.path.split("/")[2])
        if asked.path not in self._good:
            return 403, {}, b"<Error><Code>AccessDenied</Code></Error>"
        self._good.discard(asked.path)
        if held is None:
            return 404, {}, b"<Error><Code>NoSuchUpload</Code></Error>"
        kind = "md5" if self.names_by_md5 else "sha1"
        etag = hashlib.new(kind, asked.body).hexdigest()
        held.parts[asked.number] = (etag, asked.body)
        return 200, {"ETag": f'"{etag}"'}, None

    def _server_part(self, held: Held, asked: Asked) -> tuple[int, dict[str, str], Any]:
        sha256 = hashlib.sha256(asked.body).hexdigest()
        if parse_qs(urlsplit(asked.path).query)["sha256"] != [sha256]:
            return 422, {}, {"status": 422, "code": "repository.digest"}
        held.parts[asked.number] = (sha256, asked.body)
        return 200, {}, {"number": asked.number, "sha256": sha256}

    def _finish(self, upload: str, held: Held | None, said: Any) -> tuple[int, dict[str, str], Any]:
        receipt = {"sha256": said["sha256"], "size": said["size"]}
        if said["sha256"] in self.artifacts:
            self.uploads.pop(upload, None)
            return 200, {}, receipt
        if held is None:
            return 404, {}, {"status": 404, "code": "not-found.upload"}
        named = {part["number"]: part.get("etag") or part.get("sha256") for part in said["parts"]}
        wanted = len(part_sizes(held.size, self.part_bytes or part_bytes_of(held.size)))
        if named != {n: name for n, (name, _) in held.parts.items()} or len(named) != wanted:
            return 409, {}, {"status": 409, "code": "conflict.upload-parts"}
        data = b"".join(held.parts[number][1] for number in sorted(held.parts))
        del self.uploads[upload]
        if hashlib.sha256(data).hexdigest() != said["sha256"]:
            return 422, {}, {"status": 422, "code": "repository.digest", "detail": "other bytes"}
        self.artifacts[said["sha256"]] = data
        return 201, {}, receipt


class _Side(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, desk: UploadServer, side: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.desk = desk
        self.side = side

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Clients here break off on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Side

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        kind, number = _kind_of(self.server.side, self.command, self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.desk.at_work() if kind == "part" else _nothing():
            self._answer(
                Asked(
                    side=self.server.side, kind=kind, path=self.path, headers=headers, number=number
                )
            )

    def _answer(self, asked: Asked) -> None:
        desk = self.server.desk
        fault = desk.fault_for(asked)
        size = int(asked.headers.get("content-length", 0))
        body = self.rfile.read(
            size if fault is None or fault.reads_bytes is None else fault.reads_bytes
        )
        if asked.kind == "part":
            desk.saw(len(body))
        asked = Asked(**{**asked.__dict__, "body": body})
        with desk.lock:
            desk.asked.append(asked)
        if fault is not None:
            fault.then()
        if fault is None:
            self._send(*desk.do(asked), 0)
        elif fault.is_done:
            desk.do(asked)
        if fault is not None and fault.drops:
            self.close_connection = True
            self.connection.close()
        elif fault is not None:
            self._send(fault.status, fault.headers, fault.body, fault.short_by)
        if len(body) < size:
            self.close_connection = True

    def _send(self, status: int, more: dict[str, str], said: Any, short_by: int) -> None:
        data = (
            said if isinstance(said, bytes) else b"" if said is None else json.dumps(said).encode()
        )
        self.send_response(status)
        if isinstance(said, dict):
            is_problem = status >= 400
            kind = "application/problem+json" if is_problem else "application/json"
            self.send_header("Content-Type", kind)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) + short_by))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.close_connection = self.close_connection or bool(short_by)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 (http.server's names)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _kind_of(side: str, method: str, path: str) -> tuple[str, int]:
    bare = urlsplit(path).path
    if side == "store":
        return "part", int(bare.rpartition("/")[2])
    if method == "HEAD":
        return "head", 0
    if method == "DELETE":
        return "delete", 0
    found = _UPLOAD.match(bare)
    if found is None or found[2] is None:
        return "begin", 0
    return ("part", int(found[3])) if found[2] == "parts" else (found[2], 0)


@contextmanager
def serve_uploads(mode: str = "direct") -> Iterator[UploadServer]:
    """Yields both sides, running."""
    desk = UploadServer(mode)
    threads = [
        threading.Thread(target=side.serve_forever, kwargs={"poll_interval": 0.02})
        for side in (desk.api, desk.store)
    ]
    for thread in threads:
        thread.start()
    try:
        yield desk
    finally:
        for side in (desk.api, desk.store):
            side.shutdown()
            side.server_close()
        for thread in threads:
            thread.join()
