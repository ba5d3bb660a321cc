"""What reports are held against, where what is in force is strange."""

from dataclasses import replace
from pathlib import Path

from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_server.services.reports.in_force import View
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.changing import Plan, change_app
from lockgate_server.services.write.composing import Change
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene


def _with_strange_plan(base: Base) -> Plan[None]:
    document = base.channels[STABLE]
    offers = tuple(
        offer.with_rollout(replace(offer.rollout, progress={"plan": {"newer": True}}))
        if offer.version == "1.1.0"
        else offer
        for offer in document.offers
    )
    strange = replace(document, offers=offers)
    return Plan(change=Change(action="strange", details={}, channels=(strange,)), answer=None)


def test_a_plan_that_cannot_be_read_keeps_nobody_from_being_heard(tmp_path: Path) -> None:
    scene = Scene(folder=tmp_path)
    scene.register()
    scene.publish("1.0.0")
    scene.publish("1.1.0", exposure_bp=1_000)
    change_app(scene.deps(), APP, CALLER, _with_strange_plan)
    there = View(scene.store, scene.ledger, lambda: 0.0).of(APP)
    assert there is not None
    assert there.lines.keys() == {(STABLE, "1.0.0"), (STABLE, "1.1.0")}
    assert there.lines[STABLE, "1.1.0"].window.total_seconds() == DEFAULT_PLAN.window_s
