"""`lockgate keys`: make a key, look at one, and see who speaks for what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from securesystemslib.signer import Key

from lockgate_cli.ceremonies.files import load_public_key, write_whole
from lockgate_cli.ceremonies.holders import Holding, find_local, holdings_of, public_path
from lockgate_cli.ceremonies.passphrases import new_passphrase
from lockgate_cli.ceremonies.state import read_state
from lockgate_cli.commands.explain import FROM
from lockgate_cli.commands.root import source_of
from lockgate_cli.context import Call, takes
from lockgate_cli.output import say, show, show_json, show_table, warn
from lockgate_release.errors import LocalError, UsageError
from lockgate_release.trust.ceremony import read_arrangement, warnings_of
from lockgate_release.trust.importing import find_public_key
from lockgate_release.trust.key_names import key_name, with_name
from lockgate_release.trust.keys import generate_signer, write_private_key
from lockgate_release.trust.public_keys import key_label, short_id, to_key_file

__all__ = ["keys"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
_NAME = click.option("--name", default="", help="What to call the key, such as your own name.")


@click.group()
def keys() -> None:
    """Make keys, look at them, and see who speaks for what.

    A private key stays with its owner. What other people need is the public half: a small file
    that ends with .pub, which can be mailed. Its id is best compared by another way, as by phone.
    """


@keys.command()
@click.argument("file", metavar="FILE.pem", type=click.Path(dir_okay=False, path_type=Path))
@_NAME
@click.option("--unencrypted", is_flag=True, help="Without a passphrase: for a machine alone.")
@_JSON
@takes()
def generate(call: Call, *, file: Path, name: str, unencrypted: bool, as_json: bool) -> None:
    """Make a key: FILE.pem, encrypted, and its public half FILE.pub.

    The passphrase is asked for, or comes from LOCKGATE_KEY_PASSPHRASE or the file that
    LOCKGATE_KEY_PASSPHRASE_FILE names. A file that is there is never overwritten.
    """
    path = call.around.folder / file
    beside = public_path(path)
    if path.suffix == beside.suffix:
        raise UsageError("the name of a public key", subject=str(file), expected="such as me.pem")
    for taken in (path, beside):
        if taken.exists():
            raise LocalError("is there already", subject=str(taken), hint="Choose another name.")
    signer = generate_signer()
    key = with_name(signer.public_key, name)
    write_private_key(
        signer, path, passphrase="" if unencrypted else new_passphrase(call, "keys generate")
    )
    write_whole(beside, to_key_file(key))
    say(f"Made the key {key_label(key)}, {'not encrypted' if unencrypted else 'encrypted'}.")
    say(f"Keep to yourself, with a copy: {file}")
    say(f"Give to whoever lets it count: {file.with_suffix(beside.suffix)}")
    show(key.keyid)
    if as_json:
        show_json(_describe(key, uri=str(file)))


@keys.command()
@click.argument("uri", metavar="KEY")
@_NAME
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the public half here."
)
@_JSON
@takes()
def inspect(call: Call, *, uri: str, name: str, out: Path | None, as_json: bool) -> None:
    """Say which key KEY is: a public file, a private one, env:NAME, or a key service's URI.

    With --out, its public half is written, to be given to whoever lets it count.
    """
    found, key = _find(call, uri)
    if name:
        key = with_name(key, name)
    if out is not None:
        write_whole(call.around.folder / out, to_key_file(key))
        say(f"Wrote the public half: {out}")
    if as_json:
        show_json(_describe(key, uri=found))
        return
    show(f"id      {key.keyid}")
    show(f"name    {key_name(key) or '(none)'}")
    show(f"kind    {key.keytype}, {key.scheme}")
    if found:
        say(f"Sign with it: --key '{found}#{key.keyid}'")


def _find(call: Call, uri: str) -> tuple[str, Key]:
    path = call.around.folder / uri
    if ":" not in uri and b"PRIVATE KEY-----" not in _head(path):
        return "", load_public_key(path)
    found, key = find_public_key(
        str(path) if ":" not in uri else uri, environ=call.around.environ, ask=call.ask_secret
    )
    beside = public_path(path)
    if ":" not in uri and beside.is_file():
        named = load_public_key(beside)
        key = named if named.keyid == key.keyid else key
    return uri if ":" not in uri else found, key


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(1 << 16)
    except OSError:
        return b""  # whoever reads it next says what is wrong


def _describe(key: Key, *, uri: str) -> dict[str, object]:
    return {
        "keyid": key.keyid,
        "name": key_name(key),
        "keytype": key.keytype,
        "scheme": key.scheme,
        "uri": uri,
    }


@keys.command("list")
@click.argument("named", metavar="[APP]", required=False)
@FROM
@_JSON
@takes("app", "root", "keys", "server")
def list_keys(call: Call, *, named: str | None, address: str | None, as_json: bool) -> None:
    """Show who speaks for which role of APP, and which of these keys this machine holds."""
    if named is not None:
        call = replace(call, flags=replace(call.flags, app=named))
    with source_of(call, None, address) as source:
        chain = read_state(call, source, call.app).chain
    assert chain is not None
    uris = (*call.key_uris("root_keys"), *call.key_uris("keys"))
    local = find_local(uris, call.around.environ)
    arrangement = read_arrangement(chain.root.signed, chain.targets.signed)
    found = holdings_of(chain, arrangement, local)
    for uri, reason in local.unknown.items():
        say(f"which key {uri} is cannot be told: {reason}")
    for line in warnings_of(arrangement):
        warn(line)
    if as_json:
        show_json({"app": call.app, "keys": [_describe_holding(one) for one in found]})
        return
    show_table(
        ("role", "needs", "key", "name", "signed", "here"),
        [
            (
                one.role,
                f"{one.threshold} of {one.of}",
                short_id(one.key.keyid),
                key_name(one.key) or "-",
                "yes" if one.signed else "no",
                one.here.removeprefix("file2:") or "-",
            )
            for one in found
        ],
    )


def _describe_holding(one: Holding) -> dict[str, object]:
    described = _describe(one.key, uri=one.here)
    more = {"role": one.role, "threshold": one.threshold, "of": one.of, "signed": one.signed}
    return {**described, **more}
