"""What the S3 adapter makes of each thing a store can answer, and of silence."""

import io
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import boto3
import pytest

from lockgate_release.errors import LocalError, LockgateError, TransportError, UsageError
from lockgate_server.ports import Always, Condition, Etag, IfAbsent, IfMatch, LostRaceError
from lockgate_server.stores.s3 import S3Store
from lockgate_server.stores.s3_address import S3Address, Style
from lockgate_server.stores.s3_client import S3Limits
from lockgate_server.stores.s3_errors import UnsupportedError
from tests.simulators.scripted_server import Answer, ScriptedServer, scripted_server

StoreAt = Callable[..., AbstractContextManager[S3Store]]
Answering = Callable[..., AbstractContextManager[tuple[S3Store, ScriptedServer]]]

KEY = "app/metadata/timestamp.json"
LIMITS = S3Limits(connect_timeout_s=5, read_timeout_s=5, attempts=2, part_bytes=1000)
OBJECT = {"ETag": '"e1"', "Last-Modified": "Sat, 31 Jan 2026 08:00:00 GMT"}
WRITTEN = Answer(headers={"ETag": '"e2"'})
CONDITIONS: list[Condition] = [IfAbsent(), IfMatch(Etag("e1"))]


def error(status: int, code: str = "") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>said the store</Message></Error>" if code else ""
    return Answer(status=status, body=body.encode())


def find_credentials_in(patch: pytest.MonkeyPatch, folder: Path, key: str | None) -> None:
    """Let boto3 find this key and nothing else of this machine's settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", str(folder / "none"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if key:
        patch.setenv("AWS_ACCESS_KEY_ID", key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", key)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> boto3.session.Session:
    """Setting up boto3 takes a while, so that is done once."""
    with pytest.MonkeyPatch.context() as patch:
        find_credentials_in(patch, tmp_path_factory.mktemp("aws"), "test")
        session = boto3.session.Session()
        session.client("s3", region_name="auto").close()
    return session


@pytest.fixture
def store_at(session: boto3.session.Session) -> StoreAt:
    @contextmanager
    def store_at(endpoint: str, limits: S3Limits = LIMITS) -> Iterator[S3Store]:
        address = S3Address(bucket="releases", endpoint=endpoint, style=Style.PATH)
        store = S3Store(address, limits=limits, session=session)
        try:
            yield store
        finally:
            store.close()

    return store_at


@pytest.fixture
def answering(store_at: StoreAt) -> Answering:
    @contextmanager
    def answering(
        *answers: Answer, limits: S3Limits = LIMITS
    ) -> Iterator[tuple[S3Store, ScriptedServer]]:
        with scripted_server(*answers) as server, store_at(server.url, limits) as store:
            yield store, server

    return answering


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
@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_conditional_write_that_went_wrong_is_never_sent_again(
    status: int, condition: Condition, answering: Answering
) -> None:
    with answering(error(status, "Trouble"), WRITTEN) as (store, server):
        with pytest.raises(TransportError, match=f"{status} Trouble"):
            store.put(KEY, b"x", condition)
        assert len(server.requests) == 1


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


# --- parts and copies ------------------------------------------------------------------------

BEGUN = Answer(
    body=b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
)
COMPLETED = Answer(
    body=b"<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>"
)
COPIED = Answer(body=b"<CopyObjectResult><ETag>copied</ETag></CopyObjectResult>")
NOTHING = error(404)
LISTED = Answer(body=b"<ListBucketResult></ListBucketResult>")
THERE = Answer(headers=OBJECT)


def test_a_large_create_only_write_carries_its_condition_at_the_end(answering: Answering) -> None:
    with answering(NOTHING, LISTED, BEGUN, WRITTEN, WRITTEN, COMPLETED) as (store, server):
        assert store.put(KEY, io.BytesIO(bytes(1500)), IfAbsent()) == "whole"
    methods = [request.method for request in server.requests]
    assert methods == ["HEAD", "GET", "POST", "PUT", "PUT", "POST"]
    assert server.requests[-1].headers["if-none-match"] == "*"
    assert [len(request.body) for request in server.requests[3:5]] == [1000, 500]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(412, "PreconditionFailed"), LostRaceError),
        (error(409, "ConditionalRequestConflict"), LostRaceError),
        (error(404, "NoSuchUpload"), TransportError),
        (error(500, "InternalError"), TransportError),
        (Answer(body=COMPLETED.body[:20], promised_bytes=50), TransportError),
        (Answer(body=COMPLETED.body[:20]), TransportError),
        (Answer(body=error(200, "InternalError").body), TransportError),
        (Answer(hangs_up=True), TransportError),
    ],
)
def test_a_large_write_that_fails_at_the_end_gives_its_parts_up(
    answer: Answer, kind: type[LockgateError], answering: Answering
) -> None:
    script = (NOTHING, LISTED, BEGUN, WRITTEN, WRITTEN, answer, Answer(status=204))
    with answering(*script) as (store, server), pytest.raises(kind):
        store.put(KEY, io.BytesIO(bytes(1500)), IfAbsent())
    assert server.requests[-1].method == "DELETE"
    assert "uploadId=u1" in server.requests[-1].path
    assert len(server.requests) == len(script)


def test_a_large_write_that_cannot_even_be_given_up_says_what_failed_first(
    answering: Answering,
) -> None:
    once = S3Limits(attempts=1, part_bytes=1000)
    script = (BEGUN, error(403, "AccessDenied"), error(500, "InternalError"))
    with (
        answering(*script, limits=once) as (store, _),
        pytest.raises(LocalError, match="AccessDenied"),
    ):
        store.put(KEY, io.BytesIO(bytes(1500)), Always())


def test_a_store_that_knows_no_condition_for_parts_is_asked_without(answering: Answering) -> None:
    script = (NOTHING, LISTED, BEGUN, WRITTEN, WRITTEN, error(501, "NotImplemented"), COMPLETED)
    with answering(*script) as (store, server):
        assert store.put(KEY, io.BytesIO(bytes(1500)), IfAbsent()) == "whole"
    assert "if-none-match" not in server.requests[-1].headers


def test_a_copy_carries_its_condition_and_does_not_move_bytes(answering: Answering) -> None:
    with answering(THERE, NOTHING, LISTED, COPIED) as (store, server):
        assert store.copy("app/uploads/1", "app/x", IfAbsent()) == "copied"
    request = server.requests[-1]
    assert request.headers["if-none-match"] == "*"
    assert request.headers["x-amz-copy-source"] == "releases/app/uploads/1"
    assert request.body == b""


@pytest.mark.parametrize("status", [409, 412])
def test_a_copy_that_comes_second_is_lost(status: int, answering: Answering) -> None:
    with (
        answering(THERE, NOTHING, LISTED, error(status, "PreconditionFailed")) as (store, _),
        pytest.raises(LostRaceError, match="app/x"),
    ):
        store.copy("app/uploads/1", "app/x", IfAbsent())


def test_a_store_that_knows_no_condition_for_copies_is_asked_without(answering: Answering) -> None:
    with answering(THERE, NOTHING, LISTED, error(501, "NotImplemented"), COPIED) as (store, server):
        assert store.copy("app/uploads/1", "app/x", IfAbsent()) == "copied"
    assert "if-none-match" not in server.requests[-1].headers


def test_a_source_that_vanishes_is_no_lost_race(answering: Answering) -> None:
    with (
        answering(THERE, NOTHING, LISTED, error(404, "NoSuchKey")) as (store, _),
        pytest.raises(UsageError, match="app/uploads/1"),
    ):
        store.copy("app/uploads/1", "app/x", IfAbsent())
