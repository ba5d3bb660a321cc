"""Expired metadata: a frozen repository, a wrong clock, or one of both; never up to date."""

from datetime import UTC, datetime, timedelta

import pytest

from lockgate_release.errors import ExpiredError
from lockgate_release.instants import utc_now
from lockgate_updater.fetch.freshness import explain_expiry
from lockgate_updater.fetch.network import parse_server_time
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import RepositorySimulator

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EXPIRED = ExpiredError("expired metadata", subject="timestamp.json", found="2030-04-20")


@pytest.mark.parametrize(
    ("signed_at", "server_time", "code"),
    [
        pytest.param(NOW + 2 * DAY, None, "local.clock", id="before-what-was-signed"),
        pytest.param(NOW - 9 * DAY, NOW - 8 * DAY, "local.clock", id="ahead-of-the-server"),
        pytest.param(NOW - 9 * DAY, NOW, "repository.expired.frozen", id="both-agree"),
        pytest.param(
            NOW - 9 * DAY, NOW + 30 * DAY, "repository.expired.frozen", id="behind-the-server"
        ),
        pytest.param(None, NOW, "repository.expired.frozen", id="nothing-seen-before"),
        pytest.param(NOW - 9 * DAY, None, "repository.expired", id="no-word-of-the-server"),
        pytest.param(NOW - 9 * DAY, NOW - 99 * DAY, "repository.expired", id="a-lying-server"),
    ],
)
def test_what_expired_metadata_says(
    signed_at: datetime | None, server_time: datetime | None, code: str
) -> None:
    error = explain_expiry(EXPIRED, now=NOW, signed_at=signed_at, server_time=server_time)
    assert error.code == code


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Date": "Wed, 01 May 2030 12:00:00 GMT"}, NOW),
        ({"Date": "Wed, 01 May 2030 12:00:00 GMT", "Age": "3600"}, NOW + timedelta(hours=1)),
        ({"Date": "Wed, 01 May 2030 12:00:00 -0000"}, NOW),
        ({"Date": "yesterday"}, None),
        ({}, None),
    ],
)
def test_an_answer_tells_the_present(headers: dict[str, str], expected: datetime | None) -> None:
    assert parse_server_time(headers) == expected


def test_a_known_revocation_is_obeyed_while_the_clock_stands_a_year_behind(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0")
    client.update()
    repository.revoke("2.0.0")
    client.updater.check()
    client.now = utc_now() - timedelta(days=366)
    assert client.update() == "left"
    assert client.runs() == "1.0.0"
