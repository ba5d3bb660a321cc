"""What a ceremony changes, in plain words, for whoever is about to sign it. Pure.

Every word is made from what `examine` has found, and none from the file's title.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from datetime import datetime

from securesystemslib.signer import Key

from lockgate_release.documents import PolicyDocument
from lockgate_release.documents.trusted_root import TrustedRoot
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.trust.ceremony.arrangement import ONLINE, Speakers, warnings_of
from lockgate_release.trust.ceremony.demands import Demand
from lockgate_release.trust.ceremony.examining import Examined
from lockgate_release.trust.ceremony.file import PARTS
from lockgate_release.trust.key_names import key_name
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.roles import Role

__all__ = ["tell_changes", "tell_demand", "tell_rights", "tell_warnings"]

_RIGHTS = {
    Role.ROOT.value: "say whose keys count, their own included",
    Role.TARGETS.value: "set the policy, and say who publishes",
    Role.RELEASES.value: "publish releases",
    ONLINE: "offer, hold back and revoke: the server's own key",
}


def tell_changes(
    examined: Examined,
    policy: PolicyDocument | None = None,
    trusted_root: TrustedRoot | None = None,
) -> tuple[str, ...]:
    """Return a sentence for each thing that signing would change.

    Args:
        examined: The ceremony.
        policy: The policy in force, to tell how it changes; None: it is not known.
        trusted_root: The trusted root in force; None: there is none, or it is not known.
    """
    lines = [] if examined.chain else [f"{examined.ceremony.app} is registered: it is a new app"]
    for label, roles in _groups(examined):
        before = examined.before.roles.get(roles[0]) if examined.before else None
        lines += _tell_role(label, before, examined.after.of(roles[0]))
    for role in examined.before.roles if examined.before else ():
        if role not in examined.after.roles:
            lines.append(f"{role}: the role is gone")
    if examined.policy is not None:
        lines += _tell_policy(policy, examined.policy)
    if examined.trusted_root is not None:
        lines += _tell_trusted_root(trusted_root, examined.trusted_root)
    if TRUSTED_ROOT_PATH in examined.removed:
        lines += _tell_no_trusted_root(trusted_root)
    lines += [_tell_part(examined, role) for role in PARTS if role in examined.ceremony.parts]
    return tuple(lines)


def _groups(examined: Examined) -> list[tuple[str, tuple[str, ...]]]:
    """Return the roles under their names; root and targets as one where they are and stay alike."""
    both = (Role.ROOT.value, Role.TARGETS.value)
    arrangements = [one for one in (examined.before, examined.after) if one is not None]
    alike = all(one.of(both[0]) == one.of(both[1]) for one in arrangements)
    rest = [role for role in examined.after.roles if role not in both]
    groups = [(" and ".join(both), both)] if alike else [(role, (role,)) for role in both]
    return [*groups, *((role, (role,)) for role in rest)]


def _tell_role(role: str, before: Speakers | None, after: Speakers) -> list[str]:
    old = {key.keyid: key for key in before.keys} if before else {}
    new = {key.keyid: key for key in after.keys}
    lines = [f"{role}: + {_full(key)} comes" for keyid, key in new.items() if keyid not in old]
    lines += [f"{role}: - {_full(key)} goes" for keyid, key in old.items() if keyid not in new]
    lines += [
        f"{role}: {key_label(old[keyid])} is called {key_name(key) or 'nothing'} from now on"
        for keyid, key in new.items()
        if keyid in old and key_name(old[keyid]) != key_name(key)
    ]
    if before is None:
        lines.append(f"{role}: {after.threshold} of {len(new)} must sign")
    elif (before.threshold, len(old)) != (after.threshold, len(new)):
        lines.append(
            f"{role}: {after.threshold} of {len(new)} must sign, "
            f"instead of {before.threshold} of {len(old)}"
        )
    return lines


def _full(key: Key) -> str:
    """Return a key with its whole id: what one compares with what its owner says."""
    name = key_name(key)
    return f"{name} {key.keyid}" if name else key.keyid


def _tell_policy(before: PolicyDocument | None, after: PolicyDocument) -> list[str]:
    old = [] if before is None else _policy_lines(before)
    new = _policy_lines(after)
    changed = [
        line
        for line in difflib.unified_diff(old, new, lineterm="", n=1)
        if not line.startswith(("---", "+++", "@@"))
    ]
    title = f"{POLICY_PATH}: its words are changed" if changed else f"{POLICY_PATH}: the same words"
    if before is None:
        changed, title = new, f"{POLICY_PATH}: its words are these"
    return [title, *(f"{POLICY_PATH}:   {line}" for line in changed)]


def _tell_trusted_root(before: TrustedRoot | None, after: TrustedRoot) -> list[str]:
    """Return whose word about origins comes and goes."""
    old, new = before.in_words() if before else (), after.in_words()
    title = "whose word on who built a release counts is changed"
    if before is None:
        title = "whose word on who built a release counts"
    elif set(old) == set(new):
        title = "the same services"
    lines = [f"  + {line} comes" for line in new if line not in old]
    lines += [f"  - {line} goes" for line in old if line not in new]
    return [f"{TRUSTED_ROOT_PATH}: {line}" for line in (title, *lines)]


def _tell_no_trusted_root(before: TrustedRoot | None) -> list[str]:
    gone = [f"  - {line} goes" for line in (before.in_words() if before else ())]
    title = "nobody's word on who built a release counts any more"
    return [f"{TRUSTED_ROOT_PATH}: {line}" for line in (title, *gone)]


def _policy_lines(policy: PolicyDocument) -> list[str]:
    return json.dumps(json.loads(policy.to_bytes()), indent=1, sort_keys=True).splitlines()


def _tell_part(examined: Examined, role: str) -> str:
    metadata = getattr(examined, role)
    number, ends = metadata.signed.version, _day(metadata.signed.expires)
    if examined.chain is None:
        return f"{role} number {number}: lasts until {ends}"
    base = getattr(examined.chain, role)
    text = f"{role} number {number} follows {base.version}: lasts until {ends}"
    text += f", instead of {_day(base.signed.expires)}"
    if role == Role.RELEASES:
        text += f"; the same {len(examined.chain.releases.signed.targets)} documents"
    return text


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}"


def tell_rights(examined: Examined) -> tuple[str, ...]:
    """Return who can do what once it is in force, a sentence a role."""
    lines = []
    for _label, roles in _groups(examined):
        speakers = examined.after.of(roles[0])
        rights = [_RIGHTS.get(role, f"publish what begins with {role}/") for role in roles]
        lines.append(f"{speakers.threshold} of {_join(speakers.keys)} can {'; '.join(rights)}")
    return tuple(lines)


def _join(keys: Iterable[Key]) -> str:
    return ", ".join(map(key_label, keys))


def tell_warnings(examined: Examined, policy: PolicyDocument | None = None) -> tuple[str, ...]:
    """Return what is allowed and deserves a second look, a sentence each.

    Args:
        examined: The ceremony.
        policy: The policy in force; None: it is not known.
    """
    found = list(warnings_of(examined.after))
    found += _lowered(examined)
    found += _unproved(examined)
    found += _starved_channels(examined, examined.policy or policy)
    return tuple(found)


def _lowered(examined: Examined) -> list[str]:
    """Return where fewer must sign than now, or nobody stays."""
    found = []
    for label, roles in _groups(examined) if examined.before else ():
        old = examined.before.roles.get(roles[0]) if examined.before else None
        new = examined.after.of(roles[0])
        if old and new.threshold < old.threshold:
            found.append(f"{label}: fewer must sign than now: {new.threshold}, not {old.threshold}")
        if old and not set(old.ids) & set(new.ids):
            found.append(f"{label}: none of the keys of now stays")
    return found


def _unproved(examined: Examined) -> list[str]:
    """Return which keys come that could sign here and have not: does anybody hold them?"""
    known = examined.before.keys() if examined.before else {}
    signed = {key.keyid for demand in examined.demands for key in demand.signed}
    return [
        f"{key_label(key)} comes and has not signed: nobody has seen that key work"
        for keyid, key in sorted(examined.signers().items())
        if keyid not in known and keyid not in signed
    ]


def _starved_channels(examined: Examined, policy: PolicyDocument | None) -> list[str]:
    """Return which channels would demand more publishers' signatures than keys could give."""
    apart = {Role.ROOT.value, Role.TARGETS.value, ONLINE}
    publishers = {
        keyid
        for role, speakers in examined.after.roles.items()
        if role not in apart
        for keyid in speakers.ids
    }
    found = []
    for name, rule in sorted(policy.channels.items()) if policy else ():
        demanded = rule.signatures
        if demanded is None:
            continue
        left = len(publishers & set(demanded.keys)) if demanded.keys else len(publishers)
        if left < demanded.threshold:
            found.append(
                f"channel {name}: the policy demands {demanded.threshold} publishers' signatures, "
                f"and {left} of its keys are left: nothing could be offered there"
            )
    return found


def tell_demand(demand: Demand) -> str:
    """Return how far one demand for signatures has got, as a sentence."""
    have = f"{len(demand.signed)} of {demand.threshold} that {demand.by} demands"
    signed = f", by {_join(demand.signed)}" if demand.signed else ""
    if not demand.missing:
        return f"{demand.part}: {have}{signed}"
    return f"{demand.part}: {have}{signed}; can still sign: {_join(demand.unsigned)}"
