"""Roots, one after another: each is signed by the keys of the last and by its own."""

from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root
from tuf.api.metadata import Role as TufRole

from lockgate_release.errors import TrustError
from lockgate_release.trust import sign
from lockgate_release.trust.chain import follow_roots
from tests.unit.release.builders import NOW, Repository, signers
from tests.unit.release.trust.chains import load, threshold_repository


@pytest.fixture
def repository() -> Repository:
    return threshold_repository()


def test_a_long_chain_of_roots_is_followed(repository: Repository) -> None:
    for _ in range(30):
        repository.rotate_root()
    assert follow_roots(repository.read, repository.bootstrap).version == 31
    assert load(repository).root.version == 31


def test_the_maintainers_can_all_be_replaced_one_by_one(repository: Repository) -> None:
    new = signers(3)
    for at, signer in enumerate(new):
        old = repository.maintainers[at]

        def change(root: Root, old: Any = old, signer: Any = signer) -> None:
            for role in ("root", "targets"):
                root.add_key(signer.public_key, role)
                root.revoke_key(old.public_key.keyid, role)

        before = list(repository.maintainers)
        repository.maintainers[at] = signer
        repository.maintainers, keep = [*before, signer], repository.maintainers
        repository.rotate_root(change)
        repository.maintainers = keep
    newest = follow_roots(repository.read, repository.bootstrap)
    assert newest.version == 4
    assert set(newest.signed.roles["root"].keyids) == {one.public_key.keyid for one in new}


@pytest.mark.parametrize("who", ["too few old", "only new", "online", "nobody"])
def test_a_root_that_the_old_keys_did_not_sign_is_refused(repository: Repository, who: str) -> None:
    old, new = repository.maintainers, signers(2)

    def change(root: Root) -> None:
        root.roles["root"] = TufRole([one.public_key.keyid for one in new], 1)
        root.keys.update({one.public_key.keyid: one.public_key for one in new})

    repository.maintainers = {
        "too few old": [old[0], *new],
        "only new": new,
        "online": [repository.online],
        "nobody": [],
    }[who]
    repository.rotate_root(change)
    with pytest.raises(TrustError, match=r"2\.root\.json: cannot be verified"):
        load(repository)


def test_a_root_that_its_own_keys_did_not_sign_is_refused(repository: Repository) -> None:
    stranger = signers(1)[0]

    def change(root: Root) -> None:
        root.add_key(stranger.public_key, "root")
        root.roles["root"] = TufRole([stranger.public_key.keyid], 1)

    repository.rotate_root(change)
    with pytest.raises(TrustError, match=r"2\.root\.json: cannot be verified"):
        load(repository)


def test_a_root_with_another_number_is_refused(repository: Repository) -> None:
    repository.rotate_root()
    repository.files["metadata/3.root.json"] = repository.files["metadata/2.root.json"]
    with pytest.raises(TrustError, match=r"3\.root\.json: wrong number; expected 3; found 2"):
        load(repository)


def test_a_pinned_root_that_is_not_signed_is_refused(repository: Repository) -> None:
    repository.root.signatures.clear()
    with pytest.raises(TrustError, match=r"root\.json: cannot be verified"):
        follow_roots(repository.read, sign.to_bytes(repository.root))


def test_roots_without_end_are_refused() -> None:
    """A mirror cannot make one; maintainers who lost their minds could."""
    repository = Repository(now=NOW)
    numbers = iter(range(10_000))

    def read(name: str) -> bytes | None:
        next(numbers)
        version = int(name.partition(".")[0])
        root = Metadata[Root].from_bytes(repository.bootstrap)
        root.signatures.clear()
        root.signed.version = version
        root.sign(repository.maintainers[0])
        return sign.to_bytes(root)

    with pytest.raises(TrustError, match="too many roots"):
        follow_roots(read, repository.bootstrap)
    assert next(numbers) <= 1024
