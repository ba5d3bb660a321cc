"""A bucket on a loopback port that is fast enough to tell two clients apart; a process of its own.

It speaks what Lockgate's server and the AWS command need of S3's interface, honours conditions,
and keeps every object as files in a folder, best on a tmpfs: parts become an object, and an object
a copy, without a byte being moved, as in a real store it costs its client nothing. It hashes
nothing (an ETag is a number) and checks no signature, so that the cores are left to the clients;
both sides of a comparison are treated alike.

Prints its port, and ends when its standard input does. `GET /-/last` tells when the last body of
a part, or of an object of 1 MiB or more, had arrived, as the machine's monotonic clock has it.
"""

from __future__ import annotations

import itertools
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_BLOCK_BYTES = 1 << 20
_MOMENT = "2026-01-01T00:00:00.000Z"
_HTTP_MOMENT = "Thu, 01 Jan 2026 00:00:00 GMT"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A file of the folder."""

    path: Path
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object."""

    etag: str
    segments: tuple[Segment, ...]
    headers: dict[str, str]

    @property
    def size_bytes(self) -> int:
        """Of all segments."""
        return sum(segment.size_bytes for segment in self.segments)


@dataclass(kw_only=True)
class Multipart:
    """An upload in parts, not finished."""

    key: str
    headers: dict[str, str]
    parts: dict[int, Stored] = field(default_factory=dict)


