"""Reading to write: the whole chain, each link verified, and every break named."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.metadata import Role as TufRole

from lockgate_release.documents import ReleaseEntry
from lockgate_release.errors import DocumentError, ExpiredError, RepositoryError, TrustError
from lockgate_release.trust import sign
from lockgate_release.trust.chain import (
    Chain,
    follow_roots,
    load_chain,
    parse_metadata,
    verify_first_releases,
    verify_next_releases,
    verify_next_root,
    verify_next_targets,
)
from lockgate_release.trust.roles import EXPIRY, Role
from tests.unit.release.builders import NOW, STABLE, Repository, channel, release, signers


def _load(repository: Repository, now: datetime | None = NOW) -> Chain:
    return load_chain(repository.read, repository.bootstrap, now=now)


@pytest.fixture
def repository() -> Repository:
    made = Repository(now=NOW, maintainers=3, threshold=2, publishers=3, publisher_threshold=2)
    made.publish(release("1.0.0"))
    made.issue(channel())
    return made


# -- What is good ---------------------------------------------------------------------------


def test_the_whole_state_is_verified_and_kept_with_its_bytes(repository: Repository) -> None:
    chain = _load(repository)
    assert chain.root.version == chain.targets.version == 1
    assert chain.releases.version == chain.channels.version == 2
    assert chain.timestamp.version == chain.snapshot.version == 3
    assert chain.timestamp.data == repository.files["metadata/timestamp.json"]
    assert chain.releases.signed.targets.keys() == {"releases/1.0.0/release.json"}


def test_the_chain_tells_entries_targets_and_keys(repository: Repository) -> None:
    chain = _load(repository)
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
        _load(repository).entries()


def test_as_many_signatures_as_the_threshold_are_enough(repository: Repository) -> None:
    repository.publishers = repository.publishers[1:]
    repository.publish(release("2.0.0"))
    assert len(_load(repository).entries()) == 2


# -- Breaks ---------------------------------------------------------------------------------


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
        _load(repository)


NAMES = ["timestamp", "3.snapshot", "1.targets", "2.releases", "2.channels"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_whose_content_was_changed_is_refused(repository: Repository, name: str) -> None:
    key = f"metadata/{name}.json"
    data = repository.files[key]
    repository.files[key] = data.replace(b'"expires":"20', b'"expires":"21')
    assert repository.files[key] != data
    with pytest.raises(TrustError, match="cannot be verified"):
        _load(repository)


@pytest.mark.parametrize("name", NAMES)
def test_an_older_file_in_place_of_a_newer_is_refused(repository: Repository, name: str) -> None:
    other = Repository(now=NOW)
    key = f"metadata/{name}.json"
    number, _, role = name.rpartition(".")
    repository.files[key] = other.files[f"metadata/{'1.' if number else ''}{role}.json"]
    with pytest.raises(TrustError, match="cannot be verified"):
        _load(repository)


@pytest.mark.parametrize("role", ["releases", "channels", "targets"])
def test_a_role_the_snapshot_does_not_name_is_refused(repository: Repository, role: str) -> None:
    assert repository.snapshot is not None
    del repository.snapshot.signed.meta[f"{role}.json"]
    repository.flip()
    with pytest.raises(TrustError, match=f"{role}.json: missing from the snapshot"):
        _load(repository)


@pytest.mark.parametrize("role", ["releases", "channels"])
def test_a_delegation_that_is_missing_is_refused(repository: Repository, role: str) -> None:
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.roles[role]
    _sign_targets_again(repository)
    with pytest.raises(TrustError, match=role):
        _load(repository)


def test_targets_without_any_delegation_are_refused(repository: Repository) -> None:
    repository.targets.signed.delegations = None
    _sign_targets_again(repository)
    with pytest.raises(TrustError):
        _load(repository)


def test_a_delegation_to_a_key_that_is_not_there_is_refused(repository: Repository) -> None:
    chain = _load(repository)
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
        _load(repository)


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
        _load(repository)


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
            _load(other)


def test_metadata_of_another_kind_is_refused(repository: Repository) -> None:
    repository.files["metadata/timestamp.json"] = repository.files["metadata/3.snapshot.json"]
    with pytest.raises(
        DocumentError, match="wrong type of metadata; expected timestamp; found sna"
    ):
        _load(repository)


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
        _load(repository, late)
    assert _load(repository, late - timedelta(seconds=1)).timestamp.version
    assert _load(repository, None).timestamp.version


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


# -- Roots ----------------------------------------------------------------------------------


def test_a_long_chain_of_roots_is_followed(repository: Repository) -> None:
    for _ in range(30):
        repository.rotate_root()
    assert follow_roots(repository.read, repository.bootstrap).version == 31
    assert _load(repository).root.version == 31


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
        _load(repository)


def test_a_root_that_its_own_keys_did_not_sign_is_refused(repository: Repository) -> None:
    stranger = signers(1)[0]

    def change(root: Root) -> None:
        root.add_key(stranger.public_key, "root")
        root.roles["root"] = TufRole([stranger.public_key.keyid], 1)

    repository.rotate_root(change)
    with pytest.raises(TrustError, match=r"2\.root\.json: cannot be verified"):
        _load(repository)


def test_a_root_with_another_number_is_refused(repository: Repository) -> None:
    repository.rotate_root()
    repository.files["metadata/3.root.json"] = repository.files["metadata/2.root.json"]
    with pytest.raises(TrustError, match=r"3\.root\.json: wrong number; expected 3; found 2"):
        _load(repository)


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


# -- What comes next --------------------------------------------------------------------------


def test_the_next_list_is_verified_against_the_one_in_force(repository: Repository) -> None:
    chain = _load(repository)
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
    chain = _load(repository)
    targets = sign.renewed(chain.targets.metadata, Role.TARGETS, repository.maintainers[1:], NOW)
    found = verify_next_targets(chain.root.signed, chain.targets, sign.to_bytes(targets))
    assert found.version == 2
    root = sign.renewed(chain.root.metadata, Role.ROOT, repository.maintainers[1:], NOW)
    assert verify_next_root(chain.root, sign.to_bytes(root)).version == 2


# -- Hostile bytes ----------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], object]
HOSTILE: list[Change] = [
    lambda v: v.clear(),
    lambda v: v.update(signatures=None),
    lambda v: v.update(signatures=[{}]),
    lambda v: v.update(signatures={"a": 1}),
    lambda v: v["signatures"].append(v["signatures"][0]),
    lambda v: v["signatures"][0].update(sig=5),
    lambda v: v["signatures"][0].update(sig=None),
    lambda v: v["signatures"][0].update(sig=["a"]),
    lambda v: v["signatures"][0].update(sig="zz"),
    lambda v: v["signatures"][0].update(sig=""),
    lambda v: v["signatures"][0].update(keyid=5),
    lambda v: v["signatures"][0].update(keyid=[]),
    lambda v: v.update(signed=[]),
    lambda v: v["signed"].update(_type="unknown"),
    lambda v: v["signed"].update(_type=[]),
    lambda v: v["signed"].update(version=0),
    lambda v: v["signed"].update(version="1"),
    lambda v: v["signed"].update(version=1.5),
    lambda v: v["signed"].update(version=10**30),
    lambda v: v["signed"].update(expires=5),
    lambda v: v["signed"].update(expires="never"),
    lambda v: v["signed"].update(spec_version="9.0"),
    lambda v: v["signed"].update(spec_version=1),
    lambda v: v["signed"].update(meta=[]),
    lambda v: v["signed"].update(meta={}),
    lambda v: v["signed"].update(meta={"snapshot.json": {"version": {}}}),
    lambda v: v["signed"].update(x=1.5),
    lambda v: v["signed"].update(x=float("nan")),
    lambda v: v["signed"].update(x="\ud800"),
    lambda v: v["signed"].update({"\ud800": 1}),
]


@pytest.mark.parametrize("change", HOSTILE)
def test_a_hostile_timestamp_is_refused_and_never_a_bug(change: Change) -> None:
    repository = Repository(now=NOW)
    value = json.loads(repository.files["metadata/timestamp.json"])
    change(value)
    repository.files["metadata/timestamp.json"] = json.dumps(value).encode()
    with pytest.raises((TrustError, DocumentError), match=r"timestamp\.json"):
        _load(repository)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"null", b"1", b'{"a":' * 100_000, b"[" * 100_000]
)
@pytest.mark.parametrize("kind", [Root, Timestamp, Snapshot, Targets])
def test_what_is_no_metadata_is_refused(kind: Any, data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"x\.json: not TUF metadata"):
        parse_metadata(kind, data, "x.json")


@pytest.mark.parametrize("levels", [100, 500, 900, 100_000])
def test_nesting_without_end_is_refused(levels: int) -> None:
    repository = Repository(now=NOW)
    value = json.loads(repository.files["metadata/timestamp.json"])
    value["signed"]["x"] = 0
    text = json.dumps(value).replace('"x": 0', '"x": ' + "[" * levels + "]" * levels)
    repository.files["metadata/timestamp.json"] = text.encode()
    with pytest.raises((TrustError, DocumentError), match=r"timestamp\.json"):
        _load(repository)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
SHARED = Repository(now=NOW)


def _places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in items:
        found.append((*here, key))
        if isinstance(inner, dict | list):
            found += _places(inner, (*here, key))
    return found


@given(st.data(), st.sampled_from(["timestamp", "1.snapshot", "1.targets", "1.releases"]))
def test_any_change_is_refused_and_never_a_bug(data: st.DataObject, name: str) -> None:
    key = f"metadata/{name}.json"
    value = json.loads(SHARED.files[key])
    place = data.draw(st.sampled_from(_places(value)))
    inner = value
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = data.draw(JUNK)
    files = {**SHARED.files, key: json.dumps(value).encode()}
    try:
        load_chain(lambda file: files.get(f"metadata/{file}"), SHARED.bootstrap, now=NOW)
    except (TrustError, DocumentError, ExpiredError):
        return
    # What verifies is read as it was, the signatures' own list aside.
    was = Metadata.from_bytes(SHARED.files[key]).signed
    assert Metadata.from_bytes(files[key]).signed == was


@given(st.data())
def test_any_change_of_a_pinned_root_is_refused_and_never_a_bug(data: st.DataObject) -> None:
    value = json.loads(SHARED.bootstrap)
    place = data.draw(st.sampled_from(_places(value)))
    inner = value
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = data.draw(JUNK)
    try:
        found = follow_roots(SHARED.read, json.dumps(value).encode())
    except (TrustError, DocumentError):
        return
    assert found.signed == SHARED.root.signed
