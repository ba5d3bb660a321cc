"""Who has stolen k publisher keys publishes, until they are rotated out; and does nothing else."""

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, Targets, Timestamp

from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ChannelPolicy, PolicyDocument
from lockgate_release.layout import POLICY_PATH, metadata_key, target_key, timestamp_key
from lockgate_release.trust.roles import Role
from lockgate_release.trust.sign import Document, to_bytes
from tests.attacks.claims import assert_refused
from tests.simulators.client import SimulatedClient
from tests.simulators.repository import HEALTHY, RepositorySimulator

NEXT = {**HEALTHY, "two": b"2"}


def test_publisher_keys_cannot_replace_root(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """A root that hands every role to the thief, signed by the thief, is not the next root."""
    thief = repository.publishers[0]
    root = Metadata[Root].from_bytes(repository.root_bytes)
    root.signed.version += 1
    for role in (Role.ROOT, Role.TARGETS, Role.SNAPSHOT, Role.TIMESTAMP):
        root.signed.add_key(thief.public_key, role.value)
        root.signed.roles[role.value].keyids = [thief.public_key.keyid]
    _sign_with(root, repository.publishers)
    repository.files[metadata_key(repository.app, "root", 2)] = to_bytes(root)
    assert_refused(client, "repository.trust")


def test_publisher_keys_cannot_replace_the_online_key(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """What only the server may say is not believed when publishers say it."""
    key = timestamp_key(repository.app)
    timestamp = Metadata[Timestamp].from_bytes(repository.files[key])
    timestamp.signed.version += 1
    _sign_with(timestamp, repository.publishers)
    repository.files[key] = to_bytes(timestamp)
    assert_refused(client, "repository.trust")


def test_publisher_keys_cannot_lower_a_policy(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    """Publishers and server together: a policy of theirs is in force nowhere."""
    rule = ChannelPolicy(paths=("*/*/release.json",))
    lower = PolicyDocument(app=repository.app, channels={"*": rule})
    document = Document(path=POLICY_PATH, data=lower.to_bytes())
    address = target_key(repository.app, POLICY_PATH, digest_bytes(document.data))
    repository.files[address] = document.data
    targets = Metadata[Targets].from_bytes(to_bytes(repository.targets))
    targets.signed.version += 1
    targets.signed.targets[POLICY_PATH] = document.to_target()
    _sign_with(targets, repository.publishers)
    repository.targets = targets
    repository.publish("2.0.0", NEXT)
    assert_refused(client, "repository.trust")


def test_publisher_keys_that_were_rotated_out_publish_nothing(
    client: SimulatedClient, repository: RepositorySimulator
) -> None:
    stolen = list(repository.publishers)
    repository.rotate_publishers()
    repository.publish("2.0.0", NEXT)
    assert client.update() == "updated"
    assert client.runs() == "2.0.0"
    repository.publish("3.0.0", HEALTHY, signers=stolen)
    assert_refused(client, "repository.trust", runs="2.0.0")


def _sign_with(
    metadata: Metadata[Root] | Metadata[Timestamp] | Metadata[Targets],
    signers: list[CryptoSigner],
) -> None:
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(signer, append=True)
