"""Rollouts by plan, as maintainers type them, against the real api app and the real job."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.errors import ExitCode
from lockgate_server.services.steer.steer import Steering
from lockgate_server.services.write.deps import Caller
from tests.simulators.fleet import FleetSimulator
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk

NEW = "1.1.0"
ON_STABLE = [APP, NEW, "--channel", "stable"]
PLAN = """
window = "2h"
ceiling = "50%"
[[stages]]
exposure = "10%"
dwell = "0s"
reports = 20
[[stages]]
exposure = "100%"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """1.0.0 for everybody."""
    with open_desk(tmp_path) as made:
        made.init()
        made.publish("1.0.0")
        yield made


@pytest.fixture
def fleet() -> FleetSimulator:
    return FleetSimulator(app=APP, version=NEW)


def _write_plan(desk: ReleaseDesk, text: str = PLAN, name: str = "quick.toml") -> str:
    (desk.folder / name).write_text(text)
    return name


def _steer(desk: ReleaseDesk) -> list[str]:
    """Do what the server's worker does each minute."""
    steps = Steering(caller=Caller(actor="worker"))(desk.server.write_deps(), APP)
    return [step.action for step in steps]


def test_a_good_release_reaches_everybody_and_people_see_why(
    desk: ReleaseDesk, fleet: FleetSimulator
) -> None:
    plan = _write_plan(desk, "worst_ratio_percent = 1500\n" + PLAN)
    said = desk.publish(NEW, "--plan", plan).err
    assert "stable offers 1.1.0 by the plan quick: 10% > 100% of its clients" in said
    assert desk.offers() == {NEW: 1_000, "1.0.0": 10_000}
    fleet.tell(desk.server.reports, canaries=(60, 3), control=(540, 54), now=desk.server.now)
    assert _steer(desk) == []
    shown = desk.person.must("rollout", "show", APP, NEW).out
    assert "1.1.0 in stable: 10%, active, epoch 1" in shown
    assert "active, stage 1 of 2" in desk.person.must("status").out
    assert "plan       quick: 10% > 100%" in shown
    assert "canary     60 enrolled, 0 have had their time" in shown
    assert "hold (few-reports)" in shown
    desk.pass_time(hours=4)
    detail = desk.person.must("rollout", "show", APP, NEW, "--json").json()["rollouts"][0]
    evidence = detail["verdict"]["evidence"]
    assert (evidence["canary"]["closed"], evidence["canary"]["bad"]) == (60, 3)
    assert _steer(desk) == ["widen"]
    assert desk.offers() == {NEW: 10_000}
    entry = desk.person.must("audit", "--json").json()["entries"][0]
    assert (entry["actor"], entry["action"]) == ("worker", "rollout.widen")
    assert entry["details"]["evidence"] == evidence


def test_a_fleet_that_is_too_small_is_told_so_in_a_sentence(
    desk: ReleaseDesk, fleet: FleetSimulator
) -> None:
    desk.publish(NEW, "--plan", _write_plan(desk))
    fleet.tell(desk.server.reports, canaries=(30, 1), control=(270, 5), now=desk.server.now)
    desk.pass_time(hours=4)
    fleet.tell(desk.server.reports, canaries=(1, 0), control=(9, 0), now=desk.server.now)
    assert _steer(desk) == []
    shown = desk.person.must("rollout", "show", APP, NEW).out
    assert "hold (not-proven)" in shown
    assert "to rule out that they fare 2 times as badly takes about" in shown
    assert "a person must decide" in shown
    finished = desk.person.must("rollout", "finish", *ON_STABLE, "--reason", "we are few")
    assert "100%, active" in finished.out
    assert desk.offers() == {NEW: 10_000}


