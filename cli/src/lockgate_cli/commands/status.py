"""`lockgate status`: how things stand."""

from __future__ import annotations

import click

from lockgate_cli.answers import number_of, objects, table_of, text_of, texts_of
from lockgate_cli.api import JsonDict
from lockgate_cli.context import Call, takes
from lockgate_cli.naming import names_app
from lockgate_cli.output import say, show, show_json, show_table, warn
from lockgate_cli.pending_words import show_awaited, show_waiting
from lockgate_release.errors import UsageError
from lockgate_release.names import AppName, format_percentage

__all__ = ["status"]

_THIRD_BP = 3334


@click.command()
@names_app
@click.option("--all", "every", is_flag=True, help="Every app of the server, in a line each.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("server")
def status(call: Call, *, every: bool, as_json: bool) -> None:
    """Show how APP stands: what is offered to whom, what waits for whom, when signatures run out.

    Without APP, the one that LOCKGATE_APP or lockgate.toml names. Where none is named, or with
    --all, every app of the server in a line each.
    """
    if every and call.flags.app:
        raise UsageError("both one app and all", subject="--all", found=call.flags.app)
    app = None if every else call.app_if_said
    with call.api() as api:
        answer = api.apps() if app is None else api.status(app)
    if as_json:
        show_json(answer)
    elif app is None:
        _show_apps(answer)
    else:
        _show_app(answer)
    for text in _warnings(answer):
        warn(text)


def _show_apps(answer: JsonDict) -> None:
    found = objects(answer, "apps")
    if not found:
        say("no app is registered yet")
        return
    heads = ("app", "root", "timestamp", "releases", "channels", "waits", "first to expire")
    show_table(heads, [_app_row(item) for item in found])
    for item in found:
        if error := table_of(item, "error"):
            warn(f"{text_of(item, 'app')}: {text_of(error, 'message')}")


def _app_row(item: JsonDict) -> list[str]:
    first = table_of(item, "first_to_expire")
    numbers = [text_of(item, name) for name in ("root_version", "timestamp_version", "releases")]
    waits = number_of(item, "pending") + number_of(item, "awaited")
    ends = f"{text_of(first, 'role')} {text_of(first, 'expires_at')}".strip()
    return [text_of(item, "app"), *numbers, _offered(item), str(waits or ""), ends]


def _offered(item: JsonDict) -> str:
    """Return what each channel offers, in a few words; an older server says only their names."""
    offered = table_of(item, "offered")
    channels = texts_of(item, "channels")
    if not offered:
        return ", ".join(channels)
    return ", ".join(f"{name} {' '.join(texts_of(offered, name)) or '-'}" for name in channels)


def _show_app(answer: JsonDict) -> None:
    show(
        f"{text_of(answer, 'app')}: {text_of(answer, 'releases')} live releases, "
        f"timestamp {text_of(answer, 'timestamp_version')}"
    )
    show("")
    rows = [
        (name, text_of(stand, "version"), text_of(stand, "expires_at"), _left(stand))
        for name, stand in _roles(answer)
    ]
    show_table(("role", "number", "expires", "left"), rows)
    show("")
    channels = objects(answer, "channels")
    show_table(("channel", "version", "exposure", "state"), _channel_rows(channels))
    if answer.get("deltas"):  # An older server does not say.
        _show_deltas(objects(answer, "deltas"))
    for waiting in objects(answer, "pending"):
        show("")
        show_waiting(AppName(text_of(answer, "app")), waiting)
    show_awaited(AppName(text_of(answer, "app")), answer)
    if "reports_waiting" in answer:
        count = answer["reports_waiting"]
        show("")
        show(f"reports waiting to be counted: {'none are taken in' if count is None else count}")


def _show_deltas(found: list[JsonDict]) -> None:
    """Show from how many of the last releases each channel's newest can be had by one delta."""
    show("")
    for item in found:
        recent, covered = texts_of(item, "recent"), texts_of(item, "with_delta")
        begin = f"from {', '.join(covered)}" if covered else "none"
        show(
            f"deltas to {text_of(item, 'version')} in {text_of(item, 'channel')}: {begin} "
            f"({len(covered)} of the last {len(recent)} before it)"
        )


def _roles(answer: JsonDict) -> list[tuple[str, JsonDict]]:
    roles = table_of(answer, "roles")
    return [(name, table_of(roles, name)) for name in roles]


def _left(stand: JsonDict) -> str:
    return format_percentage(max(number_of(stand, "fraction_left_bp"), 0))


def _channel_rows(channels: list[JsonDict]) -> list[tuple[str, str, str, str]]:
    rows = []
    for item in channels:
        name = text_of(item, "channel")
        offers = objects(item, "offers")
        for offer in offers:
            stage = table_of(offer, "rollout")
            share = format_percentage(number_of(stage, "exposure_bp"))
            rows.append((name, text_of(offer, "version"), share, _state(stage)))
        if not offers:
            rows.append((name, "nothing", "", ""))
        rows += [
            (name, text_of(gone, "version"), "", f"revoked: {text_of(gone, 'reason')}")
            for gone in objects(item, "revoked")
        ]
    return rows


def _state(rollout: JsonDict) -> str:
    """Return the state, and which stage of its plan an unfinished rollout is in."""
    state, progress = text_of(rollout, "state"), table_of(rollout, "progress")
    reached, stages = progress.get("stage_epochs"), table_of(progress, "plan").get("stages")
    if not isinstance(reached, list) or not isinstance(stages, list):
        return state
    if len(reached) == len(stages):
        return state
    return f"{state}, stage {len(reached)} of {len(stages)}"


def _warnings(answer: JsonDict) -> list[str]:
    """Return the server's warnings, and ours about expiries that it does not mention."""
    said = texts_of(answer, "warnings")
    own = [
        f"{name} expires at {text_of(stand, 'expires_at')}, {_left(stand)} of its time is left"
        for name, stand in _roles(answer)
        if number_of(stand, "fraction_left_bp", 10_000) < _THIRD_BP
        and not any(name in text for text in said)
    ]
    return said + own
