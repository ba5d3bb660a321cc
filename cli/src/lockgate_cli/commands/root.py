"""`lockgate root`: ceremonies, on a file that is carried from person to person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from lockgate_cli.api import Api
from lockgate_cli.ceremonies.files import load_ceremony, store_ceremony
from lockgate_cli.ceremonies.showing import describe, say_next, show_ceremony
from lockgate_cli.ceremonies.signing import sign_file
from lockgate_cli.ceremonies.state import check_same_app, examine_file, read_state
from lockgate_cli.ceremonies.submitting import (
    check_complete,
    is_in_force,
    register_file,
    submit_file,
)
from lockgate_cli.commands.explain import FROM, repository_of
from lockgate_cli.context import Call, takes
from lockgate_cli.output import say, show_json
from lockgate_cli.repository import FileReader
from lockgate_release.errors import ConflictError, UsageError
from lockgate_release.trust.ceremony import Ceremony, fingerprint, merge_signatures

__all__ = ["FILE", "root", "source_of"]

FILE = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")


@click.group()
def root() -> None:
    """Change keys, thresholds and rules, which several people sign.

    A change is a file. add-key, remove-key, rotate, set-threshold and renew begin it, or take one
    more change in; show and sign compare it with what is in force and say in words what it does;
    submit puts it in force once enough people have signed.
    """


@contextmanager
def source_of(call: Call, ceremony: Ceremony | None, address: str | None) -> Iterator[FileReader]:
    """Yield where the state in force is read; a first ceremony follows none, and needs no network.

    Raises:
        UsageError: No server is said, and no mirror.
    """
    if ceremony is not None and ceremony.is_first:
        yield _Nothing()
        return
    if address is not None:
        with repository_of(call, address) as source:
            yield source
        return
    with call.api() as api:
        yield api


class _Nothing:
    def read_file(self, app: str, path: str) -> bytes | None:  # noqa: ARG002
        return None


@root.command("show")
@FILE
@FROM
@_JSON
@takes("app", "root", "server")
def show_file(call: Call, *, file: Path, address: str | None, as_json: bool) -> None:
    """Say what signing FILE will change, and who has signed it."""
    path = call.around.folder / file
    ceremony = load_ceremony(path)
    with source_of(call, ceremony, address) as source:
        in_force = frozenset() if ceremony.is_first else _say_if_in_force(call, source, ceremony)
        if in_force:
            if as_json:
                show_json({"app": ceremony.app, "in_force": sorted(in_force)})
            return
        examined, state = examine_file(call, source, ceremony)
    show_ceremony(examined, state)
    say_next(examined, str(file))
    if as_json:
        show_json(describe(examined, state))


@root.command()
@FILE
@FROM
@click.option("--yes", is_flag=True, help="Sign without being asked.")
@click.option(
    "--fingerprint",
    "expected",
    metavar="TEXT",
    help="Sign only what has this fingerprint, as somebody you trust has told you.",
)
@click.option("--dry-run", is_flag=True, help="Say what signing will change, and sign nothing.")
@_JSON
@takes("app", "root", "keys", "server")
def sign(
    call: Call,
    *,
    file: Path,
    address: str | None,
    yes: bool,
    expected: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sign FILE, once you have read what that will change.

    Without --key, those keys of the settings root_keys and keys sign whose signature counts. Needs
    no token, and with --from and a mirror's folder no network.
    """
    path = call.around.folder / file
    ceremony = load_ceremony(path)
    with source_of(call, ceremony, address) as source:
        examined, state = examine_file(call, source, ceremony)
        show_ceremony(examined, state)
        _check_fingerprint(ceremony, expected)
        if dry_run:
            say("Nothing was signed: this was --dry-run.")
        else:
            _confirm(call, str(file), yes=yes)
            signed = sign_file(call, examined)
            # A service signs under whatever public key it is given: only this tells.
            examined, state = examine_file(call, source, signed.ceremony)
            store_ceremony(path, signed.ceremony)
            for label in signed.by:
                say(f"Signed by {label}.")
            for label in signed.before:
                say(f"{label} had signed already.")
    say_next(examined, str(file))
    if as_json:
        show_json(describe(examined, state))


def _check_fingerprint(ceremony: Ceremony, expected: str | None) -> None:
    """Refuse another change than the one that was told of.

    Raises:
        ConflictError: It is another.
    """
    found = fingerprint(ceremony)
    if expected is not None and expected.lower().split() != found.split():
        raise ConflictError(
            "another change than the one you were told of",
            subject="--fingerprint",
            expected=expected,
            found=found,
            hint="Nothing was signed: compare once more, by another way than the file came.",
        )


