"""The mark that publishers sign beside each release: TUF `custom` of its entry in `releases`.

It binds a release to its channels, so that a stolen server cannot move a preview into stable, and
repeats each channel's floor, so that it cannot lower one: publishers keep the floor of a channel
equal in every live entry, and a client reads it from whichever entry it is offered.

It also names the maintainers' targets, and so the policy, that its publishers last saw: a machine
that is new, and has seen no targets yet, can be shown no older ones together with this release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from lockgate_release.documents.common import rest_of, with_unknown
from lockgate_release.instants import format_instant
from lockgate_release.names import ChannelName, is_channel_name
from lockgate_release.strict_json import Fields, Json, JsonObject
from lockgate_release.versions import is_version_text

__all__ = ["ReleaseEntry", "parse_entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEntry:
    """What the publishers say about one live release.

    Attributes:
        version: The release.
        channels: Where it may be offered.
        floors: The lowest version that may still be installed, for each channel that has one.
        lifted: For each channel in which the publishers have lifted a revocation of it, the moment
            of that revocation. One that was made later stands: a lift is spent once.
        targets_version: The number of the targets that its publishers saw when they last let it
            into a channel; 0 where they said nothing.
    """

    version: str
    channels: tuple[ChannelName, ...]
    floors: Mapping[ChannelName, str] = field(default_factory=dict)
    lifted: Mapping[ChannelName, datetime] = field(default_factory=dict)
    targets_version: int = 0
    unknown: JsonObject = field(default_factory=dict)

    def lifts(self, channel: ChannelName, revoked_at: datetime | None) -> bool:
        """Whether the publishers have lifted the revocation made in the channel at that moment.

        Args:
            channel: Where it was revoked.
            revoked_at: When; None where that is not known any more: then any lift counts.
        """
        lifted = self.lifted.get(channel)
        return lifted is not None and (revoked_at is None or revoked_at <= lifted)

    def to_json(self) -> JsonObject:
        """Return the mark as it stands in the metadata."""
        known: dict[str, Json] = {
            "version": self.version,
            "channels": sorted(self.channels),
            "floor": {str(name): floor for name, floor in self.floors.items()},
        }
        if self.lifted:
            known["lifted"] = {
                str(name): format_instant(at) for name, at in sorted(self.lifted.items())
            }
        if self.targets_version:
            known["targets"] = self.targets_version
        return with_unknown(known, self.unknown)


def parse_entry(custom: Mapping[str, Json] | None, *, subject: str) -> ReleaseEntry:
    """Return the mark in a TUF target's `custom`.

    Raises:
        DocumentError: There is none, or it is not one; the message names the field.
    """
    # TUF leaves this field's shape to its users: whatever a publisher signed can stand here.
    fields = Fields({"custom": custom or {}}, subject=subject, path="").object("custom")
    floors = fields.object("floor", optional=True)
    lifted = fields.object("lifted", optional=True)
    return ReleaseEntry(
        version=fields.checked("version", is_version_text, "a version"),
        channels=_read_channels(fields),
        floors=MappingProxyType(
            {
                ChannelName(_check_channel(floors, name)): floors.checked(
                    name, is_version_text, "a version"
                )
                for name in floors.names()
            }
        ),
        lifted=MappingProxyType(
            {
                ChannelName(_check_channel(lifted, name)): lifted.instant(name)
                for name in lifted.names()
            }
        ),
        targets_version=fields.integer("targets", default=0),
        unknown=rest_of(fields),
    )


def _read_channels(fields: Fields) -> tuple[ChannelName, ...]:
    names = fields.texts("channels")
    for index, text in enumerate(names):
        if not is_channel_name(text):
            fields.fail(
                f"channels[{index}]",
                "wrong value",
                expected="a channel name",
                found=repr(text[:80]),
            )
    return tuple(ChannelName(text) for text in names)


def _check_channel(fields: Fields, name: str) -> str:
    if not is_channel_name(name):
        fields.fail(name, "wrong name", expected="a channel name")
    return name
