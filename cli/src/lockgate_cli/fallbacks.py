"""Where a channel's clients go if all that it offers is revoked: so this must not be retired."""

from __future__ import annotations

from lockgate_cli.repository import Base
from lockgate_release.documents import ChannelDocument

__all__ = ["fallback_of"]


def fallback_of(base: Base, document: ChannelDocument) -> str | None:
    """Return the newest release that everybody had and may have again, beside those offered.

    Raises:
        VersionError: The document holds what is no version of the app's scheme.
    """
    channel, parse = document.channel, base.policy.versions.parse
    for version in sorted(document.once_full, key=parse, reverse=True):
        found = base.find(version)
        entry = found[1] if found else None
        if entry is None or channel not in entry.channels or document.offer_of(version):
            continue
        revocation = document.revocation_of(version)
        is_revoked = revocation is not None and not entry.lifts(channel, revocation.at)
        floor = entry.floors.get(channel)
        if not is_revoked and (floor is None or parse(version) >= parse(floor)):
            return version
    return None
