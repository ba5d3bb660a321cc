"""The worker: one job's fault, whatever it is, is one job's fault."""

from pathlib import Path

import pytest

from lockgate_release.errors import LocalError
from lockgate_release.names import AppName
from lockgate_server.services.write.deps import WriteDeps
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

    def fail(_deps: WriteDeps, app: AppName) -> None:
        if app == APP:
            raise error

    jobs = (Job(name="bad", run=fail), Job(name="good", run=lambda _deps, app: ran.append(app)))
    assert run_round(scene.deps(), "me", jobs)
    assert sorted(ran) == [APP, other]
    assert "job.failed" in caplog.text
    assert run_round(scene.deps(), "another", jobs), "the lease was given back"
