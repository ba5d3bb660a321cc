"""What maintainers demand of origins, no thief of the server or of publishers gets around.

Each test ends with what the client has on its disk and would run: still 1.0.0.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate_release.capabilities import ATTESTATIONS
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import PolicyDocument, Remedy
from lockgate_release.errors import ExitCode
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH, target_key
from lockgate_updater import Leave, Offer
from tests.attacks.claims import assert_refused
from tests.simulators.attested import Attested
from tests.simulators.client import SimulatedClient
from tests.simulators.faults import Kind
from tests.simulators.repository import HEALTHY, RepositorySimulator
from tests.simulators.sigstore import ANN, SigstoreSimulator, serve_sigstore, workflow

NEXT = {**HEALTHY, "two": b"2"}


@pytest.fixture(scope="module")
def other_instance() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as simulator:
        yield simulator


def test_what_the_release_workflow_built_is_taken(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT)
    assert isinstance(client.updater.check(), Offer)
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_a_bundle_that_the_server_stripped_is_missed(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    bundle = attested.bundle("2.0.0")
    attested.attach("2.0.0", bundle)
    attested.strip(bundle)
    error = assert_refused(client, "repository.offer")
    assert "its origin is not proven" in str(error)
    assert f"bundle {digest_bytes(bundle)[:12]}: not on the server" in str(error)
    assert "lockgate attest add" in error.hint


def test_a_bundle_that_the_server_swapped_is_not_looked_at(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    bundle = attested.bundle("2.0.0")
    attested.attach("2.0.0", bundle)
    attested.strip(bundle, put=attested.bundle("2.0.0"))
    assert "other bytes than those" in str(assert_refused(client, "repository.offer"))


def test_a_release_that_nobody_attested_is_refused_before_anything_of_it_is_fetched(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    attested.repository.requests.clear()
    error = assert_refused(client, "repository.offer")
    assert "no proof of its origin" in str(error)
    assert not [key for key in attested.repository.requests if "/artifacts/" in key]


def test_the_bundle_of_another_release_proves_nothing(
    client: SimulatedClient, attested: Attested
) -> None:
    """Whoever has the publishers' keys lists, for its own build, what CI attested of 1.0.0."""
    attested.publish("2.0.0", NEXT, who=None)
    attested.attach("2.0.0", attested.bundle("1.0.0"))
    assert "its statement is about other files" in str(assert_refused(client, "repository.offer"))


@pytest.mark.parametrize(
    "who",
    [
        ANN,
        workflow(ref="refs/heads/main"),
        workflow("mallory/r"),
        workflow(file="other.yml"),
    ],
)
def test_somebody_else_with_the_publishers_keys_proves_nothing(
    client: SimulatedClient, attested: Attested, who: object
) -> None:
    attested.publish("2.0.0", NEXT, who=who)  # type: ignore[arg-type]
    error = assert_refused(client, "repository.offer")
    assert "who is none of its signers" in str(error)


