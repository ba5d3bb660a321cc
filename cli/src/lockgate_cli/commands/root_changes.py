"""`lockgate root add-key` and its like: each begins a ceremony, or takes one more change in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from securesystemslib.signer import Key

from lockgate_cli.ceremonies.changing import Change
from lockgate_cli.ceremonies.files import load_ceremony, load_public_key
from lockgate_cli.ceremonies.putting import put_into
from lockgate_cli.commands.explain import FROM
from lockgate_cli.commands.root import FILE, root, source_of
from lockgate_cli.context import Call, takes
from lockgate_release.errors import UsageError
from lockgate_release.trust.ceremony import (
    ONLINE,
    PARTS,
    Arrangement,
    add_key,
    find_key,
    remove_key,
    replace_key,
    set_threshold,
)
from lockgate_release.trust.keys import parse_public_key
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.roles import Role

__all__ = ["root"]

_BOTH = (Role.ROOT.value, Role.TARGETS.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What every change is told."""

    file: Path
    roles: tuple[str, ...]
    title: str | None
    address: str | None
    dry_run: bool
    as_json: bool


_ROLE = click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE",
    help="root, targets, releases, or online; repeatable. Default: root and targets together.",
)
_THRESHOLD = click.option("--threshold", type=click.IntRange(1, 32), help="How many must sign.")
_OPTIONS = (
    click.option("--title", help="What to call the change. Nobody checks it."),
    FROM,
    click.option("--dry-run", is_flag=True, help="Say what would come of it; write nothing."),
    click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout."),
)


def _changes(function: Callable[..., None]) -> Callable[..., None]:
    """Add what every change takes: FILE, --role, the options above, and where the state is read."""

    @functools.wraps(function)
    def run(call: Call, /, **options: object) -> None:
        names = list(_Told.__dataclass_fields__)
        told = _Told(**{name: options.pop(name) for name in names})  # type: ignore[arg-type]
        function(call, told, **options)

    decorated: Callable[..., None] = takes("app", "root", "server")(run)
    for option in reversed((_ROLE, *_OPTIONS)):
        decorated = option(decorated)
    return FILE(decorated)


def _apply(call: Call, told: _Told, change: Change) -> None:
    path = call.around.folder / told.file
    earlier = load_ceremony(path) if path.exists() else None
    with source_of(call, earlier, told.address) as source:
        put_into(call, source, told.file, change, dry_run=told.dry_run, as_json=told.as_json)


def _titled(told: _Told, title: str) -> str:
    return (told.title or title)[:200]


@root.command("add-key")
@_changes
@click.argument("key", metavar="KEY.pub", type=click.Path(dir_okay=False, path_type=Path))
@_THRESHOLD
def add(call: Call, told: _Told, *, key: Path, threshold: int | None) -> None:
    """Let one more key speak for a role."""
    new, roles = load_public_key(call.around.folder / key), told.roles or _BOTH

    def edit(arrangement: Arrangement) -> Arrangement:
        changed = add_key(arrangement, roles, new)
        return set_threshold(changed, roles, threshold) if threshold else changed

    title = _titled(told, f"add {key_label(new)} to {', '.join(roles)}")
    _apply(call, told, Change(title=title, edit=edit))


@root.command("remove-key")
@_changes
@click.argument("key", metavar="KEY")
@_THRESHOLD
def remove(call: Call, told: _Told, *, key: str, threshold: int | None) -> None:
    """Let a key speak for a role no longer. KEY is its name, its id, or its public file."""
    roles = told.roles or _BOTH

    def edit(arrangement: Arrangement) -> Arrangement:
        changed = remove_key(arrangement, roles, _meant(call, arrangement, roles, key))
        return set_threshold(changed, roles, threshold) if threshold else changed

    title = _titled(told, f"remove {key} from {', '.join(roles)}")
    _apply(call, told, Change(title=title, edit=edit))


def _meant(call: Call, arrangement: Arrangement, roles: tuple[str, ...], said: str) -> str:
    path = call.around.folder / said
    if path.is_file():
        return load_public_key(path).keyid
    return find_key(arrangement, roles, said).keyid


@root.command()
@_changes
@click.argument("old", metavar="[OLD]", required=False)
@click.argument(
    "new", metavar="[NEW.pub]", required=False, type=click.Path(dir_okay=False, path_type=Path)
)
def rotate(call: Call, told: _Told, *, old: str | None, new: Path | None) -> None:
    """Put the key NEW.pub in the place of OLD, which is a name, an id, or a public file.

    With --role online, the server's own next key takes the place of the one in force; without
    NEW.pub the server is asked for it, which takes a token of scope admin. It signs beside the old
    one from then on.
    """
    roles = told.roles or _BOTH
    if ONLINE in roles:
        _rotate_online(call, told, new or (Path(old) if old else None))
        return
    if old is None or new is None:
        raise UsageError("which key by which?", subject="rotate", expected="OLD and NEW.pub")
    successor = load_public_key(call.around.folder / new)

    def edit(arrangement: Arrangement) -> Arrangement:
        meant = _meant(call, arrangement, roles, old)
        return replace_key(arrangement, roles, meant, successor)

    title = _titled(told, f"replace {old} by {key_label(successor)} in {', '.join(roles)}")
    _apply(call, told, Change(title=title, edit=edit))


def _next_online(call: Call) -> Key:
    with call.api() as api:
        return parse_public_key(api.next_online_key(call.app), subject="the server's next key")


def _rotate_online(call: Call, told: _Told, file: Path | None) -> None:
    if told.roles != (ONLINE,):
        raise UsageError("not together with other roles", subject="--role", found=ONLINE)
    key = load_public_key(call.around.folder / file) if file else _next_online(call)

    def edit(arrangement: Arrangement) -> Arrangement:
        (current, *_) = arrangement.of(ONLINE).ids
        return replace_key(arrangement, (ONLINE,), current, key)

    title = _titled(told, f"the server's next key {key_label(key)}")
    _apply(call, told, Change(title=title, edit=edit))


@root.command("set-threshold")
@_changes
@click.argument("threshold", metavar="N", type=click.IntRange(1, 32))
def set_number(call: Call, told: _Told, *, threshold: int) -> None:
    """Let N keys be needed for a role."""
    roles = told.roles or _BOTH

    def edit(arrangement: Arrangement) -> Arrangement:
        return set_threshold(arrangement, roles, threshold)

    title = _titled(told, f"{threshold} must sign {', '.join(roles)}")
    _apply(call, told, Change(title=title, edit=edit))


@root.command("renew")
@_changes
def renew_roles(call: Call, told: _Told) -> None:
    """Sign the same again, to last longer; also what has expired.

    Without --role and with a FILE that is there, only the newest list of releases is taken in.
    """
    roles = told.roles
    if not roles and not (call.around.folder / told.file).exists():
        roles = _BOTH
    if not set(roles) <= set(PARTS):
        raise UsageError(
            "not a role that is renewed by people",
            subject="--role",
            expected=", ".join(PARTS),
            found=", ".join(roles),
        )
    title = _titled(told, f"renew {', '.join(roles)}" if roles else "take in the newest releases")
    _apply(call, told, Change(title=title, renew=frozenset(roles)))