def test_a_bad_release_is_halted_and_goes_on_only_anyway_and_with_a_reason(
    desk: ReleaseDesk, fleet: FleetSimulator
) -> None:
    desk.publish(NEW, "--rollout", "canary")
    fleet.tell(desk.server.reports, canaries=(60, 50), control=(540, 10), now=desk.server.now)
    assert _steer(desk) == ["halt"]
    assert "was halted by its plan (above-ceiling)" in desk.person.must("status").err
    shown = desk.person.must("rollout", "show", APP, NEW).out
    assert "1%, halted, epoch 2" in shown
    assert "stopped by its plan: above-ceiling" in shown
    resume = ["rollout", "resume", *ON_STABLE]
    desk.person.must_end(ExitCode.USAGE, resume, "stopped by evidence")
    desk.person.must_end(ExitCode.USAGE, [*resume, "--anyway"], "--reason too")
    assert "1%, active, epoch 3" in desk.person.must(*resume, "--anyway", "--reason", "ours").out
    entry = desk.person.must("audit", "--json").json()["entries"][0]
    assert (entry["details"]["why"], entry["details"]["anyway"]) == ("ours", True)


def test_a_named_plan_of_the_channel_goes_before_the_common_one(desk: ReleaseDesk) -> None:
    settings = desk.folder / "lockgate.toml"
    settings.write_text(
        settings.read_text()
        + '\n[plans.careful]\napproval = "each"\n'
        + '\n[channels.stable.plans.careful]\nbeta = "0.5%"\napproval = "last"\n'
    )
    desk.publish(NEW, "--rollout", "careful")
    shown = desk.person.must("rollout", "show", APP, NEW, "--json").json()["rollouts"][0]
    plan = shown["rollout"]["progress"]["plan"]
    assert (plan["approval"], plan["beta"]) == ("last", "0.5%")
    assert shown["steering"]["name"] == "careful"


def test_who_approves_too_late_does_not_approve_the_step_after(
    desk: ReleaseDesk, fleet: FleetSimulator
) -> None:
    stages = PLAN.replace('exposure = "100%"', 'exposure = "50%"\ndwell = "0s"\nreports = 20')
    stages += '\n[[stages]]\nexposure = "100%"\n'
    plan = _write_plan(desk, 'worst_ratio_percent = 1500\napproval = "each"\n' + stages)
    desk.publish(NEW, "--plan", plan)
    assert "approves with --expect-epoch 1" in desk.person.must("rollout", "show", APP, NEW).out
    approve = ["rollout", "approve", *ON_STABLE, "--expect-epoch", "1"]
    desk.person.must(*approve)
    fleet.tell(desk.server.reports, canaries=(60, 3), control=(540, 54), now=desk.server.now)
    desk.pass_time(hours=4)
    assert _steer(desk) == ["widen"]
    desk.person.must_end(ExitCode.CONFLICT, approve, "epoch 2")
    assert "approves with --expect-epoch 2" in desk.person.must("rollout", "show", APP, NEW).out


