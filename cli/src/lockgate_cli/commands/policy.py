"""`lockgate policy`: what each channel demands, and changing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Unpack

import click
from securesystemslib.signer import Key

from lockgate_cli.ceremonies.changing import Change
from lockgate_cli.ceremonies.files import load_ceremony, load_public_key
from lockgate_cli.ceremonies.putting import put_into
from lockgate_cli.ceremonies.state import read_trusted_root
from lockgate_cli.commands.attest_options import Attests, attest_options, rule_of
from lockgate_cli.commands.explain import FROM, repository_of
from lockgate_cli.commands.root import FILE, source_of
from lockgate_cli.context import Call, read_file, takes
from lockgate_cli.output import say, show, show_json, warn
from lockgate_cli.policies import (
    ChannelEdit,
    describe_rule,
    edit_channel,
    find_breaks,
    find_doubts,
)
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base
from lockgate_release.documents import ManualCheck, PolicyDocument, parse_policy
from lockgate_release.errors import DocumentError, UsageError
from lockgate_release.layout import POLICY_PATH
from lockgate_release.names import is_channel_name
from lockgate_release.trust.ceremony import Arrangement, Ceremony, Speakers
from lockgate_release.trust.key_names import key_name
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.roles import is_further_role
from lockgate_release.trust.standing import approvers

__all__ = ["check_registered", "policy"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
_PATH = click.Path(dir_okay=False, path_type=Path)


@click.group()
def policy() -> None:
    """Say what each channel demands of a release, and change it.

    policy.json is signed by maintainers and checked by every client. edit and add-role put a change
    into a ceremony file, as `lockgate root` does; enough maintainers sign that.
    """


@policy.command("show")
@click.argument("app", required=False)
@FROM
@_JSON
@takes("root", "server")
def show_policy(call: Call, *, address: str | None, as_json: bool) -> None:
    """Show the policy in force: words on stderr, the document on stdout."""
    with repository_of(call, address) as source:
        base = load_newest_base(call, source, call.app, call.pinned_root())
        trusted = read_trusted_root(source, call.app, base.chain)
    services = trusted.in_words() if trusted else ()
    rules = base.policy.channels or {"*": base.policy.channel("stable")}  # type: ignore[arg-type]
    say(f"{base.app}: policy number {base.chain.targets.version}, versions {base.policy.versions}")
    for name, rule in sorted(rules.items()):
        for line in describe_rule(name, rule):
            say(line)
    for role in base.chain.release_roles:
        keys, threshold = base.chain.release_keys(role)
        say(f"{role}/ is signed by {threshold} of {', '.join(map(key_label, keys))}")
    for line in find_doubts(base, base.policy):
        warn(line)
    for line in services:
        say(line)
    plain = json.loads(base.policy.to_bytes())
    if as_json:
        show_json(plain)
    else:
        show(json.dumps(plain, indent=2, sort_keys=True))


@policy.command()
@click.argument("file", metavar="POLICY", type=_PATH)
@FROM
@_JSON
@takes("app", "root", "server")
def check(call: Call, *, file: Path, address: str | None, as_json: bool) -> None:
    """Say what the rules in POLICY would change, and what they would break.

    Exits with 2 where a release that is offered now would not meet its channel's bar: the server
    refuses such a policy.
    """
    rules = _read(call, call.around.folder / file)
    with repository_of(call, address) as source:
        base = load_newest_base(call, source, call.app, call.pinned_root())
    breaks, doubts = find_breaks(base, rules), find_doubts(base, rules)
    for name in sorted({*rules.channels, *base.policy.channels}):
        before, after = base.policy.channels.get(name), rules.channels.get(name)
        if before != after:
            say(f"{name} changes:")
            for line in describe_rule(name, after) if after else ["  it has no rule of its own"]:
                say(f"  {line}")
    for line in doubts:
        warn(line)
    if as_json:
        show_json({"breaks": breaks, "doubts": doubts})
    _refuse_breaks(breaks)
    say("What is offered meets these rules.")


def _refuse_breaks(breaks: list[str]) -> None:
    if breaks:
        raise UsageError(
            "what is offered would not meet the channel's bar",
            subject=POLICY_PATH,
            found="; ".join(breaks),
            hint="Bring it over the bar first: more signatures by lockgate renew --role releases, "
            "approvals by naming who may (--approvals 0) and lockgate approve.",
        )


class _Edits(Attests):
    """What `edit` is told of one channel."""

    channel: str | None
    paths: tuple[str, ...]
    signatures: int | None
    signers: tuple[str, ...]
    approvals: int | None
    approver_files: tuple[Path, ...]
    no_approvers: tuple[str, ...]
    manual_check: str | None


@policy.command()
@FILE
@click.option("--policy", "whole", metavar="POLICY", type=_PATH, help="Take the rules in POLICY.")
@click.option("--channel", metavar="NAME", help="Change this channel's rule; * is all others'.")
@click.option("--path", "paths", multiple=True, help="What it takes, instead; repeatable.")
@click.option("--signatures", type=click.IntRange(0, 32), help="How many publishers must sign.")
@click.option("--signer", "signers", multiple=True, help="A publisher who counts; repeatable.")
@click.option("--approvals", type=click.IntRange(0, 32), help="How many people must approve.")
@click.option(
    "--approver",
    "approver_files",
    multiple=True,
    metavar="KEY.pub",
    type=_PATH,
    help="Who may approve, too; repeatable.",
)
@click.option("--no-approver", "no_approvers", multiple=True, help="Who may no longer.")
@attest_options
@click.option("--manual-check", type=click.Choice([item.value for item in ManualCheck]))
@FROM
@click.option("--dry-run", is_flag=True, help="Say what would come of it; write nothing.")
@_JSON
@takes("app", "root", "server")
def edit(
    call: Call,
    *,
    file: Path,
    whole: Path | None,
    address: str | None,
    dry_run: bool,
    as_json: bool,
    **edits: Unpack[_Edits],
) -> None:
    """Put a change of the policy into the ceremony FILE, for maintainers to sign.

    Beginning or extending FILE as `lockgate root add-key` does. A bar is raised in two steps:
    first name who may approve (--approvals 0), let them approve what is offered, then demand it.
    """
    path = call.around.folder / file
    earlier = load_ceremony(path) if path.exists() else None
    check_registered(earlier, file)
    with source_of(call, earlier, address) as source:
        base = load_newest_base(call, source, call.app, call.pinned_root())
        known = earlier.documents.get(POLICY_PATH) if earlier else None
        rules = parse_policy(known) if known else base.policy
        if whole is not None:
            rules = _read(call, call.around.folder / whole)
        if edits["channel"] is not None:
            rules = edit_channel(rules, _channel_edit(call, base, rules, edits))
        elif whole is None:
            raise UsageError("nothing to change", expected="--policy POLICY or --channel NAME")
        _check_rules(base, rules)
        change = Change(title=_title(edits), policy=rules.to_bytes())
        put_into(call, source, file, change, dry_run=dry_run, as_json=as_json)


def _title(edits: _Edits) -> str:
    return f"what {edits['channel']} demands" if edits["channel"] else "other rules"


def _check_rules(base: Base, rules: PolicyDocument) -> None:
    try:
        parse_policy(rules.to_bytes())
    except DocumentError as exc:
        raise _as_usage(exc) from exc
    for line in find_doubts(base, rules):
        warn(line)
    for line in find_breaks(base, rules):
        warn(f"the server will refuse this as things stand: {line}")


def check_registered(earlier: Ceremony | None, file: Path) -> None:
    """Refuse to change the rules of an app whose first root still waits for signatures.

    Raises:
        UsageError: It does.
    """
    if earlier is not None and earlier.is_first:
        raise UsageError(
            "the app is not registered yet",
            subject=str(file),
            hint="Submit that file first; its policy can be changed right afterwards.",
        )


def _channel_edit(call: Call, base: Base, rules: PolicyDocument, edits: _Edits) -> ChannelEdit:
    channel, manual = edits["channel"] or "", edits["manual_check"]
    if channel != "*" and not is_channel_name(channel):
        raise UsageError("not a channel", subject="--channel", found=repr(channel[:80]))
    publishers = [
        key for role in base.chain.release_roles for key in base.chain.release_keys(role)[0]
    ]
    rule = rules.channels.get(channel)
    standing = approvers(rule.approvals).values() if rule and rule.approvals else ()
    return ChannelEdit(
        channel=channel,
        paths=edits["paths"],
        signatures=edits["signatures"],
        signers=tuple(_find(call, publishers, said) for said in edits["signers"]),
        approvals=edits["approvals"],
        approvers=tuple(
            load_public_key(call.around.folder / name) for name in edits["approver_files"]
        ),
        no_approvers=tuple(_find(call, list(standing), said) for said in edits["no_approvers"]),
        manual_check=ManualCheck(manual) if manual else None,
        attestations=rule_of(edits),
        no_attestations=edits["no_attest"],
    )


def _find(call: Call, keys: list[Key], said: str) -> str:
    """Return the id of the key that a person means: by its name, its id, or its public file."""
    path = call.around.folder / said
    if path.is_file():
        return load_public_key(path).keyid
    by_name = {key.keyid for key in keys if key_name(key) == said}
    return by_name.pop() if len(by_name) == 1 else _named([key.keyid for key in keys], said)


def _named(keyids: list[str], said: str) -> str:
    found = sorted({keyid for keyid in keyids if len(said) >= 4 and keyid.startswith(said)})
    if len(found) != 1:
        raise UsageError(
            "means more than one key" if found else "no such key",
            subject=said,
            expected=f"one of {', '.join(keyid[:8] for keyid in keyids) or 'none'}",
        )
    return found[0]


@policy.command("add-role")
@FILE
@click.argument("role", metavar="ROLE")
@click.option(
    "--key",
    "files",
    multiple=True,
    required=True,
    metavar="KEY.pub",
    type=_PATH,
    help="Who publishes there; repeatable.",
)
@click.option("--threshold", type=click.IntRange(1, 32), default=1, help="How many must sign.")
@FROM
@click.option("--dry-run", is_flag=True, help="Say what would come of it; write nothing.")
@_JSON
@takes("app", "root", "server")
def add_role(
    call: Call,
    *,
    file: Path,
    role: str,
    files: tuple[Path, ...],
    threshold: int,
    address: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let other publishers sign what lies below ROLE/, such as previews, in the ceremony FILE.

    Channels take it once their rule names ROLE/*/release.json.
    """
    if not is_further_role(role):
        raise UsageError(
            "not a name for a role of releases",
            subject=role,
            expected="1 to 32 of a-z 0-9 _ -, a letter first, and none of TUF's own",
        )
    keys = tuple(load_public_key(call.around.folder / name) for name in files)

    def change(arrangement: Arrangement) -> Arrangement:
        if role in arrangement.roles:
            raise UsageError(
                "there already",
                subject=role,
                hint=f"lockgate root add-key --role {role} adds a key.",
            )
        return arrangement.with_role(role, Speakers(keys=keys, threshold=threshold))

    path = call.around.folder / file
    earlier = load_ceremony(path) if path.exists() else None
    with source_of(call, earlier, address) as source:
        wish = Change(title=f"{role}/ with publishers of its own", edit=change)
        put_into(call, source, file, wish, dry_run=dry_run, as_json=as_json)


def _read(call: Call, path: Path) -> PolicyDocument:
    """Return the rules in a file.

    Raises:
        UsageError: They are none, or another app's.
        LocalError: It cannot be read.
    """
    try:
        found = parse_policy(read_file(path), subject=path.name)
    except DocumentError as exc:
        raise _as_usage(exc) from exc
    if found.app != call.app:
        raise UsageError(
            "another app's policy", subject=path.name, expected=call.app, found=found.app
        )
    return found


def _as_usage(exc: DocumentError) -> UsageError:
    return UsageError(exc.what, subject=exc.subject, expected=exc.expected, found=exc.found)
