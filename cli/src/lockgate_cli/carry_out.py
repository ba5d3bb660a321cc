"""From what somebody wants published to what came of it, with the words in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lockgate_cli.api import Api
from lockgate_cli.attesting.foreseeing import find_useless_in
from lockgate_cli.context import Call
from lockgate_cli.defaults import read_floors
from lockgate_cli.deltas.adding import (
    add_deltas,
    choose_for_publish,
    delta_folder,
    describe_pairs,
)
from lockgate_cli.joining import refuse_while_signed
from lockgate_cli.listing import NextList, describe_list, listing_of
from lockgate_cli.noting.wish import NotesWish
from lockgate_cli.output import format_size, say, show, show_json, warn
from lockgate_cli.pending_words import say_waiting
from lockgate_cli.plan import join_floors
from lockgate_cli.publishing import (
    Prepared,
    Promotion,
    Publication,
    make_plan,
    prepare,
    submit,
)
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base, expiry_warnings, load_stored
from lockgate_cli.roles import choose_role
from lockgate_cli.rollout_words import describe_plan_steps
from lockgate_cli.submitting import Outcome, Plan, Publishers, load_keys, load_publishers
from lockgate_release.documents import parse_extras
from lockgate_release.durations import format_duration
from lockgate_release.errors import LockgateError, UsageError
from lockgate_release.instants import format_instant
from lockgate_release.names import ChannelName, Sha256Hex, format_percentage
from lockgate_release.requests import OfferRequest

__all__ = ["carry_out", "confirm_vanishing"]


def carry_out(
    call: Call,
    api: Api,
    wish: Publication | Promotion,
    *,
    noted: NotesWish,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Leave the wish in force, or say what it would take, and show what came of it.

    Raises:
        LockgateError: It was refused, or could not be done.
    """
    pinned = call.pinned_root()
    base = load_newest_base(call, api, wish.app, pinned)
    warnings = expiry_warnings(base.chain, call.around.now())
    for text in warnings:
        warn(text)
    listing = listing_of(base, choose_role(base, wish.version, wish.channels))
    floors = join_floors(listing, wish.floors, read_floors(call.settings))
    wish = _settle(call, base, replace(wish, floors=floors), noted)
    with call.uploads(api, wish.app) as uploads:
        begin = _begin_nothing if dry_run else uploads.begin
        prepared, plan = _make_plan(call, api, base, wish, begin)
        pairs = choose_for_publish(api, base, prepared, plan)
        for line in [*describe_plan(plan, prepared), *describe_pairs(pairs)]:
            show(line) if dry_run and not as_json else say(line)
        outcome = Outcome(plan=plan)
        if dry_run:
            _check_keys(call, plan)
            say("Nothing was done: this was --dry-run.")
        elif plan.changed:
            confirm_vanishing(call, plan.following, yes=yes)
            with delta_folder(pairs) as folder:
                prepared = add_deltas(call, api, prepared, pairs, folder)
                plan = make_plan(base, prepared, None) if pairs else plan
                outcome = submit(call, api, prepared, plan, pinned, uploads)
                warnings += _warn_of_deltas(api, wish, outcome.plan)
            if outcome.pending is not None:
                say_waiting(wish.app, outcome.pending)
            else:
                say(f"{wish.app} {wish.version} is published.")
        else:
            say(f"Nothing to do: {wish.app} {wish.version} is published already, just so.")
        for channel in plan.unapproved:
            _say_unapproved(wish, channel)
    if as_json:
        found = _outcome_json(prepared, plan, outcome, warnings, done=not dry_run)
        planned = [pair.to_json() for pair in pairs]
        show_json({**found, "planned": planned, "operation_id": call.around.operation})


def _warn_of_deltas(api: Api, wish: Publication | Promotion, plan: Plan) -> tuple[str, ...]:
    """Say which of the deltas that were made no client may use, and return it.

    The release is published: what cannot be found out now is no failure of that.
    """
    try:
        useless = find_useless_in(api, plan.base, wish.version, wish.channels, plan.documents)
    except LockgateError as exc:
        useless = (f"who may use its deltas could not be found out: {exc}",)
    for text in useless:
        warn(text)
    return useless


def _settle(
    call: Call, base: Base, wish: Publication | Promotion, noted: NotesWish
) -> Publication | Promotion:
    """Return the wish with its notes; refuse a version that fits no channel, tag or history."""
    scheme = base.policy.versions
    noted.check_channels(wish.version, scheme, wish.channels)
    if isinstance(wish, Promotion):
        return wish
    return replace(wish, notes=noted.find(call, wish.version, scheme))


def _say_unapproved(wish: Publication | Promotion, channel: ChannelName) -> None:
    say(
        f"{wish.version} waits for approval in {channel}: "
        f"lockgate approve {wish.app} {wish.version} --channel {channel}. "
        "Then run this again."
    )


def _begin_nothing(_: Path, __: Sha256Hex | None) -> None:
    """Send nothing."""


