"""Making a ceremony: the metadata that would bring about what somebody wishes, unsigned. Pure.

A part is there if, and only if, it changes, is to be signed again, or could no longer be verified
by the keys to come: so that nobody is asked for a signature that is not needed, and a client that
holds what was in force can go on.

* Root follows the root in force. Whoever holds the old root's keys, and whoever holds the new
  one's, has to sign it: threshold many of each.
* Targets come into force before the next root does. So the old root's keys for targets and the new
  ones have to sign them, if they have to be signed at all.
* The list of releases comes into force together with targets: the publishers to come sign it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets
from tuf.api.metadata import Role as TufRole

from lockgate_release.digests import digest_bytes
from lockgate_release.errors import UsageError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.names import AppName
from lockgate_release.trust.ceremony.arrangement import (
    ONLINE,
    Arrangement,
    check_arrangement,
    read_arrangement,
)
from lockgate_release.trust.ceremony.file import PARTS, Base, Ceremony
from lockgate_release.trust.chain import Chain, Verified, parse_metadata
from lockgate_release.trust.key_names import KEY_NAMES, names_of, with_name
from lockgate_release.trust.roles import DELEGATED_PATHS, EXPIRY, Role
from lockgate_release.trust.sign import Document, to_bytes

__all__ = [
    "Wish",
    "add_signatures",
    "base_of",
    "can_verify",
    "changed_parts",
    "compose_releases",
    "compose_root",
    "compose_targets",
    "make_ceremony",
    "make_first",
    "merge_signatures",
]

T = TypeVar("T", Root, Targets)

_IN_ROOT = {
    Role.ROOT.value: Role.ROOT.value,
    Role.TARGETS.value: Role.TARGETS.value,
    Role.SNAPSHOT.value: ONLINE,
    Role.TIMESTAMP.value: ONLINE,
}
"""Which speakers each role that root names has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be in force.

    Attributes:
        arrangement: Who speaks for what.
        policy: The policy's bytes, where it changes.
        trusted_root: The bytes of Sigstore's trusted root, where it comes or changes.
        renew: Roles to sign again though nothing in them changes.
        removed: Documents that go, by path. Only Sigstore's trusted root can, and the policy comes
            along, so that everybody sees that nothing in it needs it.
    """

    arrangement: Arrangement
    policy: bytes | None = None
    renew: frozenset[str] = frozenset()
    trusted_root: bytes | None = None
    removed: frozenset[str] = frozenset()

    @property
    def documents(self) -> Mapping[str, bytes]:
        """The documents that change, by path."""
        said = {POLICY_PATH: self.policy, TRUSTED_ROOT_PATH: self.trusted_root}
        return {path: data for path, data in said.items() if data is not None}


def base_of(chain: Chain) -> Base:
    """Return the numbers that a ceremony on top of this state follows."""
    return Base(
        root=chain.root.version,
        targets=chain.targets.version,
        releases=chain.releases.version,
        root_sha256=digest_bytes(chain.root.data),
    )


def make_first(
    app: AppName, title: str, arrangement: Arrangement, policy: bytes, now: datetime
) -> Ceremony:
    """Return the ceremony that registers an app.

    Raises:
        UsageError: The arrangement would lock somebody out.
        DocumentError: A key is not what it says.
    """
    check_arrangement(arrangement, error=UsageError)
    documents = {POLICY_PATH: policy}
    parts: dict[Role, Root | Targets] = {
        Role.ROOT: compose_root(None, arrangement, 1, now + EXPIRY[Role.ROOT]),
        Role.TARGETS: compose_targets(None, arrangement, 1, now + EXPIRY[Role.TARGETS], documents),
        Role.RELEASES: compose_releases(None, 1, now + EXPIRY[Role.RELEASES]),
    }
    return Ceremony(
        app=app,
        title=title,
        made_at=now,
        base=Base(),
        parts={role.value: _unsigned(signed) for role, signed in parts.items()},
        documents=documents,
    )


def make_ceremony(
    app: AppName,
    title: str,
    chain: Chain,
    wish: Wish,
    now: datetime,
    *,
    earlier: Ceremony | None = None,
) -> Ceremony:
    """Return the ceremony that brings about a wish.

    Args:
        app: The app.
        title: What to call it.
        chain: The state in force.
        wish: What is to be in force.
        now: The present, aware; what is signed lasts from then.
        earlier: The same ceremony before it was extended: signatures on what stays the same stay.

    Raises:
        UsageError: Nothing would change, or the wish would lock somebody out.
        DocumentError: A key is not what it says.
        TrustError: The state in force contradicts itself.
    """
    parts = _next_parts(chain, wish, now)
    if not parts:
        raise UsageError("nothing would change", subject=app)
    made = Ceremony(
        app=app,
        title=title,
        made_at=now,
        base=base_of(chain),
        parts={role: _unsigned(parts[role]) for role in PARTS if role in parts},
        documents=wish.documents if Role.TARGETS.value in parts else {},
    )
    return made if earlier is None else _keep_signatures(made, earlier)


def changed_parts(chain: Chain, wish: Wish, now: datetime) -> frozenset[str]:
    """Return the parts that a wish changes, without those that would only be signed again.

    Raises:
        LockgateError: As `make_ceremony`.
    """
    return frozenset(_next_parts(chain, replace(wish, renew=frozenset()), now))


def _next_parts(chain: Chain, wish: Wish, now: datetime) -> dict[str, Root | Targets]:
    before = read_arrangement(chain.root.signed, chain.targets.signed)
    check_arrangement(wish.arrangement, known=before, error=UsageError)
    parts: dict[str, Root | Targets] = {}
    root = _next_root(chain, before, wish, now)
    if root is not None:
        parts[Role.ROOT.value] = root
    targets = _next_targets(chain, before, wish, root, now)
    if targets is not None:
        parts[Role.TARGETS.value] = targets
    if Role.RELEASES in wish.renew or not _lists_stay_verifiable(chain, targets):
        expires = now + EXPIRY[Role.RELEASES]
        parts[Role.RELEASES.value] = compose_releases(
            chain.releases.signed, chain.releases.version + 1, expires
        )
    return parts


def _next_root(chain: Chain, before: Arrangement, wish: Wish, now: datetime) -> Root | None:
    base, expires = chain.root.signed, now + EXPIRY[Role.ROOT]
    following = compose_root(base, wish.arrangement, base.version + 1, expires)
    same = following == compose_root(base, before, base.version + 1, expires)
    return None if same and Role.ROOT not in wish.renew else following


def _next_targets(
    chain: Chain, before: Arrangement, wish: Wish, root: Root | None, now: datetime
) -> Targets | None:
    base, expires = chain.targets.signed, now + EXPIRY[Role.TARGETS]
    number = base.version + 1
    following = compose_targets(
        base, wish.arrangement, number, expires, wish.documents, wish.removed
    )
    same = following == compose_targets(base, before, number, expires, {})
    stays = root is None or can_verify(root, Role.TARGETS, chain.targets)
    return None if same and stays and Role.TARGETS not in wish.renew else following


def _lists_stay_verifiable(chain: Chain, targets: Targets | None) -> bool:
    if targets is None:
        return True
    for name, verified in chain.further.items():
        if not can_verify(targets, name, verified):
            raise UsageError(
                "its list could no longer be verified",
                subject=name,
                hint=f"Add the new keys of {name} first, publish with them, then remove the old.",
            )
    return can_verify(targets, Role.RELEASES, chain.releases)


def can_verify(authority: Root | Targets, role: str, verified: Verified[Targets]) -> bool:
    """Whether what is in force is signed by enough of the keys that `authority` names."""
    metadata = verified.metadata
    try:
        found = authority.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    except ValueError:  # it does not name the role
        return False
    return found.verified


# -- Metadata ----------------------------------------------------------------------------------


def compose_root(
    base: Root | None, arrangement: Arrangement, version: int, expires: datetime
) -> Root:
    """Return `base` with these speakers, number and end; without one, an app's first root."""
    keys, roles = dict[str, Key](), {}
    for name, speakers_name in _IN_ROOT.items():
        speakers = arrangement.of(speakers_name)
        keys.update({key.keyid: key for key in speakers.keys})
        rest = base.roles[name].unrecognized_fields if base else {}
        roles[name] = TufRole(list(speakers.ids), speakers.threshold, copy.deepcopy(rest))
    following = copy.deepcopy(base) if base else Root(consistent_snapshot=True)
    following.version, following.expires = version, expires
    following.keys, following.roles = _nameless(keys), roles
    _put_names(following, keys)
    return following


