"""The worker: one job's fault, whatever it is, is one job's fault."""

from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import LocalError
from lockgate_release.log.ids import is_id
from lockgate_release.log.telling import bound_now
from lockgate_release.names import AppName
from lockgate_server.services.write.deps import Caller, WriteDeps
from lockgate_server.services.write.renewing import resign
from lockgate_server.worker import Job, run_round
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, Scene


@pytest.mark.parametrize("error", [LocalError("a full disk"), KeyError("a bug"), MemoryError()])
def test_a_job_that_fails_keeps_no_other_job_and_no_other_app_waiting(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    scene, other = Scene(folder=tmp_path), AppName("other")
    scene.register()
    also = Scene(folder=tmp_path, store=scene.store, ledger=scene.ledger, app=other)
    also.publisher = PublisherSimulator(other)
    also.register()
    ran: list[AppName] = []

    def fail(_deps: WriteDeps, app: AppName, _by: Caller) -> None:
        if app == APP:
            raise error

    jobs = (
        Job(name="bad", run=fail),
        Job(name="good", run=lambda _deps, app, _by: ran.append(app)),
    )
    assert run_round(scene.deps(), "me", jobs)
    assert sorted(ran) == [APP, other]
    assert "job.failed" in caplog.text
    assert run_round(scene.deps(), "another", jobs), "the lease was given back"


def test_what_a_job_does_has_one_operation_in_the_log_and_in_the_audit_log(tmp_path: Path) -> None:
    scene = Scene(folder=tmp_path)
    scene.register()
    said: list[str] = []

    def work(deps: WriteDeps, app: AppName, by: Caller) -> None:
        said.append(bound_now()["operation_id"])
        resign(deps, app, by)

    scene.pass_time(scene.now + timedelta(days=6))
    assert run_round(scene.deps(), "me", (Job(name="resign", run=work),))
    (entry,) = scene.ledger.audit(APP, limit=1)
    assert (entry.intent.action, entry.intent.actor) == ("resign", "worker")
    assert entry.intent.operation_id == said[0]
    assert said[0].startswith("resign-")
    assert is_id(said[0])
    assert bound_now() == {}
    assert run_round(scene.deps(), "me", (Job(name="resign", run=work),))
    assert said[0] != said[1]