def _make_plan(
    call: Call,
    api: Api,
    base: Base,
    wish: Publication | Promotion,
    begin: Callable[[Path, Sha256Hex | None], None],
) -> tuple[Prepared, Plan]:
    """Return what is wanted, read, and the plan for it. `begin` is told of files worth sending."""
    stored = load_stored(api, base, wish.version)
    prepared = Prepared(wish=wish)
    if isinstance(wish, Publication):
        if stored is not None:
            # It is live, and so are its artifacts: what is read now is compared, hardly ever sent.
            begin = _begin_nothing
        elif begin is not _begin_nothing:
            # Keys first: an upload is for nothing when nobody can sign.
            role = choose_role(base, wish.version, wish.channels)
            if load_keys(call, base.chain, role).missing:
                refuse_while_signed(api, wish.app, role, wish.version)
        prepared = prepare(call, api, base, wish, begin)
    return prepared, make_plan(base, prepared, stored)


def _check_keys(call: Call, plan: Plan) -> None:
    """Say beforehand when the real run would lack a key; a plan can be made without any."""
    publishers = Publishers()
    if call.key_uris("keys") or call.flags.unsigned:
        publishers = load_publishers(call, plan)
    elif plan.following.changed:
        _, threshold = plan.base.chain.release_keys(plan.following.role)
        warn(f"no keys were given: publishing will need {threshold}")
    if publishers.missing:
        say(f"It would wait for {publishers.missing} of {publishers.threshold} signatures.")


def confirm_vanishing(call: Call, following: NextList, *, yes: bool) -> None:
    """Return only when nothing vanishes, nobody can be asked, or a person agrees.

    Raises:
        UsageError: The person does not agree.
    """
    if yes or not following.vanishes or not call.around.watched:
        return
    answer = call.around.ask(f"Retire {', '.join(following.vanishes)}? [y/N]")
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed, so nothing was done", subject="retiring")


def describe_plan(plan: Plan, prepared: Prepared) -> list[str]:
    """Return the plan, a line for each thing that will be done."""
    lines = []
    if plan.changed:
        for facts in prepared.facts:
            artifact = facts.artifact
            size = format_size(artifact.size)
            lines.append(f"  {artifact.platform}: {artifact.name}, {size}, {artifact.sha256}")
        lines += _describe_notes(prepared.wish)
    lines += describe_list(plan.following)
    lines += [f"> {one.name} is signed by Sigstore" for one in plan.to_sign]
    for offer in plan.offers:
        ends = ""
        if offer.lifetime_s:
            ends = f", and ends in {format_duration(offer.lifetime_s)}"
        lines.append(f"> {offer.channel} offers {offer.version} {_describe_reach(offer)}{ends}")
        if offer.allow_unattested:
            refusing = "where the policy does, clients refuse it"
            lines.append(f"! {offer.channel}: nobody asks who built it; {refusing}")
    for channel in prepared.wish.channels:
        document = plan.base.channels.get(channel)
        known = document.offer_of(prepared.wish.version) if document else None
        if known is not None:
            share = format_percentage(known.rollout.exposure_bp)
            lines.append(f"= {channel} offers {known.version} already, to {share} of its clients")
    return lines


def _describe_notes(wish: Publication | Promotion) -> list[str]:
    """Return how the notes begin, so that a wrong section is seen before it is signed."""
    if not isinstance(wish, Publication) or not wish.notes:
        return []
    lines = [line for line in wish.notes.splitlines() if line.strip()]
    more = [f"    … and {len(lines) - 5} lines more"] if len(lines) > 5 else []
    return ["  notes:", *(f"    {line[:200]}" for line in lines[:5]), *more]


def _describe_reach(offer: OfferRequest) -> str:
    if offer.chosen is None:
        return f"to {format_percentage(offer.exposure_bp)} of its clients"
    steps = describe_plan_steps(dict(offer.chosen.plan.to_json()))
    start_at = offer.chosen.start_at
    starting = f", from {format_instant(start_at)} on" if start_at else ""
    return f"by the plan {offer.chosen.name}: {steps} of its clients{starting}"


def _outcome_json(
    prepared: Prepared, plan: Plan, outcome: Outcome, warnings: tuple[str, ...], *, done: bool
) -> dict[str, object]:
    return {
        "app": prepared.wish.app,
        "version": prepared.wish.version,
        "changed": plan.changed and done,
        "dry_run": not done,
        "artifacts": [dict(facts.artifact.to_json()) for facts in prepared.facts],
        "appears": list(plan.following.appears),
        "vanishes": list(plan.following.vanishes),
        "changes": list(plan.following.changes),
        "offers": [dict(offer.to_json()) for offer in plan.offers],
        "unapproved": list(plan.unapproved),
        "signs": [one.name for one in plan.to_sign],
        **_extras_json(outcome.plan),
        "timestamp_version": outcome.timestamp_version,
        "releases_version": outcome.releases_version,
        "live": done and outcome.pending is None,
        "pending": outcome.pending,
        "warnings": list(warnings),
    }


def _extras_json(plan: Plan) -> dict[str, object]:
    """Return the attestations and deltas in extras that the plan writes."""
    extras = [
        parse_extras(data) for path, data in plan.documents.items() if path.endswith("/extras.json")
    ]
    return {
        "attestations": [dict(item.to_json()) for each in extras for item in each.attestations],
        "deltas": [dict(item.to_json()) for each in extras for item in each.deltas],
    }