def compose_targets(
    base: Targets | None,
    arrangement: Arrangement,
    version: int,
    expires: datetime,
    documents: Mapping[str, bytes],
    removed: frozenset[str] = frozenset(),
) -> Targets:
    """Return `base` with these speakers, number, end and documents, and without those removed.

    Without a base, the first.
    """
    delegated = base.delegations.roles if base and base.delegations else None
    roles, keys = {}, dict[str, Key]()
    names = [name for name in arrangement.roles if name not in (Role.ROOT, Role.TARGETS, ONLINE)]
    for name in (*names, Role.CHANNELS.value):
        speakers = arrangement.of(ONLINE if name == Role.CHANNELS else name)
        keys.update({key.keyid: key for key in speakers.keys})
        role = copy.deepcopy((delegated or {}).get(name)) or _new_delegation(name)
        role.keyids, role.threshold = list(speakers.ids), speakers.threshold
        roles[name] = role
    # In the order in which they stood: the first that matches a path decides.
    order = [*(name for name in delegated or {} if name in roles), *roles]
    delegations = Delegations(_nameless(keys), {name: roles[name] for name in order})
    following = copy.deepcopy(base) if base else Targets(targets={})
    following.version, following.expires = version, expires
    following.delegations = delegations
    _put_names(following, keys)
    for path, data in documents.items():
        following.targets[path] = Document(path=path, data=data).to_target()
    for path in removed:
        following.targets.pop(path, None)
    return following


