"""A check ends in one of five ways, costs two requests, and changes nothing that runs."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lockgate_release.archives import ArchiveKind
from lockgate_release.capabilities import ATTESTATIONS, PYTHON_WHEELS, ZSTD, archive_capability
from lockgate_release.documents import ChannelPolicy, ManualCheck, PolicyDocument, Requirements
from lockgate_release.documents.channel import RolloutState
from lockgate_release.errors import UsageError
from lockgate_release.gate import Arm, choose_arm
from lockgate_release.names import AppName
from lockgate_release.versions import VersionScheme
from lockgate_updater import Held, Leave, Offer, Unknown, Updater, UpToDate
from lockgate_updater.session import CAPABILITIES
from tests.simulators.client import CLIENT_ID, SimulatedClient, make_client
from tests.simulators.faults import Kind
from tests.simulators.repository import HEALTHY, STABLE, RepositorySimulator


def test_a_fresh_client_is_offered_the_release(client: SimulatedClient) -> None:
    offer = client.updater.check()
    assert isinstance(offer, Offer)
    assert offer.version == "1.0.0"
    assert client.versions() == set()
    assert client.runs() == ""


def test_an_updated_client_is_up_to_date(client: SimulatedClient) -> None:
    client.update()
    assert isinstance(client.updater.check(), UpToDate)


@pytest.mark.parametrize("releases", [1, 200])
def test_a_steady_check_is_two_requests_and_two_kilobytes(tmp_path: Path, releases: int) -> None:
    repository = RepositorySimulator()
    for number in range(releases):
        repository.publish(f"1.{number}.0", HEALTHY)
    client = make_client(repository, tmp_path / "home")
    client.update()
    client.updater.check()
    repository.requests.clear()
    repository.body_bytes = 0
    assert isinstance(client.updater.check(), UpToDate)
    assert repository.requests == ["demo/metadata/2.root.json", "demo/metadata/timestamp.json"]
    assert repository.body_bytes <= 2048


def test_a_steady_check_writes_no_record(client: SimulatedClient) -> None:
    client.update()
    client.updater.check()
    records = list((client.home / "state").glob("*.json"))
    before = {path: path.stat().st_mtime_ns for path in records}
    client.updater.check()
    assert {path: path.stat().st_mtime_ns for path in records} == before


def test_where_the_policy_has_people_wait_force_does_not_pass_the_gate(tmp_path: Path) -> None:
    rules = {"*": ChannelPolicy(manual_check=ManualCheck.WAIT)}
    policy = PolicyDocument(app=AppName("demo"), channels=rules)
    repository = RepositorySimulator(policy=policy)
    repository.publish("1.0.0", HEALTHY)
    client = make_client(repository, tmp_path / "home")
    assert client.update() == "updated"
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"}, exposure_bp=1)
    held = client.updater.check(force=True)
    assert isinstance(held, Held)
    assert "the policy lets no person pass" in held.reason
    assert client.update(force=True) == "held"
    repository.offer("stable", "2.0.0")
    assert client.update(force=True) == "updated"


def test_the_gate_holds_a_client_outside_of_it_and_force_passes(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"}, exposure_bp=1)
    held = client.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == "control"
    assert isinstance(client.updater.check(force=True), Offer)
    assert client.update() == "held"
    assert client.update(force=True) == "updated"
    assert client.runs() == "2.0.0"


def test_a_gate_that_was_never_opened_holds_even_a_person_who_asks(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"}, exposure_bp=0)
    held = client.updater.check(force=True)
    assert isinstance(held, Held)
    assert "offered to nobody yet" in held.reason
    assert client.update(force=True) == "held"
    assert client.runs() == "1.0.0"


def test_the_gate_is_the_published_one(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"}, exposure_bp=3000)
    rollout = repository.channels[STABLE].offers[0].rollout
    arm = choose_arm(rollout.salt, CLIENT_ID, exposure_bp=3000, control_bp=7000)
    offer = client.updater.check()
    assert isinstance(offer, Offer)
    assert (offer.version == "2.0.0") == (arm is Arm.OFFERED)


@pytest.mark.parametrize("state", [RolloutState.PAUSED, RolloutState.HALTED])
def test_a_paused_rollout_holds_even_a_person_who_asks(
    client: SimulatedClient, repository: RepositorySimulator, state: RolloutState
) -> None:
    client.update()
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"}, offered=False)
    repository.offer(STABLE, "2.0.0", state=state)
    held = client.updater.check(force=True)
    assert isinstance(held, Held)
    assert held.obstacle == state.value


def test_a_release_for_another_platform_is_held(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", HEALTHY, platform="amiga-m68k")
    held = client.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == "no-artifact"


def test_a_stepping_stone_is_held(client: SimulatedClient, repository: RepositorySimulator) -> None:
    client.update()
    repository.publish("3.0.0", HEALTHY, requires=Requirements(from_version="2.0.0"))
    held = client.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == "needs-stepping-stone"


def test_an_unknown_archive_is_held_not_failed(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish(
        "2.0.0",
        archive=b"x",
        kind="tar.gz",
        requires=Requirements(capabilities=("archive/tar.future",)),
    )
    held = client.updater.check()
    assert isinstance(held, Held)
    assert "archive/tar.future" in held.reason


def test_what_this_updater_can_do_is_what_the_archives_can() -> None:
    archives = {archive_capability(kind.value) for kind in ArchiveKind}
    assert archives | {PYTHON_WHEELS, ATTESTATIONS} == CAPABILITIES


@pytest.mark.parametrize(
    ("capability", "library"),
    [(ZSTD, "backports.zstd"), (PYTHON_WHEELS, "installer"), (ATTESTATIONS, "sigstore")],
)
def test_without_its_library_an_updater_does_not_promise_what_it_cannot_do(
    capability: str, library: str
) -> None:
    """In a Python of its own, in which the library cannot be found."""
    hide = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {library!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    show = "from lockgate_updater.session import CAPABILITIES; print(*sorted(CAPABILITIES))"
    said = subprocess.run(
        [sys.executable, "-c", hide + show], capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = set(CAPABILITIES) - {capability}
    if sys.version_info >= (3, 14):
        wanted |= {ZSTD}
    assert set(said) == wanted


@pytest.mark.parametrize(
    ("line", "obstacle"), [('pin = "1.0.0"', "not-pinned"), ('skip = ["2.0.0"]', "skipped")]
)
def test_the_owners_wishes_hold(
    client: SimulatedClient, repository: RepositorySimulator, line: str, obstacle: str
) -> None:
    client.update()
    with (client.home / "lockgate.toml").open("a") as settings:
        settings.write(line + "\n")
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"})
    held = client.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == obstacle


def test_a_server_that_is_down_is_unknown(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.spoil("", Kind.STATUS, 503)
    unknown = client.updater.check()
    assert isinstance(unknown, Unknown)
    assert unknown.code == "transport"
    assert "503" in unknown.reason


def test_a_version_that_is_none_is_the_repositorys_fault(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("not.semver", HEALTHY)
    unknown = client.updater.check()
    assert isinstance(unknown, Unknown)
    assert unknown.code == "repository.document"


def test_pep_440_apps_are_ordered_their_way(tmp_path: Path) -> None:
    policy = PolicyDocument(app=AppName("demo"), versions=VersionScheme.PEP440)
    repository = RepositorySimulator(policy=policy)
    repository.publish("1.0rc1", HEALTHY)
    client = make_client(repository, tmp_path / "home")
    assert client.update() == "updated"
    repository.publish("1.0", {**HEALTHY, "two": b"2"})
    assert client.update() == "updated"
    assert client.runs() == "1.0"


def test_an_installed_revoked_release_is_to_be_left(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"})
    repository.revoke("1.0.0")
    leave = client.updater.check()
    assert isinstance(leave, Leave)
    assert leave.target is not None
    assert leave.target.version == "2.0.0"


def test_a_revocation_is_remembered_beyond_the_cache_and_its_expiry(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    repository.revoke("1.0.0")
    client.updater.check()
    for cached in (client.home / "state" / "metadata").glob("*.json"):
        cached.unlink()
    repository.spoil("", Kind.STATUS, 503)
    leave = client.updater.check()
    assert isinstance(leave, Leave)
    assert leave.target is None


def test_a_retired_release_stays(client: SimulatedClient, repository: RepositorySimulator) -> None:
    client.update()
    repository.publish("1.1.0", HEALTHY, exposure_bp=0)
    repository.retire("1.0.0")
    repository.issue(STABLE, offers=())
    assert isinstance(client.updater.check(), Held)
    assert client.update() == "held"
    assert client.runs() == "1.0.0"


def test_an_expired_channel_document_is_unknown(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    client.update()
    document = repository.channels[STABLE]
    repository.channels[STABLE] = replace(
        document, sequence=9, expires_at=repository.now - timedelta(days=1)
    )
    repository.resign()
    unknown = client.updater.check()
    assert isinstance(unknown, Unknown)
    assert unknown.code == "repository.expired"


def test_a_home_that_was_never_made_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="init"):
        Updater.open(tmp_path)
