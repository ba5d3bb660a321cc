"""Artifacts: whether one is there. They come as uploads, and are put here by `finishing`."""

from __future__ import annotations

from lockgate_release.layout import artifact_key
from lockgate_release.names import AppName, Sha256Hex
from lockgate_server.errors import NotFoundError
from lockgate_server.ports import ObjectInfo
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.uploads import check_app

__all__ = ["find_artifact"]


def find_artifact(deps: WriteDeps, app: AppName, sha256: Sha256Hex) -> ObjectInfo:
    """Return what is known of an artifact.

    Raises:
        NotFoundError: There is none, or no such app.
        TransportError: The store cannot be reached.
    """
    check_app(deps, app)
    info = deps.store.head(artifact_key(app, sha256))
    if info is None:
        raise NotFoundError("no such artifact", subject=sha256)
    return info
