"""What the tests of uploads straight to a bucket have in common: files, and what lies where."""

from collections.abc import Callable

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import TransportError
from lockgate_release.layout import artifact_key
from lockgate_release.uploads import LEAST_PART_BYTES
from tests.simulators.bare_sender import Sender
from tests.simulators.faulty_store import FaultyStore, KilledError, meanwhile
from tests.simulators.faulty_uploads import FaultyUploads
from tests.simulators.server_scene import APP, Scene

BIG = bytes(range(256)) * (LEAST_PART_BYTES // 256) + b"the second part"
SMALL = b"a release in one part"
EVIL = b"another, of same size"
GONE = {404, 500}
"""What a store says of an upload that is over; 500 is moto's word for it."""

KEY = artifact_key(APP, digest_bytes(SMALL))


def before(scene: Scene, sender: Sender, verb: str, key: str, act: Callable[[], object]) -> None:
    """Let something happen right before the server's next call of the store."""
    faulty = FaultyStore(scene.store)
    faulty.plan(meanwhile(verb, key, act))
    scene.store = faulty
    sender.api = scene.api()


def sent(scene: Scene) -> tuple[Sender, FaultyUploads]:
    """A small file that is sent and not finished, and where its completion can fail."""
    assert scene.uploads is not None
    faulty = FaultyUploads(scene.uploads)
    scene.uploads = faulty
    sender = Sender(scene.api(), SMALL)
    sender.begin()
    sender.send(1)
    return sender, faulty


def no_answer() -> None:
    raise TransportError("the object store did not answer")


def killed() -> None:
    raise KilledError("around complete")
