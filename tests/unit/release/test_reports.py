"""Reports: what a client says is what the server reads; there is no room for a client's name."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.errors import DocumentError
from lockgate_release.gate import Arm
from lockgate_release.names import ChannelName, Platform
from lockgate_release.reports import (
    MAX_BATCH_BYTES,
    MAX_REPORTS,
    Active,
    CohortKey,
    Enrolled,
    Failure,
    Fared,
    Outcome,
    Receipt,
    Report,
    dump_reports,
    hour_of,
    parse_receipt,
    parse_reports,
)

HOUR = datetime(2026, 1, 31, 8, tzinfo=UTC)
COHORT = CohortKey(
    channel=ChannelName("stable"),
    version="1.2.0",
    epoch=3,
    arm=Arm.OFFERED,
    platform=Platform("linux-x86_64"),
    from_version="1.1.0",
    hour=HOUR,
)
NONCE = "0123456789abcdef" * 2
ENROLLED = Enrolled(nonce=NONCE, cohort=COHORT)
GOOD: list[Report] = [
    ENROLLED,
    Fared(nonce=NONCE, cohort=COHORT, outcome=Outcome.HEALTHY),
    Fared(nonce=NONCE, cohort=COHORT, outcome=Outcome.BAD, failure=Failure.CRASH_LOOP),
    Fared(nonce=NONCE, cohort=COHORT, outcome=Outcome.NOT_INSTALLED, failure=Failure.VERIFY),
    Active(
        channel=ChannelName("stable"),
        version="1.2.0",
        platform=Platform("linux-x86_64"),
        last_counted=date(2026, 1, 30),
    ),
    Active(
        channel=ChannelName("beta"),
        version="1.2.0",
        platform=Platform("linux-x86_64"),
        last_counted=None,
    ),
]


def body(*reports: Any, **more: Any) -> bytes:
    return json.dumps({"_type": "lockgate.reports", "reports": reports, **more}).encode()


@pytest.mark.parametrize("report", GOOD, ids=lambda report: json.dumps(report.to_json())[:60])
def test_a_report_is_read_as_it_was_built(report: Report) -> None:
    assert parse_reports(dump_reports([report])).reports == (report,)


def test_what_is_sent_is_this_and_no_more() -> None:
    sent = json.loads(dump_reports(GOOD[:2] + GOOD[4:5]))
    place = {
        "channel": "stable",
        "version": "1.2.0",
        "epoch": 3,
        "arm": "offered",
        "platform": "linux-x86_64",
        "from_version": "1.1.0",
        "enrolled_hour": "2026-01-31T08:00:00Z",
    }
    active = {
        "kind": "active",
        "channel": "stable",
        "version": "1.2.0",
        "platform": "linux-x86_64",
        "last_counted": "2026-01-30",
    }
    assert sent == {
        "_type": "lockgate.reports",
        "reports": [
            {"kind": "enrolled", "nonce": NONCE, **place},
            {"kind": "outcome", "nonce": NONCE, "outcome": "healthy", "error": "", **place},
            active,
        ],
    }


BAD: dict[str, Any] = {
    "kind": "sighting",
    "nonce": "0123456789ABCDEF" * 2,
    "channel": "../stable",
    "version": "",
    "epoch": 0,
    "arm": "outside",
    "platform": "Linux",
    "from_version": "1/2",
    "enrolled_hour": "2026-01-31T08:30:00Z",
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("value", ["wrong", None, [], {"a": 1}, True, -1])
def test_a_malformed_report_is_counted_and_takes_no_other_with_it(name: str, value: Any) -> None:
    said = dict(ENROLLED.to_json())
    said[name] = BAD[name] if value == "wrong" else value
    batch = parse_reports(body(ENROLLED.to_json(), said, GOOD[1].to_json()))
    assert batch.reports == (ENROLLED, GOOD[1])
    assert batch.malformed == 1


@pytest.mark.parametrize("name", BAD)
def test_no_field_may_be_missing(name: str) -> None:
    said = {key: value for key, value in ENROLLED.to_json().items() if key != name}
    assert parse_reports(body(said)).malformed == 1


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("failure", list(Failure))
def test_a_failure_goes_with_its_outcome_only(outcome: Outcome, failure: Failure) -> None:
    known = {(report.outcome, report.failure) for report in GOOD if isinstance(report, Fared)}
    one = Fared(nonce=NONCE, cohort=COHORT, outcome=outcome, failure=failure)
    is_read = parse_reports(dump_reports([one])).malformed == 0
    fits = {
        Outcome.HEALTHY: [""],
        Outcome.BAD: ["crash-loop", "health", "timeout", "exit"],
        Outcome.NOT_INSTALLED: ["download", "verify", "install"],
    }
    assert is_read == (failure.value in fits[outcome])
    assert is_read or (outcome, failure) not in known


@pytest.mark.parametrize("said", ["yesterday", "2026-02-30", "2026-1-3", "2026-01-31T0", 20260131])
def test_the_echoed_date_is_a_date_or_nothing(said: Any) -> None:
    assert parse_reports(body({**GOOD[4].to_json(), "last_counted": said})).malformed == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        body(),
        body(*[ENROLLED.to_json()] * (MAX_REPORTS + 1)),
        body("enrolled"),
        body(ENROLLED.to_json(), _type="lockgate.channel"),
        body(ENROLLED.to_json(), weight=1.5),
        body(ENROLLED.to_json(), padding="x" * MAX_BATCH_BYTES),
        body(ENROLLED.to_json())[:-1],
        body(ENROLLED.to_json()).replace(b'"_type"', b'"kind":1,"kind"'),
    ],
    ids=lambda data: data[:40].decode(),
)
def test_a_body_that_is_none_is_refused_as_a_whole(data: bytes) -> None:
    with pytest.raises(DocumentError):
        parse_reports(data)


def test_as_many_reports_as_are_sent_at_once_fit_into_a_body() -> None:
    longest = CohortKey(
        channel=ChannelName("c" * 64),
        version="1" * 64,
        epoch=2**53,
        arm=Arm.CONTROL,
        platform=Platform("p" * 64),
        from_version="2" * 64,
        hour=HOUR,
    )
    one = Fared(
        nonce=NONCE, cohort=longest, outcome=Outcome.NOT_INSTALLED, failure=Failure.DOWNLOAD
    )
    data = dump_reports([one] * MAX_REPORTS)
    assert len(data) <= MAX_BATCH_BYTES
    assert parse_reports(data).reports == (one,) * MAX_REPORTS


@pytest.mark.parametrize("count", [0, MAX_REPORTS + 1])
def test_no_body_is_built_that_would_be_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 20"):
        dump_reports([ENROLLED] * count)


def test_the_answer_is_read_as_it_was_built() -> None:
    receipt = Receipt(accepted=19, dropped=1)
    assert parse_receipt(json.dumps(receipt.to_json()).encode()) == receipt


def test_an_hour_is_told_by_utc_wherever_the_clock_hangs() -> None:
    there = datetime(2026, 1, 31, 14, 14, 59, 999, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert hour_of(there) == HOUR


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_body_brings_the_reader_down(data: bytes) -> None:
    with suppress(DocumentError):
        parse_reports(data)
