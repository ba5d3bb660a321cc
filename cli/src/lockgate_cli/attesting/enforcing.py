"""From complete coverage to a rule: what is asked of artifacts, and turned into a ceremony file.

1. A rule is turned into a ceremony only when every artifact of every release that the channel may
   offer meets it, with what is in force; one that waits for signatures is not.
2. The ceremony file is made as `lockgate policy edit` makes it: maintainers sign it, the server
   checks it again.
3. What it is verified with is the trusted root in that file, if it brings another one, else the one
   in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate_cli.attesting.coverage import Covered, Live, shorten_lack
from lockgate_cli.attesting.judging import Rules, read_trusted_root_bytes
from lockgate_cli.ceremonies.files import load_ceremony
from lockgate_cli.policies import ChannelEdit
from lockgate_cli.repository import Base, FileReader
from lockgate_release.documents.attestation_rules import AttestationRule
from lockgate_release.documents.policy import DEFAULT_CHANNEL
from lockgate_release.errors import UsageError
from lockgate_release.layout import TRUSTED_ROOT_PATH
from lockgate_release.names import is_channel_name

__all__ = ["Demand", "check_complete", "parse_demand", "trusted_root_for"]

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is to be demanded of a channel.

    Attributes:
        channel: The channel, or `*`.
        rule: Which proofs of origin.
    """

    channel: str
    rule: AttestationRule

    def concerns(self, base: Base, live: Live) -> bool:
        """Whether the channel may offer the release."""
        if self.channel != DEFAULT_CHANNEL:
            return self.channel in live.channels
        return any(name not in base.policy.channels for name in live.channels)

    def rules(self, base: Base) -> Rules:
        """Return this rule, for the releases that it concerns."""

        def find(live: Live) -> Sequence[tuple[str, AttestationRule]]:
            return [(self.channel, self.rule)] if self.concerns(base, live) else []

        return find

    def edit(self) -> ChannelEdit:
        """Return it as a change of the policy."""
        return ChannelEdit(channel=self.channel, attestations=self.rule)


def parse_demand(
    channel: str | None, rule: AttestationRule | None, require: Path | None
) -> Demand | None:
    """Return what is to be demanded, or None where nothing was said of that.

    Raises:
        UsageError: Half of it was said, or the channel is none.
    """
    if channel is None and rule is None:
        if require is not None:
            raise UsageError(
                "require what?", subject="--require", expected="--channel NAME --attest IDENTITY"
            )
        return None
    if channel is None:
        raise UsageError("of which channel?", subject="--attest", expected="--channel NAME too")
    if rule is None:
        raise UsageError("whose?", subject="--channel", expected="--attest IDENTITY too")
    if channel != DEFAULT_CHANNEL and not is_channel_name(channel):
        raise UsageError("not a channel", subject="--channel", found=repr(channel[:80]))
    return Demand(channel=channel, rule=rule)


def trusted_root_for(source: FileReader, base: Base, require: Path | None) -> bytes | None:
    """Return what bundles are judged with (rule 3), or None where there is nothing.

    Raises:
        UsageError: The ceremony file is none.
        RepositoryError: What is in force cannot be verified.
        TransportError: It could not be fetched.
    """
    if require is not None and require.exists():
        brought = load_ceremony(require).documents.get(TRUSTED_ROOT_PATH)
        if brought is not None:
            return brought
    return read_trusted_root_bytes(source, base)


def check_complete(covered: Sequence[Covered]) -> None:
    """Return only when there is something to cover, and all of it is.

    Raises:
        UsageError: It is not so.
    """
    lacking = [item for item in covered if item.lacks]
    if not covered:
        raise UsageError(
            "nothing to require it of", subject="--require", expected="a release in the channel"
        )
    if lacking:
        named = [
            f"{item.live.version} {item.artifact.platform}: {shorten_lack(item.lacks[0])}"
            for item in lacking[:_SHOWN]
        ]
        if len(lacking) > _SHOWN:
            named.append(f"{len(lacking) - _SHOWN} more")
        raise UsageError(
            "coverage is not complete, so nothing demands it",
            subject="--require",
            expected=f"all {len(covered)} artifacts covered",
            found="; ".join(named),
            hint="Attach what is missing, or retire those releases: lockgate releases retire.",
        )
