"""Deltas in a simulated repository: made as they are published, listed in signed extras."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lockgate_release.deltas.making import make_delta
from lockgate_release.digests import digest_bytes
from lockgate_release.documents import ExtrasDocument, parse_extras
from lockgate_release.documents.delta import Delta
from lockgate_release.layout import artifact_key, artifact_path, extras_path, target_key
from lockgate_release.names import Platform, Sha256Hex
from lockgate_release.trust.sign import Document
from tests.simulators.archives import Tree, is_program, tree_digest
from tests.simulators.repository import RepositorySimulator

__all__ = ["COLUMNS", "ZSTD", "add_delta", "list_deltas", "make_bytes", "write_tree"]

COLUMNS = "lockgate-columns-1"
ZSTD = "lockgate-zstd-1"
_MEMORY_BYTES = 256 << 20


def write_tree(tree: Tree, folder: Path) -> Path:
    """Write a tree as unpacking would leave it; return the folder."""
    folder.mkdir()
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if is_program(content) else 0o644)
    return folder


def make_bytes(old: Tree, new: Tree, *, algorithm: str = COLUMNS) -> bytes:
    """The delta between two trees."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before, after = write_tree(old, folder / "old"), write_tree(new, folder / "new")
        target = folder / "delta"
        make_delta(before, after, target, algorithm=algorithm, memory_bytes=_MEMORY_BYTES)
        return target.read_bytes()


def add_delta(
    repository: RepositorySimulator,
    before: tuple[str, Tree],
    after: tuple[str, Tree],
    *,
    algorithm: str = COLUMNS,
    data: bytes | None = None,
    change: Callable[[Delta], Delta] = lambda delta: delta,
) -> Delta:
    """Publish a delta between two releases, or `data` in its place, and list it in the extras."""
    content = make_bytes(before[1], after[1], algorithm=algorithm) if data is None else data
    sha256 = digest_bytes(content)
    delta = change(
        Delta(
            platform=Platform("any"),
            from_version=before[0],
            from_tree_sha256=tree_digest(before[1]).sha256,
            algorithm=algorithm,
            size=len(content),
            sha256=sha256,
            path=artifact_path(sha256),
            memory_bytes=32 << 20,
            scratch_bytes=0,
        )
    )
    repository.files[artifact_key(repository.app, delta.sha256)] = content
    list_deltas(repository, after[0], (*_listed(repository, after[0]), delta))
    return delta


def list_deltas(repository: RepositorySimulator, version: str, deltas: Sequence[Delta]) -> None:
    """Sign extras of a release that name these deltas."""
    extras = ExtrasDocument(app=repository.app, version=version, deltas=tuple(deltas))
    document = Document(path=extras_path(version), data=extras.to_bytes())
    repository._store_document(document)
    entries = {**repository.releases.targets, document.path: document.to_target()}
    repository._write_releases(entries, repository.publishers)
    repository.resign()


def _listed(repository: RepositorySimulator, version: str) -> tuple[Delta, ...]:
    """The deltas that the release's extras name now."""
    path = extras_path(version)
    target = repository.releases.targets.get(path)
    if target is None:
        return ()
    key = target_key(repository.app, path, Sha256Hex(target.hashes["sha256"]))
    return parse_extras(repository.files[key]).deltas