def _confirm(call: Call, name: str, *, yes: bool) -> None:
    """Return only when a person has said yes, or --yes was said.

    Raises:
        UsageError: Neither is so.
    """
    if yes:
        return
    if not call.around.watched:
        raise UsageError("nobody is here to confirm", subject=f"sign {name}", expected="--yes")
    answer = call.around.ask("Type yes to sign this")
    if answer.strip() != "yes":
        raise UsageError("not confirmed, so nothing was signed", subject=name, found=repr(answer))


@root.command()
@FILE
@click.argument(
    "others", metavar="OTHER...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@FROM
@_JSON
@takes("app", "root", "server")
def merge(
    call: Call, *, file: Path, others: tuple[Path, ...], address: str | None, as_json: bool
) -> None:
    """Take the signatures on copies of FILE into it: for people who signed at the same time."""
    path = call.around.folder / file
    ceremony = load_ceremony(path)
    for other in others:
        ceremony = merge_signatures(ceremony, load_ceremony(call.around.folder / other))
    with source_of(call, ceremony, address) as source:
        examined, state = examine_file(call, source, ceremony)
    store_ceremony(path, ceremony)
    show_ceremony(examined, state)
    say_next(examined, str(file))
    if as_json:
        show_json(describe(examined, state))


@root.command()
@FILE
@click.option("--dry-run", is_flag=True, help="Have everything checked, and put nothing in force.")
@_JSON
@takes("app", "root", "server")
def submit(call: Call, *, file: Path, dry_run: bool, as_json: bool) -> None:
    """Put FILE in force, once enough people have signed it.

    Needs a token of scope admin. Sent again after a lost answer, it finishes what was begun.
    """
    ceremony = load_ceremony(call.around.folder / file)
    check_same_app(call, ceremony)
    with call.api() as api:
        if ceremony.is_first:
            done = _register(call, api, ceremony, dry_run=dry_run)
        else:
            done = _submit(call, api, ceremony, dry_run=dry_run)
    if as_json:
        show_json({"app": ceremony.app, **done})


def _register(call: Call, api: Api, ceremony: Ceremony, *, dry_run: bool) -> dict[str, object]:
    examined, state = examine_file(call, api, ceremony)
    show_ceremony(examined, state)
    check_complete(examined)
    if dry_run:
        say("Nothing was done: this was --dry-run.")
        return {"created": False, "dry_run": True}
    created = register_file(call, api, ceremony, _anchor(call))
    say(
        f"{ceremony.app} is registered."
        if created
        else f"{ceremony.app} was registered already, with this root."
    )
    return {"created": created}


def _anchor(call: Call) -> Path:
    said = call.settings.get("root", call.flags.root)
    return call.settings.path(said) if said else call.around.folder / "root.json"


def _submit(call: Call, api: Api, ceremony: Ceremony, *, dry_run: bool) -> dict[str, object]:
    chain = read_state(call, api, ceremony.app).chain
    assert chain is not None
    # Parts that are in force already are not compared with what they have changed themselves.
    if not is_in_force(ceremony, chain):
        examined, state = examine_file(call, api, ceremony)
        show_ceremony(examined, state)
        check_complete(examined)
    outcome = submit_file(call, api, ceremony, dry_run=dry_run)
    if dry_run:
        say("It would be put in force. Nothing was done: this was --dry-run.")
    else:
        read_state(call, api, ceremony.app)
        say(
            f"In force: root {outcome.root_version}, targets {outcome.targets_version}, "
            f"releases {outcome.releases_version}."
        )
        say("Next: lockgate keys list shows who speaks for what.")
    return {**outcome.to_json(), "dry_run": dry_run}


def _say_if_in_force(call: Call, source: FileReader, ceremony: Ceremony) -> frozenset[str]:
    """Say which parts are in force already, and return them."""
    check_same_app(call, ceremony)
    chain = read_state(call, source, ceremony.app).chain
    assert chain is not None
    in_force = is_in_force(ceremony, chain)
    if in_force == set(ceremony.parts):
        say("All of it is in force.")
    elif in_force:
        parts = ", ".join(sorted(in_force))
        say(f"In force already: {parts}. lockgate root submit FILE finishes the rest.")
    return in_force
