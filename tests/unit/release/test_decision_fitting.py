"""Rule 5 of the decision: which offers fit a machine and what its owner wants."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lockgate_release.capabilities import PYTHON_WHEELS, archive_capability
from lockgate_release.decision import Leave, Obstacle, Quarantine
from lockgate_release.documents import Install, PythonWheels, Remedy, Requirements
from lockgate_release.names import ChannelName, Platform
from tests.unit.release.builders import NOW, STABLE, artifact, client, release, revocation, trusted
from tests.unit.release.deciding import MIDDLE, NEW, OLD, decide_between, held, offered

WITH_WHEELS = frozenset({archive_capability("tar.gz"), PYTHON_WHEELS})


def test_rule_5_a_revoked_release_does_not_fit() -> None:
    for remedy in Remedy:
        decision = decide_between([NEW], revoked=(revocation("2.0.0", remedy),))
        assert held(decision) is Obstacle.REVOKED
        assert held(
            decide_between([NEW], client("1.0.0", known_revocations={"2.0.0": remedy}))
        ) is (Obstacle.REVOKED)


def test_rule_5_a_release_whose_revocation_was_lifted_fits() -> None:
    known = client("1.0.0", known_revocations={"2.0.0": Remedy.REPLACE})
    assert offered(decide_between([trusted("2.0.0", lifted=[STABLE])], known)) == "2.0.0"


@pytest.mark.parametrize(
    ("signed", "remembered", "fits"),
    [
        ("", "", True),
        ("2.0.0", "", True),
        ("", "2.0.0", True),
        ("2.0.1", "", False),
        ("", "2.0.1", False),
        ("1.0.0", "2.0.1", False),
        ("2.0.1", "1.0.0", False),
    ],
)
def test_rule_5_a_release_below_the_floor_does_not_fit(
    signed: str, remembered: str, fits: bool
) -> None:
    decision = decide_between(
        [trusted("2.0.0", floor=signed)], client("1.0.0", known_floor=remembered)
    )
    if fits:
        assert offered(decision) == "2.0.0"
    else:
        assert held(decision) is Obstacle.BELOW_FLOOR
        assert "below the floor 2.0.1" in str(decision)


def test_rule_5_the_floor_holds_for_the_first_installation_and_for_leaving() -> None:
    low = trusted("1.0.0", floor="1.5.0")
    assert held(decide_between([low], client(""))) is Obstacle.BELOW_FLOOR
    decision = decide_between([low], client("2.0.0"), revoked=(revocation("2.0.0"),))
    assert isinstance(decision, Leave)
    assert decision.target is None


def test_rule_5_the_floor_of_another_channel_does_not_count() -> None:
    floors = {ChannelName("beta"): "9.0.0"}
    found = replace(NEW, entry=replace(NEW.entry, floors=floors))
    assert offered(decide_between([found])) == "2.0.0"


def test_rule_5_what_failed_here_is_not_tried_before_its_time() -> None:
    until = NOW + timedelta(hours=1)
    failed = client("1.0.0", quarantine=(Quarantine(sha256=NEW.sha256, until=until),))
    assert held(decide_between([NEW], failed)) is Obstacle.QUARANTINED
    over = client("1.0.0", quarantine=(Quarantine(sha256=NEW.sha256, until=NOW),))
    assert offered(decide_between([NEW], over)) == "2.0.0"
    other = client("1.0.0", quarantine=(Quarantine(sha256=OLD.sha256, until=until),))
    assert offered(decide_between([NEW], other)) == "2.0.0"


def test_rule_5_what_the_owner_skips_does_not_fit() -> None:
    assert (
        held(decide_between([NEW], client("1.0.0", skipped=frozenset({"2.0.0"}))))
        is Obstacle.SKIPPED
    )


def test_rule_5_only_what_the_owner_pinned_fits() -> None:
    assert held(decide_between([NEW], client("1.0.0", pinned="1.1.0"))) is Obstacle.NOT_PINNED
    assert offered(decide_between([NEW, MIDDLE], client("1.0.0", pinned="1.1.0"))) == "1.1.0"
    assert offered(decide_between([NEW], client("1.0.0", pinned="2.0.0"))) == "2.0.0"


def test_rule_5_a_release_without_an_artifact_for_this_platform_does_not_fit() -> None:
    macos = client("1.0.0", platform=Platform("macos-aarch64"))
    assert held(decide_between([NEW], macos)) is Obstacle.NO_ARTIFACT
    anywhere = release("2.0.0", artifacts=(artifact(platform=Platform("any")),))
    assert offered(decide_between([trusted("2.0.0", document=anywhere)], macos)) == "2.0.0"


@pytest.mark.parametrize(
    ("requires", "python", "fits"),
    [
        (">=3.12", "3.12.1", True),
        (">=3.12", "3.11.7", False),
        ("nonsense", "3.11.7", False),
        ("", "3.11.7", True),
        (">=3.12", "", True),
    ],
)
def test_rule_5_wheels_for_another_python_do_not_fit(
    requires: str, python: str, fits: bool
) -> None:
    install = Install(python=PythonWheels(wheels="wheels", requires=requires))
    able = client("1.0.0", python=python, capabilities=WITH_WHEELS)
    decision = decide_between([trusted("2.0.0", document=release("2.0.0", install=install))], able)
    if fits:
        assert offered(decision) == "2.0.0"
    else:
        assert held(decision) is Obstacle.LACKS_CAPABILITY
        assert f"needs Python {requires}, and this updater runs with {python}" in str(decision)


def test_rule_5_what_this_updater_cannot_do_is_said() -> None:
    document = release(
        "2.0.0",
        artifacts=(artifact(kind="tar.zst"),),
        requires=Requirements(capabilities=("delta/some",)),
    )
    decision = decide_between([trusted("2.0.0", document=document)])
    assert held(decision) is Obstacle.LACKS_CAPABILITY
    wanted = "archive/tar.zst, delta/some (install lockgate-updater[zstd])"
    assert wanted in str(decision)
    able = client(
        "1.0.0", capabilities=frozenset({archive_capability("tar.zst"), "delta/some", "more"})
    )
    assert offered(decide_between([trusted("2.0.0", document=document)], able)) == "2.0.0"


@pytest.mark.parametrize(("installed", "fits"), [("1.0.0", False), ("1.1.0", True), ("", True)])
def test_rule_5_a_release_out_of_reach_does_not_fit(installed: str, fits: bool) -> None:
    document = release("2.0.0", requires=Requirements(from_version="1.1.0"))
    decision = decide_between([trusted("2.0.0", document=document)], client(installed))
    if fits:
        assert offered(decision) == "2.0.0"
    else:
        assert held(decision) is Obstacle.NEEDS_STEPPING_STONE
        assert "from 1.1.0 or later" in str(decision)


def test_rule_5_a_stepping_stone_that_is_offered_is_taken() -> None:
    document = release("2.0.0", requires=Requirements(from_version="1.1.0"))
    assert offered(decide_between([trusted("2.0.0", document=document), MIDDLE])) == "1.1.0"
