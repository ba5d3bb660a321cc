"""Which role of releases a version belongs to: the path tells the role, the channels tell the path.

1. What is live stays in the list that it stands in.
2. A new one goes into the first list whose folder all of its channels take.
3. Where there is none, it counts as the main role's: whoever plans the offers says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

from lockgate_cli.repository import Base
from lockgate_release.layout import release_path
from lockgate_release.names import ChannelName
from lockgate_release.trust.roles import Role
from lockgate_release.trust.standing import read_standing

__all__ = ["choose_role", "lacks_approval", "path_of"]


def choose_role(base: Base, version: str, channels: Iterable[ChannelName] = ()) -> str:
    """Return the role whose list a version stands in, or would.

    Args:
        base: The state in force.
        version: The release.
        channels: Where it is to be offered.
    """
    found = base.find(version)
    if found is not None:
        return found[0].split("/", 1)[0]
    rules = [base.policy.channel(channel) for channel in channels]
    for role in base.chain.release_roles:
        path = release_path(version, folder=role)
        if rules and all(rule.allows_path(path) for rule in rules):
            return role
    return Role.RELEASES.value


def path_of(base: Base, version: str, channels: Iterable[ChannelName] = ()) -> str:
    """Return the path of a version's document, live or to be."""
    return release_path(version, folder=choose_role(base, version, channels))


def lacks_approval(base: Base, version: str, channel: ChannelName) -> bool:
    """Whether a channel demands approvals that the release does not have yet.

    Raises:
        DocumentError: The policy holds what is no key.
    """
    rule = base.policy.channel(channel)
    if rule.approvals is None or not rule.approvals.threshold:
        return False
    offer, document = base.as_offer(version), base.channels.get(channel)
    if offer is None or document is None:
        return True
    standing = read_standing(rule, document, offer, base.chain.targets.signed, {})
    return standing.approvals is None or not standing.approvals.is_enough