class Bucket(ThreadingHTTPServer):
    """One bucket, whatever it is called."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.objects: dict[str, Stored] = {}
        self.multiparts: dict[str, Multipart] = {}
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.last_body_at = 0.0

    def handle_error(self, *_: object) -> None:
        """A client that went away is no fault."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Bucket

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _read_request(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: found[0] for name, found in _query(parts.query).items()}
        self.key = unquote(parts.path).lstrip("/").partition("/")[2]

    # Reading.

    def do_GET(self) -> None:
        self._read_request()
        if self.path == "/-/last":
            return self._send(200, repr(self.server.last_body_at).encode())
        if "uploadId" in self.query:
            return self._list_parts()
        if "uploads" in self.query:
            return self._send(200, b"<ListMultipartUploadsResult/>")
        if not self.key:
            return self._list()
        return self._give()

    def do_HEAD(self) -> None:
        self._read_request()
        self._give()

    def _give(self) -> None:
        with self.server.lock:
            found = self.server.objects.get(self.key)
        if found is None:
            return self._refuse(404, "NoSuchKey")
        if self.headers.get("If-Match", f'"{found.etag}"') != f'"{found.etag}"':
            return self._refuse(412, "PreconditionFailed")
        start, end = 0, found.size_bytes
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is not None:
            start, end = int(wanted[1]), min(int(wanted[2]) + 1, end) if wanted[2] else end
            if start >= end:
                return self._refuse(416, "InvalidRange")
        self.send_response(206 if wanted else 200)
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.send_header("ETag", f'"{found.etag}"')
        self.send_header("Last-Modified", _HTTP_MOMENT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        if wanted is not None:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{found.size_bytes}")
        self.end_headers()
        if self.command == "GET":
            self._send_segments(found, start, end)
        return None

    def _send_segments(self, found: Stored, start: int, end: int) -> None:
        self.wfile.flush()
        at = 0
        for segment in found.segments:
            first, last = max(start - at, 0), min(end - at, segment.size_bytes)
            at += segment.size_bytes
            if first >= last:
                continue
            with segment.path.open("rb") as stream:
                self.connection.sendfile(stream, first, last - first)

    def _list(self) -> None:
        prefix = self.query.get("prefix", "")
        with self.server.lock:
            found = sorted(
                item for item in self.server.objects.items() if item[0].startswith(prefix)
            )
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{stored.size_bytes}</Size>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag><LastModified>{_MOMENT}</LastModified></Contents>"
            for key, stored in found
        )
        self._send(
            200,
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode(),
        )

    def _list_parts(self) -> None:
        with self.server.lock:
            found = self.server.multiparts.get(self.query["uploadId"])
            parts = dict(found.parts) if found else {}
        if found is None:
            return self._refuse(404, "NoSuchUpload")
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><Size>{part.size_bytes}</Size>"
            f"<ETag>&quot;{part.etag}&quot;</ETag></Part>"
            for number, part in sorted(parts.items())
        )
        return self._send(200, f"<ListPartsResult>{rows}</ListPartsResult>".encode())

    # Writing.

    def do_PUT(self) -> None:
        self._read_request()
        source = self.headers.get("x-amz-copy-source")
        if source is not None:
            return self._copy(unquote(source).lstrip("/").partition("/")[2])
        stored = self._receive()
        if "uploadId" in self.query:
            with self.server.lock:
                found = self.server.multiparts.get(self.query["uploadId"])
                if found is not None:
                    found.parts[int(self.query["partNumber"])] = stored
            if found is None:
                return self._refuse(404, "NoSuchUpload")
            return self._send(200, b"", {"ETag": f'"{stored.etag}"'})
        return self._keep(stored)

    def _copy(self, source: str) -> None:
        with self.server.lock:
            found = self.server.objects.get(source)
        if found is None:
            return self._refuse(404, "NoSuchKey")
        wanted = self.headers.get("x-amz-copy-source-if-match", f'"{found.etag}"')
        if wanted.strip('"') != found.etag:
            return self._refuse(412, "PreconditionFailed")
        if "uploadId" in self.query:
            return self._refuse(501, "NotImplemented")
        said = f"<CopyObjectResult><ETag>&quot;{found.etag}&quot;</ETag></CopyObjectResult>"
        return self._keep(found, said.encode())

    def _keep(self, stored: Stored, said: bytes = b"") -> None:
        """Make it the object at the key, if the conditions hold."""
        with self.server.lock:
            known = self.server.objects.get(self.key)
            wanted = self.headers.get("If-Match")
            is_lost = (self.headers.get("If-None-Match") == "*" and known is not None) or (
                wanted is not None and (known is None or wanted.strip('"') != known.etag)
            )
            if not is_lost:
                self.server.objects[self.key] = stored
        if is_lost:
            return self._refuse(412, "PreconditionFailed")
        return self._send(200, said, {"ETag": f'"{stored.etag}"'})

    def _receive(self) -> Stored:
        """Leave the body in a file."""
        etag = f"{next(self.server.numbers):032x}"
        path = self.server.folder / etag
        left = size = int(self.headers.get("Content-Length", 0))
        block = memoryview(bytearray(min(_BLOCK_BYTES, max(size, 1))))
        with path.open("wb", buffering=0) as stream:
            while left:
                got = self.rfile.readinto(block[:left])
                if not got:
                    break
                stream.write(block[:got])
                left -= got
        if size >= _BLOCK_BYTES or "partNumber" in self.query:
            with self.server.lock:
                self.server.last_body_at = time.monotonic()
        kept = ("Content-Type", "Cache-Control")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        segments = (Segment(path=path, size_bytes=size),)
        return Stored(etag=etag, segments=segments, headers=headers)

    def do_POST(self) -> None:
        self._read_request()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in self.query:
            upload = f"upload-{next(self.server.numbers)}"
            kept = ("Content-Type", "Cache-Control")
            headers = {name: self.headers[name] for name in kept if name in self.headers}
            with self.server.lock:
                self.server.multiparts[upload] = Multipart(key=self.key, headers=headers)
            said = f"<UploadId>{upload}</UploadId><Key>{escape(self.key)}</Key>"
            return self._send(
                200,
                f"<InitiateMultipartUploadResult>{said}</InitiateMultipartUploadResult>".encode(),
            )
        if "delete" in self.query:
            return self._send(200, b"<DeleteResult/>")
        return self._complete(body)

    def _complete(self, body: bytes) -> None:
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
        with self.server.lock:
            found = self.server.multiparts.pop(self.query.get("uploadId", ""), None)
        if found is None:
            return self._refuse(404, "NoSuchUpload")
        segments = tuple(
            segment for number in sorted(numbers) for segment in found.parts[number].segments
        )
        etag = f"{next(self.server.numbers):032x}-{len(numbers)}"
        with self.server.lock:
            self.server.objects[self.key] = Stored(
                etag=etag, segments=segments, headers=found.headers
            )
        said = f"<ETag>&quot;{etag}&quot;</ETag><Key>{escape(self.key)}</Key>"
        result = f"<CompleteMultipartUploadResult>{said}</CompleteMultipartUploadResult>"
        return self._send(200, result.encode())

    def do_DELETE(self) -> None:
        self._read_request()
        with self.server.lock:
            if "uploadId" in self.query:
                self.server.multiparts.pop(self.query["uploadId"], None)
            else:
                self.server.objects.pop(self.key, None)
        self._send(204, b"")

    # Answering.

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        # Whoever sends a body expects it to be read.
        body = f"<Error><Code>{code}</Code></Error>".encode()
        self._send(status, body)


def _query(text: str) -> dict[str, list[str]]:
    return parse_qs(text, keep_blank_values=True)


def main(folder: str) -> None:
    """Serve until the standard input ends."""
    with Bucket(Path(folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
