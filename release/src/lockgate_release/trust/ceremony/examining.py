"""What a ceremony really changes, found by whoever is about to sign it. Pure.

Nothing that stands in the file is believed. The parts are compared with the state in force:

1. The ceremony follows the state in force: its base, and the number of each part, is the next.
2. Each part is the part in force with other speakers, another policy, another number and another
   end, and differs in nothing else: what has no words here cannot be signed unseen.
3. The speakers make sense (`arrangement`), and so does the policy (`policy_rules`).
4. What is in force stays verifiable by what is to come: targets by the next root, each list by the
   next targets, and what the server signs by the keys to come for it.
5. Nothing has expired, or lasts longer than its role may.
6. Each signature is right, and by a key that counts for that part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from securesystemslib.signer import Key
from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from lockgate_release.documents import PolicyDocument, parse_policy
from lockgate_release.documents.trusted_root import TrustedRoot, parse_trusted_root
from lockgate_release.errors import ConflictError, DocumentError, ExpiredError, TrustError
from lockgate_release.instants import format_instant
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.trust.ceremony.arrangement import (
    Arrangement,
    check_arrangement,
    read_arrangement,
)
from lockgate_release.trust.ceremony.demands import (
    Demand,
    Parts,
    check_signatures,
    demands_of,
)
from lockgate_release.trust.ceremony.file import PARTS, Ceremony
from lockgate_release.trust.ceremony.making import (
    base_of,
    can_verify,
    compose_releases,
    compose_root,
    compose_targets,
)
from lockgate_release.trust.chain import Chain
from lockgate_release.trust.policy_rules import check_provable, check_rules
from lockgate_release.trust.roles import EXPIRY, Role

__all__ = ["Examined", "examine"]

_SLACK = timedelta(days=1)
"""How far the clocks of two maintainers may be apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A ceremony that keeps every rule, and what it would change.

    Attributes:
        ceremony: The ceremony.
        chain: The state in force, or None before an app's first.
        before: Who speaks for what now, or None.
        after: Who would.
        root: The next root, if it has one.
        targets: The next targets, if it has them.
        releases: The next list of releases, if it has one.
        policy: The policy to come, if it has one.
        trusted_root: Sigstore's trusted root to come, if it has one.
        removed: Documents that go, by path.
        demands: Which signatures it takes.
    """

    ceremony: Ceremony
    chain: Chain | None
    before: Arrangement | None
    after: Arrangement
    root: Metadata[Root] | None
    targets: Metadata[Targets] | None
    releases: Metadata[Targets] | None
    policy: PolicyDocument | None
    trusted_root: TrustedRoot | None
    removed: frozenset[str]
    demands: tuple[Demand, ...]

    @property
    def is_complete(self) -> bool:
        """Whether enough people have signed everything."""
        return not any(demand.missing for demand in self.demands)

    def parts_of(self, keyid: str) -> tuple[str, ...]:
        """Return the parts on which a signature of this key counts."""
        return tuple(
            part
            for part in PARTS
            if any(
                demand.part == part
                and keyid in {key.keyid for key in (*demand.signed, *demand.unsigned)}
                for demand in self.demands
            )
        )

    def lacks(self, keyid: str) -> bool:
        """Whether some part still lacks this key's signature."""
        return any(keyid in {key.keyid for key in demand.unsigned} for demand in self.demands)

    def signers(self) -> dict[str, Key]:
        """Return every key whose signature counts, by its id."""
        return {
            key.keyid: key for demand in self.demands for key in (*demand.signed, *demand.unsigned)
        }


