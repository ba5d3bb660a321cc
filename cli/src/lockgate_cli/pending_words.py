"""What is said of changes that wait for signatures, from what the server tells of them."""

from __future__ import annotations

from lockgate_cli.answers import number_of, objects, text_of, texts_of
from lockgate_cli.api import JsonDict
from lockgate_cli.output import say, show, warn
from lockgate_release.names import AppName

__all__ = ["RENEWAL", "name_of", "say_waiting", "show_waiting"]

RENEWAL = "renewal"
"""What a change is called that is about no version: the same list, signed again."""
_SHOWN = 12


def name_of(waiting: JsonDict) -> str:
    """Return the word by which `lockgate sign` and `withdraw` know a change."""
    versions = texts_of(waiting, "versions")
    return versions[-1] if versions else RENEWAL


def say_waiting(app: AppName, waiting: JsonDict) -> None:
    """Say that a change waits, for how many signatures, and how one is added."""
    missing = number_of(waiting, "missing")
    have, threshold = len(objects(waiting, "signatures")), number_of(waiting, "threshold")
    say(
        f"{app}: {text_of(waiting, 'title')!r} waits for {missing} more "
        f"signature{'' if missing == 1 else 's'}: {have} of {threshold}. Clients see nothing of it."
    )
    say(f"change {text_of(waiting, 'change')}")
    say(f"To sign it: lockgate sign {app} {name_of(waiting)}")


def show_waiting(app: AppName, waiting: JsonDict) -> None:
    """Show who began a change, when, who has signed, and what stands in its way."""
    signatures = objects(waiting, "signatures")
    state = text_of(waiting, "state")
    threshold = number_of(waiting, "threshold")
    # One line, whatever somebody wrote: more would look like what is said below it.
    show(f"{app}: {' '.join(text_of(waiting, 'title').split())}")
    show(f"  change   {text_of(waiting, 'change')}")
    show(f"  begun    {text_of(waiting, 'begun_at')} by {text_of(waiting, 'begun_by')}")
    if state != "outdated":
        show(f"  signed   by {len(signatures)} of {threshold}")
    for signature in signatures:
        keyid, name, at, by = (text_of(signature, part) for part in ("keyid", "name", "at", "by"))
        show(f"           {name or f'{keyid[:_SHOWN]}…'}  {at}, with the token {by}")
    for offer in objects(waiting, "offers"):
        show(f"  offers   {text_of(offer, 'version')} in {text_of(offer, 'channel')}")
    for lift in objects(waiting, "lifts"):
        show(f"  lifts    {text_of(lift, 'version')} in {', '.join(texts_of(lift, 'channels'))}")
    if problem := text_of(waiting, "problem"):
        warn(f"{' '.join(text_of(waiting, 'title').split())}: {problem}")
        again = (
            "publish it again" if state == "outdated" else "sign it again once that is put right"
        )
        say(f"To drop it: lockgate withdraw {app} {name_of(waiting)}; else {again}.")
