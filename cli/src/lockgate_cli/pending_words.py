"""What is said of changes that wait for signatures, from what the server tells of them."""

from __future__ import annotations

from lockgate_cli.answers import number_of, objects, text_of, texts_of
from lockgate_cli.api import JsonDict
from lockgate_cli.output import say, show, warn
from lockgate_cli.wishing import warn_of_unattested
from lockgate_release.names import AppName

__all__ = ["RENEWAL", "name_of", "say_waiting", "show_awaited", "show_waiting"]

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
    if people := _people(waiting, "lacking"):
        show(f"  lacking  {number_of(waiting, 'missing')} of {people}")
    for offer in objects(waiting, "offers"):
        mark = "  (--allow-unattested)" if offer.get("allow_unattested") else ""
        show(f"  offers   {text_of(offer, 'version')} in {text_of(offer, 'channel')}{mark}")
    for line in warn_of_unattested(_list(waiting, "unattested"), text_of(waiting, "begun_by")):
        warn(line)
    for lift in objects(waiting, "lifts"):
        show(f"  lifts    {text_of(lift, 'version')} in {', '.join(texts_of(lift, 'channels'))}")
    if problem := text_of(waiting, "problem"):
        warn(f"{' '.join(text_of(waiting, 'title').split())}: {problem}")
        again = (
            "publish it again" if state == "outdated" else "sign it again once that is put right"
        )
        say(f"To drop it: lockgate withdraw {app} {name_of(waiting)}; else {again}.")


def show_awaited(app: AppName, answer: JsonDict) -> None:
    """Show which releases wait for whose approval, and how one is given."""
    for item in _list(answer, "awaited"):
        channel, version = text_of(item, "channel"), text_of(item, "version")
        missing, threshold = number_of(item, "missing"), number_of(item, "threshold")
        show("")
        show(f"{app}: {version} for {channel}")
        show(f"  approved by {threshold - missing} of {threshold}")
        if people := _people(item, "approved_by"):
            show(f"           {people}")
        if missing:
            show(f"  lacking  {missing} of {_people(item, 'lacking')}")
            say(f"To approve it: lockgate approve {app} {version} --channel {channel}")
        else:
            say("It may be offered by now: publish it again, or promote it.")


def _list(said: JsonDict, name: str) -> list[JsonDict]:
    """Return objects of an answer; none where an older server tells of none."""
    return objects(said, name) if name in said else []


def _people(said: JsonDict, name: str) -> str:
    """Return keys as people know them; "" where an older server tells of none."""
    found = _list(said, name)
    return ", ".join(text_of(key, "name") or f"{text_of(key, 'keyid')[:_SHOWN]}…" for key in found)
