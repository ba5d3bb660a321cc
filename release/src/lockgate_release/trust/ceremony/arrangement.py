"""Who speaks for which role, as one value: read from metadata, edited, and held to sense. Pure.

The four that are always there, and what their keys may do:

    root       name the keys of every role, their own too
    targets    the policy, and who publishes
    releases   publish
    online     offer, hold back and revoke: timestamp, snapshot and channels, the server's own key

Further roles of releases, such as `previews`, stand beside `releases`.

Nobody is locked out by an arrangement that `check` lets pass:

1. Each role has a key, and no more signatures are demanded than it has keys.
2. No key counts twice, under two ids, in one role; every key is what its id says.
3. The server's key speaks for nothing but what is the server's: else a thief of the server has
   what was kept from it.
4. A further role is called as the one folder that it speaks for: a name that is a pattern would
   speak for others' folders too, and one with a line break would forge what signers are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Root, Targets

from lockgate_release.errors import LockgateError, TrustError, UsageError
from lockgate_release.trust.key_names import key_name, named_by
from lockgate_release.trust.public_keys import check_public_key, key_label, same_content
from lockgate_release.trust.roles import Role, is_further_role

__all__ = [
    "ONLINE",
    "Arrangement",
    "Speakers",
    "add_key",
    "check_arrangement",
    "find_key",
    "read_arrangement",
    "remove_key",
    "replace_key",
    "set_threshold",
    "warnings_of",
]

ONLINE = "online"
"""The server's roles together: one key speaks for timestamp, snapshot and channels."""

