"""What maintainers may put in force, checked before anything is written. Pure.

Signatures and numbers are checked by `trust.chain`. These rules keep a maintainer from locking the
server, or every client, out of what is in force:

1. It has not expired.
2. This server's key stays the key of timestamp and snapshot, and of `channels`.
3. What is in force stays verifiable: the list of releases by the new targets, the targets in force
   by the new root. Whoever changes keys signs the old words with the new keys first.
4. The policy stays, names this app, and keeps the order of versions.
5. Delegations keep their names, their paths and their terminating mark; clients hold to them.
"""

from __future__ import annotations

from datetime import datetime

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import DelegatedRole, Root, Targets

from lockgate_release.documents import PolicyDocument, parse_policy
from lockgate_release.errors import DocumentError, ExpiredError, TrustError, UsageError
from lockgate_release.instants import format_instant
from lockgate_release.layout import POLICY_PATH
from lockgate_release.names import AppName
from lockgate_release.trust.chain import Verified
from lockgate_release.trust.roles import DELEGATED_PATHS, Role

__all__ = ["check_policy", "check_root", "check_targets"]


def check_root(
    root: Verified[Root], online_key_id: str, targets: Verified[Targets], now: datetime
) -> None:
    """Refuse a root that would lock somebody out (rules 1 to 3).

    Raises:
        ExpiredError: It has expired.
        TrustError: It breaks rule 2 or 3.
    """
    _check_fresh(root, "root", now)
    if not root.signed.consistent_snapshot:
        raise TrustError("without consistent snapshots", subject="root")
    for role in (Role.TIMESTAMP, Role.SNAPSHOT):
        _check_online(root.signed.roles[role.value].keyids, online_key_id, f"root: {role}")
    _check_verifiable(root.signed, Role.TARGETS, targets, by="this root")


def check_targets(
    targets: Verified[Targets], online_key_id: str, releases: Verified[Targets], now: datetime
) -> None:
    """Refuse targets that would lock somebody out (rules 1, 2, 3 and 5).

    Raises:
        ExpiredError: They have expired.
        TrustError: They break another rule.
    """
    _check_fresh(targets, "targets", now)
    delegations = targets.signed.delegations
    roles = (delegations and delegations.roles) or {}
    expected = sorted(role.value for role in DELEGATED_PATHS)
    if sorted(roles) != expected:
        raise TrustError(
            "other delegations",
            subject="targets",
            expected=", ".join(expected),
            found=", ".join(sorted(roles)) or "none",
        )
    for role, paths in DELEGATED_PATHS.items():
        _check_delegation(roles[role.value], paths)
    _check_online(roles[Role.CHANNELS.value].keyids, online_key_id, "targets: channels")
    _check_verifiable(targets.signed, Role.RELEASES, releases, by="these targets")


def check_policy(
    app: AppName, targets: Targets, data: bytes | None, before: PolicyDocument | None
) -> PolicyDocument:
    """Return the policy that targets name (rule 4).

    Args:
        app: The app.
        targets: Who names it.
        data: Its bytes, if they came.
        before: The policy in force, or None before the first.

    Raises:
        TrustError: Targets name none, or name more than the policy.
        DocumentError: Its bytes are missing, not what was signed, or no policy of this app.
        UsageError: It changes the order of versions.
    """
    if list(targets.targets) != [POLICY_PATH]:
        raise TrustError(
            "not exactly the policy",
            subject="targets",
            expected=POLICY_PATH,
            found=", ".join(sorted(targets.targets)) or "nothing",
        )
    if data is None:
        raise DocumentError("missing", subject=POLICY_PATH, expected="its bytes")
    try:
        targets.targets[POLICY_PATH].verify_length_and_hashes(data)
    except tuf_errors.LengthOrHashMismatchError as exc:
        raise DocumentError(
            "not the bytes that were signed", subject=POLICY_PATH, found=str(exc)
        ) from exc
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
    return policy


def _check_fresh(verified: Verified[Root] | Verified[Targets], name: str, now: datetime) -> None:
    if verified.signed.is_expired(now):
        raise ExpiredError(
            "expired already",
            subject=name,
            expected=f"a time after {format_instant(now)}",
            found=format_instant(verified.signed.expires),
        )


def _check_online(key_ids: list[str], online_key_id: str, subject: str) -> None:
    if key_ids != [online_key_id]:
        raise TrustError(
            "not this server's key",
            subject=subject,
            expected=online_key_id,
            found=", ".join(key_ids) or "none",
        )


def _check_delegation(role: DelegatedRole, paths: tuple[str, ...]) -> None:
    if not role.terminating or tuple(role.paths or ()) != paths:
        raise TrustError(
            "another delegation",
            subject=f"targets: {role.name}",
            expected=f"terminating, {', '.join(paths)}",
            found=f"terminating={role.terminating}, {', '.join(role.paths or ())}",
        )


def _check_verifiable(
    authority: Root | Targets, role: Role, verified: Verified[Targets], *, by: str
) -> None:
    try:
        authority.verify_delegate(
            role.value, verified.metadata.signed_bytes, verified.metadata.signatures
        )
    except (tuf_errors.RepositoryError, ValueError) as exc:
        raise TrustError(
            f"what is in force could no longer be verified by {by}",
            subject=f"{verified.version}.{role}.json",
            found=str(exc)[:300],
            hint=f"Renew {role} first, signed by the old keys and the new ones.",
        ) from exc
