"""A channel's bar is the maintainers': whoever has server and online key gets under it nowhere.

Each test ends with what the client has on its disk and would run: still 1.0.0.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.documents import (
    ApprovalRule,
    ChannelPolicy,
    PolicyDocument,
    SignatureRule,
    parse_policy,
)
from lockgate_release.layout import target_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.trust.approving import key_to_json
from lockgate_release.trust.keys import generate_signer
from lockgate_updater import Leave
from tests.attacks.claims import assert_refused
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.repository import HEALTHY, PREVIEWS, STABLE, RepositorySimulator

NEXT = {**HEALTHY, "two": b"2"}
ANN, BOB, EVE = (generate_signer() for _ in range(3))


def _demand(
    repository: RepositorySimulator,
    *,
    signatures: SignatureRule | None = None,
    approvers: tuple[str, ...] = (),
    **changes: object,
) -> None:
    """Put a bar on stable in force, as maintainers do."""
    known = {signer.public_key.keyid: key_to_json(signer.public_key) for signer in (ANN, BOB)}
    keys = {keyid: known[keyid] for keyid in approvers}
    rule = ChannelPolicy(
        signatures=signatures,
        approvals=ApprovalRule(threshold=1, keys=keys) if keys else None,
    )
    repository.set_policy(
        PolicyDocument(app=repository.app, channels={STABLE: replace(rule, **changes)})  # type: ignore[arg-type]
    )


# -- Signatures -----------------------------------------------------------------------------


@pytest.fixture
def easy() -> RepositorySimulator:
    """A repository whose role takes one of three publishers' keys."""
    repository = RepositorySimulator(publishers=3, publisher_threshold=1)
    repository.publish("1.0.0", {"bin/app": b"#!/bin/sh\nexit 0\n", "one": b"1"})
    return repository


@pytest.fixture
def wary(easy: RepositorySimulator, tmp_path: Path) -> SimulatedClient:
    client = make_client(easy, tmp_path / "home")
    assert client.update() == "updated"
    return client


def test_a_release_that_fewer_publishers_signed_than_the_channel_demands_is_refused(
    wary: SimulatedClient, easy: RepositorySimulator
) -> None:
    """The role takes one signature: for stable, maintainers demand two."""
    _demand(easy, signatures=SignatureRule(threshold=2))
    easy.publish("2.0.0", NEXT, signers=easy.publishers[:1])
    error = assert_refused(wary, "repository.offer")
    assert "too few publishers" in str(error)


def test_a_release_that_other_publishers_signed_than_the_channel_demands_is_refused(
    wary: SimulatedClient, easy: RepositorySimulator
) -> None:
    wanted = tuple(signer.public_key.keyid for signer in easy.publishers[:1])
    _demand(easy, signatures=SignatureRule(threshold=1, keys=wanted))
    easy.publish("2.0.0", NEXT, signers=easy.publishers[1:])
    assert_refused(wary, "repository.offer")


def test_the_servers_key_is_no_publisher_even_where_the_policy_names_it(
    wary: SimulatedClient, easy: RepositorySimulator
) -> None:
    named = (easy.online.public_key.keyid, easy.publishers[1].public_key.keyid)
    _demand(easy, signatures=SignatureRule(threshold=1, keys=named))
    easy.publish("2.0.0", NEXT, signers=[easy.publishers[0], easy.online])
    assert_refused(wary, "repository.offer")


def test_a_publishers_key_that_was_taken_out_counts_no_more_in_a_policy_that_names_it(
    wary: SimulatedClient, easy: RepositorySimulator
) -> None:
    old = tuple(signer.public_key.keyid for signer in easy.publishers)
    _demand(easy, signatures=SignatureRule(threshold=1, keys=old))
    stolen = list(easy.publishers)
    easy.rotate_publishers()
    easy.publish("2.0.0", NEXT, signers=[*easy.publishers, *stolen])
    assert_refused(wary, "repository.offer")


def test_enough_of_the_demanded_publishers_are_enough(
    wary: SimulatedClient, easy: RepositorySimulator
) -> None:
    """The control: the same steps with the signatures that are demanded do install."""
    wanted = tuple(signer.public_key.keyid for signer in easy.publishers[:2])
    _demand(easy, signatures=SignatureRule(threshold=2, keys=wanted))
    easy.publish("2.0.0", NEXT, signers=easy.publishers[:2])
    assert wary.update() == "updated"
    assert wary.runs() == "2.0.0"


# -- Approvals ------------------------------------------------------------------------------


@pytest.fixture
def guarded(repository: RepositorySimulator, client: SimulatedClient) -> RepositorySimulator:
    """Stable takes what Ann has approved; 2.0.0 is signed, offered, and approved by nobody."""
    assert client.runs() == "1.0.0"
    _demand(repository, approvers=(ANN.public_key.keyid,))
    repository.publish("1.5.0", {**NEXT, "half": b"5"}, offered=False)
    repository.publish("2.0.0", NEXT)
    return repository