_ALWAYS = (Role.ROOT.value, Role.TARGETS.value, Role.RELEASES.value, ONLINE)
_MIN_PREFIX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Speakers:
    """The keys of one role, in their order, and how many of them must sign."""

    keys: tuple[Key, ...]
    threshold: int = 1

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys' ids."""
        return tuple(key.keyid for key in self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """Who speaks for every role.

    Attributes:
        roles: By name: `root`, `targets`, `releases`, `online`, and further roles of releases.
    """

    roles: Mapping[str, Speakers]

    def of(self, role: str) -> Speakers:
        """Return who speaks for a role.

        Raises:
            UsageError: There is no such role.
        """
        if role not in self.roles:
            raise UsageError(
                "no such role", subject=role, expected=f"one of {', '.join(self.roles)}"
            )
        return self.roles[role]

    def keys(self) -> dict[str, Key]:
        """Return every key by its id."""
        return {key.keyid: key for speakers in self.roles.values() for key in speakers.keys}

    def with_role(self, role: str, speakers: Speakers) -> Arrangement:
        """Return the same with other speakers for one role."""
        return replace(self, roles={**self.roles, role: speakers})


def read_arrangement(root: Root, targets: Targets) -> Arrangement:
    """Return who speaks for what by these metadata.

    Raises:
        TrustError: They contradict each other, or lack a role.
    """
    delegated = _delegations(targets)
    roles = {
        Role.ROOT.value: _in_root(root, Role.ROOT),
        Role.TARGETS.value: _in_root(root, Role.TARGETS),
    }
    for name, role in delegated.items():
        if name != Role.CHANNELS.value:
            keys = tuple(_key(targets, keyid, name) for keyid in role.keyids)
            roles[name] = Speakers(keys=keys, threshold=role.threshold)
    online = _in_root(root, Role.TIMESTAMP)
    snapshot, channels = root.roles[Role.SNAPSHOT.value], delegated[Role.CHANNELS.value]
    for name, other in (("root: snapshot", snapshot), ("targets: channels", channels)):
        if tuple(other.keyids) != online.ids or other.threshold != online.threshold:
            raise TrustError(
                "other keys than the timestamp's",
                subject=name,
                expected=", ".join(online.ids),
                found=", ".join(map(str, other.keyids)),
                hint="A change of the server's key stopped half way: submit its file again.",
            )
    roles[ONLINE] = online
    return Arrangement(roles=roles)


def _in_root(root: Root, role: Role) -> Speakers:
    named, known = root.roles[role.value], named_by(root, root.keys)
    try:
        keys = tuple(known[keyid] for keyid in named.keyids)
    except KeyError as exc:
        raise TrustError("names a key that it lacks", subject=f"root: {role}") from exc
    return Speakers(keys=keys, threshold=named.threshold)


def _delegations(targets: Targets) -> dict[str, DelegatedRole]:
    delegations = targets.delegations
    roles = (delegations and delegations.roles) or {}
    for needed in (Role.RELEASES.value, Role.CHANNELS.value):
        if needed not in roles:
            raise TrustError("no such delegation", subject="targets", expected=needed)
    return dict(roles)


def _key(targets: Targets, keyid: str, role: str) -> Key:
    try:
        return named_by(targets, {keyid: targets.get_key(keyid)})[keyid]
    except ValueError as exc:
        raise TrustError("names a key that it lacks", subject=f"targets: {role}") from exc


# -- Changes -----------------------------------------------------------------------------------


def add_key(arrangement: Arrangement, roles: Sequence[str], key: Key) -> Arrangement:
    """Return the arrangement with one more key in these roles.

    Raises:
        UsageError: It speaks for one of them already.
    """
    for role in roles:
        speakers = arrangement.of(role)
        if key.keyid in speakers.ids:
            raise UsageError("speaks for it already", subject=f"{key_label(key)}: {role}")
        changed = replace(speakers, keys=(*speakers.keys, key))
        arrangement = arrangement.with_role(role, changed)
    return arrangement


def remove_key(arrangement: Arrangement, roles: Sequence[str], keyid: str) -> Arrangement:
    """Return the arrangement without a key in those of these roles that have it.

    Raises:
        UsageError: None of them has it.
    """
    found = [role for role in roles if keyid in arrangement.of(role).ids]
    if not found:
        raise UsageError("no key of this role", subject=keyid, expected=_known(arrangement, roles))
    for role in found:
        speakers = arrangement.of(role)
        kept = tuple(key for key in speakers.keys if key.keyid != keyid)
        arrangement = arrangement.with_role(role, replace(speakers, keys=kept))
    return arrangement


def replace_key(
    arrangement: Arrangement, roles: Sequence[str], keyid: str, key: Key
) -> Arrangement:
    """Return the arrangement with `key` in the place of another, where that one stands.

    Raises:
        UsageError: None of these roles has the old one, or one has the new one already.
    """
    found = [role for role in roles if keyid in arrangement.of(role).ids]
    if not found:
        raise UsageError("no key of this role", subject=keyid, expected=_known(arrangement, roles))
    for role in found:
        speakers = arrangement.of(role)
        if key.keyid in speakers.ids:
            raise UsageError("speaks for it already", subject=f"{key_label(key)}: {role}")
        keys = tuple(key if old.keyid == keyid else old for old in speakers.keys)
        arrangement = arrangement.with_role(role, replace(speakers, keys=keys))
    return arrangement


def set_threshold(arrangement: Arrangement, roles: Sequence[str], threshold: int) -> Arrangement:
    """Return the arrangement in which so many must sign for these roles."""
    for role in roles:
        changed = replace(arrangement.of(role), threshold=threshold)
        arrangement = arrangement.with_role(role, changed)
    return arrangement


def find_key(arrangement: Arrangement, roles: Sequence[str], said: str) -> Key:
    """Return the key of these roles that a person means: its id, the beginning of it, or its name.

    Raises:
        UsageError: None is meant, or several are.
    """
    keys = {key.keyid: key for role in roles for key in arrangement.of(role).keys}
    found = [
        key
        for key in keys.values()
        if said in {key.keyid, key_name(key)}
        or (len(said) >= _MIN_PREFIX and key.keyid.startswith(said.lower()))
    ]
    if len(found) != 1:
        raise UsageError(
            "means more than one key" if found else "no key of this role",
            subject=said,
            expected=f"one of {_known(arrangement, roles)}",
            found=", ".join(map(key_label, found)),
        )
    return found[0]


def _known(arrangement: Arrangement, roles: Sequence[str]) -> str:
    keys = {key.keyid: key for role in roles for key in arrangement.of(role).keys}
    return ", ".join(map(key_label, keys.values()))


# -- Sense -------------------------------------------------------------------------------------


def check_arrangement(
    arrangement: Arrangement, *, known: Arrangement | None = None, error: type[LockgateError]
) -> None:
    """Refuse an arrangement that breaks a rule of this module.

    Args:
        arrangement: What is to come.
        known: What is in force: keys that stand there as they are have been accepted before.
        error: What to raise: `UsageError` for what somebody asks, `TrustError` for what was sent.

    Raises:
        DocumentError: A key is not what its id says.
        LockgateError: `error`, if it breaks another rule.
    """
    _check_names(arrangement, error)
    online = set(arrangement.of(ONLINE).ids)
    before = known.keys() if known else {}
    for role, speakers in arrangement.roles.items():
        number = len(speakers.keys)
        if not 1 <= speakers.threshold <= number:
            raise error(
                "nobody could sign any more: more signatures than keys",
                subject=role,
                expected=f"1 to {number}" if number else "a key",
                found=f"{speakers.threshold} of {number}",
                hint="Say --threshold, or add a key first." if number else "",
            )
        for key in speakers.keys:
            if before.get(key.keyid) != key:
                check_public_key(key, subject=f"{role}: {key_label(key)}")
        twice = same_content(speakers.keys)
        if twice or len(set(speakers.ids)) != number:
            labels = " and ".join(map(key_label, twice)) if twice else ", ".join(speakers.ids)
            raise error("one key would count twice", subject=role, found=labels)
        if role != ONLINE and online & set(speakers.ids):
            raise error(
                "the server's own key may not speak for it",
                subject=role,
                found=", ".join(key_label(key) for key in speakers.keys if key.keyid in online),
                hint="Whoever steals the server would have this role too.",
            )
    _check_online_alone(arrangement, error)


def _check_names(arrangement: Arrangement, error: type[LockgateError]) -> None:
    """Refuse a role whose name is not that of one folder (rule 4)."""
    for role in arrangement.roles:
        if role not in _ALWAYS and not is_further_role(role):
            raise error(
                "not a name for a role of releases",
                subject=repr(role)[:80],
                expected="1 to 32 of a-z 0-9 _ -, a letter first, and none that is taken",
            )


def _check_online_alone(arrangement: Arrangement, error: type[LockgateError]) -> None:
    """Refuse the server's key, under another id, as the key of people (rules 2 and 3)."""
    for role, speakers in arrangement.roles.items():
        pair = same_content((*arrangement.of(ONLINE).keys, *speakers.keys))
        if role != ONLINE and pair:
            labels = " and ".join(map(key_label, pair))
            raise error("the server's own key may not speak for it", subject=role, found=labels)


def warnings_of(arrangement: Arrangement) -> tuple[str, ...]:
    """Return what is allowed and unwise, a sentence each."""
    found = []
    root, targets = arrangement.of(Role.ROOT), arrangement.of(Role.TARGETS)
    alike = {"root and targets": root} if root == targets else {"root": root, "targets": targets}
    for role, speakers in alike.items():
        number, threshold = len(speakers.keys), speakers.threshold
        if threshold == 1:
            found.append(f"{role}: whoever has one of its keys alone decides: threshold 1")
        if threshold == number:
            found.append(f"{role}: every key is needed, so one that is lost locks everybody out")
    people = {*arrangement.of(Role.ROOT).ids, *arrangement.of(Role.TARGETS).ids}
    for role, speakers in arrangement.roles.items():
        both = [key for key in speakers.keys if key.keyid in people]
        if role not in {Role.ROOT.value, Role.TARGETS.value} and both:
            labels = ", ".join(map(key_label, both))
            found.append(f"{role}: {labels} is a maintainer's key too, and should stay offline")
    return tuple(found)
