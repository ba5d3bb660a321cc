"""Who has stolen server and online key holds back and revokes; ships, moves and lowers nothing."""

from dataclasses import replace
from datetime import timedelta

from lockgate_release.documents import ChannelPolicy, PolicyDocument, Remedy
from lockgate_release.errors import ExitCode
from lockgate_release.layout import release_path, target_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_release.trust.keys import generate_signer
from lockgate_updater import Held, Leave, Unknown
from tests.attacks.claims import assert_refused
from tests.simulators.client import SimulatedClient, make_client
from tests.simulators.repository import HEALTHY, STABLE, RepositorySimulator

NEXT = {**HEALTHY, "two": b"2"}


def test_server_cannot_move_a_preview_into_stable(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0-beta.1", NEXT, channel="beta")
    repository.offer(STABLE, "2.0.0-beta.1")
    assert_refused(client, "repository.offer")


def test_server_cannot_offer_what_no_publisher_signed(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.retire("2.0.0")
    assert_refused(client, "repository.offer")


def test_server_cannot_pin_another_document_than_the_signed_one(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    offer = replace(repository.channels[STABLE].offers[0], sha256=Sha256Hex("0" * 64))
    repository.issue(STABLE, offers=(offer,))
    assert_refused(client, "repository.offer")


def test_server_cannot_sign_a_list_of_releases(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, signers=[repository.online, repository.online])
    assert_refused(client, "repository.trust")


def test_server_cannot_go_below_the_floor_its_publishers_signed(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """A client that is not installed yet would otherwise take the old, holed release."""
    repository.publish("2.0.0", NEXT)
    repository.set_floor(STABLE, "2.0.0")
    repository.resign()
    fresh = make_client(repository, client.home.parent / "fresh")
    repository.offer(STABLE, "1.0.0")
    held = fresh.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == "below-floor"
    assert fresh.update() == "held"
    assert fresh.runs() == ""


def test_a_floor_that_was_seen_is_kept_when_its_release_is_gone(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.set_floor(STABLE, "2.0.0")
    repository.resign()
    client.updater.check()
    repository.floors.clear()
    repository.set_floor("other", "1.0.0")
    repository.offer(STABLE, "1.0.0", sign=False)
    repository.revoke("2.0.0")
    assert client.updater.status().floor == "2.0.0"
    fresh = make_client(repository, client.home.parent / "fresh")
    assert fresh.update() == "updated"  # It has never seen the floor: what the table says.


def test_server_cannot_lower_a_policy(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """The policy is the maintainers': another one in its place is not what was signed."""
    repository.publish("2.0.0", NEXT)
    open_policy = PolicyDocument(app=repository.app, channels={"*": ChannelPolicy(paths=("*",))})
    key = next(name for name in repository.files if name.endswith(".policy.json"))
    repository.files[key] = open_policy.to_bytes()
    fresh = make_client(repository, client.home.parent / "fresh")
    unknown = fresh.updater.check()
    assert isinstance(unknown, Unknown)
    assert unknown.code == "repository.digest"


def test_server_cannot_serve_another_apps_release(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, app="other")
    assert_refused(client, "repository.document")


def test_server_cannot_serve_another_apps_repository(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    other = RepositorySimulator("other")
    other.publish("9.0.0", NEXT)
    repository.files = {
        name.replace("other/", f"{repository.app}/", 1): data for name, data in other.files.items()
    }
    assert_refused(client, "repository.trust")


def test_server_cannot_make_a_channel_vanish_into_up_to_date(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT)
    repository.drop_channel(STABLE)
    assert_refused(client, "repository")


def test_unknown_channel_is_unknown(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    lost = make_client(repository, client.home.parent / "lost", channel="nightly")
    unknown = lost.updater.check()
    assert isinstance(unknown, Unknown)
    assert "nightly" in unknown.reason


def test_server_can_hold_back_and_the_client_says_that_nothing_is_offered(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.issue(STABLE, offers=())
    held = client.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == "nothing-offered"


def test_server_can_revoke_but_cannot_stop_the_last_program(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.revoke("1.0.0")
    assert client.update() == "stays"
    assert client.runs() == "1.0.0"


def test_server_cannot_take_a_revocation_back(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, exposure_bp=0)
    repository.revoke("2.0.0")
    client.updater.check()
    repository.issue(STABLE, revoked=())
    repository.offer(STABLE, "2.0.0")
    held = client.updater.check()
    assert isinstance(held, Held)
    assert held.obstacle == "revoked"
    assert client.update(force=True) == "held"
    assert client.runs() == "1.0.0"


def test_server_can_offer_a_live_release_to_who_has_not_seen_its_revocation(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """The tests beside it hold the bounds: live, allowed in the channel, not below the floor."""
    repository.publish("2.0.0", NEXT, exposure_bp=0)
    repository.revoke("2.0.0")
    repository.issue(STABLE, revoked=())
    repository.offer(STABLE, "2.0.0")
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_server_cannot_weaken_a_remedy(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.revoke("1.0.0")
    client.updater.check()
    again = replace(repository.channels[STABLE].revoked[0], remedy=Remedy.BLOCK_NEW)
    repository.issue(STABLE, revoked=(again,))
    repository.publish("2.0.0", NEXT)
    for _ in range(2):
        leave = client.updater.check()
        assert isinstance(leave, Leave)
        assert leave.remedy is Remedy.REPLACE
    # Nor when the document that says so is gone, and memory alone speaks.
    repository.files.clear()
    assert isinstance(client.updater.check(), Leave)


def test_publishers_can_take_a_revocation_back(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.publish("2.0.0", NEXT, exposure_bp=0)
    repository.revoke("2.0.0")
    client.updater.check()
    repository.issue(STABLE, revoked=())
    repository.offer(STABLE, "2.0.0")
    repository.lift(STABLE, "2.0.0")
    repository.offer(STABLE, "2.0.0")
    assert client.update() == "updated"


def test_block_new_leaves_an_installed_release_alone(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.revoke("1.0.0", remedy=Remedy.BLOCK_NEW)
    assert client.update() == "held"
    assert client.runs() == "1.0.0"


def test_what_the_key_said_does_not_outlive_it(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """A thief pushes the sequence far ahead: stale without a rotation, forgotten after one."""
    repository.issue(STABLE, sequence=2**50)
    client.updater.check()
    repository.channels[STABLE] = replace(repository.channels[STABLE], sequence=10)
    repository.publish("2.0.0", NEXT)
    assert_refused(client, "repository.stale")
    repository.rotate_online_key()
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"


def test_a_document_from_the_future_keeps_nobody_from_what_comes_after_it(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    honest = repository.now
    repository.now = honest + timedelta(days=3000)
    repository.issue(STABLE)
    assert_refused(client, "local.clock", exit_code=ExitCode.LOCAL)
    repository.now = honest
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"


def test_a_stranger_with_keys_of_his_own_is_nobody(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    repository.online = generate_signer()
    repository.publish("2.0.0", NEXT)
    assert_refused(client, "repository.trust")


def test_a_document_put_at_another_releases_path_is_refused(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    release = repository.publish("2.0.0", NEXT)
    repository.publish("3.0.0", {**NEXT, "three": b"3"})
    path = release_path("3.0.0")
    target = repository.releases.targets[path]
    key = target_key(AppName(repository.app), path, Sha256Hex(target.hashes["sha256"]))
    repository.files[key] = release.to_bytes()
    assert_refused(client, "repository.digest")
