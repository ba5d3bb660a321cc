"""The server's API as calls: one method for each thing that can be asked of it.

A problem that the server reports comes back as the error it was on the server's side.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from lockgate_cli.http import Answer, Care, Http, parse_answer
from lockgate_cli.problems import raise_problem
from lockgate_release.ceremony_requests import CeremonyOutcome, CeremonyRequest
from lockgate_release.errors import DeniedError, TransportError, UsageError
from lockgate_release.layout import artifact_path
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.requests import (
    MirrorRequest,
    MirrorSignature,
    PublishRequest,
    RegisterRequest,
    RenewRequest,
    RevokeRequest,
    UnrevokeRequest,
)
from lockgate_release.steering_requests import RolloutRequest, StartRequest, StopRequest
from lockgate_release.trust.verify import NotFoundError
from lockgate_release.uploads import BeginRequest, FinishRequest, UploadId, UrlsRequest

__all__ = ["Api", "JsonDict", "find_api"]

JsonDict = dict[str, object]

_ROOT = "/api/v1/"
_READ_TIMEOUT_S = 120.0
_CHECKED_BYTES_S = 10e6
"""How fast a server reads and hashes what has arrived, at the very least."""
_PATIENT = Care(attempts=7, repeatable=True)
"""For what an upload asks: asking twice is harmless, giving up costs hours of a slow link."""


def find_api(http: Http, server: str) -> str:
    """Return the address of the API, given it or the address of the public side.

    The token is not shown before the answer says which side it is, and the answer can only name
    another port of the same host.

    Raises:
        UsageError: `server` is no web address, something else than Lockgate answers there, or the
            token may not go there.
        TransportError: Nothing answers.
    """
    base = server.rstrip("/")
    if urlsplit(base).scheme not in {"http", "https"}:
        raise UsageError(
            "not a web address",
            subject="server",
            expected="an address such as https://host:8081",
            found=repr(server),
        )
    # Said before anything is asked: whoever can read the line can answer in the server's place.
    http.check_token_may_go(base)
    answer = http.exchange("GET", base + _ROOT, named=True)
    if answer.status == HTTPStatus.MISDIRECTED_REQUEST:
        base = _other_side(base, parse_answer(answer))
        answer = http.exchange("GET", base + _ROOT, named=True)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise_problem(answer)
    if answer.status != HTTPStatus.OK or parse_answer(answer).get("side") != "api":
        raise UsageError(
            "not the address of a Lockgate server",
            subject=base,
            expected="an answer from Lockgate's API",
            found=f"status {answer.status}",
        )
    return base


def _other_side(base: str, problem: JsonDict) -> str:
    port = problem.get("api_port")
    if not isinstance(port, int) or not 0 < port < 65536:
        raise TransportError(
            "the public side does not say where the API is",
            subject=base,
            expected="api_port",
            found=repr(port),
            hint="Give the API's own address as --server.",
        )
    parts = urlsplit(base)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}{parts.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One server's API, at its own address."""

    http: Http
    base: str

    def register(self, app: AppName, request: RegisterRequest) -> JsonDict:
        """Register an app and return its status.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("PUT", f"apps/{app}", request.to_json())

    def online_key(self, app: AppName) -> JsonDict:
        """Return the public key that the server signs for this app with.

        Raises:
            ConflictError: The app is registered already.
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/online-key")

    def apps(self) -> JsonDict:
        """Return every app, in a line each.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("GET", "apps")

    def status(self, app: AppName) -> JsonDict:
        """Return the state of one app.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("GET", f"apps/{app}")

    def releases(self, app: AppName) -> JsonDict:
        """Return the live releases, newest first.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("GET", f"apps/{app}/releases")

    def release(self, app: AppName, version: str) -> JsonDict:
        """Return one release with its documents.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("GET", f"apps/{app}/releases/{quote(version, safe='')}")

    def has_artifact(self, app: AppName, sha256: Sha256Hex) -> bool:
        """Whether the server holds these bytes already.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        answer = self._exchange("HEAD", f"apps/{app}/artifacts/{sha256}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise_problem(answer)
        return True

    def begin_upload(self, app: AppName, request: BeginRequest) -> JsonDict:
        """Begin an upload, or join it where it stands; return how and what has arrived.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/uploads", request.to_json(), _PATIENT)

    def upload_urls(self, app: AppName, upload: UploadId, request: UrlsRequest) -> JsonDict:
        """Return addresses at the store for some parts. They are secrets.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/uploads/{upload}/urls", request.to_json(), _PATIENT)

    def part_url(self, app: AppName, upload: UploadId, number: int, sha256: str) -> str:
        """Return where the server itself takes a part, given the token."""
        return f"{self.base}{_ROOT}apps/{app}/uploads/{upload}/parts/{number}?sha256={sha256}"

    def finish_upload(self, app: AppName, upload: UploadId, request: FinishRequest) -> bool:
        """Have the server check the whole and keep it; return whether it was not there yet.

        Raises:
            DigestMismatchError: Other bytes have arrived. The upload is gone.
            ConflictError: Parts are missing.
            NotFoundError: The upload is gone.
            LockgateError: The server refused, or could not be reached.
        """
        timeout_s = _READ_TIMEOUT_S + request.size_bytes / _CHECKED_BYTES_S
        care = replace(_PATIENT, read_timeout_s=timeout_s)
        path = f"apps/{app}/uploads/{upload}/finish"
        answer = self._exchange("POST", path, request.to_json(), care)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotFoundError("the upload is gone", subject=upload)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise_problem(answer)
        return answer.status == HTTPStatus.CREATED

    def drop_upload(self, app: AppName, upload: UploadId) -> None:
        """Have the server forget an upload; one that is not there is forgotten already.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        answer = self._exchange("DELETE", f"apps/{app}/uploads/{upload}")
        if answer.status >= HTTPStatus.BAD_REQUEST and answer.status != HTTPStatus.NOT_FOUND:
            raise_problem(answer)

    def publish(self, app: AppName, request: PublishRequest) -> JsonDict:
        """Put the next list of releases in force, or offer what is live.

        Raises:
            ConflictError: Somebody else moved it first.
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/publish", request.to_json())

    def rollout(self, app: AppName, channel: ChannelName, version: str) -> JsonDict:
        """Return how a rollout stands, with its evidence, judged now.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        path = f"apps/{app}/channels/{channel}/rollouts/{quote(version, safe='')}"
        return self._ask("GET", path)

    def stop(self, app: AppName, request: StopRequest) -> JsonDict:
        """Let nothing reach further clients.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/stop", request.to_json())

    def start(self, app: AppName, request: StartRequest) -> JsonDict:
        """Say yes to going on.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/start", request.to_json())

    def change_rollout(
        self, app: AppName, channel: ChannelName, version: str, request: RolloutRequest
    ) -> JsonDict:
        """Change one rollout by hand.

        Raises:
            ConflictError: Another epoch than the one that was seen is in force.
            LockgateError: The server refused, or could not be reached.
        """
        path = f"apps/{app}/channels/{channel}/rollouts/{quote(version, safe='')}"
        return self._ask("PATCH", path, request.to_json())

    def revoke(self, app: AppName, request: RevokeRequest) -> JsonDict:
        """Revoke a release.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/revocations", request.to_json())

    def unrevoke(self, app: AppName, request: UnrevokeRequest) -> JsonDict:
        """Take a revocation back that the publishers have lifted.

        Raises:
            ConflictError: Somebody else moved the list first.
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/revocations/lifted", request.to_json())

    def end_channel(self, app: AppName, channel: ChannelName) -> JsonDict:
        """End a channel, and return it.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("DELETE", f"apps/{app}/channels/{channel}")

    def renew(self, app: AppName, request: RenewRequest) -> JsonDict:
        """Put newer metadata of an offline role in force.

        Raises:
            ConflictError: Somebody else moved it first.
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/metadata", request.to_json())

    def hold_ceremony(self, app: AppName, request: CeremonyRequest) -> CeremonyOutcome:
        """Put what several people have signed in force, as far as caches allow it now.

        Raises:
            ConflictError: Somebody else moved it first.
            LockgateError: The server refused, or could not be reached.
        """
        body = self._ask("POST", f"apps/{app}/ceremony", request.to_json())
        return CeremonyOutcome.parse(json.dumps(body).encode())

    def next_online_key(self, app: AppName) -> JsonDict:
        """Return the server's next key, which signs beside the one in force from now on.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("POST", f"apps/{app}/online-key/next")

    def sign_for_mirror(self, app: AppName, request: MirrorRequest) -> MirrorSignature:
        """Have a longer-lived state signed for a copy, and return its files.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        body = self._ask("POST", f"apps/{app}/mirror-timestamps", request.to_json())
        return MirrorSignature.parse(json.dumps(body).encode())

    def audit(self, app: AppName, limit: int) -> JsonDict:
        """Return who did what, newest first.

        Raises:
            LockgateError: The server refused, or could not be reached.
        """
        return self._ask("GET", f"apps/{app}/audit?limit={limit}")

    def read_file(self, app: AppName, path: str) -> bytes | None:
        """Return a public file below the app's address, or None if there is none.

        Raises:
            TransportError: It could not be fetched.
        """
        answer = self.http.exchange("GET", self._file_url(app, path), named=True)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise TransportError(
                "unexpected answer", subject=answer.url, found=f"status {answer.status}"
            )
        return answer.body

    def stream_artifact(self, app: AppName, sha256: Sha256Hex) -> Iterator[bytes]:
        """Yield the bytes of an artifact; they prove nothing until their digest is compared.

        Raises:
            NotFoundError: The server does not have it.
            TransportError: It could not be fetched.
        """
        return self.http.stream(self._file_url(app, artifact_path(sha256)))

    def _file_url(self, app: AppName, path: str) -> str:
        return f"{self.base}/{app}/{quote(path)}"

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        care: Care = Care(),  # noqa: B008 (it is frozen)
    ) -> JsonDict:
        answer = self._exchange(method, path, body, care)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise_problem(answer)
        return parse_answer(answer)

    def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        care: Care = Care(),  # noqa: B008 (it is frozen)
    ) -> Answer:
        if not self.http.has_token:
            raise DeniedError(
                "no token", hint="Say --token, or better, set LOCKGATE_TOKEN in the environment."
            )
        answer = self.http.exchange(
            method,
            self.base + _ROOT + path,
            json_body=body,  # type: ignore[arg-type]  # requests' to_json() makes it
            authorised=True,
            care=care,
        )
        if 300 <= answer.status < 400:
            raise TransportError(
                "redirected, and a token is not carried along",
                subject=answer.url,
                found=answer.headers.get("location", ""),
                hint="Give the final address as --server.",
            )
        return answer
