"""`lockgate-updater notes`: what a release brings, in its publishers' signed words."""

import json
from pathlib import Path

import pytest

from lockgate_release.documents import ExtrasDocument
from lockgate_release.errors import DigestMismatchError, LocalError, RepositoryError, UsageError
from lockgate_release.layout import extras_path, target_key
from lockgate_release.names import Sha256Hex
from lockgate_release.trust.sign import Document
from lockgate_updater.command import main
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.http_server import serve
from tests.simulators.repository import HEALTHY, RepositorySimulator


def add_notes(repository: RepositorySimulator, version: str, text: str) -> None:
    extras = ExtrasDocument(app=repository.app, version=version, notes=text)
    document = Document(path=extras_path(version), data=extras.to_bytes())
    repository._store_document(document)
    entries = {**repository.releases.targets, document.path: document.to_target()}
    repository._write_releases(entries, repository.publishers)
    repository.resign()


def test_an_offer_is_told_of_before_it_is_taken_and_after(
    repository: RepositorySimulator, client: SimulatedClient
) -> None:
    add_notes(repository, "1.0.0", "- A door.\n")
    assert client.updater.notes().text == "- A door.\n"
    client.updater.update()
    found = client.updater.notes()
    assert (found.version, found.text) == ("1.0.0", "- A door.\n")
    repository.publish("1.1.0", {**HEALTHY, "lib/more": b"more"})
    add_notes(repository, "1.1.0", "- A window.\n")
    assert client.updater.notes().text == "- A window.\n"
    assert client.updater.notes(version="1.0.0").text == "- A door.\n"


def test_a_release_without_extras_has_no_notes(client: SimulatedClient) -> None:
    assert client.updater.notes().text == ""


def test_a_release_that_is_not_live_has_none(client: SimulatedClient) -> None:
    with pytest.raises(UsageError, match="not a live release"):
        client.updater.notes(version="9.9.9")


def test_where_nothing_is_offered_or_installed_it_says_so(tmp_path: Path) -> None:
    repository = RepositorySimulator()
    repository.publish("1.0.0", HEALTHY, exposure_bp=0)
    client = make_client(repository, tmp_path / "home")
    with pytest.raises(LocalError, match="nothing is offered"):
        client.updater.notes()


def test_notes_that_the_publishers_did_not_sign_are_refused(
    repository: RepositorySimulator, client: SimulatedClient
) -> None:
    add_notes(repository, "1.0.0", "- A door.\n")
    path = extras_path("1.0.0")
    key = target_key(
        repository.app, path, Sha256Hex(repository.releases.targets[path].hashes["sha256"])
    )
    repository.files[key] = repository.files[key].replace(b"door", b"trap")
    with pytest.raises((RepositoryError, DigestMismatchError)):
        client.updater.notes()


def test_the_command_prints_them_and_no_escape_of_them_reaches_the_terminal(
    repository: RepositorySimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_notes(repository, "1.0.0", "- A \x1b[2Jdoor.\n")
    with serve(repository) as server:
        client = make_client(repository, tmp_path / "home", address=server.address)
        assert main(["notes", "--home", str(client.home)]) == 0
        assert capsys.readouterr().out == "- A \N{REPLACEMENT CHARACTER}[2Jdoor.\n"
        assert main(["notes", "--json", "--home", str(client.home)]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["version"], said["notes"]) == ("1.0.0", "- A \x1b[2Jdoor.\n")
