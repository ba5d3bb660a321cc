"""Files as they are: ranges, conditions, and the file itself handed to the operating system.

Nearly all that clients ask for is a file, whole. So a door before Flask answers that; what is asked
with a range or a condition, and what is not there, is the view's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from werkzeug.datastructures import ETags
from werkzeug.http import quote_etag
from werkzeug.wsgi import wrap_file

from lockgate_release.errors import LockgateError
from lockgate_release.log.server_events import REQUEST_SERVED
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import ObjectInfo, ObjectStore, StoredObject
from lockgate_server.services.read.files import MISSING_CACHE_CONTROL, FileKind, find_file
from lockgate_server.views.doors import REFUSAL, begin_exchange
from lockgate_server.views.problems import problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["FilesDoor", "files_blueprint"]


_REDIRECT_CACHE_CONTROL = "public, max-age=300"

_AT_ONCE_BYTES = 1 << 16
"""Up to here a file is read and sent with its headers; the operating system sends larger ones."""

_KNOWN_PATHS = 4096
_CONDITIONS = (
    "HTTP_RANGE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_UNMODIFIED_SINCE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesDoor:
    """A WSGI application that answers who asks for a whole file, and hands everything else on.

    Attributes:
        inside: The app behind it.
        store: Where the files are.
        redirect_to: As `files_blueprint` has it.
        new_id: Returns an id for a request that has none.
    """

    inside: WSGIApplication
    store: ObjectStore
    redirect_to: str
    new_id: Callable[[], str]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        kind = _plainly_asked(environ)
        found = None if kind is None else self._find(kind, environ)
        if kind is None or found is None:
            return self.inside(environ, start_response)
        info, body = found
        exchange = begin_exchange(environ, self.new_id)
        headers = exchange.headers(kind.content_type, kind.cache_control, info.size_bytes)
        headers += _file_headers(kind, info)
        start_response("200 OK", headers)
        exchange.tell(REQUEST_SERVED, environ, 200, info.size_bytes)
        return body

    def _find(
        self, kind: FileKind, environ: WSGIEnvironment
    ) -> tuple[ObjectInfo, Iterable[bytes]] | None:
        """Return a file and its bytes; None where that is for the view to say."""
        if self.redirect_to and "/artifacts/" in kind.key:
            return None
        try:
            stored = self.store.open(kind.key)
            if stored is None:
                return None
            if stored.info.size_bytes > _AT_ONCE_BYTES:
                file = stored.local_file()
                return stored.info, _Chunks(stored) if file is None else wrap_file(environ, file)
            with stored:
                return stored.info, [stored.read()]
        except LockgateError as exc:
            environ[REFUSAL] = exc
            return None


def _plainly_asked(environ: WSGIEnvironment) -> FileKind | None:
    """Return the file that is asked for, whole and on no condition, or None."""
    if environ.get("REQUEST_METHOD") != "GET" or any(name in environ for name in _CONDITIONS):
        return None
    return _find_file(environ.get("PATH_INFO", ""))


@lru_cache(maxsize=_KNOWN_PATHS)
def _find_file(path: str) -> FileKind | None:
    app, _, rest = path.removeprefix("/").partition("/")
    return find_file(app, rest)


@lru_cache(maxsize=_KNOWN_PATHS)
def _file_headers(kind: FileKind, info: ObjectInfo) -> tuple[tuple[str, str], ...]:
    return (
        ("ETag", quote_etag(_etag_of(kind, info))),
        ("Accept-Ranges", "bytes"),
        ("Last-Modified", _http_date(info.modified_at)),
    )


def _etag_of(kind: FileKind, info: ObjectInfo) -> str:
    return kind.sha256 or info.etag.strip('"')


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
        refusal = request.environ.get(REFUSAL)
        if refusal is not None:
            raise refusal
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
    etag = _etag_of(kind, info)
    if _is_known(etag):
        return _with_headers(Response(status=304), kind, info)
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
    return _with_headers(response, kind, info)


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


def _with_headers(response: Response, kind: FileKind, info: ObjectInfo) -> Response:
    response.headers["Content-Type"] = kind.content_type
    response.headers["Cache-Control"] = kind.cache_control
    for name, value in _file_headers(kind, info):
        response.headers[name] = value
    return response


def _http_date(instant: datetime) -> str:
    return format_datetime(instant, usegmt=True)
