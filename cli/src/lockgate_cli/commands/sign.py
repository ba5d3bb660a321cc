"""`lockgate sign`: add a signature to what somebody else has begun."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

import click

from lockgate_cli.answers import number_of, table_of, text_of
from lockgate_cli.api import JsonDict
from lockgate_cli.artifacts import parse_source
from lockgate_cli.context import Call, takes
from lockgate_cli.naming import names_release
from lockgate_cli.output import say, show, show_json, warn
from lockgate_cli.pending_api import PendingApi
from lockgate_cli.pending_words import say_waiting
from lockgate_cli.remembering import load_newest_base, note_signed
from lockgate_cli.repository import Base
from lockgate_cli.reviewing import Review, check_builds, review
from lockgate_cli.signing import load_signers
from lockgate_cli.waiting import find_waiting
from lockgate_cli.wishing import describe_wishes, unattested_in, warn_of_unattested
from lockgate_release.errors import LocalError, RepositoryError, TrustError, UsageError
from lockgate_release.names import AppName, Platform, Sha256Hex
from lockgate_release.pending_requests import SignaturesRequest
from lockgate_release.plain_files import open_plain
from lockgate_release.trust.partial import sign_partly

__all__ = ["sign"]


@click.command()
@names_release
@click.option("--change", metavar="ID", help="Only this change, as `lockgate pending` shows it.")
@click.option(
    "--artifact",
    "artifacts",
    multiple=True,
    metavar="PLATFORM=FILE",
    help="What you have built yourself: refuse anything else; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Look through it, show it, and sign nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing; needed where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("root", "keys", "server")
def sign(
    call: Call,
    *,
    version: str,
    change: str | None,
    artifacts: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Sign what waits for signatures: VERSION of APP, or `renewal` for a list that is only renewed.

    The base and every document are verified here, whatever the server says; all that appears,
    changes or vanishes is shown first. With the last signature that is missing it is live.
    """
    app = call.app
    builds = dict(_digest(text, call.around.folder) for text in artifacts)
    with call.api() as api:
        pending = PendingApi.of(api)
        base = load_newest_base(call, api, app, call.pinned_root())
        found = find_waiting(pending, app, version, change)
        if found is None:
            _refuse_unless_live(base, version)
            say(f"Nothing to sign: {app} {version} is live already.")
            answer: JsonDict = {"live": True, "changed": False, "pending": None}
        else:
            content = pending.content(app, text_of(found, "change"))
            looked = review(base, content, call.around.now())
            _check_name(looked, version)
            for line in [*looked.lines(), *describe_wishes(content)]:
                show(line) if dry_run and not as_json else say(line)
            unattested = unattested_in(content, base.policy)
            for line in warn_of_unattested(unattested, text_of(found, "begun_by")):
                warn(line)
            check_builds(looked, builds)
            answer = _sign(call, pending, app, base, looked, dry_run=dry_run, yes=yes)
            if as_json:
                answer = {**_describe(looked), "unattested": unattested, **answer}
    if as_json:
        show_json({"app": app, "dry_run": dry_run, **answer})


def _digest(text: str, folder: Path) -> tuple[Platform, Sha256Hex]:
    source = parse_source(text, folder)
    if source.path is None:
        return source.platform, Sha256Hex(source.sha256)
    try:
        with open_plain(source.path) as stream:
            return source.platform, _hash(stream)
    except OSError as exc:
        raise LocalError(
            "cannot be read", subject=str(source.path), found=exc.strerror or str(exc)
        ) from exc


def _hash(stream: BinaryIO) -> Sha256Hex:
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return Sha256Hex(digest.hexdigest())


def _refuse_unless_live(base: Base, version: str) -> None:
    if base.find(version) is None:
        raise UsageError(
            "nothing of that name waits for signatures",
            subject=f"{base.app} {version}",
            hint="`lockgate pending` shows what does.",
        )


def _check_name(looked: Review, version: str) -> None:
    """Refuse another change than the one a person means, however the server calls it."""
    if not looked.is_called(version):
        raise TrustError(
            "the server shows another change for it",
            subject=version,
            expected=f"a list that changes {version}",
            found=", ".join(sorted(looked.versions)) or "a renewal",
        )


def _sign(
    call: Call,
    pending: PendingApi,
    app: AppName,
    base: Base,
    looked: Review,
    *,
    dry_run: bool,
    yes: bool,
) -> JsonDict:
    partly = looked.partly
    if dry_run:
        say("Nothing was signed: this was --dry-run.")
        return {"live": False, "changed": False}
    signers = load_signers(
        call.key_uris("keys"),
        role=partly.role,
        keys=(*partly.signed.values(), *partly.unsigned.values()),
        threshold=1,
        environ=call.around.environ,
        ask=call.ask_secret,
    )
    new = [signer for signer in signers if signer.public_key.keyid not in partly.signed]
    if new:
        _confirm(call, partly.change_id, yes=yes)
    elif not partly.is_complete:
        say("Your key has signed it already.")
    request = SignaturesRequest(signatures=sign_partly(partly, new))
    answer = _send(pending, app, partly.change_id, request)
    waiting = table_of(answer, "pending")
    if waiting:
        say_waiting(app, waiting)
    else:
        note_signed(call, base, partly.role)
        say(f"It is live: list of releases {number_of(answer, 'releases_version')}.")
    return answer


def _send(
    pending: PendingApi, app: AppName, change_id: str, request: SignaturesRequest
) -> JsonDict:
    try:
        return pending.sign(app, change_id, request)
    except (UsageError, RepositoryError):
        # Refused with the last signature: whether that is kept is what its owner must know.
        states = {text_of(item, "change"): text_of(item, "state") for item in pending.waiting(app)}
        if states.get(change_id) == "complete":
            say("Nothing is missing but this. The signatures are kept, and it waits until then:")
        raise


def _confirm(call: Call, change_id: str, *, yes: bool) -> None:
    if yes:
        return
    if not call.around.watched:
        raise UsageError("nobody is here to confirm", subject="sign", expected="--yes")
    answer = call.around.ask(f"Sign exactly this, change {change_id[:12]}? [y/N]")
    if answer.strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed, so nothing was signed", subject="sign")


def _describe(looked: Review) -> JsonDict:
    partly = looked.partly
    return {
        "change": partly.change_id,
        "versions": sorted(looked.versions),
        "appears": list(looked.appears),
        "vanishes": list(looked.vanishes),
        "changes": list(looked.changes),
        "signed_before": sorted(partly.signed),
        "threshold": partly.threshold,
    }
