"""How one part gets to where it is wanted: at most once where it has arrived, again where not.

1. A part that the server lists, and whose bytes are still the same, is not sent again.
2. Each attempt at the store has an address of its own, so that one that has expired, or was used
   up by an attempt that broke off, is never used again.
3. Such an address is a secret: no error, no answer and no file holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import NoReturn

from lockgate_cli.answers import number_of, objects, text_of
from lockgate_cli.api import Api, JsonDict
from lockgate_cli.http import Answer
from lockgate_cli.problems import raise_problem
from lockgate_cli.progress import Tally
from lockgate_cli.uploading.files import PartBody, SentFile
from lockgate_cli.uploading.journal import Journal, NotedPart
from lockgate_cli.uploading.verdicts import Verdict, describe_refusal, etag_of, judge
from lockgate_cli.waits import WaitRules
from lockgate_release.errors import TransportError
from lockgate_release.names import AppName
from lockgate_release.trust.verify import NotFoundError
from lockgate_release.uploads import (
    MAX_PARTS,
    MAX_URLS,
    ArrivedPart,
    UploadMode,
    UrlsRequest,
    part_sizes,
)

__all__ = ["Joined", "PartSender", "Road", "read_joined"]

_DENIALS = 3
_DENIED = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """An upload as the server has it.

    Attributes:
        mode: Where parts go.
        part_bytes: The size of each part but the last.
        arrived: What has arrived, by its number; unproven.
        is_complete: Whether everything has, and it only remains to finish.
        is_present: Whether the server has these bytes already, and nothing remains.
        urls: Addresses for some parts, given along.
        urls_expire_s: For how long those are good.
    """

    mode: UploadMode
    part_bytes: int
    arrived: Mapping[int, Sequence[ArrivedPart]]
    is_complete: bool
    is_present: bool
    urls: Mapping[int, str]
    urls_expire_s: int


def read_joined(answer: JsonDict, size_bytes: int) -> Joined:
    """Return what the server says of an upload of so many bytes.

    Raises:
        TransportError: It says nothing of use.
    """
    part_bytes = number_of(answer, "part_bytes")
    mode = text_of(answer, "mode")
    if mode not in list(UploadMode) or part_bytes < 1 or size_bytes > part_bytes * MAX_PARTS:
        raise TransportError(
            "an unexpected answer",
            subject="upload",
            expected=f"a mode, and at most {MAX_PARTS} parts",
            found=f"{mode!r}, parts of {part_bytes} bytes",
        )
    arrived: dict[int, list[ArrivedPart]] = {}
    for item in objects(answer, "parts"):
        part = ArrivedPart(
            number=number_of(item, "number"),
            size_bytes=number_of(item, "size"),
            etag=text_of(item, "etag").strip('"'),
            sha256=text_of(item, "sha256"),
        )
        arrived.setdefault(part.number, []).append(part)
    return Joined(
        mode=UploadMode(mode),
        part_bytes=part_bytes,
        arrived=arrived,
        is_complete=answer.get("complete") is True,
        is_present=answer.get("present") is True,
        urls=_read_urls(answer) if "urls" in answer else {},
        urls_expire_s=number_of(answer, "expires_s"),
    )


def _read_urls(answer: JsonDict) -> dict[int, str]:
    return {number_of(item, "number"): text_of(item, "url") for item in objects(answer, "urls")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """The way of one file to the server, and how it is walked.

    Attributes:
        api: The server.
        app: The app.
        name: What the artifact is called.
        file: The file.
        journal: What has arrived.
        tally: Is told how far it is.
        waits: How failures are waited out.
        clock: Seconds that only go forward.
        check: Raises where all this is wanted no more.
    """

    api: Api
    app: AppName
    name: str
    file: SentFile
    journal: Journal
    tally: Tally
    waits: WaitRules
    clock: Callable[[], float]
    check: Callable[[], None]


class PartSender:
    """Sends the parts of one upload, from several threads."""

    def __init__(self, road: Road, joined: Joined) -> None:
        """Send nothing yet."""
        self._road = road
        self._joined = joined
        self._sizes = part_sizes(road.file.size_bytes, joined.part_bytes)
        numbers = [number for number in self.numbers if number not in joined.arrived]
        self._urls = _Urls(road, numbers)
        self._urls.add(joined.urls, road.clock() + joined.urls_expire_s / 2)

    @property
    def numbers(self) -> range:
        """Every part there is."""
        return range(1, len(self._sizes) + 1)

    def send(self, number: int) -> ArrivedPart:
        """Leave a part on the other side and return what it is called there.

        Raises:
            NotFoundError: The upload is gone.
            LockgateError: The part does not get there.
        """
        road, size_bytes = self._road, self._sizes[number - 1]
        start = (number - 1) * self._joined.part_bytes
        road.check()
        # Only the server takes a part by its digest; what goes to the store is read once.
        is_direct = self._joined.mode is UploadMode.DIRECT
        sha256 = "" if is_direct else road.file.digest(start, size_bytes, "sha256")
        part = self._find_arrived(number, start, sha256)
        if part is not None:
            road.tally.skip(size_bytes)
            return part
        denials = 0
        for failures in count(1):
            outcome, body = self._attempt(number, start, sha256)
            verdict = judge(self._joined.mode, outcome)
            if verdict is Verdict.ARRIVED and isinstance(outcome, Answer):
                return self._note(number, sha256, etag_of(outcome), body)
            road.tally.send(-body.read_bytes)
            if verdict is Verdict.GONE:
                break
            denials += isinstance(outcome, Answer) and outcome.status == _DENIED
            is_last = failures == road.waits.attempts or denials == _DENIALS
            if verdict is Verdict.REFUSED or is_last:
                self._fail(number, outcome)
            road.check()
            headers = outcome.headers if isinstance(outcome, Answer) else {}
            road.waits.sleep(road.waits.wait_s(failures, headers))
        raise NotFoundError("the upload is gone", subject=road.name)

    def _find_arrived(self, number: int, start: int, sha256: str) -> ArrivedPart | None:
        """Return the part as it is on the other side, or None if it is not (rule 1)."""
        road, size_bytes = self._road, self._sizes[number - 1]
        listed = [
            part
            for part in self._joined.arrived.get(number, ())
            if part.size_bytes in {0, size_bytes}
        ]
        if sha256:
            is_there = any(part.sha256 == sha256 for part in listed)
            return ArrivedPart(number=number, sha256=sha256) if is_there else None
        etags = {part.etag for part in listed if part.etag}
        if not etags:
            return None
        noted = road.journal.find(number)
        is_noted = noted is not None and noted.etag in etags
        if noted and is_noted and noted.crc32 == road.file.crc32(start, size_bytes):
            return ArrivedPart(number=number, etag=noted.etag)
        # Stores that encrypt nothing name a part by its MD5: how another machine's is recognised.
        md5 = road.file.digest(start, size_bytes, "md5")
        return ArrivedPart(number=number, etag=md5) if md5 in etags else None

    def _attempt(
        self, number: int, start: int, sha256: str
    ) -> tuple[Answer | TransportError, PartBody]:
        road = self._road

        def advance(size_bytes: int) -> None:
            road.check()
            road.tally.send(size_bytes)

        if sha256:
            url = road.api.part_url(road.app, road.file.upload_id, number, sha256)
        else:
            url = self._urls.take(number)
        body = PartBody(road.file, start, self._sizes[number - 1], advance)
        subject = f"{road.name}, part {number}"
        http = road.api.http
        return http.send_once(url, body, subject=subject, authorised=bool(sha256)), body

    def _note(self, number: int, sha256: str, etag: str, body: PartBody) -> ArrivedPart:
        if sha256:
            # The server lists what it took by its digest: nothing to remember.
            return ArrivedPart(number=number, sha256=sha256)
        self._road.journal.add(number, NotedPart(crc32=body.crc32, etag=etag))
        return ArrivedPart(number=number, etag=etag)

    def _fail(self, number: int, outcome: Answer | TransportError) -> NoReturn:
        """Raise what the last outcome of a part stands for.

        Raises:
            LockgateError: Always.
        """
        if isinstance(outcome, TransportError):
            raise TransportError(
                outcome.what,
                subject=outcome.subject,
                found=outcome.found,
                hint="What has arrived stays: run it again and it goes on from here.",
            )
        if self._joined.mode is UploadMode.SERVER:
            raise_problem(outcome)
        hint = "The server's log and `lockgate-server storage check` may say why."
        if outcome.status == _DENIED:
            hint = "The server signs the addresses: look at its clock and its rights in the bucket."
        raise TransportError(
            "the store does not take it",
            subject=f"{self._road.name}, part {number}",
            found=describe_refusal(outcome),
            hint=hint,
        )


class _Urls:
    """Addresses at the store, each for one attempt (rule 2), fetched for several parts at once."""

    def __init__(self, road: Road, numbers: Sequence[int]) -> None:
        self._road = road
        self._ahead = list(numbers)
        self._urls: dict[int, str] = {}
        self._until = 0.0
        self._lock = Lock()

    def add(self, urls: Mapping[int, str], until: float) -> None:
        """Have these too, until that moment of the clock."""
        self._urls.update(urls)
        self._until = until

    def take(self, number: int) -> str:
        """Return an address for a part that nobody has used.

        Raises:
            LockgateError: The server gives none.
        """
        with self._lock:
            if self._road.clock() > self._until:
                self._urls.clear()
            if number not in self._urls:
                self._fetch(number)
            return self._urls.pop(number)

    def _fetch(self, number: int) -> None:
        road = self._road
        more = [ahead for ahead in self._ahead if ahead > number][: MAX_URLS // 4 - 1]
        begun = road.clock()
        request = UrlsRequest(numbers=[number, *more])
        answer = road.api.upload_urls(road.app, road.file.upload_id, request)
        # Half of their time, so that one is never begun with that ends under way.
        self.add(_read_urls(answer), begun + number_of(answer, "expires_s") / 2)
        if not self._urls.get(number):
            raise TransportError(
                "an unexpected answer", subject="urls", expected=f"an address for part {number}"
            )
