"""What waits for approval: who is asked for what, and what nobody waits for any more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from lockgate_release.approval_requests import ApproveRequest
from lockgate_release.documents import ApprovalRule, ChannelPolicy, PolicyDocument
from lockgate_release.documents.approval import Approval
from lockgate_release.names import Sha256Hex
from lockgate_release.trust.approving import key_to_json, sign_approval
from lockgate_release.trust.key_names import with_name
from lockgate_release.trust.keys import generate_signer
from lockgate_server.services.write.approving import approve
from lockgate_server.services.write.awaited import describe_awaited
from lockgate_server.services.write.base import Base
from lockgate_server.services.write.pending_words import summarise_app
from lockgate_server.services.write.status import read_current
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, CALLER, STABLE, Scene
from tests.unit.server.test_openapi import check_calls

PEOPLE = {name: generate_signer() for name in ("ann", "bob", "cleo")}


def _rule(threshold: int) -> ChannelPolicy:
    named = [with_name(signer.public_key, name) for name, signer in PEOPLE.items()]
    keys = {key.keyid: key_to_json(key) for key in named}
    return ChannelPolicy(approvals=ApprovalRule(threshold=threshold, keys=keys))


def _approve(scene: Scene, version: str, signer: CryptoSigner) -> None:
    target = scene.look().chain.releases.signed.targets[f"releases/{version}/release.json"]
    plain = Approval(
        app=APP,
        channel=STABLE,
        version=version,
        release_sha256=Sha256Hex(target.hashes["sha256"]),
        approved_at=scene.now,
    )
    request = ApproveRequest(approval=sign_approval(plain, [signer]))
    approve(scene.deps(), APP, request, CALLER)


def _base(scene: Scene) -> Base:
    return read_current(scene.deps(), APP)


def _awaited(scene: Scene) -> list[tuple[str, str, int, list[str], list[str]]]:
    def names(people: Any) -> list[str]:
        return [person["name"] for person in people]

    return [
        (
            str(one["channel"]),
            str(one["version"]),
            int(str(one["missing"])),
            names(one["approved_by"]),
            names(one["lacking"]),
        )
        for one in describe_awaited(_base(scene), scene.now)
    ]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Two of three approve for stable, and nobody for beta; nothing is out."""
    policy = PolicyDocument(app=APP, channels={"stable": _rule(2), "beta": _rule(0)})
    scene = Scene(folder=tmp_path, publisher=PublisherSimulator(policy=policy))
    scene.register()
    return scene


def test_who_has_approved_and_who_may_yet_is_told(scene: Scene) -> None:
    scene.publish("1.0.0", offer=False)
    assert _awaited(scene) == [("stable", "1.0.0", 2, [], ["ann", "bob", "cleo"])]
    _approve(scene, "1.0.0", PEOPLE["bob"])
    assert _awaited(scene) == [("stable", "1.0.0", 1, ["bob"], ["ann", "cleo"])]
    summary = summarise_app(scene.deps(), APP)
    assert (summary["awaited"], summary["pending"]) == (1, 0)
    _approve(scene, "1.0.0", PEOPLE["ann"])
    assert _awaited(scene) == [("stable", "1.0.0", 0, ["ann", "bob"], ["cleo"])]
    assert summarise_app(scene.deps(), APP)["awaited"] == 0
    scene.send(scene.publisher.offer("1.0.0", STABLE))
    assert _awaited(scene) == []


def test_what_is_older_than_an_offer_or_revoked_waits_for_nobody(scene: Scene) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0", "4.0.0"):
        scene.publish(version, offer=False)
    for name in ("ann", "bob"):
        _approve(scene, "2.0.0", PEOPLE[name])
    scene.send(scene.publisher.offer("2.0.0", STABLE))
    assert [one[1] for one in _awaited(scene)] == ["4.0.0", "3.0.0"]
    scene.revoke("3.0.0")
    assert [one[1] for one in _awaited(scene)] == ["4.0.0"]
    base = _base(scene)
    ended = replace(base.channels[STABLE], retire_at=scene.now)
    over = replace(base, channels={STABLE: ended})
    assert describe_awaited(over, scene.now) == []


def test_where_nobody_needs_to_approve_nothing_waits(scene: Scene) -> None:
    scene.publish("1.0.0", channels=["beta"], offer=False)
    assert _awaited(scene) == []


def test_the_answers_are_as_the_api_describes_them(scene: Scene) -> None:
    scene.publish("1.0.0", offer=False)
    _approve(scene, "1.0.0", PEOPLE["bob"])
    scene.reports.note_waiting(3, now=scene.now)
    api = scene.api()
    document = api("GET", "/openapi.json").get_json()
    check_calls(api, document, [("GET", "/apps/demo", "/apps/{app}", None)])
    check_calls(api, document, [("GET", "/apps", "/apps", None)])
    assert api("GET", "/apps/demo").get_json()["reports_waiting"] == 3
