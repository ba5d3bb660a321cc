"""Unpacking: from an archive that nobody trusts to a tree that cannot leave its folder."""

from lockgate_release.archives.unpack import ArchiveKind, Limits, guess_kind, unpack

__all__ = ["ArchiveKind", "Limits", "guess_kind", "unpack"]
