"""The passphrase of keys that are about to be made."""

from __future__ import annotations

from lockgate_cli.context import Call
from lockgate_cli.output import warn
from lockgate_release.errors import UsageError
from lockgate_release.trust.keys import find_passphrase

__all__ = ["new_passphrase"]

_FEW = 12


def new_passphrase(call: Call, subject: str) -> str:
    """Return the passphrase for new keys: from the environment, or typed twice.

    Raises:
        UsageError: There is none, or it was typed in two ways.
    """
    found = find_passphrase(call.around.environ)
    if found is None:
        ask = call.ask_secret
        if ask is None:
            raise UsageError(
                "no passphrase",
                subject=subject,
                expected="LOCKGATE_KEY_PASSPHRASE, LOCKGATE_KEY_PASSPHRASE_FILE, or a person",
                hint="A key for a machine alone: lockgate keys generate --unencrypted.",
            )
        found = ask("Passphrase for what is made new")
        if ask("The same once more") != found:
            raise UsageError("not the same twice", subject="passphrase")
    if not found:
        raise UsageError("an empty passphrase", subject=subject, expected="one that nobody guesses")
    if len(found) < _FEW:
        warn(f"a passphrase of less than {_FEW} characters is soon guessed by who has the file")
    return found
