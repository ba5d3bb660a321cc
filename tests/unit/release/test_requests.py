"""Requests: what the command line says is what the server reads, and nothing else is taken."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate_release.ceremony_requests import CeremonyOutcome, CeremonyRequest
from lockgate_release.documents import Remedy
from lockgate_release.errors import DocumentError
from lockgate_release.names import ChannelName
from lockgate_release.requests import (
    OfferRequest,
    PublishRequest,
    RegisterRequest,
    RenewRequest,
    RevokeRequest,
)
from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_release.steering_requests import (
    ChosenPlan,
    RolloutAction,
    RolloutRequest,
    StartRequest,
    StopRequest,
)
from lockgate_release.strict_json import dump_json

STABLE = ChannelName("stable")
GOOD: list[Any] = [
    RegisterRequest(root=b"\x00r", targets=b"t", releases=b"", documents={"policy.json": b"{}"}),
    RegisterRequest(root=b"r", targets=b"t", releases=b"l", documents={}),
    CeremonyRequest(root=b"r"),
    CeremonyRequest(targets=b"t", releases=b"l", documents={"policy.json": b"{}"}, dry_run=True),
    PublishRequest(),
    PublishRequest(
        releases=b"l",
        documents={"a/b": b"\xff" * 100},
        offer=OfferRequest(channel=STABLE, version="1.0.0", exposure_bp=10),
    ),
    PublishRequest(
        offer=OfferRequest(
            channel=STABLE,
            version="1.0.0",
            chosen=ChosenPlan(
                plan=DEFAULT_PLAN, name="canary", start_at=datetime(2026, 1, 31, tzinfo=UTC)
            ),
        )
    ),
    RolloutRequest(action=RolloutAction.SET, exposure_bp=2500, expected_epoch=3),
    RolloutRequest(action=RolloutAction.PAUSE),
    RolloutRequest(action=RolloutAction.RESUME, expected_epoch=1),
    RolloutRequest(action=RolloutAction.RESUME, anyway=True, reason="a sensor lied"),
    RolloutRequest(action=RolloutAction.PLAN, chosen=ChosenPlan(plan=DEFAULT_PLAN), dry_run=True),
    StopRequest(reason="fire"),
    StopRequest(reason="fire", channel=STABLE, dry_run=True),
    StartRequest(),
    StartRequest(channel=STABLE, reason="it was a drill"),
    RevokeRequest(version="1.0.0", reason="it burns\nbadly"),
    RevokeRequest(
        version="1.0.0", reason="x", remedy=Remedy.BLOCK_NEW, channels=(STABLE, ChannelName("b"))
    ),
    RenewRequest(role="root", metadata=b"m"),
    RenewRequest(role="releases", metadata=b"m", documents={"policy.json": b"{}"}),
]


@pytest.mark.parametrize("request_", GOOD, ids=lambda found: type(found).__name__)
def test_what_is_said_is_what_is_read(request_: Any) -> None:
    assert type(request_).parse(dump_json(request_.to_json())) == request_


def test_only_set_carries_a_share() -> None:
    body = {"action": "pause", "exposure_bp": 2500}
    assert RolloutRequest.parse(json.dumps(body).encode()).exposure_bp == 0


REGISTER = {"root": "cg==", "targets": "cg==", "releases": "cg=="}
OFFER = {"channel": "stable", "version": "1.0.0", "exposure_bp": 1}
REVOKE = {"version": "1.0.0", "reason": "x"}
BAD: list[tuple[Any, dict[str, Any], str]] = [
    (RegisterRequest, {}, "root: missing"),
    (RegisterRequest, {**REGISTER, "root": 1}, "root: wrong type"),
    (RegisterRequest, {**REGISTER, "root": "cg="}, "root: wrong value; expected base64"),
    (RegisterRequest, {**REGISTER, "root": "c g=="}, "root: wrong value; expected base64"),
    (
        RegisterRequest,
        {**REGISTER, "root": "\u00e9\u00e9\u00e9="},
        "root: wrong value; expected base64",
    ),
    (RegisterRequest, {**REGISTER, "documents": []}, "documents: wrong type"),
    (RegisterRequest, {**REGISTER, "documents": {"a": 1}}, "documents.a: wrong type"),
    (RegisterRequest, {**REGISTER, "documents": {"a": "?"}}, "documents.a: wrong value"),
    (PublishRequest, {"documents": {str(n): "" for n in range(1001)}}, "documents: too many"),
    (PublishRequest, {"releases": 7}, "releases: wrong type"),
    (PublishRequest, {"offer": []}, "offer: wrong type"),
    (PublishRequest, {"offer": {**OFFER, "channel": "A"}}, "offer.channel: wrong value"),
    (PublishRequest, {"offer": {**OFFER, "version": "a/b"}}, "offer.version: wrong value"),
    (PublishRequest, {"offer": {**OFFER, "exposure_bp": 10_001}}, "offer.exposure_bp: out of"),
    (PublishRequest, {"offer": {"channel": "a", "version": "1"}}, "offer.exposure_bp: missing"),
    (RolloutRequest, {"action": "stop"}, "action: wrong value; expected one of set, pause"),
    (RolloutRequest, {"action": "plan"}, "chosen: missing"),
    (RolloutRequest, {"action": "plan", "chosen": {"plan": 1}}, "chosen.plan: wrong type"),
    (RolloutRequest, {"action": "resume", "anyway": True}, "reason: missing"),
    (RolloutRequest, {"action": "resume", "anyway": True, "reason": " "}, "reason: wrong value"),
    (StopRequest, {}, "reason: missing"),
    (StopRequest, {"reason": "\n"}, "reason: wrong value"),
    (StartRequest, {"channel": "A"}, "channel: wrong value"),
    (RolloutRequest, {"action": "set"}, "exposure_bp: missing"),
    (RolloutRequest, {"action": "set", "exposure_bp": True}, "exposure_bp: wrong type"),
    (RolloutRequest, {"action": "pause", "expected_epoch": -1}, "expected_epoch: out of range"),
    (RevokeRequest, {**REVOKE, "reason": ""}, "reason: wrong value"),
    (RevokeRequest, {**REVOKE, "reason": " \n\t"}, "reason: wrong value"),
    (RevokeRequest, {**REVOKE, "reason": "x" * 1001}, "reason: too long"),
    (RevokeRequest, {**REVOKE, "version": "../1"}, "version: wrong value"),
    (RevokeRequest, {**REVOKE, "remedy": "none"}, "remedy: wrong value"),
    (RevokeRequest, {**REVOKE, "channels": ["A"]}, "channels: wrong value"),
    (RevokeRequest, {**REVOKE, "channels": "stable"}, "channels: wrong type"),
    (RenewRequest, {"role": "snapshot", "metadata": ""}, "role: wrong value"),
    (RenewRequest, {"role": "root"}, "metadata: missing"),
    (CeremonyRequest, {"documents": {}}, "root: missing"),
    (CeremonyRequest, {"root": 1}, "root: wrong type"),
    (CeremonyRequest, {"targets": "!"}, "targets: wrong value"),
]


@pytest.mark.parametrize(("kind", "body", "words"), BAD)
def test_a_request_that_is_none_is_refused_by_its_field(
    kind: Any, body: dict[str, Any], words: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        kind.parse(json.dumps(body).encode())
    assert str(caught.value).startswith(f"request: {words}")


NAMES = sorted({name for request_ in GOOD for name in request_.to_json()})


@given(
    st.sampled_from([RegisterRequest, PublishRequest, RolloutRequest, RevokeRequest, RenewRequest]),
    st.dictionaries(
        st.sampled_from(NAMES),
        st.none()
        | st.integers()
        | st.text()
        | st.lists(st.text(), max_size=2)
        | st.dictionaries(st.text(max_size=3), st.text(max_size=4), max_size=2),
    ),
)
def test_any_body_is_a_request_or_refused(kind: Any, body: dict[str, Any]) -> None:
    try:
        found = kind.parse(json.dumps(body).encode())
    except DocumentError:
        return
    assert kind.parse(dump_json(found.to_json())) == found


def test_the_outcome_of_a_ceremony_is_what_the_server_said() -> None:
    said = CeremonyOutcome(
        timestamp_version=9,
        root_version=2,
        targets_version=3,
        releases_version=4,
        changed=True,
        wait_s=120,
    )
    assert CeremonyOutcome.parse(dump_json(said.to_json())) == said
    with pytest.raises(DocumentError, match="wait_s: wrong type"):
        CeremonyOutcome.parse(dump_json({**said.to_json(), "wait_s": None}))
