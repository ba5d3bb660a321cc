"""What a change that broke off has left behind: finished, or given up, before the next change.

1. An open intent whose pointer, or whose root, is in force is done: only the note of it was lost.
   So is one to let go of a key that is gone.
2. An open intent that can no longer win, because the pointer has moved past it, is abandoned.
3. An open intent that may still be somebody's at this moment is left alone, until it is older than
   any request can be.
4. Targets, or a list of releases, that stand above those in force, are signed as they must be, keep
   every rule and name nothing that is missing, are put in force: their number is theirs.
   A list that waits for signatures is not: `pending` puts it in force, with its offers, or nobody.
5. Whatever else stands at these numbers is dead, and so is a list that was withdrawn. Who built on
   the state in force would have written what keeps its rules, and who built on another one cannot
   win. It is written over by the next list that needs the number, on condition that it is still
   those very bytes; the audit log says so. Bytes that are replaced each time can deny service, and
   nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from tuf.api.metadata import TargetFile, Targets

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import (
    LocalError,
    LockgateError,
    RepositoryError,
    TransportError,
)
from lockgate_release.layout import (
    POLICY_PATH,
    TRUSTED_ROOT_PATH,
    metadata_key,
    target_key,
)
from lockgate_release.names import Sha256Hex
from lockgate_release.trust.chain import Verified, verify_next_releases, verify_next_targets
from lockgate_release.trust.roles import Role
from lockgate_server.ports import AuditEntry
from lockgate_server.services.objects import read_object
from lockgate_server.services.write.bars import bars_of, check_offers_stand, offered_in
from lockgate_server.services.write.base import Base, highest_of, read_target
from lockgate_server.services.write.composing import Change, DeadFile, online_keys
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.lists import list_before, others_than
from lockgate_server.services.write.publishing import (
    artifact_keys,
    changed_paths,
    check_artifacts,
    check_documents,
    check_list,
    check_marks,
    read_verified,
)
from lockgate_server.services.write.renewal_rules import (
    check_policy,
    check_targets,
    check_trusted_root,
)
from lockgate_server.services.write.sizes import sizes_in_store
from lockgate_server.services.write.standing import standing_of
from lockgate_server.services.write.waiting import check_not_withdrawn, is_waiting

__all__ = ["PATIENCE", "find_leftovers", "settle_intents"]

PATIENCE = timedelta(minutes=15)
"""After this, whoever wrote an intent is no longer working on it."""


_MOST_WORDS = 300


def settle_intents(deps: WriteDeps, base: Base) -> None:
    """Close the app's open intents, as far as that can be decided now (rules 1 to 3).

    Raises:
        LocalError: The ledger cannot be written.
        TransportError: The store cannot be reached.
    """
    for entry in deps.ledger.open_entries(base.app):
        if _is_in_force(deps, base, entry):
            deps.ledger.finish(entry.number, highest_of(base))
        elif _can_no_longer_win(base, entry) or entry.at + PATIENCE < deps.now():
            deps.ledger.abandon(entry.number)


def _is_in_force(deps: WriteDeps, base: Base, entry: AuditEntry) -> bool:
    root_sha256 = entry.intent.details.get("root_sha256")
    dropped = entry.intent.details.get("dropped_keyid")
    if dropped is not None:
        held = deps.keys.held(base.app, online_keys(base))
        return all(one.key.keyid != dropped for one in held)
    if root_sha256 is None:
        return entry.intent.timestamp_sha256 == digest_bytes(base.chain.timestamp.data)
    key = metadata_key(base.app, Role.ROOT, _number(entry, "root_version"))
    found = read_object(deps.store, key)
    return found is not None and digest_bytes(found.data) == root_sha256


def _can_no_longer_win(base: Base, entry: AuditEntry) -> bool:
    if "root_sha256" in entry.intent.details:
        return _number(entry, "root_version") <= base.chain.root.version
    return _number(entry, "timestamp_version") <= base.timestamp_version


def _number(entry: AuditEntry, name: str) -> int:
    value = entry.intent.details.get(name)
    return value if isinstance(value, int) else 0


def find_leftovers(
    deps: WriteDeps, base: Base, *, own: bytes | None = None
) -> tuple[Change | None, Mapping[str, DeadFile]]:
    """Return what finishes a change that broke off, if anything does (4), and what is dead (5).

    Args:
        deps: Where to look.
        base: The state in force.
        own: Metadata that the caller is about to put in force anyway.

    Raises:
        TransportError: The store cannot be reached.
        LocalError: The store refuses.
    """
    dead: dict[str, DeadFile] = {}
    for role in (Role.TARGETS.value, *base.chain.release_roles):
        key = metadata_key(base.app, role, _number_of(base, role) + 1)
        try:
            found = read_object(deps.store, key)
        except RepositoryError as exc:
            dead.update(_too_large(deps, key, exc))
            continue
        if found is None or found.data == own or is_waiting(deps.ledger, base.app, found.data):
            continue
        try:
            if role == Role.TARGETS:
                return _find_targets(deps, base, found.data), dead
            return _find_releases(deps, base, found.data, role), dead
        except (TransportError, LocalError):
            # Nothing is known of it: what cannot be read is not called dead.
            raise
        except LockgateError as exc:
            sha256 = digest_bytes(found.data)
            dead[key] = DeadFile(etag=found.etag, sha256=sha256, why=_cut(exc))
    return None, dead


def _number_of(base: Base, role: str) -> int:
    held = base.chain.targets if role == Role.TARGETS else base.chain.list_of(role)
    return 0 if held is None else held.version


def _too_large(deps: WriteDeps, key: str, exc: RepositoryError) -> dict[str, DeadFile]:
    info = deps.store.head(key)
    return {} if info is None else {key: DeadFile(etag=info.etag, sha256="", why=_cut(exc))}


def _cut(exc: LockgateError) -> str:
    return str(exc)[:_MOST_WORDS]


def _find_targets(deps: WriteDeps, base: Base, data: bytes) -> Change:
    verified = verify_next_targets(base.chain.root.signed, base.chain.targets, data)
    check_targets(verified, standing_of(deps, base), deps.now())
    documents = {
        path: read_target(deps.store, base.app, path, target)
        for path, target in verified.signed.targets.items()
        if path in {POLICY_PATH, TRUSTED_ROOT_PATH}
    }
    rules = check_policy(base.app, verified.signed, documents.get(POLICY_PATH), base.policy)
    check_trusted_root(verified.signed, rules, documents.get(TRUSTED_ROOT_PATH))
    after = replace(base, chain=replace(base.chain, targets=verified), policy=rules)
    check_offers_stand(bars_of(deps, after), base.channels.values())
    return Change(
        action="adopt.targets",
        details=_describe(verified),
        targets=verified,
        builds_on=_document_keys(base, verified.signed.targets),
    )


def _find_releases(deps: WriteDeps, base: Base, data: bytes, role: str) -> Change:
    verified = verify_next_releases(base.chain, data, role=role)
    check_not_withdrawn(deps.ledger, base.app, verified, role)
    new, before = read_verified(verified, role=role), list_before(base, role)
    channels = tuple(base.channels.values())
    check_list(new, before, base.policy, channels, deps.now(), others_than(base, role))
    check_marks(new, before, base.chain.targets.version)
    check_offers_stand(bars_of(deps, base, new, waived=offered_in(channels)), channels)
    changed = changed_paths(new, before)
    documents = {
        path: read_target(deps.store, base.app, path, target) for path, target in changed.items()
    }
    releases = check_documents(base.app, changed, documents)
    sizes = sizes_in_store(deps.store, base.app, (file.sha256 for file in releases))
    check_artifacts(releases, sizes.__getitem__)
    return Change(
        action=f"adopt.{role}",
        details=_describe(verified),
        releases=verified,
        role=role,
        builds_on=_document_keys(base, changed) | artifact_keys(base.app, releases),
    )


def _document_keys(base: Base, targets: Mapping[str, TargetFile]) -> frozenset[str]:
    return frozenset(
        target_key(base.app, path, Sha256Hex(target.hashes.get("sha256", "")))
        for path, target in targets.items()
    )


def _describe(verified: Verified[Targets]) -> dict[str, str | int]:
    return {"version": verified.version, "why": "written by a change that broke off"}