def examine(ceremony: Ceremony, chain: Chain | None, now: datetime) -> Examined:
    """Return what a ceremony changes, held to every rule of this module.

    Args:
        ceremony: The ceremony.
        chain: The state in force, verified; None where the app has none.
        now: The present, aware.

    Raises:
        ConflictError: It follows another state than the one in force.
        TrustError: It breaks rule 2, 3, 4 or 6.
        DocumentError: A key or the policy is not what it must be.
        ExpiredError: It has expired, or ends too late.
    """
    parts = Parts.read(ceremony)
    _check_base(ceremony, chain, parts)
    root = parts.root.signed if parts.root else _in_force(chain).root.signed
    targets = parts.targets.signed if parts.targets else _in_force(chain).targets.signed
    after = read_arrangement(root, targets)
    before = read_arrangement(chain.root.signed, chain.targets.signed) if chain else None
    check_arrangement(after, known=before, error=TrustError)
    for role, metadata in parts.each():
        _check_end(role, metadata.signed.expires, now)
    _check_nothing_else(parts, chain, after, ceremony.documents)
    policy = _check_policy(ceremony, parts)
    trusted_root = _check_trusted_root(ceremony, parts)
    if policy is not None:
        check_provable(policy, targets)
    if chain is not None:
        _check_verifiable(chain, root, targets, parts)
    demands = demands_of(parts, chain, root, targets)
    check_signatures(parts, demands)
    return Examined(
        ceremony=ceremony,
        chain=chain,
        before=before,
        after=after,
        root=parts.root,
        targets=parts.targets,
        releases=parts.releases,
        policy=policy,
        trusted_root=trusted_root,
        removed=removed_in(chain, parts.targets, ceremony.documents),
        demands=demands,
    )


def _in_force(chain: Chain | None) -> Chain:
    if chain is None:
        raise TrustError(
            "an app's first ceremony lacks a part", expected="root, targets and releases"
        )
    return chain


def _check_base(ceremony: Ceremony, chain: Chain | None, parts: Parts) -> None:
    """Rule 1."""
    numbers = dict.fromkeys(PARTS, 0)
    if chain is not None:
        base = base_of(chain)
        numbers = {role: getattr(base, role) for role in PARTS}
        if ceremony.base.root_sha256 != base.root_sha256:
            raise _outdated("root", numbers["root"], ceremony.base.root)
    elif not ceremony.is_first or ceremony.base.root_sha256:
        raise ConflictError("no state to follow", subject=ceremony.app, hint="Say --root.")
    for role, metadata in parts.each():
        if getattr(ceremony.base, role) != numbers[role]:
            raise _outdated(role, numbers[role], getattr(ceremony.base, role))
        if metadata.signed.version != numbers[role] + 1:
            raise TrustError(
                "not the next number",
                subject=role,
                expected=str(numbers[role] + 1),
                found=str(metadata.signed.version),
            )


def _outdated(role: str, number: int, found: int) -> ConflictError:
    hint = "Begin it anew: what it would change is no longer what is in force."
    if role == Role.RELEASES:
        hint = "Something was published meanwhile: lockgate root renew FILE takes the new list in."
    return ConflictError(
        "made for another state than the one in force",
        subject=role,
        expected=f"number {number}",
        found=f"number {found}",
        hint=hint,
    )


def _check_end(role: str, expires: datetime, now: datetime) -> None:
    """Rule 5."""
    latest = now + EXPIRY[Role(role)] + _SLACK
    if not now < expires <= latest:
        raise ExpiredError(
            "expired" if expires <= now else "ends later than anybody may sign",
            subject=role,
            expected=f"an end from {format_instant(now)} to {format_instant(latest)}",
            found=format_instant(expires),
            hint="Begin the ceremony anew." if expires <= now else "Is this machine's clock right?",
        )


def _check_nothing_else(
    parts: Parts, chain: Chain | None, after: Arrangement, documents: Mapping[str, bytes]
) -> None:
    """Rule 2: what these parts would be if only what has words changed, is what they are."""
    if parts.root is not None:
        found = parts.root.signed
        base = chain.root.signed if chain else None
        expected = compose_root(base, after, found.version, found.expires)
        _check_same("root", found.to_dict(), expected.to_dict())
    if parts.targets is not None:
        signed = parts.targets.signed
        old = chain.targets.signed if chain else None
        removed = removed_in(chain, parts.targets, documents)
        following = compose_targets(old, after, signed.version, signed.expires, documents, removed)
        _check_same("targets", signed.to_dict(), following.to_dict())
    elif documents:
        raise TrustError("documents that no part names", found=", ".join(sorted(documents)))
    if parts.releases is not None:
        listed = parts.releases.signed
        current = chain.releases.signed if chain else None
        same = compose_releases(current, listed.version, listed.expires)
        _check_same("releases", listed.to_dict(), same.to_dict())


