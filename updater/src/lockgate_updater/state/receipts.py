"""What is known of each tree: what it must hash to, how it is started, and whether it is good.

A receipt is written before its tree gets its name, and is the proof the tree is held to: by an
update that finds it there already, by a rollback, by `verify`. Its rank says whether the tree was
ever committed, and in which order. Reads and writes the disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lockgate_release.decision import Offer
from lockgate_release.documents import HealthCheck, Install
from lockgate_release.documents.python_wheels import read_python_wheels
from lockgate_release.errors import DocumentError
from lockgate_release.names import Sha256Hex, is_sha256
from lockgate_release.strict_json import Fields, dump_json, parse_json
from lockgate_release.versions import is_version_text
from lockgate_updater.state.durable import local_errors, read_own_file, write_durably
from lockgate_updater.state.home import Home
from lockgate_updater.state.journal import is_folder_name

__all__ = [
    "Receipt",
    "folder_name",
    "load_receipts",
    "receipt_for",
    "store_receipt",
    "version_of",
]

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One tree.

    Attributes:
        folder: Its folder's name.
        version: Its release.
        release_sha256: The digest of the release's document.
        tree_sha256: What the tree must hash to.
        install: How it is started and proves itself.
        rank: 0 until it is committed; then higher than all that were good before.
        unpacked_from: The artifact whose bytes it was unpacked from, where that was asked for; else
            "", however it came about.
    """

    folder: str
    version: str
    release_sha256: Sha256Hex
    tree_sha256: Sha256Hex
    install: Install
    rank: int = 0
    unpacked_from: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it was ever committed."""
        return self.rank > 0

    def with_rank(self, rank: int) -> Receipt:
        """Return the same tree, committed as number `rank`."""
        return replace(self, rank=rank)


def folder_name(version: str, tree_sha256: Sha256Hex) -> str:
    """Return what the folder of a tree is called: the content is in the name."""
    return f"{version}-{tree_sha256[:8]}"


def version_of(folder: str) -> str:
    """Return the version in a folder's name, or "" for ""."""
    return folder.rpartition("-")[0]


def receipt_for(offer: Offer) -> Receipt:
    """Return the receipt of what is offered: only what came through the TUF chain gets one."""
    document, artifact = offer.release.document, offer.artifact
    return Receipt(
        folder=folder_name(document.version, artifact.tree_sha256),
        version=document.version,
        release_sha256=offer.release.sha256,
        tree_sha256=artifact.tree_sha256,
        install=document.install,
    )


def store_receipt(home: Home, receipt: Receipt, *, with_name: bool = True) -> None:
    """Leave the receipt on the disk; its name too, unless that is left to a later sync.

    Raises:
        LocalError: It cannot be written.
    """
    health, python = receipt.install.health, receipt.install.python
    write_durably(
        _path(home, receipt.folder),
        dump_json(
            {
                "format": FORMAT,
                "folder": receipt.folder,
                "version": receipt.version,
                "release_sha256": receipt.release_sha256,
                "tree_sha256": receipt.tree_sha256,
                "entrypoint": receipt.install.entrypoint,
                "command": list(health.command),
                "timeout_s": health.timeout_s,
                "tries": health.tries,
                **({"reaches_server": True} if health.reaches_server else {}),
                "rank": receipt.rank,
                **({} if python is None else {"python": python.to_json()}),
                **({"unpacked_from": receipt.unpacked_from} if receipt.unpacked_from else {}),
            }
        ),
        with_name=with_name,
    )


def load_receipts(home: Home) -> dict[str, Receipt]:
    """Return the receipts of the trees that are there, by folder; the best good one first.

    A damaged receipt counts as none: a tree that cannot be proven is no tree.

    Raises:
        LocalError: The folder cannot be read.
    """
    with local_errors("cannot be read", home.receipts):
        names = [path.stem for path in home.receipts.glob("*.json")]
    found = [receipt for name in names if (receipt := _load(home, name)) is not None]
    there = [receipt for receipt in found if _is_folder(home.tree(receipt.folder))]
    there.sort(key=lambda receipt: (-receipt.rank, receipt.folder))
    return {receipt.folder: receipt for receipt in there}


def _path(home: Home, folder: str) -> Path:
    return home.receipts / f"{folder}.json"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _load(home: Home, folder: str) -> Receipt | None:
    data = read_own_file(_path(home, folder)) if is_folder_name(folder) else None
    if data is None:
        return None
    try:
        receipt = _parse(parse_json(data, subject=folder))
    except DocumentError:
        return None
    return receipt if receipt.folder == folder else None


def _parse(fields: Fields) -> Receipt:
    fields.integer("format", minimum=FORMAT, maximum=FORMAT)
    python = fields.object("python", optional=True)
    return Receipt(
        folder=fields.checked("folder", is_folder_name, "a tree's folder"),
        version=fields.checked("version", is_version_text, "a version"),
        release_sha256=Sha256Hex(fields.checked("release_sha256", is_sha256, "a SHA-256")),
        tree_sha256=Sha256Hex(fields.checked("tree_sha256", is_sha256, "a SHA-256")),
        install=Install(
            entrypoint=fields.text("entrypoint"),
            python=read_python_wheels(python) if fields.has("python") else None,
            health=HealthCheck(
                command=fields.texts("command"),
                timeout_s=fields.integer("timeout_s", minimum=1),
                tries=fields.integer("tries", minimum=1),
                reaches_server=fields.boolean("reaches_server", default=False),
            ),
        ),
        rank=fields.integer("rank"),
        unpacked_from=fields.text("unpacked_from", default=""),
    )
