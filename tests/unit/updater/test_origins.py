"""Who built what: proven once, remembered by digests, told; what a client without sigstore says."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import ExitCode
from lockgate_updater import Offer, Updater
from lockgate_updater.events import Event
from lockgate_updater.session import open_session
from lockgate_updater.state.origins import ProvenOrigin, load_origins, store_origins
from tests.simulators.archives import tree_digest
from tests.simulators.attested import Attested
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.http_server import serve
from tests.simulators.repository import HEALTHY, RepositorySimulator
from tests.simulators.sigstore import SigstoreSimulator, serve_sigstore

NEXT = {**HEALTHY, "two": b"2"}


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreSimulator]:
    with serve_sigstore() as simulator:
        yield simulator


@pytest.fixture
def attested(sigstore: SigstoreSimulator) -> Attested:
    """Stable demands the release workflow's word, and offers 1.0.0 that has it."""
    found = Attested(RepositorySimulator(), sigstore)
    found.trust()
    found.demand()
    found.publish("1.0.0", {**HEALTHY, "one": b"1"})
    return found


@pytest.fixture
def client(attested: Attested, tmp_path: Path) -> SimulatedClient:
    made = make_client(attested.repository, tmp_path / "home")
    assert made.update() == "updated"
    return made


def allowing(client: SimulatedClient) -> Updater:
    return Updater.open(
        client.home,
        environ={},
        clock=lambda: client.now,
        transport=lambda: client.repository,
        allow_unattested=True,
    )


def told(client: SimulatedClient) -> list[str]:
    (section,) = [
        section for section in client.updater.explain().sections if section.title == "The origin"
    ]
    return list(section.lines)


def test_what_is_proven_costs_the_next_check_nothing(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT)
    assert isinstance(client.updater.check(), Offer)
    attested.repository.requests.clear()
    assert isinstance(client.updater.check(), Offer)
    asked = [key.rpartition("/")[2] for key in attested.repository.requests]
    assert asked == ["2.root.json", "timestamp.json"]


def test_another_artifact_demand_or_root_is_proven_anew(
    client: SimulatedClient, attested: Attested
) -> None:
    path = client.home / "state" / "origins.json"
    (first,) = load_origins(path)
    attested.publish("2.0.0", NEXT)
    client.updater.check()
    attested.demand(threshold=1, predicate_types=("https://slsa.dev/provenance/v1",))
    client.updater.check()
    attested.trust(attested.sigstore.trusted_root + b"\n")
    client.updater.check()
    proven = load_origins(path)
    assert proven[0] == first
    assert len({item.artifact_sha256 for item in proven}) == 2
    assert len({item.rule_sha256 for item in proven}) == 2
    assert len({item.root_sha256 for item in proven}) == 2
    assert len(proven) == 4


def test_a_tree_that_was_vouched_for_is_proven_once_and_told(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.repository.publish("2.0.0", NEXT, offered=False)
    attested.attach("2.0.0", attested.vouch("2.0.0", NEXT))
    attested.repository.offer("stable", "2.0.0")
    assert client.update() == "updated"
    proven = load_origins(client.home / "state" / "origins.json")
    known = {item.artifact_sha256: item.tree_sha256 for item in proven}
    assert known[attested.artifact("2.0.0")] is None
    assert known[attested.claim("2.0.0")] == tree_digest(NEXT).sha256
    assert [line.partition(" by ")[0] for line in told(client)] == [
        "2.0.0 was signed",
        "its tree was signed",
    ]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 2, "proven": []}', b"\xff"])
def test_what_is_damaged_proves_nothing_and_is_proven_anew(
    client: SimulatedClient, attested: Attested, data: bytes
) -> None:
    path = client.home / "state" / "origins.json"
    path.write_bytes(data)
    assert load_origins(path) == ()
    attested.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    assert len(load_origins(path)) == 1


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "origins.json"
    some = digest_bytes(b"some")
    proven = [
        ProvenOrigin(
            rule_sha256=some,
            root_sha256=some,
            artifact_sha256=digest_bytes(str(number).encode()),
            release_sha256=some,
            words=(f"signed by {number}",),
        )
        for number in range(60)
    ]
    store_origins(path, proven)
    assert load_origins(path) == tuple(proven[-50:])


