"""What maintainers may put in force, checked before anything is written. Pure.

Signatures and numbers are checked by `trust.chain`. These rules keep a maintainer from locking the
server, or a client, out of what is in force:

1. It has not expired.
2. One key that this server signs with is the key of timestamp and snapshot, and of `channels`. It
   may be the next one, once both have signed everything.
3. What is in force stays verifiable: every delegated list by the new targets; targets, snapshot and
   timestamp by the new root. Whoever changes keys signs the old words with the new keys too.
4. Targets can also be verified by every root that a client may still hold, because a cache has told
   it that there is no next one.
5. The policy stays, names this app, keeps the order of versions, and makes sense by itself
   (`policy_rules`). Beside it there is nothing but Sigstore's trusted root, and there is one where
   the policy demands attestations.
6. Delegations keep their names, their paths and their terminating mark; clients hold to them.
   Beside `releases` and `channels` there may be further roles of releases, each for the folder of
   its name, so that no path is spoken for twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import DelegatedRole, Root, Snapshot, Targets, Timestamp
from tuf.api.metadata import Role as TufRole

from lockgate_release.documents import PolicyDocument, parse_policy
from lockgate_release.documents.trusted_root import parse_trusted_root
from lockgate_release.errors import DocumentError, ExpiredError, TrustError, UsageError
from lockgate_release.instants import format_instant
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.names import AppName
from lockgate_release.trust.chain import Verified
from lockgate_release.trust.policy_rules import check_provable, check_rules
from lockgate_release.trust.roles import DELEGATED_PATHS, Role, is_further_role, paths_of

__all__ = [
    "Standing",
    "check_policy",
    "check_root",
    "check_root_verifies",
    "check_targets",
    "check_trusted_root",
]

_Words: TypeAlias = Verified[Targets] | Verified[Snapshot] | Verified[Timestamp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What must stand when maintainers' words change.

    Attributes:
        online_key_ids: The keys that this server signs with.
        lists: The delegated lists in force, by their role.
        older_roots: The roots that a client may still hold, by number, the one in force excepted.
    """

    online_key_ids: frozenset[str]
    lists: Mapping[str, Verified[Targets]]
    older_roots: Mapping[int, Root] = field(default_factory=dict)


def check_root(
    root: Verified[Root], online_key_ids: frozenset[str], targets: Verified[Targets], now: datetime
) -> None:
    """Refuse a root that would lock somebody out (rules 1 to 3).

    Args:
        root: It, verified.
        online_key_ids: The keys that this server signs with.
        targets: The targets that will be in force with it.
        now: The present, aware.

    Raises:
        ExpiredError: It has expired.
        TrustError: It breaks rule 2 or 3.
    """
    _check_fresh(root, "root", now)
    if not root.signed.consistent_snapshot:
        raise TrustError("without consistent snapshots", subject="root")
    for role in (Role.TIMESTAMP, Role.SNAPSHOT):
        _check_online(root.signed.roles[role.value], online_key_ids, f"root: {role}")
    _check_verifiable(root.signed, Role.TARGETS, targets, by="this root")


def check_root_verifies(
    root: Root, snapshot: Verified[Snapshot], timestamp: Verified[Timestamp]
) -> None:
    """Refuse a root whose online key has not signed what is in force (rule 3).

    Raises:
        TrustError: It has not.
    """
    hint = "Begin with the next key: lockgate-server key rotate. Both then sign everything."
    for role, words in ((Role.SNAPSHOT, snapshot), (Role.TIMESTAMP, timestamp)):
        _check_verifiable(root, role, words, by="this root", hint=hint)


def check_targets(targets: Verified[Targets], standing: Standing, now: datetime) -> None:
    """Refuse targets that would lock somebody out (rules 1 to 4, and 6).

    Raises:
        ExpiredError: They have expired.
        TrustError: They break another rule.
    """
    _check_fresh(targets, "targets", now)
    delegations = targets.signed.delegations
    roles = (delegations and delegations.roles) or {}
    expected = sorted(role.value for role in DELEGATED_PATHS)
    if not set(expected) <= roles.keys():
        raise TrustError(
            "other delegations",
            subject="targets",
            expected=", ".join(expected),
            found=", ".join(sorted(roles)) or "none",
        )
    for name, role in roles.items():
        _check_delegation(name, role)
    _check_online(roles[Role.CHANNELS.value], standing.online_key_ids, "targets: channels")
    for name, words in standing.lists.items():
        if name in roles:
            _check_verifiable(targets.signed, name, words, by="these targets")
    for number, root in standing.older_roots.items():
        _check_verifiable(
            root,
            Role.TARGETS,
            targets,
            by=f"root {number}, which clients behind caches may still hold",
            hint="Sign with its keys too, or wait until no cache hides the newer root any more.",
        )


