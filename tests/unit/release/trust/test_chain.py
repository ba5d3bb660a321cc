"""The chain from the pinned root to the lists: what it tells, its end, and what comes next."""

from datetime import timedelta

import pytest
from tuf.api.metadata import MetaFile

from lockgate_release.documents import ReleaseEntry
from lockgate_release.errors import DocumentError, ExpiredError, TrustError
from lockgate_release.trust import sign
from lockgate_release.trust.chain import (
    verify_first_releases,
    verify_next_releases,
    verify_next_root,
    verify_next_targets,
)
from lockgate_release.trust.roles import EXPIRY, Role
from tests.unit.release.builders import NOW, STABLE, Repository, channel, release
from tests.unit.release.trust.chains import load, threshold_repository


@pytest.fixture
def repository() -> Repository:
    return threshold_repository()


# -- What is good ---------------------------------------------------------------------------


def test_the_whole_state_is_verified_and_kept_with_its_bytes(repository: Repository) -> None:
    chain = load(repository)
    assert chain.root.version == chain.targets.version == 1
    assert chain.releases.version == chain.channels.version == 2
    assert chain.timestamp.version == chain.snapshot.version == 3
    assert chain.timestamp.data == repository.files["metadata/timestamp.json"]
    assert chain.releases.signed.targets.keys() == {"releases/1.0.0/release.json"}


def test_the_chain_tells_entries_targets_and_keys(repository: Repository) -> None:
    chain = load(repository)
    assert chain.entries() == {
        "releases/1.0.0/release.json": ReleaseEntry(version="1.0.0", channels=(STABLE,))
    }
    for path in ("policy.json", "releases/1.0.0/release.json", "channels/stable/version.json"):
        target = chain.target(path)
        assert target is not None
        assert target.path == path
    assert chain.target("releases/2.0.0/release.json") is None
    keys, threshold = chain.release_keys()
    assert {key.keyid for key in keys} == {one.public_key.keyid for one in repository.publishers}
    assert threshold == 2
    assert chain.online_key_ids() == (repository.online.public_key.keyid,)


def test_a_malformed_mark_is_named(repository: Repository) -> None:
    repository.publish(release("2.0.0"), custom={"version": "2.0.0"})
    with pytest.raises(DocumentError, match=r"releases/2.0.0/release.json: custom.channels: miss"):
        load(repository).entries()


def test_as_many_signatures_as_the_threshold_are_enough(repository: Repository) -> None:
    repository.publishers = repository.publishers[1:]
    repository.publish(release("2.0.0"))
    assert len(load(repository).entries()) == 2


# -- Expiry ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(EXPIRY))
def test_what_is_past_its_expiry_is_refused_with_a_clock_and_taken_without(role: Role) -> None:
    repository = Repository(now=NOW)
    repository.issue(channel())
    late = NOW + EXPIRY[role]
    for other in EXPIRY:
        if other is not role:
            metadata = getattr(repository, other.value)
            metadata.signed.expires = late + timedelta(days=1)
    _sign_all_again(repository)
    with pytest.raises(ExpiredError, match=f"{role}: expired metadata"):
        load(repository, late)
    assert load(repository, late - timedelta(seconds=1)).timestamp.version
    assert load(repository, None).timestamp.version


def _sign_all_again(repository: Repository) -> None:
    for role in (Role.ROOT, Role.TARGETS, Role.RELEASES, Role.CHANNELS):
        metadata = getattr(repository, role.value)
        metadata.signatures.clear()
        by = {
            Role.RELEASES: repository.publishers,
            Role.CHANNELS: [repository.online],
        }.get(role, repository.maintainers)
        for signer in by:
            metadata.sign(signer, append=True)
        data = repository.put(role, metadata)
        if role is Role.ROOT:
            repository.bootstrap = data
        elif repository.snapshot is not None:
            repository.snapshot.signed.meta[f"{role.value}.json"] = MetaFile.from_data(
                metadata.signed.version, data, ["sha256"]
            )
    assert repository.snapshot is not None
    assert repository.timestamp is not None
    repository.snapshot.sign(repository.online)
    data = repository.put(Role.SNAPSHOT, repository.snapshot)
    repository.timestamp.signed.snapshot_meta = MetaFile.from_data(
        repository.snapshot.signed.version, data, ["sha256"]
    )
    repository.timestamp.sign(repository.online)
    repository.files["metadata/timestamp.json"] = sign.to_bytes(repository.timestamp)


# -- What comes next --------------------------------------------------------------------------


def test_the_next_list_is_verified_against_the_one_in_force(repository: Repository) -> None:
    chain = load(repository)
    targets = chain.releases.signed.targets
    following = sign.next_releases(chain.releases.signed, targets, repository.publishers[:2], NOW)
    assert verify_next_releases(chain, sign.to_bytes(following)).version == 3
    for base, words in ((None, "found 1"), (following.signed, "found 4")):
        wrong = sign.next_releases(base, targets, repository.publishers, NOW)
        with pytest.raises(TrustError, match=f"3.releases.json: wrong number; expected 3; {words}"):
            verify_next_releases(chain, sign.to_bytes(wrong))
    few = sign.next_releases(chain.releases.signed, targets, repository.publishers[:1], NOW)
    with pytest.raises(TrustError, match="signed by 1/2"):
        verify_next_releases(chain, sign.to_bytes(few))
    with pytest.raises(DocumentError, match=r"3\.releases\.json: wrong type of metadata"):
        verify_next_releases(chain, chain.root.data)


def test_the_first_lists_are_verified_by_those_above_them(repository: Repository) -> None:
    root, first = repository.root.signed, repository.files["metadata/1.targets.json"]
    targets = verify_next_targets(root, None, first)
    assert targets.version == 1
    releases = repository.files["metadata/1.releases.json"]
    assert verify_first_releases(targets.signed, releases).version == 1
    with pytest.raises(TrustError, match="wrong number; expected 1; found 2"):
        verify_first_releases(targets.signed, repository.files["metadata/2.releases.json"])
    with pytest.raises(TrustError, match="wrong number; expected 2; found 1"):
        verify_next_targets(root, targets, first)
    with pytest.raises(TrustError, match="cannot be verified"):
        verify_next_targets(Repository(now=NOW).root.signed, None, first)


def test_the_next_targets_and_root_are_verified(repository: Repository) -> None:
    chain = load(repository)
    targets = sign.renewed(chain.targets.metadata, Role.TARGETS, repository.maintainers[1:], NOW)
    found = verify_next_targets(chain.root.signed, chain.targets, sign.to_bytes(targets))
    assert found.version == 2
    root = sign.renewed(chain.root.metadata, Role.ROOT, repository.maintainers[1:], NOW)
    assert verify_next_root(chain.root, sign.to_bytes(root)).version == 2
