"""Who signed and who approved, counted by python-tuf; and the published vectors, case by case."""

import json
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Targets

from lockgate_release.documents import (
    ApprovalRule,
    ChannelDocument,
    ChannelOffer,
    ChannelPolicy,
    PolicyDocument,
    SignatureRule,
    Standing,
    parse_policy,
)
from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.names import Sha256Hex
from lockgate_release.trust.delegating import delegate_releases, drop_delegation
from lockgate_release.trust.keys import public_keys_of
from lockgate_release.trust.sign import first_targets
from lockgate_release.trust.standing import (
    count_signatures,
    read_standing,
    role_for,
)
from tests.unit.release.builders import APP, NOW, channel, rollout, signers

VECTORS = Path(__file__).resolve().parents[4] / "docs" / "reference" / "policy-vectors.json"
TABLE: dict[str, Any] = json.loads(VECTORS.read_text("utf-8"))


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_a_published_vector(case: dict[str, Any]) -> None:
    rule = _rule(case["rule"])
    targets = _targets(case["role_keys"])
    listed = Metadata[Targets].from_bytes(json.dumps(case["list"]).encode())
    document, offer = _offered(case)
    standing = read_standing(rule, document, offer, targets, {"releases": listed})
    # No case brings a proof of origin: what demands one is not met.
    met = rule.shortfall(case["path"], standing) is None and rule.attestations is None
    assert met is case["met"]
    assert _counted(standing) == case["counted"]


def _rule(raw: dict[str, Any]) -> ChannelPolicy:
    whole = {
        "_type": "lockgate.policy",
        "app": TABLE["app"],
        "versions": "semver",
        "channels": {TABLE["channel"]: raw},
    }
    return parse_policy(json.dumps(whole).encode()).channels[TABLE["channel"]]


def _targets(raw: dict[str, Any]) -> Targets:
    keys = {keyid: Key.from_dict(keyid, dict(value)) for keyid, value in raw.items()}
    role = DelegatedRole("releases", list(keys), 1, terminating=True, paths=["releases/*/*.json"])
    return Targets(delegations=Delegations(keys, {"releases": role}))


def _offered(case: dict[str, Any]) -> tuple[ChannelDocument, ChannelOffer]:
    offer = ChannelOffer(
        version=TABLE["version"],
        path=case["path"],
        sha256=Sha256Hex(TABLE["sha256"]),
        rollout=rollout(10_000),
    )
    return channel([offer], approvals=tuple(case["approvals"])), offer


def _counted(standing: Standing) -> dict[str, int]:
    counts = {"signatures": standing.signatures, "approvals": standing.approvals}
    return {name: len(count.found) for name, count in counts.items() if count is not None}


def test_every_kind_of_bar_is_among_the_vectors_met_and_missed() -> None:
    seen = {
        (name, case["met"])
        for case in TABLE["cases"]
        for name in ("signatures", "approvals")
        if name in case["rule"]
    }
    assert seen == {(name, met) for name in ("signatures", "approvals") for met in (True, False)}
    assert len({case["name"] for case in TABLE["cases"]}) == len(TABLE["cases"]) > 20


def test_a_role_without_a_list_or_without_a_delegation_has_no_signatures() -> None:
    rule = ChannelPolicy(paths=("previews/*/release.json",), signatures=SignatureRule(threshold=1))
    offer = ChannelOffer(
        version="1.0.0",
        path="previews/1.0.0/release.json",
        sha256=Sha256Hex("ab" * 32),
        rollout=rollout(10_000),
    )
    case = TABLE["cases"][0]
    targets = _targets(case["role_keys"])
    listed = Metadata[Targets].from_bytes(json.dumps(case["list"]).encode())
    standing = read_standing(rule, channel([offer]), offer, targets, {"releases": listed})
    assert standing.signatures is not None
    assert not standing.signatures.is_enough
    none = count_signatures(SignatureRule(threshold=1), "releases", Targets(), listed)
    assert (none.found, none.is_enough) == ((), False)
    assert role_for(Targets(), "releases/1.0.0/release.json") == ""


def test_what_is_no_key_in_a_policy_is_named() -> None:
    bad: dict[str, dict[str, Any]] = {"a": {"scheme": "ed25519", "keyval": {"public": "00"}}}
    rule = ChannelPolicy(approvals=ApprovalRule(threshold=1, keys=bad))
    approved = next(case for case in TABLE["cases"] if case["name"] == "approved")
    document, offer = _offered(approved)
    with pytest.raises(DocumentError, match="key a: not a public key"):
        read_standing(rule, document, offer, Targets(), {})


# -- Delegating -----------------------------------------------------------------------------


def _first() -> Targets:
    people, publishers, online = signers(1), signers(2), signers(1)[0].public_key
    keys = public_keys_of(publishers)
    return first_targets(PolicyDocument(app=APP), people, keys, 1, online, NOW).signed


def test_a_further_role_speaks_for_its_own_folder_alone() -> None:
    targets, crew = _first(), public_keys_of(signers(2))
    delegate_releases(targets, "previews", crew, 2)
    assert role_for(targets, "previews/1.0.0/release.json") == "previews"
    assert role_for(targets, "releases/1.0.0/release.json") == "releases"
    assert role_for(targets, "channels/stable/version.json") == "channels"
    assert role_for(targets, "previews/1.0.0/more/release.json") == ""
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    assert targets.delegations.roles["previews"].terminating
    others = public_keys_of(signers(1))
    delegate_releases(targets, "previews", others, 1)
    assert not set(crew) & set(targets.delegations.keys)
    drop_delegation(targets, "previews")
    assert role_for(targets, "previews/1.0.0/release.json") == ""
    assert not set(others) & set(targets.delegations.keys)


@pytest.mark.parametrize("name", ["releases", "channels", "root", "Previews", "a/b", "", "1a"])
def test_a_further_role_takes_no_name_that_is_taken(name: str) -> None:
    with pytest.raises(UsageError, match="not a name for a role"):
        delegate_releases(_first(), name, public_keys_of(signers(1)), 1)


def test_a_further_role_can_be_signed_and_the_main_ones_stay() -> None:
    for threshold in (0, 2):
        with pytest.raises(UsageError, match="more signatures than keys"):
            delegate_releases(_first(), "previews", public_keys_of(signers(1)), threshold)
    for role in ("releases", "channels", "previews"):
        with pytest.raises(UsageError, match="not a further role"):
            drop_delegation(_first(), role)
