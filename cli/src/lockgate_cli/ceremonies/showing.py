"""What people see of a ceremony: words on stderr, or data on stdout."""

from __future__ import annotations

from lockgate_cli.ceremonies.state import State
from lockgate_cli.output import say, warn
from lockgate_release.instants import format_instant
from lockgate_release.strict_json import JsonObject
from lockgate_release.trust.ceremony import (
    Examined,
    fingerprint,
    tell_changes,
    tell_demand,
    tell_rights,
    tell_warnings,
)
from lockgate_release.trust.key_names import key_name
from lockgate_release.trust.public_keys import key_label

__all__ = ["describe", "say_next", "show_ceremony"]


def show_ceremony(examined: Examined, state: State) -> None:
    """Say what signing will change, what deserves a second look, and who has signed."""
    ceremony = examined.ceremony
    say(f"A ceremony of {ceremony.app}, begun {format_instant(ceremony.made_at)}.")
    say(f"Somebody called it: {ceremony.title}")
    if examined.chain is None:
        say("What it says:")
    else:
        say("What it changes, found by comparing it with what is in force:")
    for line in tell_changes(examined, state.policy, state.trusted_root):
        say(f"  {line}")
    say("Once it is in force:")
    for line in tell_rights(examined):
        say(f"  {line}")
    for line in tell_warnings(examined, state.policy):
        warn(line)
    say("Signatures:")
    for demand in examined.demands:
        say(f"  {tell_demand(demand)}")
    say(f"Fingerprint: {fingerprint(ceremony)}")
    say("Everybody who signs this change sees the same fingerprint.")


def say_next(examined: Examined, name: str) -> None:
    """Say what to do with the file now.

    Args:
        examined: The ceremony.
        name: The file, as the person calls it.
    """
    if examined.is_complete:
        say(f"Next: everything is signed. With a token of scope admin: lockgate root submit {name}")
        return
    lacking = [
        key
        for keyid, key in examined.signers().items()
        if any(
            demand.missing and keyid in {key.keyid for key in demand.unsigned}
            for demand in examined.demands
        )
    ]
    say(f"Next: give {name} to somebody who can still sign it:")
    for key in lacking:
        say(f"  {key_label(key)}: lockgate root sign {name} --key KEY")


def describe(examined: Examined, state: State) -> JsonObject:
    """Return a ceremony as data for programs."""
    ceremony = examined.ceremony
    return {
        "app": ceremony.app,
        "title": ceremony.title,
        "made_at": format_instant(ceremony.made_at),
        "parts": sorted(ceremony.parts),
        "in_force": [],
        "changes": tell_changes(examined, state.policy, state.trusted_root),
        "rights": tell_rights(examined),
        "warnings": tell_warnings(examined, state.policy),
        "fingerprint": fingerprint(ceremony),
        "complete": examined.is_complete,
        "demands": [
            {
                "part": demand.part,
                "by": demand.by,
                "threshold": demand.threshold,
                "missing": demand.missing,
                "signed": [{"keyid": key.keyid, "name": key_name(key)} for key in demand.signed],
                "unsigned": [
                    {"keyid": key.keyid, "name": key_name(key)} for key in demand.unsigned
                ],
            }
            for demand in examined.demands
        ],
    }
