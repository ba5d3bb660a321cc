"""What the outcome of sending one part means: decided from the answer alone."""

from __future__ import annotations

import re
from enum import StrEnum

from lockgate_cli.http import Answer
from lockgate_release.errors import TransportError
from lockgate_release.uploads import UploadMode

__all__ = ["Verdict", "describe_refusal", "etag_of", "judge"]

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")
_WORTH_REPEATING = frozenset({408, 425, 429, 500, 502, 503, 504})
# A store's own: a URL that has expired (403), a body that broke off or was too slow (400), a write
# beside another one (409).
_REPEATED_AT_STORE = _WORTH_REPEATING | {400, 403, 409}
# The server's own: the bytes that came were not those that were named (422).
_REPEATED_AT_SERVER = _WORTH_REPEATING | {422}


class Verdict(StrEnum):
    """What to do next."""

    ARRIVED = "arrived"
    AGAIN = "again"
    GONE = "gone"
    """There is no such upload any more: begin, or join, it anew."""
    REFUSED = "refused"


def judge(mode: UploadMode, outcome: Answer | TransportError) -> Verdict:
    """Return what the outcome of one attempt means.

    Args:
        mode: Where the part was sent to.
        outcome: What was answered, or why nothing was.
    """
    if isinstance(outcome, TransportError):
        return Verdict.AGAIN
    is_direct = mode is UploadMode.DIRECT
    if 200 <= outcome.status < 300:
        # Without a name for what has arrived the upload cannot be put together.
        return Verdict.ARRIVED if etag_of(outcome) or not is_direct else Verdict.AGAIN
    if outcome.status == 404:
        return Verdict.GONE
    repeated = _REPEATED_AT_STORE if is_direct else _REPEATED_AT_SERVER
    return Verdict.AGAIN if outcome.status in repeated else Verdict.REFUSED


def etag_of(answer: Answer) -> str:
    """Return what the store calls the part that it took, or ""."""
    return answer.headers.get("etag", "").strip().strip('"')


def describe_refusal(answer: Answer) -> str:
    """Return a store's refusal in words that hold no secret: its status and its error code."""
    code = _CODE.search(answer.body[:10_000])
    if 200 <= answer.status < 300:
        return f"status {answer.status} without an ETag"
    return f"status {answer.status}" + (f", {code[1].decode()}" if code else "")
