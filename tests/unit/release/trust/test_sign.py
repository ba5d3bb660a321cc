"""Signing: each function returns the state that follows the one it was given, and no other."""

import json
from datetime import timedelta

import pytest
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import parse_channel, parse_entry
from lockgate_release.trust import sign
from lockgate_release.trust.roles import DELEGATED_PATHS, EXPIRY, ONLINE_ROLES, Role
from lockgate_release.trust.standing import canonical_bytes
from tests.unit.release.builders import (
    NOW,
    Repository,
    channel,
    offer_of,
    release,
    signers,
    trusted,
)

LATER = NOW + timedelta(days=1)


def test_the_first_root_says_who_speaks_for_what() -> None:
    repository = Repository(now=NOW, maintainers=3, threshold=2)
    root = repository.root.signed
    offline = [one.public_key.keyid for one in repository.maintainers]
    online = [repository.online.public_key.keyid]
    assert {name: (role.keyids, role.threshold) for name, role in root.roles.items()} == {
        "root": (offline, 2),
        "targets": (offline, 2),
        "snapshot": (online, 1),
        "timestamp": (online, 1),
    }
    assert (root.version, root.expires) == (1, NOW + EXPIRY[Role.ROOT])
    assert root.consistent_snapshot
    assert list(repository.root.signatures) == offline


def test_the_first_targets_hold_the_policy_and_two_terminating_delegations() -> None:
    repository = Repository(now=NOW, publishers=2, publisher_threshold=2)
    targets = repository.targets.signed
    assert targets.targets["policy.json"].hashes == {
        "sha256": digest_bytes(repository.policy.to_bytes())
    }
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    for role, keys, threshold in (
        (Role.RELEASES, repository.publishers, 2),
        (Role.CHANNELS, [repository.online], 1),
    ):
        found = targets.delegations.roles[role.value]
        assert found.terminating
        assert found.threshold == threshold
        assert found.keyids == [one.public_key.keyid for one in keys]
        assert found.paths == list(DELEGATED_PATHS[role])


def test_numbers_count_up_by_one_and_expiries_begin_now() -> None:
    repository = Repository(now=NOW)
    for role, following in {
        Role.RELEASES: sign.next_releases(repository.releases.signed, {}, [], LATER).signed,
        Role.CHANNELS: sign.next_channels(
            repository.channels.signed, [], [repository.online], LATER
        ).signed,
        Role.ROOT: sign.renewed(repository.root, Role.ROOT, [], LATER).signed,
        Role.TARGETS: sign.renewed(repository.targets, Role.TARGETS, [], LATER).signed,
    }.items():
        assert following.version == 2
        assert following.expires == LATER + EXPIRY[role]
    assert repository.timestamp is not None
    pointer = sign.next_timestamp(
        repository.timestamp.signed, (5, b"x"), [repository.online], LATER
    )
    assert (pointer.signed.version, pointer.signed.snapshot_meta.version) == (2, 5)
    assert pointer.signed.expires == LATER + EXPIRY[Role.TIMESTAMP]


def test_a_number_that_is_taken_is_passed_over() -> None:
    repository = Repository(now=NOW)
    channels = sign.next_channels(
        repository.channels.signed, [], [repository.online], NOW, version=7
    )
    snapshot = sign.next_snapshot(None, {}, [repository.online], NOW, version=9)
    assert (channels.signed.version, snapshot.signed.version) == (7, 9)


def test_renewing_keeps_everything_but_the_number_and_the_expiry() -> None:
    repository = Repository(now=NOW, maintainers=2, threshold=2)
    renewed = sign.renewed(repository.targets, Role.TARGETS, repository.maintainers, LATER)
    before, after = repository.targets.signed.to_dict(), renewed.signed.to_dict()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"version", "expires"}
    assert set(renewed.signatures) == {one.public_key.keyid for one in repository.maintainers}
    assert repository.targets.signed.version == 1


@pytest.mark.parametrize("role", ONLINE_ROLES)
def test_the_server_s_roles_are_not_renewed_by_hand(role: Role) -> None:
    repository = Repository(now=NOW)
    with pytest.raises(ValueError, match="renewed by the server"):
        sign.renewed(repository.channels, role, [], NOW)


def test_lists_keep_what_they_were_given_and_what_they_do_not_know() -> None:
    repository = Repository(now=NOW)
    repository.releases.signed.unrecognized_fields["x"] = 1
    repository.publish(release("1.0.0"))
    assert repository.releases.signed.unrecognized_fields == {"x": 1}
    repository.issue(channel())
    other = channel(channel="beta")
    repository.issue(other)
    assert set(repository.channels.signed.targets) == {
        "channels/stable/version.json",
        "channels/beta/version.json",
    }


def test_a_snapshot_never_drops_a_role() -> None:
    repository = Repository(now=NOW)
    assert repository.snapshot is not None
    data = b"new"
    following = sign.next_snapshot(
        repository.snapshot.signed, {Role.RELEASES: (2, data)}, [repository.online], NOW
    ).signed
    assert set(following.meta) == {"targets.json", "releases.json", "channels.json"}
    assert following.meta["releases.json"].version == 2
    assert following.meta["releases.json"].hashes == {"sha256": digest_bytes(data)}
    assert following.meta["targets.json"] == repository.snapshot.signed.meta["targets.json"]


def test_a_channel_s_envelope_is_signed_over_its_canonical_json() -> None:
    online = signers(1)[0]
    document = channel([offer_of(trusted("1.0.0"), 2500)], unknown={"\u00e4": ["\u00e9", None, 1]})
    made = sign.sign_channel(document, [online])
    assert made.path == "channels/stable/version.json"
    envelope = json.loads(made.data)
    payload = encode_canonical(envelope["signed"])
    assert payload is not None
    (entry,) = envelope["signatures"]
    signature = Signature(entry["keyid"], entry["sig"])
    online.public_key.verify_signature(signature, payload.encode())
    assert parse_channel(made.data) == document
    assert canonical_bytes(document.to_json()) == payload.encode()


def test_an_entry_carries_the_mark_and_stands_for_its_bytes_only() -> None:
    found = trusted("1.0.0", floor="0.9.0")
    data = found.document.to_bytes()
    target = sign.entry_target(found.path, data, found.entry)
    assert parse_entry(target.custom, subject="x") == found.entry
    assert sign.same_bytes(target, data)
    assert not sign.same_bytes(target, data + b" ")
    assert (target.path, target.length) == (found.path, len(data))


def test_metadata_is_stored_compact_and_read_back() -> None:
    repository = Repository(now=NOW)
    data = sign.to_bytes(repository.root)
    assert b" " not in data.replace(b"PUBLIC KEY", b"")
    assert Metadata.from_bytes(data).signed == repository.root.signed
