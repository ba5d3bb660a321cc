"""How the S3 adapter sends what is large, and how it copies."""

import io

import pytest

from lockgate_release.errors import LocalError, LockgateError, TransportError, UsageError
from lockgate_server.ports import Always, IfAbsent, LostRaceError
from lockgate_server.stores.s3_client import S3Limits
from tests.simulators.scripted_s3 import (
    KEY,
    LISTED,
    NOTHING,
    THERE,
    WRITTEN,
    Answering,
    error,
)
from tests.simulators.scripted_server import Answer

BEGUN = Answer(
    body=b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
)
COMPLETED = Answer(
    body=b"<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>"
)
COPIED = Answer(body=b"<CopyObjectResult><ETag>copied</ETag></CopyObjectResult>")


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


def test_a_copy_is_conditional_in_the_words_of_r2_too(answering: Answering) -> None:
    with answering(THERE, NOTHING, LISTED, COPIED) as (store, server):
        store.copy("app/uploads/1", "app/x", IfAbsent())
    sent = server.requests[-1].headers
    assert sent["cf-copy-destination-if-none-match"] == "*"
    assert "cf-copy-destination-if-none-match" in sent["authorization"]


def test_a_copy_that_only_r2s_own_condition_stops_is_lost(answering: Answering) -> None:
    answers = [error(501, "NotImplemented"), error(412, "PreconditionFailed")]
    with answering(THERE, NOTHING, LISTED, *answers) as (store, server):
        with pytest.raises(LostRaceError):
            store.copy("app/uploads/1", "app/x", IfAbsent())
        assert "if-none-match" not in server.requests[-1].headers
        assert server.requests[-1].headers["cf-copy-destination-if-none-match"] == "*"
