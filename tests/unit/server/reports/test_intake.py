"""The intake from the request to the count, on a server's state in memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from lockgate_release.errors import LocalError, TransportError
from lockgate_release.gate import Arm
from lockgate_release.names import Platform
from lockgate_release.reports import (
    Active,
    CohortKey,
    Enrolled,
    Failure,
    Fared,
    Outcome,
    Report,
    dump_reports,
    hour_of,
)
from lockgate_release.rollout.counts import Cohort
from lockgate_release.strict_json import JsonObject
from lockgate_server.ports.reports import Added, Drop
from lockgate_server.services.reports.intake import Intake
from tests.simulators.faulty_store import FaultyStore
from tests.simulators.memory_reports import MemoryReportLedger
from tests.simulators.server_scene import APP, STABLE, Scene

LINUX = Platform("linux-x86_64")


@dataclass(kw_only=True)
class Site:
    """A server that offers 1.1.0 to a tenth, and takes reports in."""

    scene: Scene
    intake: Intake
    web: FlaskClient
    blocks: Iterator[int] = field(default_factory=lambda: iter(range(1 << 16)))

    def cohort(self, **change: Any) -> CohortKey:
        seen = CohortKey(
            channel=STABLE,
            version="1.1.0",
            epoch=1,
            arm=Arm.OFFERED,
            platform=LINUX,
            from_version="1.0.0",
            hour=hour_of(self.scene.now),
        )
        return replace(seen, **change)

    def enrolled(self, number: int, **change: Any) -> Enrolled:
        return Enrolled(nonce=f"{number:032x}", cohort=self.cohort(**change))

    def send(self, *reports: Report, address: str = "", app: str = APP) -> TestResponse:
        return self.post(dump_reports(reports), address=address, app=app)

    def post(self, data: Any, *, address: str = "", app: str = APP, **more: Any) -> TestResponse:
        if not address:
            number = next(self.blocks)
            address = f"198.{number >> 8}.{number & 255}.1"
        said = {"X-Forwarded-For": address}
        return self.web.post(f"/{app}/reports", data=data, headers=said, **more)

    def counted(self) -> tuple[Cohort, ...]:
        self.intake.flush()
        return self.scene.reports.cohorts(APP, STABLE, "1.1.0")

    def dropped(self) -> dict[str, int]:
        self.intake.flush()
        return {why.value: count for why, count in self.scene.reports.dropped().items()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    scene.publish("1.1.0", exposure_bp=1_000)
    return open_site(scene)


def open_site(scene: Scene, **limits: Any) -> Site:
    intake = scene.intake(**limits)
    return Site(scene=scene, intake=intake, web=scene.public(intake=intake))


def test_a_report_is_accepted_and_counted_at_the_next_flush(site: Site) -> None:
    answer = site.send(site.enrolled(1), site.enrolled(2))
    assert (answer.status_code, answer.get_json()) == (202, {"accepted": 2, "dropped": 0})
    assert answer.headers["Cache-Control"] == "no-store"
    assert site.scene.reports.cohorts(APP, STABLE, "1.1.0") == ()
    [cohort] = site.counted()
    assert (cohort.enrolled, cohort.platform) == (2, "any")


def test_an_outcome_is_counted_with_its_enrolment(site: Site) -> None:
    bad = Fared(
        nonce=f"{1:032x}", cohort=site.cohort(), outcome=Outcome.BAD, failure=Failure.CRASH_LOOP
    )
    site.send(site.enrolled(1), bad)
    [cohort] = site.counted()
    assert (cohort.enrolled, cohort.bad, cohort.crash_loops) == (1, 1, 1)


def test_an_outcome_waits_a_few_flushes_for_its_enrolment_and_no_longer(site: Site) -> None:
    healthy = Fared(nonce=f"{1:032x}", cohort=site.cohort(), outcome=Outcome.HEALTHY)
    site.send(healthy)
    site.intake.flush()
    site.send(site.enrolled(1))
    site.intake.flush()
    [cohort] = site.counted()
    assert (cohort.enrolled, cohort.healthy) == (1, 1)
    site.send(replace(healthy, nonce=f"{2:032x}"))
    for _ in range(10):
        site.intake.flush()
    assert site.dropped() == {"unmatched": 1}


def test_nothing_is_written_where_nothing_came(site: Site) -> None:
    ledger = site.scene.reports
    assert isinstance(ledger, MemoryReportLedger)
    site.intake.flush()
    assert ledger.additions == 0
    for number in range(50):
        site.send(site.enrolled(number))
    site.intake.flush()
    site.intake.flush()
    assert ledger.additions == 1


def test_why_one_was_dropped_is_counted_and_not_told(site: Site) -> None:
    later = site.cohort().hour + timedelta(hours=2)
    reports = [
        site.enrolled(1, version="6.6.6"),
        site.enrolled(2, epoch=2),
        site.enrolled(3, from_version="1.1.0"),
        site.enrolled(4, hour=later),
        site.enrolled(5, hour=later - timedelta(days=3)),
        site.enrolled(6),
    ]
    answer = site.send(*reports)
    assert answer.get_json() == {"accepted": 1, "dropped": 5}
    assert site.dropped() == {"unknown": 2, "impossible": 1, "future": 1, "late": 1}
    malformed = {"_type": "lockgate.reports", "reports": [{"kind": "enrolled"}, {}]}
    assert site.post(json.dumps(malformed)).get_json() == {"accepted": 0, "dropped": 2}
    assert site.dropped()["malformed"] == 2


@pytest.mark.parametrize("app", ["horse", "..", "A"])
def test_an_app_that_there_is_not_is_unknown_like_everything_else(site: Site, app: str) -> None:
    if app == "..":
        assert site.send(site.enrolled(1), app="%2e%2e").status_code == 202
    else:
        answer = site.send(site.enrolled(1), app=app)
        assert (answer.status_code, answer.get_json()) == (202, {"accepted": 0, "dropped": 1})
    assert site.dropped() == {"unknown": 1}


@pytest.mark.parametrize("data", [b" ", b"{}", b"[1]", b"\xff", b'{"_type":"lockgate.reports"}'])
def test_a_malformed_body_is_refused_and_counted(site: Site, data: bytes) -> None:
    answer = site.post(data)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert site.dropped() == {"malformed": 1}


def test_a_body_that_is_too_large_or_of_unknown_length_is_not_read(site: Site) -> None:
    assert site.post(b" " * (16 << 10) + b" ").status_code == 413
    endless = {"wsgi.input_terminated": True, "wsgi.input": BytesIO(b"{}")}
    assert site.post(b"", environ_overrides=endless).status_code == 411
    assert site.counted() == ()


def test_a_block_that_asks_too_often_is_told_when_to_come_again(site: Site) -> None:
    answers = [site.send(site.enrolled(n), address="192.0.2.1") for n in range(101)]
    assert [answer.status_code for answer in answers[:100]] == [202] * 100
    assert answers[100].status_code == 429
    assert answers[100].headers["Retry-After"] == "1"
    assert site.send(site.enrolled(1000), address="192.0.3.1").status_code == 202
    assert site.dropped()["rate"] == 1


def test_what_waits_is_bounded(site: Site) -> None:
    narrow = open_site(site.scene, waiting=3)
    for number in range(3):
        assert narrow.send(narrow.enrolled(number)).status_code == 202
    refused = narrow.send(narrow.enrolled(3))
    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    assert narrow.dropped() == {"full": 1}
    assert narrow.send(narrow.enrolled(3)).status_code == 202


def test_one_block_is_held_to_its_weight_and_its_voices_go_with_it(site: Site) -> None:
    for number in range(20):
        bad = Fared(
            nonce=f"{number:032x}",
            cohort=site.cohort(),
            outcome=Outcome.BAD,
            failure=Failure.CRASH_LOOP,
        )
        site.send(site.enrolled(number), bad, address="192.0.2.1")
    for _ in range(6):
        site.intake.flush()
    [cohort] = site.counted()
    assert (cohort.enrolled, cohort.bad) == (2, 2)
    assert site.dropped() == {"weight": 18, "unmatched": 18}


def test_where_it_is_said_one_block_may_be_everybody(site: Site) -> None:
    trusting = open_site(site.scene, share_bp=10_000)
    for number in range(20):
        trusting.send(trusting.enrolled(number), address="192.0.2.1")
    [cohort] = trusting.counted()
    assert cohort.enrolled == 20


def test_days_are_counted_by_version(site: Site) -> None:
    today = site.scene.now.date()
    for last in (None, today - timedelta(days=1), today):
        site.send(Active(channel=STABLE, version="1.0.0", platform=LINUX, last_counted=last))
    site.intake.flush()
    [count] = site.scene.reports.active(APP, today)
    assert (count.version, count.clients) == ("1.0.0", 2)
    assert site.dropped() == {"repeated": 1}


def test_a_change_is_known_within_seconds(site: Site) -> None:
    site.send(site.enrolled(1))
    site.scene.publish("1.2.0", exposure_bp=100)
    newer = site.enrolled(2, version="1.2.0", from_version="1.1.0")
    assert site.send(newer).get_json()["accepted"] == 0
    site.scene.now += timedelta(seconds=5)
    assert site.send(newer).get_json()["accepted"] == 1
    site.scene.revoke("1.1.0")
    site.scene.now += timedelta(seconds=5)
    assert site.send(site.enrolled(3)).get_json()["accepted"] == 0


def test_what_is_in_force_is_read_again_only_where_it_moved(site: Site) -> None:
    site.scene.store = faulty = FaultyStore(site.scene.store)
    watched = open_site(site.scene)
    watched.send(watched.enrolled(1))
    cold = len(faulty.calls)
    for number in range(100):
        watched.send(watched.enrolled(number + 2))
    assert len(faulty.calls) == cold
    site.scene.now += timedelta(seconds=5)
    watched.send(watched.enrolled(200))
    assert len(faulty.calls) == cold + 1


class Silent(FaultyStore):
    """A store that answers until it does not."""

    silent = False
    asked = 0

    def head(self, key: str) -> Any:
        if self.silent:
            self.asked += 1
            raise TransportError("no answer", subject=key)
        return super().head(key)


def test_a_store_that_falls_silent_is_done_without_for_an_hour(site: Site) -> None:
    site.scene.store = store = Silent(site.scene.store)
    watched = open_site(site.scene)
    store.silent = True
    assert watched.send(watched.enrolled(1)).status_code == 503
    store.silent = False
    site.scene.now += timedelta(seconds=5)
    assert watched.send(watched.enrolled(1)).status_code == 202
    store.silent = True
    site.scene.now += timedelta(minutes=50)
    assert watched.send(watched.enrolled(2)).status_code == 202
    site.scene.now += timedelta(minutes=20)
    assert watched.send(watched.enrolled(3)).status_code == 503


def test_a_store_that_is_down_is_not_asked_by_everybody(site: Site) -> None:
    site.scene.store = store = Silent(site.scene.store)
    watched = open_site(site.scene)
    store.silent = True
    for _ in range(10):
        assert watched.send(watched.enrolled(1)).status_code == 503
    assert store.asked == 1
    site.scene.now += timedelta(seconds=5)
    assert watched.send(watched.enrolled(1)).status_code == 503
    assert store.asked == 2
    site.scene.now += timedelta(seconds=5)
    store.silent = False
    assert watched.send(watched.enrolled(1)).status_code == 202


def test_a_planted_document_is_not_believed(site: Site) -> None:
    store = site.scene.store
    for info in list(store.list(f"{APP}/targets/channels/")):
        store.delete(info.key)
    fresh = open_site(site.scene)
    assert fresh.send(fresh.enrolled(1)).status_code == 503


class Stuck(MemoryReportLedger):
    """Cannot be written while it is stuck."""

    stuck = True
    error: Exception = LocalError("the disk is in the way")

    def add(self, *args: Any, **kwargs: Any) -> Added:
        if self.stuck:
            raise self.error
        return super().add(*args, **kwargs)


def test_what_cannot_be_written_waits_and_is_counted_later(site: Site) -> None:
    site.scene.reports = ledger = Stuck()
    patient = open_site(site.scene)
    patient.send(patient.enrolled(1))
    with pytest.raises(LocalError):
        patient.intake.flush()
    patient.send(patient.enrolled(2), patient.enrolled(1, version="6.6.6"))
    ledger.stuck = False
    [cohort] = patient.counted()
    assert cohort.enrolled == 2
    assert patient.dropped() == {"unknown": 1}


def test_what_waits_is_told_to_the_others_also_while_it_cannot_be_written(site: Site) -> None:
    site.scene.reports = ledger = Stuck()
    patient = open_site(site.scene)
    patient.send(patient.enrolled(1), patient.enrolled(2))
    patient.intake._try_flush()
    queues = cast("JsonObject", site.scene.health().snapshot()["queues"])
    assert (ledger.waiting(now=site.scene.now), queues["reports"]) == (2, 2)
    ledger.stuck = False
    patient.intake.stop()
    assert ledger.waiting(now=site.scene.now) == 0


def test_a_stop_counts_what_waits(site: Site) -> None:
    site.intake.start()
    site.send(site.enrolled(1))
    site.intake.stop()
    assert [one.enrolled for one in site.scene.reports.cohorts(APP, STABLE, "1.1.0")] == [1]


@pytest.mark.parametrize("error", [LocalError("the disk is in the way"), KeyError("a bug")])
def test_the_thread_outlives_a_fault_of_the_disk_and_a_bug_of_ours(
    site: Site, error: Exception
) -> None:
    site.scene.reports = ledger = Stuck()
    ledger.error = error
    patient = open_site(site.scene)
    patient.send(patient.enrolled(1))
    patient.intake._try_flush()
    ledger.stuck = False
    patient.intake.stop()
    assert [one.enrolled for one in ledger.cohorts(APP, STABLE, "1.1.0")] == [1]


def test_a_server_can_take_none(site: Site) -> None:
    web = site.scene.public()
    answer = web.post(f"/{APP}/reports", data=dump_reports([site.enrolled(1)]))
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not-found")


def test_reports_are_only_sent_never_asked_for(site: Site) -> None:
    assert site.web.get(f"/{APP}/reports").status_code in {404, 405}


def test_health_tells_what_was_dropped(site: Site) -> None:
    site.scene.reports.add([], {Drop.WEIGHT: 3}, now=site.scene.now)
    assert "reports_dropped" not in site.web.get("/health/snapshot").get_json()
    snapshot = site.scene.health().snapshot()
    assert snapshot["reports_dropped"] == {"weight": 3}