def test_a_release_without_approval_is_refused(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    error = assert_refused(client, "repository.offer")
    assert "too few people have approved" in str(error)
    assert guarded.app == "demo"


def test_an_approval_of_another_release_counts_for_nothing(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    guarded.approve("1.5.0", [ANN])
    assert_refused(client, "repository.offer")


def test_an_approval_of_other_bytes_under_the_same_version_counts_for_nothing(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    guarded.approve("1.5.0", [ANN], says_version="2.0.0")
    assert_refused(client, "repository.offer")


def test_an_approval_of_what_was_retired_is_none_of_what_took_its_version(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    """Ann approved 2.0.0; its publishers retired it, and published other bytes under its name."""
    guarded.approve("2.0.0", [ANN])
    guarded.retire("2.0.0")
    guarded.publish("2.0.0", {**NEXT, "three": b"3"})
    assert guarded.channels[STABLE].approvals
    assert_refused(client, "repository.offer")


def test_an_approval_for_another_channel_counts_for_nothing(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    guarded.approve("2.0.0", [ANN], says_channel="beta")
    assert_refused(client, "repository.offer")


def test_an_approval_for_another_app_counts_for_nothing(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    guarded.approve("2.0.0", [ANN], says_app="other")
    assert_refused(client, "repository.offer")


def test_an_approval_by_somebody_else_counts_for_nothing(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    guarded.approve("2.0.0", [EVE, guarded.online, *guarded.publishers])
    assert_refused(client, "repository.offer")


def test_an_approval_by_a_key_that_was_taken_out_counts_for_nothing(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    guarded.approve("2.0.0", [ANN])
    _demand(guarded, approvers=(BOB.public_key.keyid,))
    assert_refused(client, "repository.offer")


def test_words_that_were_changed_after_they_were_approved_count_for_nothing(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    guarded.approve("1.5.0", [ANN])
    (envelope,) = guarded.channels[STABLE].approvals
    said = json.loads(json.dumps(dict(envelope)))
    said["signed"]["version"] = "2.0.0"
    said["signed"]["release_sha256"] = guarded.channels[STABLE].offers[0].sha256
    guarded.issue(STABLE, approvals=({}, said))
    assert_refused(client, "repository.offer")


def test_two_approvals_by_one_key_are_one(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    keys = {signer.public_key.keyid: key_to_json(signer.public_key) for signer in (ANN, BOB)}
    rule = ChannelPolicy(approvals=ApprovalRule(threshold=2, keys=keys))
    guarded.set_policy(PolicyDocument(app=guarded.app, channels={STABLE: rule}))
    guarded.approve("2.0.0", [ANN, ANN])
    guarded.approve("2.0.0", [ANN])
    assert_refused(client, "repository.offer")
    guarded.approve("2.0.0", [ANN, BOB])
    assert client.update() == "updated"


def test_what_was_approved_is_installed(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    """The control: the same steps with the approval that is demanded do install."""
    guarded.approve("2.0.0", [ANN])
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_a_fresh_machine_asks_for_the_same_bar(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    fresh = make_client(guarded, client.home.parent / "fresh")
    assert_refused(fresh, "repository.offer", runs="")


# -- Previews -------------------------------------------------------------------------------


@pytest.fixture
def previewed(repository: RepositorySimulator, client: SimulatedClient) -> RepositorySimulator:
    """Nightly takes previews, which a key of their own signs; stable takes releases alone."""
    assert client.runs() == "1.0.0"
    repository.delegate_previews()
    rule = ChannelPolicy(paths=("previews/*/release.json",))
    channels = {"nightly": rule}
    repository.set_policy(PolicyDocument(app=repository.app, channels=channels))
    repository.publish("2.0.0-dev.1", NEXT, channel="nightly", folder=PREVIEWS)
    return repository


def test_server_and_preview_keys_cannot_move_a_preview_into_stable(
    client: SimulatedClient, previewed: RepositorySimulator
) -> None:
    """Even with the preview's publishers, who let it into every channel."""
    previewed.publish(
        "2.0.0-dev.2", NEXT, channels=["nightly", STABLE], folder=PREVIEWS, offered=False
    )
    previewed.offer(STABLE, "2.0.0-dev.2", folder=PREVIEWS)
    assert_refused(client, "repository.offer")


def test_preview_keys_cannot_sign_a_release_outside_of_their_folder(
    client: SimulatedClient, previewed: RepositorySimulator
) -> None:
    """TUF asks the role that the path belongs to, and that one does not know it."""
    previewed.publish("2.0.0", NEXT, offered=False)
    path = "releases/2.0.0/release.json"
    target = previewed.releases.targets.pop(path)
    previewed._write_releases(dict(previewed.releases.targets), previewed.publishers)
    previewed._write_previews({path: target}, previewed.previewers)
    previewed.releases.targets[path] = target
    previewed.offer(STABLE, "2.0.0", sign=False)
    del previewed.releases.targets[path]
    previewed._write_releases(dict(previewed.releases.targets), previewed.publishers)
    previewed.resign()
    assert_refused(client, "repository.offer")


def test_a_preview_reaches_those_who_follow_its_channel(
    client: SimulatedClient, previewed: RepositorySimulator
) -> None:
    """The control: the same build, in the channel that takes previews."""
    nightly = make_client(previewed, client.home.parent / "nightly", channel="nightly")
    assert nightly.update() == "updated"
    assert nightly.runs() == "2.0.0-dev.1"
    assert client.update() == "up-to-date"


# -- The policy itself ----------------------------------------------------------------------


def _replace_policy(repository: RepositorySimulator, data: bytes) -> None:
    """Serve other bytes under the address of the policy in force."""
    target = repository.targets.signed.targets["policy.json"]
    key = target_key(AppName(repository.app), "policy.json", Sha256Hex(target.hashes["sha256"]))
    repository.files[key] = data


def test_a_policy_without_its_critical_mark_is_not_what_was_signed(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    """The mark is for older clients; this one enforces what it knows with or without it."""
    rules = parse_policy(_policy_in_force(guarded))
    said = json.loads(rules.to_bytes())
    assert said["channels"][STABLE].pop("critical") == ["approvals"]
    _replace_policy(guarded, json.dumps(said).encode())
    fresh = make_client(guarded, client.home.parent / "fresh")
    assert_refused(fresh, "repository.digest", runs="")


def test_a_maintainer_who_forgets_the_critical_mark_is_heard_all_the_same(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    said = json.loads(_policy_in_force(guarded))
    del said["channels"][STABLE]["critical"]
    guarded.set_policy(json.dumps(said).encode())
    assert_refused(client, "repository.offer")


def _policy_in_force(repository: RepositorySimulator) -> bytes:
    target = repository.targets.signed.targets["policy.json"]
    key = target_key(AppName(repository.app), "policy.json", Sha256Hex(target.hashes["sha256"]))
    return repository.files[key]


def test_server_cannot_go_back_to_an_older_policy(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    """The old targets are still signed and not expired: a client that saw newer ones refuses."""
    assert_refused(client, "repository.offer")
    _name_first_targets(guarded)
    assert_refused(client, "repository.trust")


def test_server_cannot_show_a_fresh_machine_an_older_policy(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    """It has seen no targets yet; but the release names those that its publishers saw."""
    fresh = make_client(guarded, client.home.parent / "fresh")
    _name_first_targets(guarded)
    error = assert_refused(fresh, "repository.trust", runs="")
    assert "older targets than its publishers have seen" in str(error)


def _name_first_targets(repository: RepositorySimulator) -> None:
    """Sign a snapshot over the targets, and so the policy, that the app began with."""
    newest = repository.targets
    first = type(newest).from_bytes(repository.files[f"{repository.app}/metadata/1.targets.json"])
    repository.targets = first
    repository.resign()


def test_a_bar_of_a_newer_kind_is_no_reason_to_take_less(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    rule = {"witnesses": {"threshold": 1}, "critical": ["witnesses"]}
    _demand(repository, unknown=rule)
    repository.publish("2.0.0", NEXT)
    assert_refused(client, "repository.document")


def test_explain_says_what_was_expected_and_what_was_found(
    client: SimulatedClient, guarded: RepositorySimulator
) -> None:
    said = "\n".join(
        line for section in client.updater.explain().sections for line in section.lines
    )
    assert "too few people have approved it" in said
    assert f"expected 1 of {ANN.public_key.keyid[:8]}" in said
    guarded.approve("2.0.0", [ANN])
    said = "\n".join(
        line for section in client.updater.explain().sections for line in section.lines
    )
    assert (
        f"the policy: it takes releases/*/release.json, approved by 1 of {ANN.public_key.keyid[:8]}"
        in said
    )
    assert client.runs() == "1.0.0"


def test_a_follower_of_previews_leaves_a_revoked_one_without_a_network(
    client: SimulatedClient, previewed: RepositorySimulator
) -> None:
    """The list of previews is read again from the cache, under all the same rules."""
    nightly = make_client(previewed, client.home.parent / "nightly", channel="nightly")
    assert nightly.update() == "updated"
    previewed.publish("2.0.0-dev.2", {**NEXT, "dev": b"2"}, channel="nightly", folder=PREVIEWS)
    previewed.revoke("2.0.0-dev.1", channel="nightly")
    assert isinstance(nightly.updater.check(), Leave)
    previewed.files.clear()
    leave = nightly.updater.check()
    assert isinstance(leave, Leave)
    assert leave.target is not None
    assert leave.target.version == "2.0.0-dev.2"
    assert nightly.runs() == "2.0.0-dev.1"
