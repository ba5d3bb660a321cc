"""What the S3 adapter makes of each thing a store can answer, and of silence."""

import io
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate_release.errors import LocalError, LockgateError, TransportError
from lockgate_server.ports import (
    Always,
    Condition,
    Etag,
    IfAbsent,
    IfMatch,
    LostRaceError,
    UnsupportedError,
)
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address, Style
from lockgate_server.stores.s3_client import S3Limits
from tests.simulators.scripted_s3 import (
    CONDITIONS,
    KEY,
    LISTED,
    NOTHING,
    OBJECT,
    WRITTEN,
    Answering,
    StoreAt,
    error,
    find_credentials_in,
)
from tests.simulators.scripted_server import Answer, scripted_server

# --- conditional writes ----------------------------------------------------------------------


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (412, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (409, "ConcurrentModification"),
        (404, "NoSuchKey"),
        (412, ""),
    ],
)
def test_every_way_to_say_that_the_race_is_lost_is_understood(
    status: int, code: str, condition: Condition, answering: Answering
) -> None:
    with answering(error(status, code)) as (store, server), pytest.raises(LostRaceError):
        store.put(KEY, b"x", condition)
    assert len(server.requests) == 1


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_conditional_write_that_went_wrong_is_never_sent_again(
    status: int, condition: Condition, answering: Answering
) -> None:
    with answering(error(status, "Trouble"), WRITTEN) as (store, server):
        with pytest.raises(TransportError, match=f"{status} Trouble"):
            store.put(KEY, b"x", condition)
        assert len(server.requests) == 1


TOO_OFTEN = [error(429, "ServiceUnavailable"), error(503, "SlowDown")]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("refused", TOO_OFTEN)
def test_what_was_refused_as_too_often_is_sent_again_for_nothing_was_done(
    refused: Answer, condition: Condition, answering: Answering
) -> None:
    with answering(refused, refused, WRITTEN) as (store, server):
        assert store.put(KEY, b"x", condition) == "e2"
        assert [request.body for request in server.requests] == [b"x"] * 3


def test_a_store_that_is_asked_too_often_for_ever_is_given_up(answering: Answering) -> None:
    with answering(*[TOO_OFTEN[0]] * 9) as (store, server):
        with pytest.raises(TransportError, match="429"):
            store.put(KEY, b"x", IfAbsent())
        assert len(server.requests) == 5


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_conditional_write_whose_answer_is_lost_is_never_sent_again(
    condition: Condition, answering: Answering
) -> None:
    with answering(Answer(hangs_up=True), WRITTEN) as (store, server):
        with pytest.raises(TransportError, match="may or may not have happened"):
            store.put(KEY, b"x", condition)
        assert len(server.requests) == 1


def test_a_store_that_never_answers_is_given_up(answering: Answering) -> None:
    hasty = S3Limits(read_timeout_s=0.2, attempts=1)
    with answering(Answer(silent=True), limits=hasty) as (store, _):
        with pytest.raises(TransportError, match="did not answer"):
            store.put(KEY, b"x", IfAbsent())
        with pytest.raises(TransportError, match="did not answer"):
            store.head(KEY)


def test_an_unconditional_write_is_sent_again(answering: Answering) -> None:
    with answering(error(503, "SlowDown"), WRITTEN) as (store, server):
        assert store.put(KEY, b"x", Always()) == "e2"
        assert len(server.requests) == 2


def test_conditions_are_said_as_http_says_them(answering: Answering) -> None:
    with answering(WRITTEN) as (store, server):
        store.put(KEY, b"1", IfAbsent())
        store.put(KEY, b"2", IfMatch(Etag("e1")))
        store.put(KEY, b"3", Always())
    absent, match, always = (request.headers for request in server.requests)
    assert (absent["if-none-match"], absent.get("if-match")) == ("*", None)
    assert (match["if-match"], match.get("if-none-match")) == ('"e1"', None)
    assert {"if-match", "if-none-match"}.isdisjoint(always)


@pytest.mark.parametrize("header", ['"e2"', "e2", 'W/"e2"'])
def test_an_etag_is_the_same_however_it_is_wrapped(header: str, answering: Answering) -> None:
    with answering(Answer(headers={"ETag": header})) as (store, _):
        assert store.put(KEY, b"x", Always()) == "e2"


def test_no_write_waits_for_a_store_to_say_continue_or_sends_a_trailer(
    answering: Answering,
) -> None:
    with answering(WRITTEN) as (store, server):
        store.put(KEY, b"bytes", IfAbsent())
        store.put(KEY, io.BytesIO(b"stream"), Always())
    for request, body in zip(server.requests, (b"bytes", b"stream"), strict=True):
        assert request.body == body
        assert "expect" not in request.headers
        assert "aws-chunked" not in request.headers.get("content-encoding", "")
        assert not [name for name in request.headers if name.startswith("x-amz-checksum")]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_store_without_conditional_writes_is_refused(
    condition: Condition, answering: Answering
) -> None:
    with (
        answering(error(501, "NotImplemented"), WRITTEN) as (store, server),
        pytest.raises(UnsupportedError, match="If-None-Match"),
    ):
        store.put(KEY, b"x", condition)
    assert len(server.requests) == 1


