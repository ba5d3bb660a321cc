"""A thief of the online key drives every number as far as it goes: it is over with the key.

He has the old key and the network of some clients. They follow him as far as they must, and say
that the honest server is stale; once its key is replaced as the runbook says, they are back.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from securesystemslib.signer import Key, Signer

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import Remedy, Revocation
from lockgate_release.errors import TrustError
from lockgate_release.layout import channel_path, target_key, timestamp_key
from lockgate_release.strict_json import MAX_INTEGER
from lockgate_release.trust import sign
from lockgate_release.trust.roles import Role
from lockgate_server.keys import KeyRing
from lockgate_server.ports import Always
from tests.attacks.claims import assert_refused
from tests.simulators.ceremonies import Ceremonies
from tests.simulators.client import SimulatedClient
from tests.simulators.field import Field, FieldClient, open_field, rotate_online
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.repository import HEALTHY, RepositorySimulator
from tests.simulators.server_scene import APP, STABLE, read_all

FAR = MAX_INTEGER - 1
LATE = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass
class Thief:
    """Serves what the stolen key can sign, with numbers beyond which there are none."""

    field: Field
    signer: Signer

    def files(self, revoked: tuple[Revocation, ...] = ()) -> dict[str, bytes]:
        sight, now = self.field.scene.look(), self.field.scene.now
        chain, by = sight.chain, [self.signer]
        document = replace(sight.channels[STABLE], sequence=FAR, issued_at=now)
        if revoked:
            document = replace(document, revoked=revoked, offers=())
        envelope = sign.sign_channel(document, by)
        channels = sign.to_bytes(
            sign.next_channels(chain.channels.signed, [envelope], by, now, version=FAR)
        )
        files = {Role.CHANNELS.value: (FAR, channels)}
        snapshot = sign.to_bytes(
            sign.next_snapshot(chain.snapshot.signed, files, by, now, version=FAR)
        )
        step = FAR - chain.timestamp.version
        timestamp = sign.next_timestamp(chain.timestamp.signed, (FAR, snapshot), by, now, step=step)
        key = target_key(APP, channel_path(STABLE), digest_bytes(envelope.data))
        return {
            f"/{APP}/metadata/{FAR}.channels.json": channels,
            f"/{APP}/metadata/{FAR}.snapshot.json": snapshot,
            f"/{APP}/metadata/timestamp.json": sign.to_bytes(timestamp),
            f"/{key}": envelope.data,
        }

    def catch(self, client: FieldClient, revoked: tuple[Revocation, ...] = ()) -> None:
        """Stand between a client and the server from now on."""
        client.cache = self.field.new_cache()
        files, honest = self.files(revoked), client.cache.ask

        def ask(path: str) -> tuple[int, bytes]:
            return (200, files[path]) if path in files else honest(path)

        client.cache.ask = ask


@pytest.fixture
def field(tmp_path: Path) -> Field:
    return open_field(tmp_path)


@pytest.fixture
def thief(field: Field) -> Thief:
    signer = KeyRing(field.scene.folder / "keys", {}).signer(APP, ())
    return Thief(field=field, signer=signer)


def install(client: FieldClient) -> None:
    client.updater.update()
    client.updater.confirm()


def test_numbers_that_a_stolen_key_drove_far_do_not_outlive_it(field: Field, thief: Thief) -> None:
    victim = field.new_client()
    install(victim)
    assert victim.installed() == "1.0.0"
    thief.catch(victim)
    assert victim.check() == "1.0.0", "he can say what the server said, with other numbers"
    field.publish()
    victim.cache = field.new_cache()
    assert "repository.stale" in victim.check(), "held back, as the table says"
    assert victim.installed() == "1.0.0"

    field.hold(rotate_online(field))
    victim.cache = field.new_cache()
    assert victim.check() == "1.1.0"
    install(victim)
    assert victim.installed() == "1.1.0"
    assert field.refused == []


def test_numbers_driven_far_in_the_bucket_are_not_counted_on(field: Field, thief: Thief) -> None:
    """He has the bucket as well. The server signs nothing on top, and goes on from its own."""
    scene = field.scene
    pointer = timestamp_key(APP)
    honest = read_all(scene.store, pointer)
    assert honest is not None
    for path, data in thief.files().items():
        scene.store.put(path.removeprefix("/"), data, Always())
    victim = field.new_client()
    install(victim)
    with pytest.raises(TrustError, match="somebody else has signed with its key"):
        scene.revoke("1.0.0")
    scene.store.put(pointer, honest, Always())
    field.hold(rotate_online(field))
    field.publish()
    victim.cache = field.new_cache()
    assert victim.check() == "1.1.0"
    install(victim)
    assert victim.installed() == "1.1.0"


def test_the_online_key_replaces_neither_root_nor_targets_nor_itself(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """What maintainers may do, done with the server's key: nobody follows."""
    honest = repository.checkpoint()
    repository.maintainers = [repository.online]
    repository.rotate_publishers()
    repository.publish("2.0.0", {**HEALTHY, "two": b"2"})
    assert_refused(client, "repository.trust")
    repository.restore(honest)
    repository.rotate_online_key()
    assert_refused(client, "repository.trust")


def test_a_token_of_scope_admin_changes_no_key(field: Field) -> None:
    """Without the maintainers' signatures it can begin a rotation, and end none."""
    scene, path = field.scene, f"/apps/{APP}"
    made = scene.api()("POST", f"{path}/online-key/next").json
    assert made is not None
    strangers = PublisherSimulator(maintainers=2, threshold=2, now=scene.now)
    strangers.policy = scene.publisher.policy
    for forged in (
        Ceremonies(strangers).rotate_online(
            scene.look().chain, Key.from_dict(made["keyid"], made["key"])
        ),
        Ceremonies(strangers).renew_root(scene.look().chain),
    ):
        refused = scene.api()("POST", f"{path}/ceremony", forged.to_json())
        assert refused.status_code == 422
        assert refused.json is not None
        assert refused.json["code"] == "repository.trust"
    field.publish()
    assert scene.look().chain.root.version == 1
    victim = field.new_client()
    install(victim)
    assert victim.installed() == "1.1.0"
    assert field.refused == []


def test_after_the_rotation_the_stolen_key_says_nothing_any_more(
    field: Field, thief: Thief
) -> None:
    field.hold(rotate_online(field))
    victim = field.new_client()
    install(victim)
    thief.catch(victim)
    assert "repository.trust" in victim.check()
    assert victim.installed() == "1.0.0"


def test_a_revocation_of_the_far_future_can_be_lifted_once_its_key_is_gone(
    field: Field, thief: Thief
) -> None:
    """Clients remember a revocation until the publishers lift it; no date puts it beyond that."""
    victim = field.new_client()
    install(victim)
    revocation = Revocation(version="1.0.0", reason="mine", remedy=Remedy.BLOCK_NEW, at=LATE)
    thief.catch(victim, (revocation,))
    victim.check()
    victim.cache = field.new_cache()
    field.hold(rotate_online(field))
    victim.cache = field.new_cache()
    assert victim.updater.status().revoked == ("1.0.0",)

    def lift(entry: object) -> object:
        return replace(entry, lifted={STABLE: field.scene.now})  # type: ignore[type-var]

    request = field.scene.publisher.edit(field.scene.look().chain, "1.0.0", lift)  # type: ignore[arg-type]
    field.scene.send(request)
    victim.cache = field.new_cache()
    assert victim.check() == "1.0.0"
    assert victim.updater.status().revoked == ()
