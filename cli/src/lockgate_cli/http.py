"""The only room that knows `requests`: bytes from and to addresses, and its errors as ours.

1. Every exchange has a time limit, and an answer that is read whole has a size limit.
2. What can be repeated safely is repeated, with a growing, uneven wait, or the wait that the server
   asks for; anything else only where no connection came about at all.
3. The token goes only where it is asked for by `authorised`, never over plain HTTP to another
   machine unless that was allowed in so many words, never after a redirect, and into no message.
4. An address that is a secret itself, such as a presigned one, gets into no message either.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

import lockgate_release
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import TransportError, UsageError
from lockgate_release.strict_json import JsonObject, dump_json
from lockgate_release.trust.verify import NotFoundError

__all__ = [
    "Answer",
    "Care",
    "Http",
    "SizedBody",
    "is_loopback",
    "parse_answer",
]

_CONNECT_TIMEOUT_S = 10.0
# The time to connect is also what urllib3 allows for each block of a body to leave.
_SEND_TIMEOUT_S = 30.0
_CONNECTIONS = 64
_READ_TIMEOUT_S = 120.0
_CHUNK_BYTES = 1 << 18
_MAX_ANSWER_BYTES = 64 << 20
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT"})
_WORTH_REPEATING = frozenset({408, 429, 500, 502, 503, 504})


class SizedBody(Protocol):
    """A body that is read in pieces and says beforehand how long it is."""

    def __len__(self) -> int:
        """Return its size in bytes."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most `size`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How much patience one exchange deserves.

    Attributes:
        attempts: How often it is made at most, > 0; None: as the rules of waiting say.
        read_timeout_s: How long the server may be silent, in seconds.
        repeatable: Whether doing it twice is the same as doing it once, whatever the method.
    """

    attempts: int | None = None
    read_timeout_s: float = _READ_TIMEOUT_S
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: its status, its headers and its body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""


class _Bearer(AuthBase):
    """Puts the token in. Also when there is none: else requests would look into ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _LargeBlocks(HTTPAdapter):
    """Sends bodies in blocks that are worth a system call."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (as requests has it)
        super().init_poolmanager(*arguments, blocksize=_CHUNK_BYTES, **options)


class Http:
    """Exchanges over connections that are kept open, also from several threads.

    Use it in a `with` block.
    """

    def __init__(self, *, token: str, waits: WaitRules, insecure: bool = False) -> None:
        """Open nothing yet.

        Args:
            token: What proves who asks, or "".
            waits: How failures are waited out.
            insecure: Whether the token may go over plain HTTP to another machine.

        Raises:
            UsageError: The token holds what no header can carry.
        """
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError("not a token", expected="printable ASCII without spaces")
        self._token = token
        self._waits = waits
        self._insecure = insecure
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _LargeBlocks(pool_maxsize=_CONNECTIONS))
        # No cookies, so that nothing in the session changes while threads share it.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers["User-Agent"] = f"lockgate/{lockgate_release.__version__}"
        # Artifacts are compressed already, and a digest is over the bytes as they are stored.
        self._session.headers["Accept-Encoding"] = "identity"

    def __enter__(self) -> Http:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self._session.close()

    @property
    def has_token(self) -> bool:
        """Whether there is a token to prove anything with."""
        return bool(self._token)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        json_body: JsonObject | None = None,
        authorised: bool = False,
        care: Care = Care(),
    ) -> Answer:
        """Return the server's answer, whatever its status (rules 1 to 3).

        Args:
            method: The HTTP method.
            url: The address.
            json_body: A body to send as JSON.
            authorised: Whether the token goes along.
            care: How much patience it deserves.

        Raises:
            TransportError: No whole answer came.
            UsageError: The address is none, or the token may not go there.
        """
        auth = self._auth_for(url, authorised=authorised)
        body = None if json_body is None else dump_json(json_body)
        timeout_s = (_CONNECT_TIMEOUT_S, care.read_timeout_s)
        outcome: Answer | TransportError = TransportError("not tried", subject=url)
        attempts = care.attempts or self._waits.attempts
        for failures in range(1, attempts + 1):
            outcome = self._attempt(method, url, body, auth, timeout_s)
            if failures == attempts or not _may_repeat(method, outcome, care):
                break
            headers = outcome.headers if isinstance(outcome, Answer) else {}
            self._waits.sleep(self._waits.wait_s(failures, headers))
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    def send_once(
        self, url: str, body: SizedBody, *, subject: str, authorised: bool
    ) -> Answer | TransportError:
        """PUT a body once; return the answer, or why there is none, as a value.

        Args:
            url: The address. Only `subject` stands for it in answers and errors (rule 4).
            body: What to send.
            subject: What errors call it.
            authorised: Whether the token goes along.

        Raises:
            UsageError: The address is none, or the token may not go there.
            LockgateError: Whatever reading the body raises.
        """
        auth = self._auth_for(url, authorised=authorised)
        timeout_s = (_SEND_TIMEOUT_S, _READ_TIMEOUT_S)
        try:
            # An empty stream counts as none: else requests would send it in chunks.
            outcome = self._attempt("PUT", url, body or b"", auth, timeout_s)
        except UsageError as exc:
            found = exc
        else:
            if isinstance(outcome, Answer):
                return replace(outcome, url=subject)
            # Made anew, without its cause: that one holds the address.
            return TransportError(outcome.what, subject=subject, found=outcome.found)
        raise UsageError(found.what, subject=subject, expected=found.expected)

    def stream(self, url: str, *, start_bytes: int = 0, moved: bool = False) -> Iterator[bytes]:
        """Yield the body at `url`, without a token. It is not begun again when it breaks off.

        The first `start_bytes` are left out. With `moved`, the server may send us elsewhere.

        Raises:
            NotFoundError: The server has no such file. Raised before the first chunk.
            TransportError: Anything else that keeps the body from coming, also in its middle.
            UsageError: The address is none.
        """
        with (
            _as_transport_error(url),
            self._session.get(
                url,
                auth=_Bearer(""),
                headers={"Range": f"bytes={start_bytes}-"} if start_bytes else {},
                timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
                allow_redirects=moved,
                stream=True,
            ) as response,
        ):
            if response.status_code == HTTPStatus.NOT_FOUND:
                raise NotFoundError("not there", subject=url)
            is_part = response.status_code == HTTPStatus.PARTIAL_CONTENT
            if response.status_code != HTTPStatus.OK and not (is_part and start_bytes):
                raise TransportError(
                    "unexpected answer",
                    subject=url,
                    expected="status 200",
                    found=str(response.status_code),
                )
            left_out = start_bytes if is_part else 0
            # What has come of a chunk is lost where the connection breaks, so chunks are small.
            for chunk in response.iter_content(_CHUNK_BYTES // 8):
                kept = chunk[max(0, start_bytes - left_out) :]
                left_out += len(chunk) - len(kept)
                if kept:
                    yield kept

    def check_token_may_go(self, url: str) -> None:
        """Refuse where the token, if there is one, would travel unencrypted (rule 3).

        Raises:
            UsageError: It would.
        """
        if not self._token:
            return
        if urlsplit(url).scheme != "https" and not is_loopback(url) and not self._insecure:
            raise UsageError(
                "a token would travel unencrypted",
                subject=url,
                expected="https, or a server on this machine",
                hint="Use https, or say --insecure if this network is yours alone.",
            )

    def _auth_for(self, url: str, *, authorised: bool) -> _Bearer:
        if not authorised:
            return _Bearer("")
        self.check_token_may_go(url)
        return _Bearer(self._token)

    def _attempt(
        self,
        method: str,
        url: str,
        body: bytes | SizedBody | None,
        auth: _Bearer,
        timeout_s: tuple[float, float],
    ) -> Answer | TransportError:
        """Return the answer, or why there is none."""
        is_json = isinstance(body, bytes) and bool(body)
        try:
            with (
                _as_transport_error(url),
                self._session.request(
                    method,
                    url,
                    data=body,
                    headers={"Content-Type": "application/json"} if is_json else {},
                    auth=auth,
                    timeout=timeout_s,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                data = _read_limited(response, url)
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(status=response.status_code, headers=found, body=data, url=url)
        except TransportError as exc:
            return exc


def _may_repeat(method: str, outcome: Answer | TransportError, care: Care) -> bool:
    """Whether doing it again is safe, and may help (rule 2)."""
    if isinstance(outcome, _NeverConnectedError):
        return True
    if method not in _IDEMPOTENT and not care.repeatable:
        return False
    return isinstance(outcome, TransportError) or outcome.status in _WORTH_REPEATING


def _read_limited(response: requests.Response, url: str) -> bytes:
    data = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        data += chunk
        if len(data) > _MAX_ANSWER_BYTES:
            raise TransportError(
                "answer too large", subject=url, expected=f"at most {_MAX_ANSWER_BYTES} bytes"
            )
    return bytes(data)


class _NeverConnectedError(TransportError):
    """No connection came about, so the request cannot have had any effect."""


@contextmanager
def _as_transport_error(url: str) -> Iterator[None]:
    try:
        yield
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ) as exc:
        raise UsageError(
            "not a web address", subject=url, expected="an address such as https://host:8081"
        ) from exc
    except requests.exceptions.ConnectTimeout as exc:
        raise _NeverConnectedError("no connection in time", subject=url) from exc
    except requests.exceptions.ConnectionError as exc:
        reason = _reason_of(exc)
        kind = _NeverConnectedError if "NewConnectionError" in repr(exc) else TransportError
        raise kind("the connection failed", subject=url, found=reason) from exc
    except requests.exceptions.Timeout as exc:
        raise TransportError("no answer in time", subject=url) from exc
    except requests.exceptions.RequestException as exc:
        raise TransportError("the exchange failed", subject=url, found=_reason_of(exc)) from exc


def _reason_of(exc: BaseException) -> str:
    """Return the innermost reason: what the operating system said, without urllib3's wrapping."""
    reason = getattr(exc.args[0], "reason", exc.args[0]) if exc.args else exc
    return str(reason).rpartition(": ")[2][:200]


def is_loopback(url: str) -> bool:
    """Whether `url` is an address on this machine, going by its host alone."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_answer(answer: Answer) -> dict[str, object]:
    """Return the JSON object in an answer.

    Raises:
        TransportError: There is none: something else than Lockgate answered.
    """
    try:
        value = json.loads(answer.body)
    except ValueError as exc:
        raise TransportError(
            "not JSON",
            subject=answer.url,
            expected="an answer from Lockgate",
            found=f"status {answer.status}, {answer.body[:60]!r}",
        ) from exc
    if not isinstance(value, dict):
        raise TransportError("not a JSON object", subject=answer.url)
    return value
