"""Origins from end to end: CI signs, maintainers demand, the server asks, a client proves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_updater import Offer, Unknown
from tests.simulators.demanding_desk import (
    BOTS,
    KEYLESS,
    MAINTAINER,
    client_of,
    open_demanding_desk,
)
from tests.simulators.release_desk import APP, PLATFORM, ReleaseDesk
from tests.simulators.sigstore import SigstoreSimulator, serve_sigstore


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as served:
        yield served


@pytest.fixture
def desk(tmp_path: Path, sigstore: SigstoreSimulator) -> Iterator[ReleaseDesk]:
    with open_demanding_desk(tmp_path, sigstore) as desk:
        yield desk


def test_whoever_is_to_sign_an_exception_is_told_of_it_loudly(desk: ReleaseDesk) -> None:
    desk.publish("2.0.0", "--allow-unattested", "--unsigned")
    for name in ("pending", "status"):
        shown = desk.person.must(name, APP)
        assert "2.0.0 in stable  (--allow-unattested)" in shown.out
        assert "though stable demands a proof" in shown.err
        assert "warning" in shown.err
    exception = {"channel": "stable", "version": "2.0.0", "demanded": True}
    (waiting,) = desk.person.must("pending", APP, "--json").json()["pending"]
    assert waiting["unattested"] == [exception]
    key = ("--key", "keys/publisher/publisher-1.pem")
    said = desk.person.must("sign", APP, "2.0.0", "--dry-run")
    assert f"{waiting['begun_by']} wants 2.0.0 offered in stable" in said.err
    signed = desk.person.must("sign", APP, "2.0.0", "--yes", "--json", *key)
    assert signed.json()["unattested"] == [exception]
    assert "Who signs lets that pass" in signed.err


def test_what_nobody_attested_is_not_offered_and_a_person_can_answer_for_it(
    desk: ReleaseDesk,
) -> None:
    refused = desk.refuse(2, "2.0.0", words="its origin is not proven")
    assert BOTS in refused.err
    assert "--sigstore signs it" in refused.err
    said = desk.publish("2.0.0", "--allow-unattested")
    assert "stable: nobody asks who built it" in said.err
    assert desk.offers() == {"2.0.0": 10_000}
    (entry,) = desk.person.must("audit", "--limit", "1", "--json").json()["entries"]
    assert entry["details"]["allow_unattested"] is True
    desk.person.must("rollout", "pause", APP, "2.0.0", "--channel", "stable", "--reason", "x")


def test_clients_take_what_the_server_let_through_only_once_it_is_attested(
    desk: ReleaseDesk,
) -> None:
    assert client_of(desk).update().version == "1.0.0"
    desk.publish("2.0.0", "--allow-unattested")
    checked = client_of(desk).check()
    assert isinstance(checked, Unknown)
    assert "its origin is not proven" in checked.reason
    assert isinstance(client_of(desk, allow_unattested=True).check(), Offer)
    desk.person.must("attest", "add", "2.0.0", *KEYLESS)
    assert client_of(desk).update().version == "2.0.0"


def test_explain_tells_what_clients_refuse(desk: ReleaseDesk) -> None:
    explain = ("explain", "--client-id", "00000000-0000-4000-8000-000000000001")
    assert "offer: 1.0.0" in desk.person.must(*explain, "--platform", PLATFORM).out
    desk.publish("2.0.0", "--allow-unattested")
    words = ("its origin is not proven", "lockgate attest list")
    desk.person.must_end(20, (*explain, "--platform", PLATFORM), *words)


def test_what_ci_signs_while_it_publishes_is_offered_and_taken(desk: ReleaseDesk) -> None:
    desk.publish("2.0.0", *KEYLESS)
    assert desk.offers() == {"2.0.0": 10_000}
    assert client_of(desk).update().version == "2.0.0"
    sections = {section.title: section.lines for section in client_of(desk).explain().sections}
    assert sections["The origin"][0].startswith("2.0.0 was signed by https://github.com/o/r/")


def test_a_demand_that_what_is_offered_does_not_meet_is_not_put_in_force(
    desk: ReleaseDesk,
) -> None:
    edit = ("policy", "edit", "d.json", "--channel", "stable", "--attest", BOTS)
    desk.person.must(*edit, "--attest-repository", "https://github.com/o/other")
    desk.person.must("root", "sign", "d.json", "--key", MAINTAINER, "--yes")
    submit = ("root", "submit", "d.json")
    desk.person.must_end(2, submit, "what is offered would not meet", "its origin is not proven")


def test_a_release_is_promoted_only_where_its_origin_is_what_is_demanded_there(
    desk: ReleaseDesk,
) -> None:
    desk.publish("2.0.0", "--channel", "beta")
    promote = ("promote", APP, "2.0.0", "--from", "beta", "--to", "stable", "--yes")
    desk.person.must_end(2, promote, "its origin is not proven")
    desk.person.must("attest", "add", "2.0.0", *KEYLESS)
    desk.person.must(*promote)
    assert desk.offers() == {"2.0.0": 10_000}


def test_what_is_revoked_falls_back_to_what_is_attested(desk: ReleaseDesk) -> None:
    desk.publish("1.1.0", "--allow-unattested")
    desk.publish("1.2.0", *KEYLESS)
    desk.person.must("revoke", APP, "1.2.0", "--reason", "bad", "--yes")
    assert desk.offers() == {"1.0.0": 10_000}