def test_another_sigstore_instance_proves_nothing(
    client: SimulatedClient, attested: Attested, other_instance: SigstoreSimulator
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    theirs = Attested(attested.repository, other_instance)
    attested.attach("2.0.0", theirs.bundle("2.0.0"))
    assert "its origin is not proven" in str(assert_refused(client, "repository.offer"))


def test_server_cannot_put_its_own_trusted_root_in_place(
    client: SimulatedClient, attested: Attested, other_instance: SigstoreSimulator
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    theirs = Attested(attested.repository, other_instance)
    attested.attach("2.0.0", theirs.bundle("2.0.0"))
    sha256 = digest_bytes(attested.sigstore.trusted_root)
    key = target_key(attested.repository.app, TRUSTED_ROOT_PATH, sha256)
    attested.repository.files[key] = other_instance.trusted_root
    assert_refused(client, "repository.digest")
    del attested.repository.files[key]
    assert_refused(client, "transport", exit_code=ExitCode.TRANSPORT)


def test_a_trusted_root_in_the_home_folder_is_not_asked(
    client: SimulatedClient,
    attested: Attested,
    other_instance: SigstoreSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """sigstore-python's own offline mode believes what lies in this cache."""
    cache = tmp_path / "cache" / "sigstore-python" / "tuf"
    for name in ("https%3A%2F%2Ftuf-repo-cdn.sigstore.dev", "any"):
        (cache / name).mkdir(parents=True)
        (cache / name / "trusted_root.json").write_bytes(other_instance.trusted_root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    attested.publish("2.0.0", NEXT, who=None)
    theirs = Attested(attested.repository, other_instance)
    attested.attach("2.0.0", theirs.bundle("2.0.0"))
    assert_refused(client, "repository.offer")


def test_server_cannot_lower_the_demand(client: SimulatedClient, attested: Attested) -> None:
    """It has no maintainer's key: it can serve other bytes, or older ones."""
    attested.publish("2.0.0", NEXT, who=None)
    repository = attested.repository
    plain = PolicyDocument(app=repository.app).to_bytes()
    sha256 = repository.targets.signed.targets[POLICY_PATH].hashes["sha256"]
    key = target_key(repository.app, POLICY_PATH, sha256)  # type: ignore[arg-type]
    honest, repository.files[key] = repository.files[key], plain
    assert_refused(client, "repository.digest")
    repository.files[key] = json.dumps(json.loads(honest)).encode()
    assert_refused(client, "repository.digest")
    repository.files[key] = honest
    assert_refused(client, "repository.offer")
    newest = repository.targets
    first = type(newest).from_bytes(repository.files[f"{repository.app}/metadata/1.targets.json"])
    repository.targets = first
    repository.resign()
    assert_refused(client, "repository.trust")


def test_maintainers_who_demand_without_a_trusted_root_let_nobody_pass(
    client: SimulatedClient, repository: RepositorySimulator, sigstore: SigstoreSimulator
) -> None:
    attested = Attested(repository, sigstore)
    attested.demand()
    attested.publish("2.0.0", NEXT)
    assert_refused(client, "repository.trust")


def test_what_is_proven_for_one_demand_is_not_for_another(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT)
    assert isinstance(client.updater.check(), Offer)
    attested.demand(source_repository="https://github.com/o/other")
    error = assert_refused(client, "repository.offer")
    assert "built from https://github.com/o/r" in str(error)


def test_two_must_sign_and_one_has(client: SimulatedClient, attested: Attested) -> None:
    rule = attested.demand().channel(client.updater.configuration.channel).attestations
    assert rule is not None
    (ours,) = rule.demands[0].signers
    ann = type(ours)(identity=ANN.identity, issuer=ANN.issuer)
    attested.demand(threshold=2, signers=(ours, ann))
    attested.publish("2.0.0", NEXT)
    assert "of 2 of" in str(assert_refused(client, "repository.offer"))
    attested.attach("2.0.0", attested.bundle("2.0.0"), attested.bundle("2.0.0", ANN))
    assert client.update() == "updated"


def test_a_network_that_fails_is_no_proof_that_something_is_wrong(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    bundle = attested.bundle("2.0.0")
    attested.attach("2.0.0", bundle)
    attested.repository.spoil(digest_bytes(bundle), Kind.STATUS, 503)
    assert_refused(client, "transport", exit_code=ExitCode.TRANSPORT)
    attested.repository.faults.clear()
    assert client.update() == "updated"


def test_a_revoked_release_is_left_though_what_would_replace_it_is_not_proven(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    attested.publish("3.0.0", {**HEALTHY, "three": b"3"}, who=None)
    attested.repository.revoke("2.0.0", remedy=Remedy.REPLACE)
    leave = client.updater.check()
    assert isinstance(leave, Leave)
    assert leave.target is None
    assert "not for stable: offer of 3.0.0: its origin is not proven" in leave.reason
    assert client.update() == "left"
    assert client.runs() == "1.0.0"


def test_an_endless_bundle_costs_no_more_than_it_was_signed_to_be(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    bundle = attested.bundle("2.0.0")
    attested.attach("2.0.0", bundle)
    attested.repository.spoil(digest_bytes(bundle), Kind.ENDLESS)
    before = attested.repository.body_bytes
    assert "other bytes than those" in str(assert_refused(client, "repository.offer"))
    assert attested.repository.body_bytes - before < 4_000_000


def test_the_capability_is_named_as_the_decision_asks_for_it(client: SimulatedClient) -> None:
    from lockgate_updater.session import CAPABILITIES

    del client
    assert ATTESTATIONS in CAPABILITIES
