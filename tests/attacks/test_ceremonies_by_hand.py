"""Whoever edits by hand what maintainers sign, past the commands, meets the commands' rules.

Metadata is edited and signed here as somebody with keys could, and sent to the API as it is: by the
route for ceremonies, and by the one for a single role.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets

from lockgate_release.base64_fields import encode_all, encode_bytes
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.trust.keys import generate_signer, load_signer
from lockgate_release.trust.sign import Document, to_bytes
from tests.simulators.release_desk import APP, ReleaseDesk, open_desk
from tests.simulators.trusted_roots import trusted_root

BOTH = ("root/maintainer-1", "root/maintainer-2")
ROUTES = ("ceremony", "metadata")
BOTS = "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v*"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ReleaseDesk]:
    """Two of two maintainers sign; beta, which offers nothing, demands proofs of origin."""
    with open_desk(tmp_path) as desk:
        desk.init("--maintainers", "2", "--threshold", "2")
        desk.publish("1.0.0")
        (desk.folder / "ours.json").write_bytes(trusted_root())
        desk.person.must("policy", "trusted-root", "c.json", "--from-file", "ours.json")
        desk.person.must("policy", "edit", "c.json", "--channel", "beta", "--attest", BOTS)
        for name in BOTH:
            desk.person.must("root", "sign", "c.json", "--key", f"keys/{name}.pem", "--yes")
        desk.person.must("root", "submit", "c.json")
        yield desk


def policy_in_force(desk: ReleaseDesk) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(desk.person.must("policy", "show", "--json").out)
    return found


def without_demands(desk: ReleaseDesk) -> bytes:
    policy = policy_in_force(desk)
    rule = policy["channels"]["beta"]
    del rule["attestations"]
    rule["critical"].remove("attestations")
    return json.dumps(policy).encode()


def next_targets(desk: ReleaseDesk, policy: bytes | None, signers: Sequence[str]) -> bytes:
    """Targets without the trusted root, signed by these: keys in the folder, or strangers."""
    signed = Targets.from_dict(desk.chain().targets.signed.to_dict())
    signed.version += 1
    del signed.targets[TRUSTED_ROOT_PATH]
    if policy is not None:
        signed.targets[POLICY_PATH] = Document(path=POLICY_PATH, data=policy).to_target()
    metadata = Metadata(signed)
    for name in signers:
        path = desk.folder / "keys" / f"{name}.pem"
        metadata.sign(
            load_signer(str(path), known_keys=(), environ={})
            if path.exists()
            else generate_signer(),
            append=True,
        )
    return to_bytes(metadata)


def send(
    desk: ReleaseDesk, route: str, targets: bytes, documents: Mapping[str, bytes]
) -> tuple[int, str]:
    """Send it with the token of an administrator, and return what the server says."""
    body: dict[str, Any] = {"documents": encode_all(documents)}
    if route == "ceremony":
        body |= {"targets": encode_bytes(targets), "dry_run": False}
    else:
        body |= {"role": "targets", "metadata": encode_bytes(targets)}
    request = urllib.request.Request(
        f"{desk.api}/api/v1/apps/{APP}/{route}",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {desk.person.environ['LOCKGATE_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read().decode()


def test_too_few_maintainers_do_not_take_it_away(desk: ReleaseDesk) -> None:
    policy, before = without_demands(desk), desk.files()
    more = [(), BOTH[:1], (BOTH[0], "a stranger"), (BOTH[0], "publisher/publisher-1")]
    for route, signers in product(ROUTES, more):
        targets = next_targets(desk, policy, signers)
        status, said = send(desk, route, targets, {POLICY_PATH: policy})
        assert (status, f"signed by {len(set(signers) & set(BOTH))}/2 keys" in said) == (422, True)
    assert desk.files() == before


def test_one_maintainer_is_not_two(desk: ReleaseDesk) -> None:
    policy, before = without_demands(desk), desk.files()
    body = json.loads(next_targets(desk, policy, BOTH[:1]))
    (own,) = body["signatures"]
    names = desk.chain().root.signed.roles["root"].keyids
    (colleague,) = {*names} - {own["keyid"]}
    for route, again in product(ROUTES, (own, {**own, "keyid": colleague})):
        targets = json.dumps({**body, "signatures": [own, again]}).encode()
        status, said = send(desk, route, targets, {POLICY_PATH: policy})
        assert status in {400, 422}, said
    assert desk.files() == before


def test_all_maintainers_do_not_take_it_away_while_a_channel_demands_proofs(
    desk: ReleaseDesk,
) -> None:
    before = desk.files()
    everybody = policy_in_force(desk)
    everybody["channels"]["*"] = everybody["channels"].pop("beta")
    for policy in (None, json.dumps(everybody).encode()):
        targets = next_targets(desk, policy, BOTH)
        documents = {} if policy is None else {POLICY_PATH: policy}
        # That its bytes come along does not make targets name it.
        for route, more in product(ROUTES, ({}, {TRUSTED_ROOT_PATH: trusted_root()})):
            status, said = send(desk, route, targets, {**documents, **more})
            assert (status, "nothing to verify them with" in said) == (400, True), said
    assert desk.files() == before


def test_a_policy_that_nobody_signed_does_not_take_its_place(desk: ReleaseDesk) -> None:
    before = desk.files()
    targets = next_targets(desk, None, BOTH)
    for route in ROUTES:
        status, said = send(desk, route, targets, {POLICY_PATH: without_demands(desk)})
        assert (status, "not the bytes that were signed" in said) == (400, True), said
    assert desk.files() == before


def test_what_is_offered_meets_the_rules_that_come_along_with_it(desk: ReleaseDesk) -> None:
    before, policy = desk.files(), json.loads(without_demands(desk))
    key = generate_signer().public_key
    approvals = {"threshold": 1, "keys": {key.keyid: key.to_dict()}}
    policy["channels"]["stable"] = {
        **policy["channels"]["beta"],
        "approvals": approvals,
        "critical": ["approvals"],
    }
    data = json.dumps(policy).encode()
    words = "what is offered would not meet the channel's bar"
    for route in ROUTES:
        status, said = send(desk, route, next_targets(desk, data, BOTH), {POLICY_PATH: data})
        assert (status, words in said) == (400, True), said
    assert desk.files() == before


def test_a_demand_that_older_clients_would_pass_over_does_not_come_into_force(
    desk: ReleaseDesk,
) -> None:
    before, policy = desk.files(), json.loads(without_demands(desk))
    policy["channels"]["beta"]["signatures"] = {"threshold": 2}
    data = json.dumps(policy).encode()
    for route in ROUTES:
        status, said = send(desk, route, next_targets(desk, data, BOTH), {POLICY_PATH: data})
        assert (status, "a demand that is not critical" in said) == (400, True), said
    assert desk.files() == before


def test_an_approver_under_the_id_of_another_key_does_not_come_into_force(
    desk: ReleaseDesk,
) -> None:
    before, policy = desk.files(), json.loads(without_demands(desk))
    one, other = generate_signer().public_key, generate_signer().public_key
    policy["channels"]["beta"] |= {
        "approvals": {"threshold": 1, "keys": {one.keyid: other.to_dict()}},
        "critical": ["approvals"],
    }
    data = json.dumps(policy).encode()
    for route in ROUTES:
        status, said = send(desk, route, next_targets(desk, data, BOTH), {POLICY_PATH: data})
        assert (status, "approvals of beta" in said) == (400, True), said
    assert desk.files() == before


@pytest.mark.parametrize("route", ROUTES)
def test_enough_maintainers_take_it_away_by_hand_too(desk: ReleaseDesk, route: str) -> None:
    policy = without_demands(desk)
    status, said = send(desk, route, next_targets(desk, policy, BOTH), {POLICY_PATH: policy})
    assert status == 200, said
    assert desk.chain().targets.signed.targets.keys() == {POLICY_PATH}
