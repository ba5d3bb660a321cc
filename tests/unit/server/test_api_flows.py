"""The API over HTTP: what CI and maintainers do, from the first key to the last revocation."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Key

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Remedy
from lockgate_release.names import AppName, ChannelName, Platform
from lockgate_release.reports import Active
from lockgate_release.requests import PublishRequest, RevokeRequest
from lockgate_server.ports.reports import Admitted
from tests.simulators.bare_sender import Sender
from tests.simulators.publisher import Build
from tests.simulators.server_scene import Client, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(folder=tmp_path)


@pytest.fixture
def api(scene: Scene) -> Client:
    return scene.api()


def register(scene: Scene, api: Client) -> dict[str, Any]:
    said = api("POST", "/apps/demo/online-key").get_json()
    request = scene.publisher.register(Key.from_dict(said["keyid"], dict(said["key"])))
    answer = api("PUT", "/apps/demo", request.to_json())
    assert answer.status_code == 201
    body: dict[str, Any] = answer.get_json()
    return body


def upload(api: Client, build: Build) -> None:
    for sha256, data in build.artifacts.items():
        assert api("HEAD", f"/apps/demo/artifacts/{sha256}").status_code == 404
        answer = Sender(api, data).deliver()
        assert (answer.status_code, answer.get_json()["size"]) == (201, len(data))
        assert Sender(api, data).deliver().status_code == 200
        head = api("HEAD", f"/apps/demo/artifacts/{sha256}")
        assert (head.status_code, head.content_length) == (200, len(data))


def publish(scene: Scene, api: Client, version: str, **how: Any) -> dict[str, Any]:
    build = scene.publisher.build(version, notes=f"What is new in {version}")
    upload(api, build)
    request = scene.publisher.publish(scene.look().chain, build, **how)
    answer = api("POST", "/apps/demo/publish", request.to_json())
    assert answer.status_code == 200, answer.get_json()
    body: dict[str, Any] = answer.get_json()
    return body


def test_register_publish_roll_out_pause_revoke_and_publish_again(
    scene: Scene, api: Client
) -> None:
    registered = register(scene, api)
    assert (registered["app"], registered["root_version"], registered["releases"]) == ("demo", 1, 0)
    assert registered["warnings"] == []

    first = publish(scene, api, "1.0.0")
    assert (first["changed"], first["releases_version"]) == (True, 2)
    assert first["offer"]["rollout"]["exposure_bp"] == 10_000

    publish(scene, api, "1.1.0", exposure_bp=1_000)
    assert scene.look().offers() == [("1.1.0", 1_000), ("1.0.0", 10_000)]

    rollout = "/apps/demo/channels/stable/rollouts/1.1.0"
    wider = api("PATCH", rollout, {"action": "set", "exposure_bp": 5_000, "expected_epoch": 1})
    assert wider.get_json()["rollout"]["epoch"] == 2
    late = api("PATCH", rollout, {"action": "set", "exposure_bp": 10_000, "expected_epoch": 1})
    assert late.status_code == 409
    assert late.get_json()["found"].startswith("epoch 2")
    narrower = api("PATCH", rollout, {"action": "set", "exposure_bp": 100}).get_json()
    assert narrower["warnings"][0].startswith("narrowed from 50% to 1%")

    assert api("PATCH", rollout, {"action": "pause"}).get_json()["rollout"]["state"] == "paused"
    again = api("PATCH", rollout, {"action": "pause"}).get_json()
    assert not again["changed"]
    assert api("PATCH", rollout, {"action": "resume"}).get_json()["rollout"]["state"] == "active"
    api("PATCH", rollout, {"action": "set", "exposure_bp": 10_000})
    assert scene.look().offers() == [("1.1.0", 10_000)]

    revoke = RevokeRequest(version="1.1.0", reason="it eats files").to_json()
    revoked = api("POST", "/apps/demo/revocations", revoke).get_json()
    assert revoked == {
        "revoked_in": ["stable"],
        "offered_in": {"stable": 10_000},
        "goes_to": {"stable": "1.0.0"},
        "check_interval_s": {"stable": 3600},
        "cached_s": 60,
        "clients": None,
        "warnings": [],
        "changed": True,
        "would_change": True,
    }
    assert not api("POST", "/apps/demo/revocations", revoke).get_json()["changed"]
    assert scene.look().offers() == [("1.0.0", 10_000)]

    publish(scene, api, "1.2.0")
    assert scene.look().offers() == [("1.2.0", 10_000)]
    assert scene.look().revoked() == ["1.1.0"]


def test_the_status_says_what_every_channel_offers_and_when_each_role_expires(
    scene: Scene, api: Client
) -> None:
    register(scene, api)
    publish(scene, api, "1.0.0")
    status = api("GET", "/apps/demo").get_json()
    assert status["timestamp_version"] == 2
    assert status["roles"]["timestamp"] == {
        "version": 2,
        "expires_at": "2026-02-07T08:00:00Z",
        "fraction_left_bp": 10_000,
    }
    (channel,) = status["channels"]
    assert channel["channel"] == "stable"
    assert channel["sequence"] == 1
    assert channel["once_full"] == ["1.0.0"]
    assert channel["offers"][0]["version"] == "1.0.0"
    assert api("GET", "/apps").get_json() == {
        "apps": [
            {
                "app": "demo",
                "root_version": 1,
                "timestamp_version": 2,
                "releases": 1,
                "channels": ["stable"],
                "offered": {"stable": ["1.0.0"]},
                "first_to_expire": {"role": "timestamp", "expires_at": "2026-02-07T08:00:00Z"},
                "pending": 0,
                "awaited": 0,
            }
        ]
    }


def test_the_status_warns_at_a_third_left_and_of_a_silent_channel(
    scene: Scene, api: Client
) -> None:
    register(scene, api)
    publish(scene, api, "1.0.0")
    api("POST", "/apps/demo/revocations", {"version": "1.0.0", "reason": "bad"})
    scene.now += timedelta(days=121)
    warnings = api("GET", "/apps/demo").get_json()["warnings"]
    assert warnings[0].startswith("releases expires at 2026-07-30T08:00:00Z: lockgate renew")
    assert warnings[1:] == ["channel stable offers nothing"]


def test_releases_are_listed_newest_first_with_where_they_are_offered(
    scene: Scene, api: Client
) -> None:
    register(scene, api)
    publish(scene, api, "1.9.0", floors={"stable": "1.9.0"})
    publish(scene, api, "1.10.0", exposure_bp=1_000)
    listed = api("GET", "/apps/demo/releases").get_json()["releases"]
    assert [one["version"] for one in listed] == ["1.10.0", "1.9.0"]
    assert listed[0] == {
        "version": "1.10.0",
        "path": "releases/1.10.0/release.json",
        "channels": ["stable"],
        "floor": {"stable": "1.9.0"},
        "offered_in": {"stable": 1_000},
        "revoked_in": [],
    }
    shown = api("GET", "/apps/demo/releases/1.10.0").get_json()
    assert shown["document"]["version"] == "1.10.0"
    assert shown["extras"]["notes"] == "What is new in 1.10.0"
    missing = api("GET", "/apps/demo/releases/3.0.0")
    assert (missing.status_code, missing.get_json()["code"]) == (404, "not-found")


def test_what_clients_use_is_told_by_the_day_for_a_week(scene: Scene, api: Client) -> None:
    register(scene, api)
    publish(scene, api, "1.0.0")
    for back, version in ((0, "1.0.0"), (2, "0.9.0"), (7, "0.8.0")):
        now = scene.now - timedelta(days=back)
        report = Active(
            channel=ChannelName("stable"),
            version=version,
            platform=Platform("any"),
            last_counted=None,
        )
        admitted = Admitted(app=AppName("demo"), report=report, until=now + timedelta(days=2))
        scene.reports.add([admitted, admitted], {}, now=now)
    days = api("GET", "/apps/demo/installed").get_json()["days"]
    today = scene.now.date()
    assert [(day["day"], day["counts"][0]["version"]) for day in days] == [
        (today.isoformat(), "1.0.0"),
        ((today - timedelta(days=2)).isoformat(), "0.9.0"),
    ]
    assert days[0]["counts"][0] == {
        "channel": "stable",
        "version": "1.0.0",
        "platform": "any",
        "clients": 2,
    }
    assert api("GET", "/apps/other/installed").status_code == 404


def test_a_release_without_extras_is_shown_too(scene: Scene, api: Client) -> None:
    register(scene, api)
    build = scene.publisher.build("1.0.0")
    upload(api, build)
    request = scene.publisher.publish(scene.look().chain, build)
    assert api("POST", "/apps/demo/publish", request.to_json()).status_code == 200
    targets = dict(scene.look().chain.releases.signed.targets)
    del targets["releases/1.0.0/extras.json"]
    releases = scene.publisher.sign_releases(scene.look().chain, targets)
    answer = api("POST", "/apps/demo/publish", PublishRequest(releases=releases).to_json())
    assert answer.status_code == 200
    assert api("GET", "/apps/demo/releases/1.0.0").get_json()["extras"] == {}


def test_the_audit_log_names_who_did_what_and_with_which_request(scene: Scene, api: Client) -> None:
    register(scene, api)
    publish(scene, api, "1.0.0")
    api(
        "POST",
        "/apps/demo/revocations",
        {"version": "1.0.0", "reason": "it eats files"},
        headers={"X-Request-Id": "ticket-42", "X-Operation-Id": "ci-7"},
    )
    entries = api("GET", "/apps/demo/audit?limit=2").get_json()["entries"]
    assert [(one["action"], one["outcome"]) for one in entries] == [
        ("revoke", "done"),
        ("publish", "done"),
    ]
    assert entries[0]["actor"].startswith("ci (")
    assert entries[0]["request_id"] == "ticket-42"
    assert [one["operation_id"] for one in entries] == ["ci-7", ""]
    assert entries[0]["details"]["reason"] == "it eats files"
    assert entries[0]["timestamp_sha256"] == digest_bytes(scene.look().chain.timestamp.data)


@pytest.mark.parametrize("limit", ["0", "1001", "many", "-1", "1.5", "٣"])
def test_a_limit_that_is_none_is_refused(scene: Scene, api: Client, limit: str) -> None:
    register(scene, api)
    assert api("GET", f"/apps/demo/audit?limit={limit}").status_code == 400


def test_the_same_registration_again_is_told_how_it_stands(scene: Scene, api: Client) -> None:
    said = api("POST", "/apps/demo/online-key").get_json()
    request = scene.publisher.register(Key.from_dict(said["keyid"], dict(said["key"])))
    assert api("POST", "/apps/demo/online-key").get_json() == said
    assert api("PUT", "/apps/demo", request.to_json()).status_code == 201
    assert api("PUT", "/apps/demo", request.to_json()).status_code == 200
    assert api("POST", "/apps/demo/online-key").status_code == 409


def test_another_root_is_a_conflict(scene: Scene, api: Client) -> None:
    register(scene, api)
    other = Scene(folder=scene.folder)
    key = scene.deps().keys.create(scene.app)
    answer = api("PUT", "/apps/demo", other.publisher.register(key).to_json())
    assert answer.status_code == 409
    assert "another root" in answer.get_json()["detail"]


def test_metadata_is_renewed_over_the_api(scene: Scene, api: Client) -> None:
    register(scene, api)
    for role in ("targets", "releases", "root"):
        request = scene.publisher.renew(scene.look().chain, role)
        answer = api("POST", "/apps/demo/metadata", request.to_json())
        assert answer.get_json()["version"] == 2
        again = api("POST", "/apps/demo/metadata", request.to_json())
        assert again.get_json() == answer.get_json()
    sight = scene.look()
    assert sight.chain.root.version == 2
    assert scene.highest().root == 2


def test_revoking_in_one_channel_leaves_the_others(scene: Scene, api: Client) -> None:
    register(scene, api)
    publish(scene, api, "1.0.0", channels=["stable", "beta"])
    scene.send(scene.publisher.offer("1.0.0", "beta"))
    request = RevokeRequest(
        version="1.0.0",
        reason="bad",
        remedy=Remedy.LAST_GOOD,
        channels=(ChannelName("beta"),),
    )
    answer = api("POST", "/apps/demo/revocations", request.to_json()).get_json()
    assert answer["revoked_in"] == ["beta"]
    assert answer["goes_to"] == {"beta": None}
    assert "channel beta is left empty" in answer["warnings"][0]
    assert scene.look().offers() == [("1.0.0", 10_000)]


def test_a_revocation_reaches_a_channel_in_which_the_release_was_never_offered(
    scene: Scene, api: Client
) -> None:
    register(scene, api)
    publish(scene, api, "1.0.0", channels=["stable", "beta"])
    answer = api("POST", "/apps/demo/revocations", {"version": "1.0.0", "reason": "bad"})
    assert answer.get_json()["revoked_in"] == ["beta", "stable"]
    assert scene.look().revoked("beta") == ["1.0.0"]


def test_revoking_what_is_retired_says_so(scene: Scene, api: Client) -> None:
    register(scene, api)
    publish(scene, api, "1.0.0")
    publish(scene, api, "1.1.0")
    scene.send(scene.publisher.retire(scene.look().chain, "1.0.0"))
    answer = api("POST", "/apps/demo/revocations", {"version": "1.0.0", "reason": "bad"})
    assert answer.get_json()["warnings"] == ["1.0.0 is not a live release: nothing offers it"]
    assert scene.look().revoked() == ["1.0.0"]


def test_revoking_with_nowhere_to_revoke_is_not_found(scene: Scene, api: Client) -> None:
    register(scene, api)
    none = api("POST", "/apps/demo/revocations", {"version": "1.0.0", "reason": "bad"})
    assert none.status_code == 404
    publish(scene, api, "1.0.0")
    body = {"version": "1.0.0", "reason": "bad", "channels": ["nightly"]}
    assert api("POST", "/apps/demo/revocations", body).status_code == 404


def test_a_rollout_in_a_channel_that_does_not_exist_is_not_found(scene: Scene, api: Client) -> None:
    register(scene, api)
    answer = api("PATCH", "/apps/demo/channels/beta/rollouts/1.0.0", {"action": "pause"})
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not-found")
