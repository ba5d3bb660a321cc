"""The proof that a tree on the disk is the one that was signed. Reads the disk, changes nothing."""

from __future__ import annotations

from lockgate_release.digests import digest_tree
from lockgate_release.errors import ArchiveError, DigestMismatchError
from lockgate_release.names import Sha256Hex
from lockgate_updater.state.durable import local_errors
from lockgate_updater.state.home import Home
from lockgate_updater.state.receipts import Receipt

__all__ = ["prove_tree"]


def prove_tree(home: Home, receipt: Receipt) -> None:
    """Read the whole tree and hold it to what was signed.

    Raises:
        DigestMismatchError: It is another tree than the one that was signed.
        LocalError: It cannot be read.
    """
    tree = home.tree(receipt.folder)
    with local_errors("cannot be read", tree):
        try:
            found = digest_tree(tree).sha256
        except ArchiveError as exc:
            found = Sha256Hex(exc.what)
    if found != receipt.tree_sha256:
        raise DigestMismatchError(
            "not the tree that was signed",
            subject=str(tree),
            expected=receipt.tree_sha256,
            found=found,
        )
