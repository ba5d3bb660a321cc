"""Reading quickly is reading: whatever was met before, a body says what `parse_reports` says."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
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
    Batch,
    CohortKey,
    Enrolled,
    Failure,
    Fared,
    Outcome,
    Report,
    dump_reports,
    parse_reports,
)
from lockgate_server.services.reports import reading
from lockgate_server.services.reports.reading import Reader

COHORT = CohortKey(
    channel=ChannelName("stable"),
    version="1.2.0",
    epoch=3,
    arm=Arm.OFFERED,
    platform=Platform("linux-x86_64"),
    from_version="1.1.0",
    hour=datetime(2026, 1, 31, 8, tzinfo=UTC),
)
NONCE, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
ENROLLED = Enrolled(nonce=NONCE, cohort=COHORT)
FARED = Fared(nonce=NONCE, cohort=COHORT, outcome=Outcome.NOT_INSTALLED, failure=Failure.DOWNLOAD)
ACTIVE = Active(
    channel=ChannelName("stable"),
    version="1.2.0",
    platform=Platform("linux-x86_64"),
    last_counted=date(2026, 1, 30),
)
GOOD: list[Report] = [
    ENROLLED,
    FARED,
    ACTIVE,
    replace(FARED, outcome=Outcome.HEALTHY, failure=Failure.NONE),
    replace(ENROLLED, cohort=replace(COHORT, arm=Arm.CONTROL)),
]


def outcome_of(read: Any, data: bytes) -> Batch | str:
    """What a reader makes of a body: the reports, or the refusal in its words."""
    try:
        found: Batch = read(data)
    except DocumentError as exc:
        return str(exc)
    return found


def assert_read_alike(data: bytes, *before: bytes) -> None:
    """A reader that has met other bodies reads this one as if it had not."""
    reader = Reader()
    for known in before:
        outcome_of(reader.read, known)
    expected = outcome_of(parse_reports, data)
    assert outcome_of(reader.read, data) == expected
    assert outcome_of(reader.read, data) == expected, "the second time"


ALL = dump_reports(GOOD)


def item_of(report: Report, **change: Any) -> dict[str, Any]:
    return {**report.to_json(), **change}


def whole(*items: Any, **more: Any) -> bytes:
    """A body, written as the client writes it, with what no client writes in it."""
    said = {"_type": "lockgate.reports", "reports": items, **more}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n"


ODD: dict[str, bytes] = {
    "another nonce": dump_reports([replace(ENROLLED, nonce=OTHER), replace(FARED, nonce=OTHER)]),
    "a short nonce": ALL.replace(NONCE.encode(), NONCE[1:].encode(), 1),
    "a long nonce": ALL.replace(NONCE.encode(), NONCE.encode() + b"0", 1),
    "a loud nonce": ALL.replace(NONCE.encode(), NONCE.upper().encode(), 1),
    "a foreign nonce": ALL.replace(NONCE.encode(), "\u0660".encode() * 16, 1),
    "a nonce that is none": ALL.replace(NONCE.encode(), b'","nonce":"' + b"0" * 21, 1),
    "a nonce inside": whole(item_of(ENROLLED, more={"nonce": OTHER})),
    "a nonce inside alone": whole({"kind": "enrolled", "z": item_of(ENROLLED)}),
    "a nonce in other letters": whole(item_of(ENROLLED)).replace(b'"nonce"', b'"\\u006eonce"'),
    "a nonce twice": whole(item_of(ENROLLED)).replace(
        b'"platform"', b'"nonce":"' + OTHER.encode() + b'","platform"'
    ),
    "an active with a nonce": whole(item_of(ACTIVE, nonce=NONCE)),
    "an active and a torn end": whole(item_of(ACTIVE)).replace(
        b"}]}", b'"nonce":"' + NONCE.encode() + b"}]}"
    ),
    "a field more": whole(item_of(ENROLLED, weight=2)),
    "a field more in the body": whole(item_of(ENROLLED), zeal=2),
    "a float": whole(item_of(ENROLLED, weight=0.5)),
    "an epoch of true": whole(item_of(ENROLLED, epoch=True)),
    "a malformed neighbour": whole(item_of(ENROLLED), item_of(FARED, error="rust")),
    "too many": dump_reports([ENROLLED]).replace(
        b"}]}", (b"}," + dump_reports([ENROLLED])[39:-4]) * MAX_REPORTS + b"}]}"
    ),
    "too large": whole(item_of(ENROLLED), padding="x" * MAX_BATCH_BYTES),
    "no end of line": ALL[:-1],
    "two ends": ALL + b"\n",
    "spaces": json.dumps(json.loads(ALL)).encode(),
    "none": b'{"_type":"lockgate.reports","reports":[]}\n',
    "an empty one": b'{"_type":"lockgate.reports","reports":[{}]}\n',
    "braces": b'{"_type":"lockgate.reports","reports":[{},{},{}]}\n',
}


@pytest.mark.parametrize("name", ODD)
def test_what_was_met_before_changes_nothing(name: str) -> None:
    assert_read_alike(ODD[name])
    assert_read_alike(ODD[name], ALL)
    assert_read_alike(ALL, ODD[name])


def test_what_is_familiar_is_read_with_its_own_nonce() -> None:
    reader = Reader()
    reader.read(ALL)
    again = dump_reports([replace(FARED, nonce=OTHER), ACTIVE, replace(ENROLLED, nonce=OTHER)])
    reports = reader.read(again).reports
    assert reports == (replace(FARED, nonce=OTHER), ACTIVE, replace(ENROLLED, nonce=OTHER))


bodies = st.lists(st.sampled_from(GOOD), min_size=1, max_size=4).map(dump_reports)
nonces = st.text("0123456789abcdefAF\u0660", min_size=30, max_size=34)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A body with a piece of it cut out, doubled, or replaced."""
    data = draw(bodies)
    first = draw(st.integers(0, len(data)))
    last = draw(st.integers(first, min(len(data), first + 40)))
    begin = draw(st.integers(0, len(ALL)))
    instead = draw(
        st.binary(max_size=6)
        | nonces.map(str.encode)
        | st.just(ALL[begin : begin + 40])
        | st.sampled_from([b'"nonce":"', b"},{", b'"', b"\\", b'"nonce":"' + OTHER.encode()])
    )
    return data[:first] + instead + data[last:]


@given(spoilt(), bodies)
def test_a_spoilt_body_is_read_as_if_nothing_had_been_met(data: bytes, before: bytes) -> None:
    assert_read_alike(data, ALL, before)


def test_what_is_remembered_is_bounded() -> None:
    reader = Reader()
    for number in range(reading._MOST + 10):
        cohort = replace(COHORT, epoch=number + 1)
        reader.read(dump_reports([Enrolled(nonce=NONCE, cohort=cohort)]))
    assert 0 < len(reader._known) <= reading._MOST