# --- settings --------------------------------------------------------------------------------

VERBS: dict[str, Callable[[S3Store], object]] = {
    "head": lambda store: store.head(KEY),
    "open": lambda store: store.open(KEY),
    "put": lambda store: store.put(KEY, b"x", Always()),
    "put if absent": lambda store: store.put(KEY, b"x", IfAbsent()),
    "large put": lambda store: store.put(KEY, io.BytesIO(bytes(2000)), Always()),
    "copy": lambda store: store.copy(KEY, "app/copy", IfAbsent()),
    "list": lambda store: list(store.list("app/")),
    "delete": lambda store: store.delete(KEY),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(403, "SignatureDoesNotMatch"), LocalError),
        (error(400, "ExpiredToken"), LocalError),
        (error(500, "InternalError"), TransportError),
        (error(400, "RequestTimeout"), TransportError),
    ],
)
def test_every_verb_says_who_must_act(
    verb: str, answer: Answer, kind: type[LockgateError], answering: Answering
) -> None:
    once = S3Limits(attempts=1, part_bytes=1000)
    with answering(answer, limits=once) as (store, _):
        # A HEAD has no body to name the code in, so RequestTimeout looks like any other 400.
        if verb in {"head", "copy"} and answer.status == 400:
            kind = LocalError
        with pytest.raises(kind) as caught:
            VERBS[verb](store)
    assert type(caught.value) is kind


@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_nobody_runs_is_a_transport_error(verb: str, store_at: StoreAt) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with (
        store_at(f"http://127.0.0.1:{port}", S3Limits(attempts=1, part_bytes=1000)) as store,
        pytest.raises(TransportError),
    ):
        VERBS[verb](store)


def test_missing_credentials_are_this_machines_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_credentials_in(monkeypatch, tmp_path, None)
    with scripted_server(WRITTEN) as server:
        store = S3Store(S3Address(bucket="releases", endpoint=server.url, style=Style.PATH))
        with pytest.raises(LocalError, match="credentials"):
            store.put(KEY, b"x", IfAbsent())
        store.close()
    assert server.requests == []


def test_credentials_are_found_where_boto3_finds_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_credentials_in(monkeypatch, tmp_path, "key-from-the-environment")
    with scripted_server(WRITTEN) as server:
        store = S3Store(S3Address(bucket="releases", endpoint=server.url, style=Style.PATH))
        store.put(KEY, b"x", IfAbsent())
        store.close()
    assert "Credential=key-from-the-environment/" in server.requests[0].headers["authorization"]


def test_a_profile_that_is_not_there_is_this_machines_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_credentials_in(monkeypatch, tmp_path, None)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(LocalError, match="nobody"):
        S3Store(S3Address(bucket="releases"))


# --- reading ---------------------------------------------------------------------------------


def test_a_body_that_is_cut_short_is_a_transport_error_while_it_is_read(
    answering: Answering,
) -> None:
    cut = Answer(headers=OBJECT, body=b"12345", promised_bytes=10)
    with answering(cut) as (store, _):
        found = store.open(KEY)
        assert found is not None
        with found, pytest.raises(TransportError, match="did not answer"):
            found.read()
        again = store.open(KEY)
        assert again is not None
        with again:
            chunks = again.chunks(5)
            assert next(chunks) == b"12345"
            with pytest.raises(TransportError, match=KEY):
                next(chunks)


def test_a_store_that_ignores_a_range_is_found_out(answering: Answering) -> None:
    with (
        answering(Answer(headers=OBJECT, body=b"0123456789")) as (store, _),
        pytest.raises(TransportError, match="ignored the range"),
    ):
        store.open(KEY, start=5)


def test_an_object_written_between_two_looks_is_no_empty_object(answering: Answering) -> None:
    full = Answer(headers=OBJECT, body=b"", promised_bytes=10)
    with (
        answering(error(416, "InvalidRange"), full) as (store, _),
        pytest.raises(TransportError, match="meanwhile"),
    ):
        store.open(KEY, stop=5)


def test_an_object_deleted_between_two_looks_is_not_there(answering: Answering) -> None:
    with answering(error(416, "InvalidRange"), error(404), LISTED) as (store, _):
        assert store.open(KEY, stop=5) is None


def test_a_list_that_is_garbled_is_a_transport_error(answering: Answering) -> None:
    with (
        answering(Answer(body=b"<ListBucketResult><Conte")) as (store, _),
        pytest.raises(TransportError, match="app/"),
    ):
        list(store.list("app/"))


def test_a_store_is_asked_once_whether_the_bucket_is_there(answering: Answering) -> None:
    with answering(NOTHING, LISTED, NOTHING) as (store, server):
        assert [store.head(KEY) for _ in range(3)] == [None] * 3
    assert [request.method for request in server.requests] == ["HEAD", "GET", "HEAD", "HEAD"]
