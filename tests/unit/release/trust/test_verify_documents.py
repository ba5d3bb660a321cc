"""Documents that came through the chain and contradict it, or each other, are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import TargetFile

from lockgate_release.documents import ExtrasDocument, PolicyDocument, ReleaseEntry
from lockgate_release.errors import DocumentError, TrustError
from lockgate_release.names import AppName, ChannelName
from lockgate_release.trust import sign
from lockgate_release.trust.roles import Role
from tests.unit.release.builders import APP, STABLE, Repository, release
from tests.unit.release.trust.views import NOW, PATH, fails, filled, look, stable_document, view_of


@pytest.fixture
def repository() -> Repository:
    return filled()


def test_another_app_s_documents_are_refused(repository: Repository, tmp_path: Path) -> None:
    other = AppName("other")
    repository.publish(release("1.0.0", app=other))
    assert isinstance(fails(repository, tmp_path), DocumentError)
    repository.publish(release("1.0.0"), extras=ExtrasDocument(app=other, version="1.0.0"))
    view = view_of(repository, tmp_path)
    with pytest.raises(DocumentError, match="another app's document; expected demo; found other"):
        look(view)
    repository.issue(replace(stable_document(), app=other))
    with pytest.raises(DocumentError, match="another app's document"):
        view_of(repository, tmp_path).channel(STABLE)
    strange = Repository(now=NOW, policy=PolicyDocument(app=other))
    with pytest.raises(DocumentError, match=r"policy\.json: another app's document"):
        view_of(strange, tmp_path / "other").policy()


def test_another_channel_s_document_is_refused(repository: Repository, tmp_path: Path) -> None:
    beta = sign.sign_channel(
        replace(stable_document(), channel=ChannelName("beta")), [repository.online]
    )
    repository.issue_bytes(replace(beta, path="channels/stable/version.json"))
    error = fails(repository, tmp_path)
    assert isinstance(error, DocumentError)
    assert "wrong channel; expected stable; found beta" in str(error)


@pytest.mark.parametrize("wrong", ["entry", "document", "path"])
def test_a_release_that_contradicts_its_entry_or_path_is_refused(
    repository: Repository, tmp_path: Path, wrong: str
) -> None:
    versions = {"entry": "1.0.0", "document": "1.0.0", "path": "1.0.0", wrong: "1.0.1"}
    path = f"releases/{versions['path']}/release.json"
    repository.publish(
        release(versions["document"]),
        entry=ReleaseEntry(version=versions["entry"], channels=(STABLE,)),
        path=path,
    )
    with pytest.raises(DocumentError, match="path, entry and document disagree"):
        view_of(repository, tmp_path).release(path)


def test_extras_of_another_version_are_refused(repository: Repository, tmp_path: Path) -> None:
    extras = sign.Document(
        path="releases/1.0.0/extras.json",
        data=ExtrasDocument(app=APP, version="1.0.1").to_bytes(),
    )
    targets = {**repository.releases.signed.targets, extras.path: repository.put_target(extras)}
    repository.list_releases(targets)
    assert "wrong version; expected 1.0.0" in str(fails(repository, tmp_path))


@pytest.mark.parametrize("custom", [{}, {"version": 1}, {"version": "1.0.0", "channels": "x"}])
def test_an_entry_without_a_good_mark_is_refused(
    repository: Repository, tmp_path: Path, custom: dict[str, Any]
) -> None:
    repository.publish(release("1.0.0"), custom=custom)
    assert isinstance(fails(repository, tmp_path), DocumentError)


def test_a_mark_that_is_no_object_is_refused(repository: Repository, tmp_path: Path) -> None:
    target = repository.publish(release("1.0.0"))
    target.unrecognized_fields["custom"] = ["floor"]
    repository.list_releases({PATH: target})
    assert isinstance(fails(repository, tmp_path), DocumentError)


def test_an_entry_without_a_sha256_is_refused(repository: Repository, tmp_path: Path) -> None:
    data = release("1.0.0").to_bytes()
    target = TargetFile.from_data(PATH, data, ["sha512"])
    mark = ReleaseEntry(version="1.0.0", channels=(STABLE,))
    target.unrecognized_fields["custom"] = dict(mark.to_json())
    name = f"{target.hashes['sha512']}.release.json"
    repository.files[f"targets/releases/1.0.0/{name}"] = data
    repository.list_releases({PATH: target})
    error = fails(repository, tmp_path)
    assert isinstance(error, TrustError)
    assert "no SHA-256; found sha512" in str(error)


def test_a_missing_policy_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.targets.signed.targets.clear()
    repository.targets.signed.version += 1
    repository.targets.sign(repository.maintainers[0])
    repository.put(Role.TARGETS, repository.targets)
    repository.flip(Role.TARGETS)
    error = fails(repository, tmp_path)
    assert isinstance(error, TrustError)
    assert str(error) == "policy.json: missing from the repository"


def test_a_document_too_large_is_refused_before_it_is_fetched(
    repository: Repository, tmp_path: Path
) -> None:
    repository.issue_bytes(
        sign.Document(path="channels/stable/version.json", data=b" " * ((1 << 20) + 1))
    )
    repository.fetched.clear()
    error = fails(repository, tmp_path)
    assert isinstance(error, DocumentError)
    assert "too large; expected at most 1048576 bytes; found 1048577" in str(error)
    assert not [name for name in repository.fetched if "channels/" in name]
