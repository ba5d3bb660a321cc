"""What lies where after uploads, in the words of their tests."""

from lockgate_release.digests import digest_bytes
from lockgate_release.layout import artifact_key
from tests.simulators.server_scene import APP, Scene, read_all

__all__ = ["artifact", "artifacts", "left_over"]


def artifact(scene: Scene, data: bytes) -> bytes | None:
    """What lies at the address of these bytes."""
    return read_all(scene.store, artifact_key(APP, digest_bytes(data)))


def artifacts(scene: Scene) -> list[str]:
    """The keys of all that clients can ask for."""
    return [info.key for info in scene.store.list(f"{APP}/artifacts/")]


def left_over(scene: Scene) -> list[str]:
    """The keys of what belongs to uploads."""
    return [info.key for info in scene.store.list(f"{APP}/uploads/")]