def test_explain_says_who_built_what_runs(client: SimulatedClient, attested: Attested) -> None:
    (line,) = told(client)
    identity = "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1.0.0"
    assert line.startswith(f"1.0.0 was signed by {identity} (by https://token.actions")
    (client.home / "state" / "origins.json").unlink()
    bundle = attested.bundle("1.0.0")
    attested.attach("1.0.0", bundle, attested.bundle("1.0.0"))
    attested.strip(bundle)
    first, second = told(client)
    assert first.startswith(f"1.0.0 was signed by {identity}")
    assert second.startswith("an attestation of 1.0.0 is missing: bundle")


def test_explain_says_that_nobody_attested_what_runs(
    sigstore: SigstoreSimulator, tmp_path: Path
) -> None:
    attested = Attested(RepositorySimulator(), sigstore)
    attested.publish("1.0.0", HEALTHY, who=None)
    client = make_client(attested.repository, tmp_path / "home")
    assert told(client) == ["nothing is installed"]
    client.update()
    assert told(client) == ["nobody has attested who built 1.0.0"]
    attested.attach("1.0.0", attested.bundle("1.0.0"))
    (line,) = told(client)
    assert line.startswith("who built 1.0.0 is not proven: sigstore/trusted_root.json: missing")


def test_a_person_can_take_what_nobody_attested_and_is_told_so(
    client: SimulatedClient, attested: Attested
) -> None:
    attested.publish("2.0.0", NEXT, who=None)
    checked = allowing(client).check()
    assert isinstance(checked, Offer)
    assert "who built 2.0.0 is not proven" in checked.reason
    seen: list[Event] = []
    assert allowing(client).update(progress=seen.append).version == "2.0.0"
    assert any("who built 2.0.0 is not proven" in str(event) for event in seen)
    assert client.runs() == "2.0.0"


def test_nothing_reaches_the_download_unproven(client: SimulatedClient, attested: Attested) -> None:
    """Also what a decision from before was about: it is taken again, and proven again."""
    attested.publish("2.0.0", NEXT, who=None)
    with open_session(client.updater._client, purpose="test", observe=lambda _: None) as session:
        findings = session.look()
        bare = replace(findings.policy, channels={})
        unguarded = session.decide(replace(findings, policy=bare), force=False)
        assert isinstance(unguarded, Offer)
        with pytest.raises(Exception, match="its origin is not proven"):
            session.decide(findings, force=False)
        with pytest.raises(Exception, match="its origin is not proven"):
            session.judge(force=True)
        with pytest.raises(Exception, match="its origin is not proven"):
            session.judge_again(force=True)


def test_a_client_without_sigstore_is_held_and_told_how_to_install_it(
    attested: Attested, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['sigstore'] = None\n"
        "from lockgate_updater.command import main\n"
        "ended = main()\n"
        "room = 'lockgate_release.provenance'\n"
        "assert not [name for name in sys.modules if name.startswith(room)]\n"
        "sys.exit(ended)"
    )
    with serve(attested.repository) as server:
        home = Updater.create(
            tmp_path / "plain",
            app=attested.repository.app,
            repository=server.address,
            channel="stable",
            root=attested.repository.root_bytes,
        ).home
        command = [sys.executable, "-c", code, "check", "--home", str(home)]
        held = subprocess.run(command, capture_output=True, text=True, check=False)
        allowed = subprocess.run(
            [*command, "--allow-unattested"], capture_output=True, text=True, check=False
        )
    assert held.returncode == ExitCode.HELD, held.stderr
    assert "attestations (install lockgate-updater[attestations])" in held.stderr
    assert "who built 1.0.0 is not proven" in allowed.stderr
