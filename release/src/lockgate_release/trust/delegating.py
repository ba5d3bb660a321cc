"""Further roles of releases: other folders, other publishers, another number of signatures. Pure.

`previews` speaks for `previews/*/*.json`, and for nothing else: paths of roles are disjoint, so the
path of a release tells the role that vouches for it, and the policy's patterns tell the channels
that take it. Whoever signs targets calls these; nothing here signs.
"""

from __future__ import annotations

from collections.abc import Mapping

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Targets

from lockgate_release.errors import UsageError
from lockgate_release.trust.roles import Role, is_further_role, paths_of

__all__ = ["delegate_releases", "drop_delegation"]


def delegate_releases(
    targets: Targets, role: str, publishers: Mapping[str, Key], threshold: int
) -> None:
    """Leave `targets` delegating a further role of releases to exactly these publishers.

    Args:
        targets: To be signed by maintainers afterwards.
        role: The role, which is also its folder.
        publishers: Their public keys by their ids.
        threshold: How many of them must sign its list, 1 to their number.

    Raises:
        UsageError: The role cannot have that name, or so many signatures are not to be had.
    """
    if not is_further_role(role):
        raise UsageError(
            "not a name for a role of releases",
            subject=role,
            expected="1 to 32 of a-z 0-9 _ -, a letter first, and none of TUF's own",
        )
    if not 1 <= threshold <= len(publishers):
        raise UsageError(
            "more signatures than keys",
            subject=role,
            expected=f"1 to {len(publishers)}",
            found=str(threshold),
        )
    delegations = targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    before = delegations.roles.get(role)
    gone = [] if before is None else [key for key in before.keyids if key not in publishers]
    delegations.roles[role] = DelegatedRole(
        role, list(publishers), threshold, terminating=True, paths=list(paths_of(role))
    )
    delegations.keys.update(publishers)
    _forget_keys(targets, gone)


def drop_delegation(targets: Targets, role: str) -> None:
    """Leave `targets` without a further role of releases.

    Raises:
        UsageError: It is none.
    """
    delegations = targets.delegations
    roles = (delegations and delegations.roles) or {}
    if role not in roles or role in {Role.RELEASES, Role.CHANNELS}:
        raise UsageError("not a further role of releases", subject=role)
    gone = roles.pop(role).keyids
    _forget_keys(targets, gone)


def _forget_keys(targets: Targets, keyids: list[str]) -> None:
    """Drop the keys that no role needs any more."""
    assert targets.delegations is not None
    roles = targets.delegations.roles or {}
    used = {keyid for role in roles.values() for keyid in role.keyids}
    for keyid in keyids:
        if keyid not in used:
            targets.delegations.keys.pop(keyid, None)