def _nameless(keys: Mapping[str, Key]) -> dict[str, Key]:
    return {keyid: with_name(key, "") for keyid, key in keys.items()}


def _put_names(signed: Root | Targets, keys: Mapping[str, Key]) -> None:
    signed.unrecognized_fields.pop(KEY_NAMES, None)
    names = names_of(keys.values())
    if names:
        signed.unrecognized_fields[KEY_NAMES] = names


def _new_delegation(name: str) -> DelegatedRole:
    known = {role.value: paths for role, paths in DELEGATED_PATHS.items()}
    paths = known.get(name, (f"{name}/*/*.json",))
    return DelegatedRole(name, [], 1, terminating=True, paths=list(paths))


def compose_releases(base: Targets | None, version: int, expires: datetime) -> Targets:
    """Return the same list with this number and end; without a base, an empty one."""
    following = copy.deepcopy(base) if base else Targets(targets={})
    following.version, following.expires = version, expires
    return following


def _unsigned(signed: Root | Targets) -> bytes:
    metadata: Metadata[Root | Targets] = Metadata(signed)  # type: ignore[type-var]
    return to_bytes(metadata)  # type: ignore[type-var]


# -- Signatures --------------------------------------------------------------------------------


def add_signatures(ceremony: Ceremony, role: str, signers: Iterable[Signer]) -> Ceremony:
    """Return the ceremony with these signatures on one of its parts.

    Raises:
        Exception: Whatever the service that holds a key raises.
    """
    data = ceremony.parts[role]
    signed = (
        _signed_again(parse_metadata(Root, data, role), signers)
        if role == Role.ROOT
        else _signed_again(parse_metadata(Targets, data, role), signers)
    )
    return replace(ceremony, parts={**ceremony.parts, role: signed})


def _signed_again(metadata: Metadata[T], signers: Iterable[Signer]) -> bytes:
    for signer in signers:
        metadata.sign(signer, append=True)
    return to_bytes(metadata)


def merge_signatures(ceremony: Ceremony, other: Ceremony) -> Ceremony:
    """Return the ceremony with the signatures of another copy of it.

    Raises:
        UsageError: The other one is about something else.
    """
    if (other.app, other.base, set(other.parts), other.documents) != (
        ceremony.app,
        ceremony.base,
        set(ceremony.parts),
        ceremony.documents,
    ) or not all(
        _same_words(data, other.parts[role], role) for role, data in ceremony.parts.items()
    ):
        raise UsageError(
            "not a copy of the same ceremony",
            subject=other.title,
            hint="lockgate root show says what each would change; equal ones have one fingerprint.",
        )
    parts = dict(ceremony.parts)
    for role, data in other.parts.items():
        parts[role] = (
            _joined(parse_metadata(Root, parts[role], role), parse_metadata(Root, data, role))
            if role == Role.ROOT
            else _joined(
                parse_metadata(Targets, parts[role], role), parse_metadata(Targets, data, role)
            )
        )
    return replace(ceremony, parts=parts)


def _joined(one: Metadata[T], other: Metadata[T]) -> bytes:
    for keyid, signature in other.signatures.items():
        one.signatures.setdefault(keyid, signature)
    return to_bytes(one)


def _keep_signatures(made: Ceremony, earlier: Ceremony) -> Ceremony:
    parts = dict(made.parts)
    for role, data in made.parts.items():
        old = earlier.parts.get(role)
        if old is not None and _same_words(old, data, role):
            parts[role] = old
    return replace(made, parts=parts)


def _same_words(one: bytes, other: bytes, role: str) -> bool:
    if role == Role.ROOT:
        return parse_metadata(Root, one, role).signed == parse_metadata(Root, other, role).signed
    first, second = parse_metadata(Targets, one, role), parse_metadata(Targets, other, role)
    return first.signed == second.signed
