"""What becomes of a publish that meets another one which waits for signatures.

1. What waits is looked through here, whatever the server says of it.
2. Where all that is wanted stands in it already, nothing is to be done: the same publish again is
   harmless while it waits, too.
3. What nobody has signed yet can be joined: one list with both, in the place of the first. A run
   that signs nothing (`--unsigned`) joins by itself. One that signs vouches for what others have
   begun, so it joins only with `--join`, and after it has shown all of it.
4. Otherwise nothing is done, and what waits is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lockgate_cli.answers import number_of, objects, text_of, texts_of
from lockgate_cli.api import Api, JsonDict
from lockgate_cli.context import Call
from lockgate_cli.output import say, warn
from lockgate_cli.pending_api import PendingApi
from lockgate_cli.pending_words import name_of
from lockgate_cli.repository import Base, Stored
from lockgate_cli.reviewing import review
from lockgate_cli.signing import next_targets
from lockgate_cli.submitting import Outcome, Plan, load_keys, outcome_of
from lockgate_cli.wishing import describe_wishes, unattested_in, warn_of_unattested
from lockgate_release.documents import parse_entry, parse_extras, parse_release
from lockgate_release.errors import ConflictError, PendingError, UsageError
from lockgate_release.layout import extras_path, release_path
from lockgate_release.names import AppName
from lockgate_release.pending_requests import MAX_TITLE, PendingContent, PendingRequest, Wishes
from lockgate_release.trust.partial import PartlySigned
from lockgate_release.trust.sign import next_releases, to_bytes

__all__ = ["PlanOnto", "meet_waiting", "refuse_while_signed"]

PlanOnto = Callable[[Base, Stored | None], Plan]
"""Plans once more: on a state, and on the release as it stands there, if it does."""

_JOIN = "With --join it becomes one list with both; sign it only if you have looked at both."


def meet_waiting(
    call: Call,
    api: Api,
    base: Base,
    wanted: Plan,
    version: str,
    plan_onto: PlanOnto,
    met: PendingError,
) -> Outcome:
    """Join what waits, or find that nothing is to be done (rules 1 to 4).

    Args:
        call: This run.
        api: The server.
        base: The verified state in force.
        wanted: What is wanted, planned on the state in force.
        version: The release.
        plan_onto: Plans what is wanted on another state.
        met: What the server said: it is raised again where nothing can be done.

    Raises:
        PendingError: It can be neither joined nor left alone.
        UsageError: A person does not agree, or there is no key to sign with.
        LockgateError: What waits is refused, or the server cannot be reached.
    """
    pending = PendingApi.of(api)
    role = wanted.following.role
    found = next((item for item in pending.waiting(base.app) if item.get("role") == role), None)
    if found is None:
        raise met
    content = pending.content(base.app, text_of(found, "change"))
    looked = review(base, content, call.around.now())
    try:
        plan = plan_onto(_after(base, looked.partly), _stored(content, role, version))
    except ConflictError as exc:
        raise met from exc
    offers = tuple(offer for offer in plan.offers if offer not in content.wishes.offers)
    if not plan.following.changed and not offers:
        say(f"Nothing to do: {base.app} {version} waits for signatures already, just so.")
        return Outcome(plan=replace(plan, offers=()), pending=found)
    if objects(found, "signatures"):
        raise met
    if not (call.flags.unsigned or call.flags.join):
        raise PendingError(
            met.what, subject=met.subject, found=met.found, hint=f"{met.hint} {_JOIN}".strip()
        )
    for line in [*looked.lines(), *describe_wishes(content)]:
        say(line)
    for line in warn_of_unattested(unattested_in(content, base.policy), text_of(found, "begun_by")):
        warn(line)
    plan = replace(plan, offers=offers)
    return _join(call, pending, base, plan, content, looked.partly)


def refuse_while_signed(api: Api, app: AppName, role: str, version: str) -> None:
    """Refuse to begin something else while what somebody has signed waits: before the uploads.

    Raises:
        PendingError: It does, and is about other versions.
        LockgateError: The server refused, or could not be reached.
    """
    for item in PendingApi.of(api).waiting(app):
        signed = len(objects(item, "signatures"))
        if text_of(item, "role") != role or not signed or version in texts_of(item, "versions"):
            continue
        name = name_of(item)
        raise PendingError(
            "another change waits for signatures",
            subject=f"{app}: {role}",
            found=f"{text_of(item, 'title')!r}, begun by {text_of(item, 'begun_by')} at "
            f"{text_of(item, 'begun_at')}, signed by {signed} of {number_of(item, 'threshold')}",
            hint=f"`lockgate sign {app} {name}` adds a signature to it, "
            f"`lockgate withdraw {app} {name}` drops it.",
        )


def _after(base: Base, partly: PartlySigned) -> Base:
    """Return the state as it would be with the list that waits, for planning alone."""
    role = partly.role
    kept = {path: mark for path, mark in base.entries.items() if not path.startswith(f"{role}/")}
    marks = {
        path: parse_entry(target.custom, subject=path)
        for path, target in partly.signed_list.targets.items()
        if path.endswith("/release.json")
    }
    return replace(base, entries={**kept, **marks})


def _stored(content: PendingContent, role: str, version: str) -> Stored | None:
    data = content.documents.get(release_path(version, folder=role))
    if data is None:
        return None
    extras = content.documents.get(extras_path(version, folder=role))
    return Stored(
        document=parse_release(data),
        document_bytes=data,
        extras=None if extras is None else parse_extras(extras),
    )


def _join(
    call: Call,
    pending: PendingApi,
    base: Base,
    plan: Plan,
    content: PendingContent,
    partly: PartlySigned,
) -> Outcome:
    publishers = load_keys(call, base.chain, content.role)
    if publishers.signers and call.around.watched:
        answer = call.around.ask("Sign all of this, with what is yours? [y/N]")
        if answer.strip().lower() not in {"y", "yes"}:
            raise UsageError("not confirmed, so nothing was done", subject="joining")
    current = partly.signed_list.targets
    targets = next_targets(base.chain, plan.following, plan.documents, current)
    held = base.chain.list_of(content.role)
    joined = next_releases(
        held.signed if held else None, targets, publishers.signers, call.around.now()
    )
    wishes = Wishes(
        offers=(*content.wishes.offers, *plan.offers),
        lifts=(*content.wishes.lifts, *plan.lifts),
    )
    documents: Mapping[str, bytes] = {**content.documents, **plan.documents}
    request = PendingRequest(
        releases=to_bytes(joined),
        title=f"{content.title}; {plan.title}"[:MAX_TITLE],
        documents={path: data for path, data in documents.items() if path in targets},
        wishes=wishes,
        role=content.role,
        instead_of=content.change_id,
    )
    answered: JsonDict = pending.begin(base.app, request)
    return outcome_of(plan, answered)
