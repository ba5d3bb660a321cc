"""Where the chain breaks: whatever is missing, changed, old or signed by others is refused."""

import pytest
from tuf.api.metadata import MetaFile

from lockgate_release.errors import DocumentError, RepositoryError, TrustError
from lockgate_release.trust import sign
from lockgate_release.trust.roles import Role
from tests.unit.release.builders import NOW, Repository, release, signers
from tests.unit.release.trust.chains import load, threshold_repository


@pytest.fixture
def repository() -> Repository:
    return threshold_repository()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timestamp.json", "timestamp.json: missing from the repository"),
        ("3.snapshot.json", "3.snapshot.json: missing from the repository"),
        ("1.targets.json", "1.targets.json: missing from the repository"),
        ("2.releases.json", "2.releases.json: missing from the repository"),
        ("2.channels.json", "2.channels.json: missing from the repository"),
    ],
)
def test_a_missing_file_is_named(repository: Repository, name: str, words: str) -> None:
    del repository.files[f"metadata/{name}"]
    with pytest.raises(TrustError, match=words):
        load(repository)


NAMES = ["timestamp", "3.snapshot", "1.targets", "2.releases", "2.channels"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_whose_content_was_changed_is_refused(repository: Repository, name: str) -> None:
    key = f"metadata/{name}.json"
    data = repository.files[key]
    repository.files[key] = data.replace(b'"expires":"20', b'"expires":"21')
    assert repository.files[key] != data
    with pytest.raises(TrustError, match="cannot be verified"):
        load(repository)


@pytest.mark.parametrize("name", NAMES)
def test_an_older_file_in_place_of_a_newer_is_refused(repository: Repository, name: str) -> None:
    other = Repository(now=NOW)
    key = f"metadata/{name}.json"
    number, _, role = name.rpartition(".")
    repository.files[key] = other.files[f"metadata/{'1.' if number else ''}{role}.json"]
    with pytest.raises(TrustError, match="cannot be verified"):
        load(repository)


@pytest.mark.parametrize("role", ["releases", "channels", "targets"])
def test_a_role_the_snapshot_does_not_name_is_refused(repository: Repository, role: str) -> None:
    assert repository.snapshot is not None
    del repository.snapshot.signed.meta[f"{role}.json"]
    repository.flip()
    with pytest.raises(TrustError, match=f"{role}.json: missing from the snapshot"):
        load(repository)


@pytest.mark.parametrize("role", ["releases", "channels"])
def test_a_delegation_that_is_missing_is_refused(repository: Repository, role: str) -> None:
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.roles[role]
    _sign_targets_again(repository)
    with pytest.raises(TrustError, match=role):
        load(repository)


def test_targets_without_any_delegation_are_refused(repository: Repository) -> None:
    repository.targets.signed.delegations = None
    _sign_targets_again(repository)
    with pytest.raises(TrustError):
        load(repository)


def test_a_delegation_to_a_key_that_is_not_there_is_refused(repository: Repository) -> None:
    chain = load(repository)
    delegations = chain.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.keys[repository.publishers[0].public_key.keyid]
    with pytest.raises(TrustError, match="targets"):
        chain.release_keys()
    delegations.roles.clear()
    with pytest.raises(TrustError, match="no such delegation; expected releases"):
        chain.release_keys()
    chain.targets.signed.delegations = None
    with pytest.raises(TrustError, match="no such delegation"):
        chain.release_keys()


def _sign_targets_again(repository: Repository) -> None:
    repository.targets.signed.version += 1
    repository.targets.signatures.clear()
    for signer in repository.maintainers:
        repository.targets.sign(signer, append=True)
    repository.put(Role.TARGETS, repository.targets)
    repository.flip(Role.TARGETS)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_publishers_than_the_threshold_publish_nothing(
    repository: Repository, count: int
) -> None:
    repository.publishers = repository.publishers[:count]
    repository.publish(release("2.0.0"))
    with pytest.raises(TrustError, match=r"3\.releases\.json: cannot be verified"):
        load(repository)


@pytest.mark.parametrize(
    "stolen", ["online", "maintainers", "strangers", "the same publisher twice"]
)
def test_nobody_else_can_publish(repository: Repository, stolen: str) -> None:
    match stolen:
        case "online":
            repository.publishers = [repository.online]
        case "maintainers":
            repository.publishers = repository.maintainers
        case "strangers":
            repository.publishers = signers(3)
        case _:
            repository.publishers = repository.publishers[:1] * 2
    repository.publish(release("2.0.0"))
    with pytest.raises(RepositoryError, match=r"3\.releases\.json"):
        load(repository)


def test_a_number_that_is_not_the_one_named_is_refused() -> None:
    for role, kind in ((Role.SNAPSHOT, "snapshot"), (Role.RELEASES, "releases")):
        other = Repository(now=NOW)
        metadata = getattr(other, kind)
        data = sign.to_bytes(metadata)
        wrong = metadata.signed.version + 4
        if role is Role.SNAPSHOT:
            other.files[f"metadata/{wrong}.snapshot.json"] = data
            other.point_at(wrong, data)
        else:
            assert other.snapshot is not None
            other.files[f"metadata/{wrong}.releases.json"] = data
            other.snapshot.signed.meta["releases.json"] = MetaFile.from_data(
                wrong, data, ["sha256"]
            )
            other.flip()
        with pytest.raises(
            TrustError, match=f"{wrong}.{kind}.json: wrong number; expected {wrong}"
        ):
            load(other)


def test_metadata_of_another_kind_is_refused(repository: Repository) -> None:
    repository.files["metadata/timestamp.json"] = repository.files["metadata/3.snapshot.json"]
    with pytest.raises(
        DocumentError, match="wrong type of metadata; expected timestamp; found sna"
    ):
        load(repository)