def test_a_plan_may_start_later(desk: ReleaseDesk) -> None:
    start_at = (desk.person.now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    desk.publish(NEW, "--rollout", "canary", "--start-at", start_at)
    assert desk.offers() == {NEW: 0, "1.0.0": 10_000}
    assert f"starts at {start_at}" in desk.person.must("rollout", "show", APP, NEW).out
    desk.pass_time(days=1)
    assert _steer(desk) == ["start"]
    assert desk.offers()[NEW] == 100


def test_publishing_once_more_changes_no_plan_and_no_stage(desk: ReleaseDesk) -> None:
    desk.publish(NEW, "--rollout", "canary")
    again = desk.publish(NEW, "--rollout", "canary", "--json").json()
    assert (again["changed"], again["offers"]) == (False, [])
    words = "already offered, by another plan"
    desk.refuse(ExitCode.USAGE, NEW, "--plan", _write_plan(desk), words=words)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ('[[stages]]\nexposure = "-1%"\n', "exposure"),
        ('[[stages]]\nexposure = "101%"\n', "exposure"),
        ("[[stages]]\nexposure = 0.1\n", "in quotes"),
        ("[[stages]]\nexposure = nan\n", "in quotes"),
        ('[[stages]]\nexposure = "5%"\n[[stages]]\nexposure = "1%"\n', "never narrows"),
        ('[[stages]]\nexposure = "5%"\n', "reach everybody"),
        ('alhpa = "1%"\n', "no such field of a plan"),
        ("stages = 7\n", "stages"),
        ("[[", "not TOML"),
    ],
)
def test_no_plan_is_refused_before_anything_is_sent(
    desk: ReleaseDesk, plan: str, words: str
) -> None:
    desk.refuse(ExitCode.USAGE, NEW, "--plan", _write_plan(desk, plan), words=words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rollout", "none-such"), "no such plan"),
        (("--rollout", "canary", "--plan", "x.toml"), "two plans"),
        (("--rollout", "canary", "--exposure", "5%"), "its own exposures"),
        (("--start-at", "2026-02-01T00:00:00Z"), "only a plan starts at a time"),
        (("--rollout", "canary", "--start-at", "tomorrow"), "not an instant"),
        (("--plan", "none.toml"), "no such file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    desk: ReleaseDesk, options: tuple[str, ...], words: str
) -> None:
    desk.refuse(ExitCode.USAGE, NEW, *options, words=words)


def test_a_plan_in_json_is_the_same_plan(desk: ReleaseDesk) -> None:
    plan = _write_plan(desk, '{"approval": "last"}', "last.json")
    desk.publish(NEW, "--plan", plan)
    table = desk.person.must("rollout", "show", APP).out
    assert "last" in table
    desk.refuse(
        ExitCode.USAGE,
        "1.2.0",
        "--plan",
        _write_plan(desk, '{"approval": "last", "approval": "each"}', "twice.json"),
        words="duplicate key",
    )


def test_a_hand_on_the_exposure_ends_the_plan_and_says_so(desk: ReleaseDesk) -> None:
    desk.publish(NEW, "--rollout", "canary")
    changed = ["rollout", "set", *ON_STABLE, "--exposure", "30%"]
    dry = desk.person.must(*changed, "--dry-run")
    assert "Nothing was done" in dry.err
    assert desk.offers()[NEW] == 100
    assert "follows no plan any more" in desk.person.must(*changed).err
    assert "none: a person steers it" in desk.person.must("rollout", "show", APP, NEW).out
    planned = desk.person.must("rollout", "plan", *ON_STABLE, "--rollout", "canary")
    assert "100%, active, epoch 3" in planned.out


def test_a_plan_that_is_given_later_waits_for_its_time(desk: ReleaseDesk) -> None:
    desk.publish(NEW, "--exposure", "3%")
    plan = ["rollout", "plan", *ON_STABLE, "--rollout", "canary"]
    said = desk.person.must(*plan, "--start-at", "2026-02-02T09:00:00Z").out
    assert "3%, active, epoch 2" in said
    assert desk.offers()[NEW] == 300
    assert "2026-02-02T09:00:00Z" in desk.person.must("rollout", "show", APP, NEW).out
    refused = desk.person.must_end(ExitCode.USAGE, [*plan, "--start-at", "2036-02-02T09:00:00Z"])
    assert "starts too late" in refused.err


def test_a_promotion_follows_a_plan_too(desk: ReleaseDesk) -> None:
    promote = ["promote", APP, "1.0.0", "--from", "stable", "--to", "beta"]
    desk.person.must(*promote, "--rollout", "canary")
    assert desk.offers("beta") == {"1.0.0": 100}


def test_one_command_stops_everything_and_one_lets_it_go_on(desk: ReleaseDesk) -> None:
    desk.publish(NEW, "--rollout", "canary")
    dry = desk.person.must("stop", "--app", APP, "--reason", "fire", "--dry-run")
    assert "stable: stopped, 1.1.0 paused" in dry.out
    assert "1%, active" in desk.person.must("rollout", "show", APP, NEW).out
    assert "1.1.0 paused" in desk.person.must("stop", "--app", APP, "--reason", "fire").out
    shown = desk.person.must("rollout", "show", APP, NEW).out
    assert "1%, paused, epoch 2" in shown
    assert "stopped    since 2026-01-31T08:00:00Z: fire" in shown
    assert "channel stable is stopped" in desk.person.must("status").err
    desk.refuse(ExitCode.USAGE, "1.2.0", words="stopped")
    desk.refuse(ExitCode.USAGE, "1.2.0", "--channel", "beta", words="stopped")
    started = desk.person.must("start", "--app", APP, "--json").json()
    assert started["channels"] == [{"channel": "stable", "stopped": False}]
    assert "1%, active, epoch 3" in desk.person.must("rollout", "show", APP, NEW).out
    desk.person.must_end(ExitCode.USAGE, ["stop", "--app", APP, "--reason", " "], "no reason")
