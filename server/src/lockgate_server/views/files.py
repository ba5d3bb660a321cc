"""Files as they are: ranges, conditions, and the file itself handed to the operating system."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from werkzeug.datastructures import ETags
from werkzeug.http import quote_etag
from werkzeug.wsgi import wrap_file

from lockgate_server.errors import NotFoundError
from lockgate_server.ports import ObjectInfo, ObjectStore, StoredObject
from lockgate_server.services.read.files import MISSING_CACHE_CONTROL, FileKind, find_file
from lockgate_server.views.problems import problem

__all__ = ["files_blueprint"]


_REDIRECT_CACHE_CONTROL = "public, max-age=300"


def files_blueprint(store: ObjectStore, *, redirect_to: str = "") -> Blueprint:
    """Return the read-only files of every app, served from `store`.

    Args:
        store: Where they are.
        redirect_to: The address at which artifacts are to be had instead, or "". Metadata and
            documents are always served here: they are small, and the pointer must be fresh.
    """
    blueprint = Blueprint("files", __name__)

    @blueprint.get("/<app>/<path:path>")
    def serve(app: str, path: str) -> Response:
        kind = find_file(app, path)
        info = None if kind is None else store.head(kind.key)
        if kind is None or info is None:
            return _missing()
        # Who comes from there, through a CDN that asks here, must not be sent back again.
        if redirect_to and path.startswith("artifacts/") and not _is_here(redirect_to):
            return _redirect(f"{redirect_to}/{kind.key}")
        return _serve(store, kind, info)

    return blueprint


def _is_here(address: str) -> bool:
    return urlsplit(address).netloc.lower() == request.host.lower()


def _redirect(address: str) -> Response:
    response = Response(status=302)
    response.headers["Location"] = address
    response.headers["Cache-Control"] = _REDIRECT_CACHE_CONTROL
    return response


def _missing() -> Response:
    response = problem(404, NotFoundError.code, "no such file")
    response.headers["Cache-Control"] = MISSING_CACHE_CONTROL
    return response


def _serve(store: ObjectStore, kind: FileKind, info: ObjectInfo) -> Response:
    etag = kind.sha256 or info.etag.strip('"')
    if _is_known(etag):
        return _with_headers(Response(status=304), kind, info, etag)
    span = _wanted_span(info, etag)
    if span is _UNSATISFIABLE:
        response = problem(416, "http.416", "no such range")
        response.headers["Content-Range"] = f"bytes */{info.size_bytes}"
        return response
    start, stop = span or (0, info.size_bytes)
    response = _body(store, kind, start, stop)
    if span is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{info.size_bytes}"
    return _with_headers(response, kind, info, etag)


def _is_known(etag: str) -> bool:
    """Whether the client has these bytes already."""
    known: ETags = request.if_none_match
    return bool(known) and known.contains_weak(etag)


_UNSATISFIABLE = (-1, -1)


def _wanted_span(info: ObjectInfo, etag: str) -> tuple[int, int] | None:
    """Return the one range that is asked for and can be served, `[start, stop)`.

    Several ranges at once, or one on a condition that does not hold, are answered with everything.
    """
    wanted = request.range
    condition = request.if_range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    if condition.date is not None or condition.etag not in {None, etag}:
        return None
    first, stop = wanted.ranges[0]
    if first < 0:  # the last so many bytes, or all where there are fewer
        first, stop = max(0, info.size_bytes + first), None
    stop = info.size_bytes if stop is None else min(stop, info.size_bytes)
    return (first, stop) if first < stop else _UNSATISFIABLE


def _body(store: ObjectStore, kind: FileKind, start: int, stop: int) -> Response:
    """Return the bytes of a span; for HEAD only how many there are."""
    if request.method == "HEAD" or start == stop:
        response = Response(status=200)
    else:
        stored = store.open(kind.key, start=start, stop=stop)
        if stored is None:
            return _missing()
        response = _stream(stored, to_the_end=stop == stored.info.size_bytes)
    response.content_length = stop - start
    return response


def _stream(stored: StoredObject, *, to_the_end: bool) -> Response:
    file = stored.local_file() if to_the_end else None
    if file is None:
        return Response(_Chunks(stored), direct_passthrough=True)
    # The server that runs this hands the file to the operating system, and closes it. It would
    # not stop before the end of the file.
    return Response(wrap_file(request.environ, file), direct_passthrough=True)


class _Chunks:
    """An object's bytes as WSGI wants them; closing lets go of the object, read or not."""

    def __init__(self, stored: StoredObject) -> None:
        self._stored = stored
        self._chunks = stored.chunks()

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._stored.__exit__(None, None, None)


def _with_headers(response: Response, kind: FileKind, info: ObjectInfo, etag: str) -> Response:
    response.headers["Content-Type"] = kind.content_type
    response.headers["Cache-Control"] = kind.cache_control
    response.headers["ETag"] = quote_etag(etag)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Last-Modified"] = _http_date(info.modified_at)
    return response


def _http_date(instant: datetime) -> str:
    return format_datetime(instant, usegmt=True)
