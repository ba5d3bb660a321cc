"""How bytes come: HTTP through urllib3, or a folder. Opens sockets; writes nothing.

* Nothing of what arrives is trusted: sizes are capped by whoever reads, digests are checked there.
* A server that sends too slowly is given up, also when each single byte comes in time.
* Requests carry no identity: no client id, no version, no cookie.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3.exceptions import HTTPError

from lockgate_release.errors import LocalError, TransportError
from lockgate_release.trust.verify import NotFoundError
from lockgate_updater.fetch.network import (
    Network,
    Throttle,
    origin_of,
    parse_retry_after,
    parse_server_time,
    strong_validator,
)

__all__ = ["Body", "HttpTransport", "Limits", "Transport", "open_transport"]

_USER_AGENT = "lockgate-updater"
_CHUNK_BYTES = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_MAX_REDIRECTS = 5
_CONNECT_TRIES = 2


class Body(Protocol):
    """One answer: where in the file it begins, and its chunks. Closing the chunks ends it."""

    @property
    def start(self) -> int:
        """The offset of the first byte."""
        ...

    @property
    def chunks(self) -> Iterator[bytes]:
        """The bytes; a `TransportError` may come out in the middle."""
        ...


class Transport(Protocol):
    """What the updater asks of the network: the `Fetch` port, and going on where it broke off."""

    def __call__(self, url: str) -> Iterator[bytes]:
        """Yield the body at `url`, as `Fetch` says."""
        ...

    def open(self, url: str, *, offset: int = 0, length_bytes: int | None = None) -> Body:
        """Ask for the body at `url` from the byte at `offset` on.

        It may begin at 0 all the same, and go on behind `length_bytes`: servers need not know
        ranges.

        Raises:
            NotFoundError: The server has no such file.
            TransportError: It cannot be reached.
        """
        ...

    @property
    def server_time(self) -> datetime | None:
        """The present as the last answer told it, or None: a hint for words, never for trust."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a server is given up.

    Attributes:
        connect_s: Seconds to wait for a connection.
        silence_s: Seconds without a byte.
        grace_s: Seconds after which the average speed must be right.
        min_speed_bytes_s: The lowest average speed, in bytes a second.
    """

    connect_s: float = 10.0
    silence_s: float = 30.0
    grace_s: float = 60.0
    min_speed_bytes_s: int = 1024


@dataclass(slots=True)
class _HttpBody:
    start: int
    chunks: Iterator[bytes]


class HttpTransport:
    """Bytes over HTTP and HTTPS, with the system's proxies and one connection kept open."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        ca: str = "",
        limits: Limits | None = None,
        network: Network | None = None,
        sources: Iterable[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Prepare a transport; nothing is opened yet.

        Args:
            environ: For `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`.
            ca: A file of certificate authorities instead of the system's, or "".
            limits: When to give up.
            network: Proxy, headers and bandwidth; None says nothing of them.
            sources: The repository and its mirrors: who gets the headers.
            monotonic: A clock that never goes back, in seconds.
            sleep: Waits for so many seconds.
        """
        self._environ = environ
        self._ca = ca
        self._limits = limits or Limits()
        self._monotonic = monotonic
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._validators: dict[str, str] = {}
        self.server_time: datetime | None = None
        self._network = network or Network()
        self._trusted = frozenset(map(origin_of, sources))
        self._throttle = Throttle(self._network.bandwidth_bytes_s, monotonic=monotonic, sleep=sleep)

    def __call__(self, url: str) -> Iterator[bytes]:
        """Yield the body at `url`.

        Raises:
            NotFoundError: The server has no such file.
            TransportError: It does not come, or not to its end.
        """
        return self.open(url).chunks

    def open(self, url: str, *, offset: int = 0, length_bytes: int | None = None) -> Body:
        """Ask for the body at `url` from `offset` on, or for `length_bytes` of it.

        A file that has changed since this transport last had a piece of it comes from its start.

        Raises:
            NotFoundError: The server has no such file.
            TransportError: It cannot be reached, or answers with an error.
        """
        response = self._request(url, self._range(url, offset, length_bytes))
        if response.status == 416:
            # Nothing lies beyond what is here: what is here must be wrong.
            response.close()
            response = self._request(url, {})
        if response.status not in {200, 206}:
            response.close()
            raise _refusal(url, response)
        self.server_time = parse_server_time(response.headers)
        self._validators[url] = strong_validator(response.headers)
        return _HttpBody(_start_of(response), self._stream(response, url))

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.clear()
        self._pools.clear()

    def _range(self, url: str, offset: int, length_bytes: int | None) -> dict[str, str]:
        """Return the headers that ask for a part of a file, or none for the whole."""
        if not offset and length_bytes is None:
            return {}
        last = "" if length_bytes is None else str(offset + max(length_bytes, 1) - 1)
        headers = {"Range": f"bytes={offset}-{last}"}
        if validator := self._validators.get(url):
            headers["If-Range"] = validator
        return headers

    def _request(self, url: str, more: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        headers = {**self.headers_for(url), **more}
        try:
            return self.pool_for(url).request(
                "GET",
                url,
                headers=headers,
                preload_content=False,
                timeout=urllib3.Timeout(
                    connect=self._limits.connect_s, read=self._limits.silence_s
                ),
                retries=urllib3.Retry(
                    total=_MAX_REDIRECTS + _CONNECT_TRIES,
                    connect=_CONNECT_TRIES,
                    read=0,
                    redirect=_MAX_REDIRECTS,
                    status=0,
                    other=0,
                    backoff_factor=0.2,
                    # Whoever calls obeys it, or not; nobody sleeps here for as long as it says.
                    respect_retry_after_header=False,
                    # Who is redirected to may be anybody: a secret is not for them.
                    remove_headers_on_redirect=[name for name, _ in self._network.headers],
                ),
            )
        except (HTTPError, OSError, ValueError) as exc:
            raise _broken(url, exc) from exc

    def _stream(self, response: urllib3.BaseHTTPResponse, url: str) -> Iterator[bytes]:
        began = self._monotonic()
        received, paused_s = 0, 0.0
        step_bytes = min(_CHUNK_BYTES, self._throttle.rate_bytes_s or _CHUNK_BYTES)
        try:
            # read1 returns what has come: a server that drips is seen, not waited for.
            while chunk := response.read1(step_bytes):
                received += len(chunk)
                paused_s += self._throttle.take(len(chunk))
                # What we wait for ourselves is not the server's slowness.
                self._check_speed(url, received, self._monotonic() - began - paused_s)
                yield chunk
            _check_whole(response, url)
        except (HTTPError, OSError) as exc:
            raise _broken(url, exc) from exc
        finally:
            if response.length_remaining == 0:
                response.release_conn()
            else:
                response.close()

    def _check_speed(self, url: str, received: int, seconds: float) -> None:
        limits = self._limits
        if seconds > limits.grace_s and received < limits.min_speed_bytes_s * seconds:
            raise TransportError(
                "the server is too slow",
                subject=url,
                expected=f"{limits.min_speed_bytes_s} bytes a second",
                found=f"{received} bytes in {seconds:.0f} s",
            )

    def headers_for(self, url: str) -> dict[str, str]:
        """Return what every request says; the owner's headers go to their own hosts only."""
        said = self._network.headers if origin_of(url) in self._trusted else ()
        return {**dict(said), "Accept-Encoding": "identity", "User-Agent": _USER_AGENT}

    def pool_for(self, url: str) -> urllib3.PoolManager:
        """Return the way to `url`; a `LocalError` says that there are no authorities to trust."""
        proxy = self._proxy_for(url)
        if proxy not in self._pools:
            ca = self._ca or None
            if ca:
                _check_ca(ca)
            self._pools[proxy] = (
                urllib3.ProxyManager(proxy, ca_certs=ca)
                if proxy
                else urllib3.PoolManager(ca_certs=ca)
            )
        return self._pools[proxy]

    def _proxy_for(self, url: str) -> str:
        if self._network.proxy:
            return self._network.proxy
        parts = urlsplit(url)
        named = {
            name: self._environ.get(f"{name}_proxy")
            or self._environ.get(f"{name.upper()}_PROXY", "")
            for name in ("https", "all", "no")
        }
        # Upper-case HTTP_PROXY can be set by a CGI request, so only the lower-case one counts.
        named["http"] = self._environ.get("http_proxy", "")
        if named["no"] and proxy_bypass_environment(parts.hostname or "", {"no": named["no"]}):
            return ""
        return named.get(parts.scheme, "") or named["all"]


def _check_ca(path: str) -> None:
    """Refuse a file of authorities that none can be read from.

    Raises:
        LocalError: It is missing, or holds no certificate.
    """
    try:
        ssl.create_default_context(cafile=path)
    except OSError as exc:  # ssl.SSLError is one
        raise LocalError(
            "not a file of certificate authorities",
            subject=path,
            expected="certificates as PEM",
            found=str(exc),
            hint="The setting `ca` (or --ca) names it.",
        ) from exc


def _refusal(url: str, response: urllib3.BaseHTTPResponse) -> TransportError:
    found = f"status {response.status}"
    if response.status in {403, 404, 410}:
        # Object stores say 403 for what is not there to those who may not list.
        return NotFoundError("not on the server", subject=url, found=found)
    error = TransportError("the server refused", subject=url, expected="status 200", found=found)
    if response.status in {429, 503}:
        error.retry_after_s = parse_retry_after(response.headers)
    return error


def _start_of(response: urllib3.BaseHTTPResponse) -> int:
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    return int(match[1]) if response.status == 206 and match else 0


def _check_whole(response: urllib3.BaseHTTPResponse, url: str) -> None:
    left = response.length_remaining
    if left:
        raise TransportError("the connection broke off", subject=url, found=f"{left} bytes missing")


def _broken(url: str, exc: Exception) -> TransportError:
    return TransportError("cannot be fetched", subject=url, found=f"{type(exc).__name__}: {exc}")


class FolderTransport:
    """Bytes from a folder that holds what a server would serve: an offline mirror."""

    server_time: datetime | None = None

    def __call__(self, url: str) -> Iterator[bytes]:
        """Yield the content of the file that the `file://` address names.

        Raises:
            NotFoundError: There is no such file.
            TransportError: It cannot be read.
        """
        return self.open(url).chunks

    def open(self, url: str, *, offset: int = 0, length_bytes: int | None = None) -> Body:  # noqa: ARG002 (who reads stops)
        """Return the file's content from `offset` on.

        Raises:
            NotFoundError: There is no such file.
            TransportError: It cannot be read.
        """
        return _HttpBody(offset, self._read(Path(unquote(urlsplit(url).path)), offset))

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self, path: Path, offset: int) -> Iterator[bytes]:
        from lockgate_release.plain_files import open_plain  # noqa: PLC0415 (folders alone pay)

        try:
            with open_plain(path) as stream:
                stream.seek(offset)
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as exc:
            raise NotFoundError("no such file", subject=str(path)) from exc
        except OSError as exc:
            raise TransportError("cannot be read", subject=str(path), found=str(exc)) from exc


class _AnyTransport:
    """HTTP and folders, each address by its scheme."""

    def __init__(self, http: HttpTransport) -> None:
        self._http = http
        self._folder = FolderTransport()

    def __call__(self, url: str) -> Iterator[bytes]:
        return self._for(url)(url)

    def open(self, url: str, *, offset: int = 0, length_bytes: int | None = None) -> Body:
        return self._for(url).open(url, offset=offset, length_bytes=length_bytes)

    @property
    def server_time(self) -> datetime | None:
        return self._http.server_time

    def close(self) -> None:
        self._http.close()

    def _for(self, url: str) -> Transport:
        return self._folder if url.startswith("file://") else self._http


def open_transport(
    sources: tuple[str, ...], environ: Mapping[str, str], ca: str, network: Network | None = None
) -> Transport:
    """Return the transport for a repository's address and those of its mirrors."""
    return _AnyTransport(HttpTransport(environ=environ, ca=ca, network=network, sources=sources))
