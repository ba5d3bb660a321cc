"""The only room that knows `requests`: bytes from and to addresses, and its errors as ours.

1. Every exchange has a time limit, and an answer that is read whole has a size limit.
2. What can be repeated safely is repeated, with a growing, uneven wait, or the wait that the server
   asks for; anything else only where no connection came about at all.
3. The token goes only where it is asked for by `authorised`, never over plain HTTP to another
   machine unless that was allowed in so many words, never after a redirect, and into no message.
4. An address that is a secret itself, such as a presigned one, gets into no message either.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

import lockgate_release
from lockgate_cli.hosts import MOST_REDIRECTS, check_redirect, is_loopback
from lockgate_cli.http_errors import NeverConnectedError, as_transport_error
from lockgate_cli.voice import VOICE
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import TransportError, UsageError
from lockgate_release.log.cli_events import CLI_ASKED
from lockgate_release.log.ids import OPERATION_HEADER, REQUEST_HEADER
from lockgate_release.log.telling import bound, tell
from lockgate_release.strict_json import JsonObject, dump_json
from lockgate_release.trust.verify import NotFoundError

__all__ = [
    "Answer",
    "Care",
    "Http",
    "SizedBody",
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
    """Puts token and run in. Also when there are none: else requests would look into ~/.netrc."""

    def __init__(self, token: str, operation: str = "") -> None:
        self._token = token
        self._operation = operation

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        if self._operation:
            request.headers[OPERATION_HEADER] = self._operation
        return request


class _LargeBlocks(HTTPAdapter):
    """Sends bodies in blocks that are worth a system call."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (as requests has it)
        super().init_poolmanager(*arguments, blocksize=_CHUNK_BYTES, **options)


class Http:
    """Exchanges over connections that are kept open, also from several threads.

    Use it in a `with` block.
    """

    def __init__(
        self, *, token: str, waits: WaitRules, insecure: bool = False, operation: str = ""
    ) -> None:
        """Open nothing yet.

        Args:
            token: What proves who asks, or "".
            waits: How failures are waited out.
            insecure: Whether the token may go over plain HTTP to another machine.
            operation: The id of this run, which goes where the token goes; "" for none.

        Raises:
            UsageError: The token holds what no header can carry.
        """
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError("not a token", expected="printable ASCII without spaces")
        self._token = token
        self._waits = waits
        self._insecure = insecure
        self._operation = operation
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
        named: bool = False,
        care: Care = Care(),
    ) -> Answer:
        """Return the server's answer, whatever its status (rules 1 to 3).

        Args:
            method: The HTTP method.
            url: The address.
            json_body: A body to send as JSON.
            authorised: Whether the token goes along, and the run's id with it.
            named: Whether the run's id goes along alone: only to the server that is worked with.
            care: How much patience it deserves.

        Raises:
            TransportError: No whole answer came.
            UsageError: The address is none, or the token may not go there.
        """
        auth = self._auth_for(url, authorised=authorised, named=named)
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

        The first `start_bytes` are left out. With `moved`, the server may send us elsewhere, where
        `check_redirect` lets it.

        Raises:
            NotFoundError: The server has no such file. Raised before the first chunk.
            RepositoryError: We are sent to where nobody may send us.
            TransportError: Anything else that keeps the body from coming, also in its middle.
            UsageError: The address is none.
        """
        target = url
        for _ in range(MOST_REDIRECTS + 1):
            with as_transport_error(url), self._get(target, start_bytes) as response:
                if not (moved and response.is_redirect):
                    yield from _body(response, target, start_bytes)
                    return
                target = urljoin(target, response.headers["Location"])
            check_redirect(url, target)
        raise TransportError("redirected again and again", subject=url, found=repr(target[:200]))

    def _get(self, url: str, start_bytes: int) -> requests.Response:
        return self._session.get(
            url,
            auth=_Bearer(""),
            headers={"Range": f"bytes={start_bytes}-"} if start_bytes else {},
            timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        )

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

    def _auth_for(self, url: str, *, authorised: bool, named: bool = False) -> _Bearer:
        if not authorised:
            return _Bearer("", self._operation if named else "")
        self.check_token_may_go(url)
        return _Bearer(self._token, self._operation)

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
        began_s = time.monotonic()
        try:
            with (
                as_transport_error(url),
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
                answer = Answer(status=response.status_code, headers=found, body=data, url=url)
                _tell_exchange(method, answer, began_s)
                return answer
        except TransportError as exc:
            return exc


def _tell_exchange(method: str, answer: Answer, began_s: float) -> None:
    """Tell of an exchange with `--verbose`: where to without the query, which may be a secret."""
    with bound(request_id=answer.headers.get(REQUEST_HEADER.lower(), "")):
        tell(
            VOICE,
            CLI_ASKED,
            method=method,
            path=urlsplit(answer.url).path,
            status=answer.status,
            ms=int((time.monotonic() - began_s) * 1000),
        )


def _may_repeat(method: str, outcome: Answer | TransportError, care: Care) -> bool:
    """Whether doing it again is safe, and may help (rule 2)."""
    if isinstance(outcome, NeverConnectedError):
        return True
    if method not in _IDEMPOTENT and not care.repeatable:
        return False
    return isinstance(outcome, TransportError) or outcome.status in _WORTH_REPEATING


def _body(response: requests.Response, url: str, start_bytes: int) -> Iterator[bytes]:
    """Yield what an answer brings from `start_bytes` on, whether it left them out or not."""
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


def _read_limited(response: requests.Response, url: str) -> bytes:
    data = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        data += chunk
        if len(data) > _MAX_ANSWER_BYTES:
            raise TransportError(
                "answer too large", subject=url, expected=f"at most {_MAX_ANSWER_BYTES} bytes"
            )
    return bytes(data)


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