def check_policy(
    app: AppName, targets: Targets, data: bytes | None, before: PolicyDocument | None
) -> PolicyDocument:
    """Return the policy that targets name (rule 5).

    Args:
        app: The app.
        targets: Who names it.
        data: Its bytes, if they came.
        before: The policy in force, or None before the first.

    Raises:
        TrustError: Targets name none, or name more than the policy; or an approver counts twice.
        DocumentError: Its bytes are missing, not what was signed, or no policy of this app; or it
            breaks one of the rules of `policy_rules`.
        UsageError: It changes the order of versions.
    """
    if not {POLICY_PATH} <= set(targets.targets) <= {POLICY_PATH, TRUSTED_ROOT_PATH}:
        raise TrustError(
            "not the policy, and Sigstore's trusted root at most",
            subject="targets",
            expected=f"{POLICY_PATH}, {TRUSTED_ROOT_PATH}",
            found=", ".join(sorted(targets.targets)) or "nothing",
        )
    if data is None:
        raise DocumentError("missing", subject=POLICY_PATH, expected="its bytes")
    _check_bytes(targets, POLICY_PATH, data)
    policy = parse_policy(data)
    if policy.app != app:
        raise DocumentError(
            "another app's document", subject=POLICY_PATH, expected=app, found=policy.app
        )
    if before is not None and policy.versions is not before.versions:
        raise UsageError(
            "another order of versions",
            subject=f"{POLICY_PATH}: versions",
            expected=before.versions,
            found=policy.versions,
            hint="Versions that are out there have been compared by the old one.",
        )
    check_rules(policy, data)
    return policy


def check_trusted_root(targets: Targets, policy: PolicyDocument, data: bytes | None) -> None:
    """Hold what proofs of origin are verified with to what targets say (rule 5).

    Args:
        targets: Who names it, or does not.
        policy: The policy that targets name.
        data: Its bytes, if they came.

    Raises:
        DocumentError: Its bytes are missing, not what was signed, or no trusted root; or there is
            none, and the policy demands attestations.
    """
    if TRUSTED_ROOT_PATH in targets.targets:
        if data is None:
            raise DocumentError("missing", subject=TRUSTED_ROOT_PATH, expected="its bytes")
        _check_bytes(targets, TRUSTED_ROOT_PATH, data)
        parse_trusted_root(data, subject=TRUSTED_ROOT_PATH)
        return
    check_provable(policy, targets)


def _check_bytes(targets: Targets, path: str, data: bytes) -> None:
    try:
        targets.targets[path].verify_length_and_hashes(data)
    except tuf_errors.LengthOrHashMismatchError as exc:
        raise DocumentError("not the bytes that were signed", subject=path, found=str(exc)) from exc


def _check_fresh(verified: Verified[Root] | Verified[Targets], name: str, now: datetime) -> None:
    if verified.signed.is_expired(now):
        raise ExpiredError(
            "expired already",
            subject=name,
            expected=f"a time after {format_instant(now)}",
            found=format_instant(verified.signed.expires),
        )


def _check_online(role: TufRole, online_key_ids: frozenset[str], subject: str) -> None:
    if len(role.keyids) != 1 or not set(role.keyids) <= online_key_ids:
        raise TrustError(
            "not this server's key",
            subject=subject,
            expected=" or ".join(sorted(online_key_ids)),
            found=", ".join(role.keyids) or "none",
        )


def _check_delegation(name: str, role: DelegatedRole) -> None:
    if name not in DELEGATED_PATHS and not is_further_role(name):
        raise TrustError(
            "other delegations",
            subject="targets",
            expected="releases, channels, and roles named as the folder they speak for",
            found=name[:80],
        )
    paths = paths_of(name)
    if not role.terminating or tuple(role.paths or ()) != paths:
        raise TrustError(
            "another delegation",
            subject=f"targets: {role.name}",
            expected=f"terminating, {', '.join(paths)}",
            found=f"terminating={role.terminating}, {', '.join(role.paths or ())}",
        )


def _check_verifiable(
    authority: Root | Targets, role: str, words: _Words, *, by: str, hint: str = ""
) -> None:
    try:
        authority.verify_delegate(role, words.metadata.signed_bytes, words.metadata.signatures)
    except (tuf_errors.RepositoryError, ValueError) as exc:
        raise TrustError(
            f"what is in force could no longer be verified by {by}",
            subject=f"{words.version}.{role}.json",
            found=str(exc)[:300],
            hint=hint or f"Renew {role} first, signed by the old keys and the new ones.",
        ) from exc