def removed_in(
    chain: Chain | None, targets: Metadata[Targets] | None, documents: Mapping[str, bytes]
) -> frozenset[str]:
    """Return the documents that a ceremony takes away: at most Sigstore's trusted root.

    Only beside the policy: it is held to what is demanded of origins then, and everybody sees it.
    """
    if chain is None or targets is None or POLICY_PATH not in documents:
        return frozenset()
    gone = chain.targets.signed.targets.keys() - targets.signed.targets.keys()
    return frozenset(gone & {TRUSTED_ROOT_PATH})


def _check_same(
    role: str, found: Mapping[str, object], expected: Mapping[str, object], path: str = ""
) -> None:
    if found == expected:
        return
    for name in sorted({*found, *expected}):
        if found.get(name) == expected.get(name) and (name in found) == (name in expected):
            continue
        one, other = found.get(name), expected.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            _check_same(role, one, other, f"{path}{name}.")
        raise TrustError(
            "changes something that nobody would be told of",
            subject=f"{role}: {path}{name}"[:200],
            expected=repr(other)[:120] if name in expected else "nothing",
            found=repr(one)[:120] if name in found else "nothing",
        )


def _check_policy(ceremony: Ceremony, parts: Parts) -> PolicyDocument | None:
    """Rule 3, for the policy."""
    data = ceremony.documents.get(POLICY_PATH)
    if data is None or parts.targets is None:
        if ceremony.is_first:
            raise DocumentError("missing", subject=POLICY_PATH, expected="an app's first policy")
        return None
    _check_bytes(parts.targets.signed, POLICY_PATH, data)
    policy = parse_policy(data)
    if policy.app != ceremony.app:
        raise DocumentError(
            "another app's policy", subject=POLICY_PATH, expected=ceremony.app, found=policy.app
        )
    check_rules(policy, data)
    return policy


def _check_bytes(targets: Targets, path: str, data: bytes) -> None:
    target: TargetFile = targets.targets[path]
    try:
        target.verify_length_and_hashes(data)
    except tuf_errors.LengthOrHashMismatchError as exc:
        raise DocumentError("not the bytes that are signed", subject=path) from exc


def _check_trusted_root(ceremony: Ceremony, parts: Parts) -> TrustedRoot | None:
    """Rule 3, for the trusted root."""
    data = ceremony.documents.get(TRUSTED_ROOT_PATH)
    if data is None or parts.targets is None:
        return None
    _check_bytes(parts.targets.signed, TRUSTED_ROOT_PATH, data)
    return parse_trusted_root(data, subject=TRUSTED_ROOT_PATH)


def _check_verifiable(chain: Chain, root: Root, targets: Targets, parts: Parts) -> None:
    """Rule 4."""
    unchanged = {
        (Role.TARGETS.value, "the next root"): parts.targets is not None
        or can_verify(root, Role.TARGETS, chain.targets),
        (Role.RELEASES.value, "the next targets"): parts.releases is not None
        or can_verify(targets, Role.RELEASES, chain.releases),
        (Role.CHANNELS.value, "the next targets"): can_verify(
            targets, Role.CHANNELS, chain.channels
        ),
    }
    for name, verified in chain.further.items():
        unchanged[name, "the next targets"] = can_verify(targets, name, verified)
    for role, online in ((Role.TIMESTAMP, chain.timestamp), (Role.SNAPSHOT, chain.snapshot)):
        metadata = online.metadata
        found = root.get_verification_result(role.value, metadata.signed_bytes, metadata.signatures)
        unchanged[role.value, "the next root"] = found.verified
    for (role_name, by), stays in unchanged.items():
        if not stays:
            raise TrustError(
                f"what is in force could no longer be verified by {by}",
                subject=role_name,
                hint=_HINTS.get(role_name, "It has to be signed again in the same ceremony."),
            )


_HINTS = dict.fromkeys(
    (Role.CHANNELS.value, Role.SNAPSHOT.value, Role.TIMESTAMP.value),
    "The server has to sign with the new key first: lockgate-server key rotate.",
)
