"""`lockgate-server key`: the server's own keys, shown and replaced."""

from __future__ import annotations

import click

from lockgate_release.instants import format_instant
from lockgate_release.names import AppName, parse_app_name
from lockgate_server.assembly import open_write_deps
from lockgate_server.command.common import (
    Invocation,
    data_options,
    json_option,
    local_caller,
    print_json,
    say,
    show,
)
from lockgate_server.services.write.changing import read_settled
from lockgate_server.services.write.deps import WriteDeps
from lockgate_server.services.write.online_keys import (
    KeyState,
    drop_key,
    key_states,
    make_next_key,
)
from lockgate_server.services.write.status import read_current

__all__ = ["key"]

_WORDS = {
    "in-force": "in force: clients verify by it",
    "next": "next: signs along, no client counts it yet; a ceremony can name it",
    "old": "old: signs along for clients that a cache hides the new root from",
}


@click.group()
def key() -> None:
    """Show and replace the server's own key of an app.

    docs/how-to/rotate-the-online-key.md has every step.
    """


@key.command(name="show")
@click.argument("app")
@data_options
@json_option
def show_key(app: str, data: str | None, storage: str | None, *, as_json: bool) -> None:
    """Say which keys of the server's sign for APP, and what each is good for."""
    here = Invocation.here()
    name = parse_app_name(app)
    with open_write_deps(here.existing_server(data, storage), here.environ) as deps:
        _print(name, key_states(deps, read_current(deps, name)), as_json=as_json)


@key.command()
@click.argument("app")
@click.option("--dry-run", is_flag=True, help="Say what would be done and do nothing.")
@data_options
@json_option
def rotate(
    app: str, data: str | None, storage: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Make the next key of APP, or say which it is; from now on both keys sign everything.

    It counts once maintainers have named it in root and targets. The old key goes by itself.
    """
    here = Invocation.here()
    name = parse_app_name(app)
    with open_write_deps(here.existing_server(data, storage), here.environ) as deps:
        if dry_run:
            say("A next key would be made, unless there is one, and sign along. Nothing was done.")
        else:
            make_next_key(deps, name, local_caller(here.environ))
        _print(name, key_states(deps, read_settled(deps, name)), as_json=as_json)
    if not dry_run:
        say("Both sign. Maintainers name the next one: lockgate root rotate FILE --role online")


@key.command()
@click.argument("app")
@click.option("--yes", is_flag=True, help="Even a key that clients behind caches may still need.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and do nothing.")
@data_options
@json_option
def drop(
    app: str, data: str | None, storage: str | None, *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Let go for ever of the key of APP that is not in force: the old one, or an unwanted next."""
    here = Invocation.here()
    name = parse_app_name(app)
    with open_write_deps(here.existing_server(data, storage), here.environ) as deps:
        if not dry_run:
            dropped = drop_key(deps, name, local_caller(here.environ), anyway=yes)
        else:
            dropped = _to_drop(deps, name)
        _print(name, key_states(deps, read_current(deps, name)), as_json=as_json)
    if dropped is None:
        say("There is no other key than the one in force. Nothing was changed.")
    else:
        done = "would be dropped. Nothing was done" if dry_run else "is gone for ever"
        say(f"The {dropped.part} key {dropped.key_id[:16]}… {done}.")


def _to_drop(deps: WriteDeps, app: AppName) -> KeyState | None:
    states = key_states(deps, read_current(deps, app))
    return next((state for state in states if not state.is_named), None)


def _print(app: AppName, states: tuple[KeyState, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"app": app, "keys": [state.to_json() for state in states]})
        return
    for state in states:
        ends = state.overlap_ends_at
        until = f", until {format_instant(ends)}" if ends else ""
        where = f" (in {state.variable})" if state.variable else ""
        show(f"{state.key_id}  {_WORDS[state.part]}{until}{where}")
