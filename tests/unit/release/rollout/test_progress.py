"""How far a plan has got: read back as it was written, and only if it can be true."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lockgate_release.documents import Rollout
from lockgate_release.errors import DocumentError
from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_release.rollout.progress import Progress, begin, read_progress
from lockgate_release.strict_json import Json

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ROLLOUT = Rollout(salt="00" * 16, exposure_bp=500, control_bp=9500, epoch=4)
PROGRESS = Progress(
    plan=DEFAULT_PLAN, name="canary", stage_epochs=(1, 4), stage_since=NOW, approved=True
)


def _with(**changes: Json) -> Rollout:
    return replace(ROLLOUT, progress={**PROGRESS.to_json(), **changes})


def test_progress_that_is_written_is_read_back() -> None:
    assert read_progress(_with()) == PROGRESS
    later = replace(PROGRESS, start_at=NOW, reason="no-reports")
    assert read_progress(replace(ROLLOUT, progress=later.to_json())) == later


def test_a_rollout_that_a_person_steers_has_none() -> None:
    assert read_progress(ROLLOUT) is None
    assert "progress" not in ROLLOUT.to_json()


def test_each_step_begins_a_stage_and_forgets_the_approval_of_the_one_before() -> None:
    progress = begin(DEFAULT_PLAN, name="", now=NOW)
    for epoch in (1, 2, 5, 6):
        assert progress.next_stage is DEFAULT_PLAN.stages[len(progress.stage_epochs)]
        progress = replace(progress, approved=True).step(epoch=epoch, now=NOW)
        assert not progress.approved
    assert progress.stage_epochs == (1, 2, 5, 6)
    assert progress.next_stage is None
    with pytest.raises(ValueError, match="no further stage"):
        progress.step(epoch=7, now=NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stage_epochs": [1, 9]}, "later than the rollout"),
        ({"stage_epochs": [3, 2]}, "not in order"),
        ({"stage_epochs": [2, 2]}, "not in order"),
        ({"stage_epochs": [0]}, r"stage_epochs.*from 1 to"),
        ({"stage_epochs": [True]}, "wrong type"),
        ({"stage_epochs": [1, 2, 3, 4, 4]}, "too long"),
        ({"plan": {"stages": []}}, "must reach everybody"),
        ({"stage_since": "soon"}, "an instant"),
    ],
)
def test_no_progress(changes: dict[str, Json], words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read_progress(_with(**changes))
