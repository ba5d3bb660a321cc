"""A client of uploads, as bare as the protocol allows: what is sent, and how often, is the test's.

sender = Sender(scene.api(), data)
sender.begin()
sender.send(1)
answer = sender.finish()
"""

import io
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from lockgate_release.digests import digest_bytes
from lockgate_release.names import Sha256Hex
from lockgate_release.uploads import (
    ArrivedPart,
    BeginRequest,
    FinishRequest,
    make_upload_id,
    part_sizes,
)

__all__ = ["OverHttp", "Said", "Sender", "put_to"]


class Said(Protocol):
    """What the API answered."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...

    def get_json(self) -> Any: ...

    def get_data(self) -> bytes: ...


class Asks(Protocol):
    """Asks the API: in this process, or over HTTP."""

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any: ...


class _Answer(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> dict[str, str]: ...

    @property
    def body(self) -> bytes: ...

    def json(self) -> Any: ...


class _Server(Protocol):
    def call(self, method: str, path: str, body: Any = None) -> _Answer: ...


@dataclass(frozen=True)
class _Heard:
    answer: _Answer

    @property
    def status_code(self) -> int:
        return self.answer.status

    @property
    def headers(self) -> dict[str, str]:
        return self.answer.headers

    def get_json(self) -> Any:
        return self.answer.json()

    def get_data(self) -> bytes:
        return self.answer.body


@dataclass(frozen=True)
class OverHttp:
    """Asks a real server."""

    server: _Server

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Said:
        said = more.get("data", body)
        return _Heard(self.server.call(method, f"/api/v1{path}", said))


def put_to(url: str, data: bytes) -> tuple[int, str]:
    """Send a part straight to the store; the status, and the etag or the refusal's words."""
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=data, headers=headers, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers.get("ETag", "")
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


@dataclass
class Sender:
    """One file on its way. `parts` is what finish will name: a test may tamper with it."""

    api: Asks
    data: bytes
    app: str = "demo"
    part_bytes: int = 0
    mode: str = ""
    parts: dict[int, ArrivedPart] = field(default_factory=dict)

    @property
    def upload_id(self) -> str:
        return make_upload_id(io.BytesIO(self.data), len(self.data))

    @property
    def sha256(self) -> Sha256Hex:
        return digest_bytes(self.data)

    @property
    def path(self) -> str:
        return f"/apps/{self.app}/uploads/{self.upload_id}"

    def request(self) -> Any:
        """What begins it."""
        upload_id = make_upload_id(io.BytesIO(self.data), len(self.data))
        return BeginRequest(upload_id=upload_id, size_bytes=len(self.data)).to_json()

    def begin(self) -> dict[str, Any]:
        """Begin, or join, and remember how the file is cut."""
        answer = self.api("POST", f"/apps/{self.app}/uploads", self.request())
        assert answer.status_code == 200, answer.get_data()
        body: dict[str, Any] = answer.get_json()
        self.part_bytes, self.mode = body["part_bytes"], body["mode"]
        return body

    def piece(self, number: int) -> bytes:
        """The bytes of a part."""
        start = (number - 1) * self.part_bytes
        return self.data[start : start + self.part_bytes]

    def url(self, number: int) -> str:
        """An address for a part, in direct mode."""
        answer = self.api("POST", f"{self.path}/urls", {"numbers": [number]})
        assert answer.status_code == 200, answer.get_data()
        ((given,), _) = answer.get_json()["urls"], answer.get_json()["expires_s"]
        assert given["number"] == number
        return str(given["url"])

    def send(self, number: int, data: bytes | None = None) -> None:
        """Send one part."""
        piece = self.piece(number) if data is None else data
        part = ArrivedPart(number=number, size_bytes=len(piece))
        if self.mode == "direct":
            status, etag = put_to(self.url(number), piece)
            assert status == 200, etag
            self.parts[number] = replace(part, etag=etag)
            return
        digest = digest_bytes(piece)
        answer = self.put(number, piece, digest)
        assert answer.status_code == 200, answer.get_data()
        self.parts[number] = replace(part, sha256=digest)

    def put(self, number: int, data: bytes, sha256: str) -> Said:
        """Send one part to the server, whatever it says."""
        path = f"{self.path}/parts/{number}?sha256={sha256}"
        length = {"CONTENT_LENGTH": str(len(data))}  # said by real clients also when it is 0
        answer: Said = self.api("PUT", path, data=data, environ_overrides=length)
        return answer

    def send_all(self) -> None:
        """Send every part."""
        for number in range(1, len(part_sizes(len(self.data), self.part_bytes)) + 1):
            self.send(number)

    def finish(self, sha256: str = "") -> Said:
        """Say that everything is sent."""
        request = FinishRequest(
            sha256=Sha256Hex(sha256) or self.sha256,
            size_bytes=len(self.data),
            parts=list(self.parts.values()),
        )
        answer: Said = self.api("POST", f"{self.path}/finish", request.to_json())
        return answer

    def give_up(self) -> Said:
        """Give the upload up."""
        answer: Said = self.api("DELETE", self.path)
        return answer

    def deliver(self) -> Said:
        """Begin, send everything, and finish."""
        self.begin()
        self.send_all()
        return self.finish()
