"""`lockgate init`: a new app, its keys and its registration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import click
from securesystemslib.signer import Key

from lockgate_cli.ceremonies.files import load_public_key
from lockgate_cli.ceremonies.founding import Founders, begin_app
from lockgate_cli.ceremonies.passphrases import new_passphrase
from lockgate_cli.ceremonies.showing import describe, say_next, show_ceremony
from lockgate_cli.ceremonies.state import State
from lockgate_cli.context import Call, takes
from lockgate_cli.initialising import KeyFolder, NewApp, check_thresholds, initialise
from lockgate_cli.output import say, show, show_json
from lockgate_release.errors import LocalError
from lockgate_release.settings import SETTINGS_FILE
from lockgate_release.versions import VersionScheme

__all__ = ["init"]

_COUNT = click.IntRange(min=1, max=32)


class _Asked(TypedDict):
    """What the command line said of keys and versions."""

    maintainers: int | None
    threshold: int
    maintainer_keys: tuple[str, ...]
    publishers: int | None
    publisher_threshold: int
    publisher_keys: tuple[str, ...]
    versions: str
    encrypt: bool


@click.command()
@click.argument("app")
@click.option("--keys", "folder", required=True, metavar="DIR", help="Where the keys will lie.")
@click.option("--maintainers", type=_COUNT, help="How many keys to make that sign the rules.")
@click.option("--threshold", type=_COUNT, default=1, help="How many of them must.")
@click.option("--publishers", type=_COUNT, help="How many keys to make that sign releases.")
@click.option("--publisher-threshold", type=_COUNT, default=1, help="How many of them must.")
@click.option(
    "--maintainer-key",
    "maintainer_keys",
    multiple=True,
    metavar="FILE.pub",
    help="A public key that somebody else signs the rules with; repeatable.",
)
@click.option(
    "--publisher-key",
    "publisher_keys",
    multiple=True,
    metavar="FILE.pub",
    help="A public key that somebody else signs releases with; repeatable.",
)
@click.option("--encrypt", is_flag=True, help="Give maintainers' keys made here a passphrase.")
@click.option("--file", metavar="FILE", help="The ceremony, if others sign it too.")
@click.option(
    "--versions",
    type=click.Choice([scheme.value for scheme in VersionScheme]),
    default=VersionScheme.SEMVER.value,
    help="How this app's versions are ordered.",
)
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("server")
def init(
    call: Call, *, folder: str, as_json: bool, file: str | None, **asked: Unpack[_Asked]
) -> None:
    """Set up APP: make its keys, sign its first metadata, and register it.

    Needs a token of scope admin. Run again after an interruption, it finishes what was begun; a
    key that is there is used and never overwritten.

    With other people's public keys (--maintainer-key, --publisher-key), nothing is registered yet:
    a ceremony file is made that they sign, each on their own machine, with lockgate root sign.
    Then only the keys that --maintainers and --publishers ask for are made here.
    """
    founders = Founders(
        maintainers=_load_all(call, asked["maintainer_keys"]),
        publishers=_load_all(call, asked["publisher_keys"]),
    )
    new = NewApp(
        app=call.app,
        maintainers=_made_here(asked["maintainers"], founders.maintainers),
        threshold=asked["threshold"],
        publishers=_made_here(asked["publishers"], founders.publishers),
        publisher_threshold=asked["publisher_threshold"],
        versions=VersionScheme(asked["versions"]),
    )
    keys = KeyFolder(
        path=call.around.folder / folder,
        passphrase=new_passphrase(call, "init --encrypt") if asked["encrypt"] else "",
        environ=call.around.environ,
        ask=call.ask_secret,
    )
    if founders == Founders():
        _set_up_alone(call, new, keys, as_json=as_json)
    else:
        name = file or f"{new.app}-registration.json"
        _set_up_together(call, new, founders, keys, name, as_json=as_json)


def _load_all(call: Call, names: Sequence[str]) -> tuple[Key, ...]:
    return tuple(load_public_key(call.around.folder / name) for name in names)


def _made_here(asked: int | None, given: Sequence[Key]) -> int:
    """Return how many keys to make: one, unless others were given or another number was said."""
    if asked is not None:
        return asked
    return 0 if given else 1


def _set_up_alone(call: Call, new: NewApp, keys: KeyFolder, *, as_json: bool) -> None:
    with call.api() as api:
        created = initialise(api, new, keys, call.around.now())
    say(
        f"{new.app} is registered."
        if created
        else f"{new.app} was registered already, with this root."
    )
    _leave_settings(call, new, keys)
    _explain_keys(call, keys, new)
    if as_json:
        show_json({"app": new.app, "created": created, "root": str(keys.root)})


def _set_up_together(
    call: Call, new: NewApp, founders: Founders, keys: KeyFolder, name: str, *, as_json: bool
) -> None:
    check_thresholds(
        new, maintainers=len(founders.maintainers), publishers=len(founders.publishers)
    )
    with call.api() as api:
        path = call.around.folder / name
        examined = begin_app(api, new, founders, keys, path, call.around.now())
    state = State(chain=None, policy=None)
    show_ceremony(examined, state)
    _leave_settings(call, new, keys)
    say(f"Wrote {name}. Nothing is registered yet.")
    say_next(examined, name)
    if as_json:
        show_json({**describe(examined, state), "file": name})


def _leave_settings(call: Call, new: NewApp, keys: KeyFolder) -> None:
    """Write the settings for this folder, or show them where there are some already."""
    folder = call.around.folder
    publishers = [keys.publisher(number) for number in range(1, new.publishers + 1)]
    maintainers = [keys.maintainer(number) for number in range(1, new.maintainers + 1)]
    # JSON's texts and lists of texts are TOML's too.
    lines = "".join(
        f"{name} = {json.dumps(value)}\n"
        for name, value in (
            ("app", new.app),
            ("server", call.server),
            ("root", _shown(keys.root, folder)),
            ("keys", [_shown(path, folder) for path in publishers]),
            ("root_keys", [_shown(path, folder) for path in maintainers]),
        )
    )
    path = folder / SETTINGS_FILE
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(lines)
    except FileExistsError:
        if path.read_text("utf-8") != lines:
            say(f"{SETTINGS_FILE} is there already; for this app it would hold:")
            show(lines.rstrip())
        return
    except OSError as exc:
        raise LocalError("cannot be written", subject=str(path), found=str(exc)) from exc
    say(f"Wrote {SETTINGS_FILE}: commands in this folder know the app and its keys.")


def _shown(path: Path, folder: Path) -> str:
    """Return a path as it is best said in `folder`."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _explain_keys(call: Call, keys: KeyFolder, new: NewApp) -> None:
    folder = call.around.folder
    names = [f"LOCKGATE_PUBLISHER_KEY_{number}" for number in range(1, new.publishers + 1)]
    if len(names) == 1:
        names = ["LOCKGATE_PUBLISHER_KEY"]
    uris = " ".join(f"env:{name}" for name in names)
    say("")
    say("Take offline, and keep two copies:")
    needed = f"{new.threshold} of {new.maintainers} must sign the rules"
    say(f"  {_shown(keys.path / 'root', folder)}    {needed}")
    say("Give to release CI as secrets:")
    say("  LOCKGATE_TOKEN    a token of scope publish, from lockgate-server token create")
    for number, name in enumerate(names, 1):
        say(f"  {name}    what is in {_shown(keys.publisher(number), folder)}")
    say(f"  and as a plain variable: LOCKGATE_KEYS='{uris}'")
    say("Ship with every client, and commit beside lockgate.toml:")
    say(f"  {_shown(keys.root, folder)}    the root that all trust begins with")
    if new.threshold == 1:
        say("So that no one person decides alone: lockgate keys generate, lockgate root add-key")
