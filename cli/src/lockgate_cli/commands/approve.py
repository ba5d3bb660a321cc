"""`lockgate approve`: let a release into a channel whose policy asks people."""

from __future__ import annotations

import click

from lockgate_cli.approving import Subject, find_subject, load_approvers, send_approval
from lockgate_cli.context import Call, takes
from lockgate_cli.fields import parse_field
from lockgate_cli.naming import names_release
from lockgate_cli.output import format_size, say, show_json
from lockgate_release.errors import UsageError
from lockgate_release.names import parse_channel_name
from lockgate_release.trust.public_keys import key_label

__all__ = ["approve"]


@click.command()
@names_release
@click.option("--channel", required=True, help="The channel to let it into.")
@click.option("--dry-run", is_flag=True, help="Say what would be approved, and sign nothing.")
@click.option("--yes", is_flag=True, help="Approve without being asked.")
@click.option("--json", "as_json", is_flag=True, help="Data for programs on stdout.")
@takes("root", "keys", "server")
def approve(
    call: Call, *, version: str, channel: str, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Approve VERSION of APP for a channel whose policy demands that.

    Signs the digest of the release's document with a key that the policy names. Clients check it
    themselves. Nothing is offered by it: publish or promote afterwards.
    """
    name = parse_field("--channel", parse_channel_name, channel)
    with call.api() as api:
        subject = find_subject(call, api, version, name)
        _show(subject)
        signers = () if dry_run and not call.key_uris("keys") else load_approvers(call, subject)
        done, enough = subject.count.found, subject.count.is_enough
        changed = False
        if dry_run:
            say("Nothing was approved: this was --dry-run.")
        elif not signers:
            say("Nothing to do: the keys at hand have approved it already.")
        else:
            _confirm(call, subject, yes=yes)
            outcome = send_approval(call, api, subject, signers)
            done, enough, changed = outcome.approved_by, outcome.is_enough, outcome.changed
            say(f"{version} is approved for {name} by {_labels(subject, done)}.")
        if enough:
            say(f"That is enough: it may be offered in {name}.")
        else:
            say(f"{subject.rule.threshold - len(done)} more must approve it.")
    if as_json:
        show_json(
            {
                "app": subject.base.app,
                "version": version,
                "channel": name,
                "release_sha256": subject.approval.release_sha256,
                "approved_by": list(done),
                "threshold": subject.rule.threshold,
                "is_enough": enough,
                "changed": changed,
            }
        )


def _show(subject: Subject) -> None:
    """Say what is about to be let in, from the documents that were proved."""
    document, extras = subject.stored.document, subject.stored.extras
    say(f"{document.app} {document.version}, for {subject.channel}:")
    say(f"  document: sha256 {subject.approval.release_sha256}")
    for artifact in document.artifacts:
        say(
            f"  {artifact.platform}: {artifact.name}, {format_size(artifact.size)}, "
            f"sha256 {artifact.sha256}"
        )
    say(f"  its publishers allow it in: {', '.join(subject.entry.channels) or 'no channel'}")
    if extras is not None and extras.notes:
        say(f"  notes: {extras.notes.splitlines()[0][:200]}")
    who = _labels(subject, subject.count.found) or "nobody yet"
    say(f"  approved by: {who}; the policy demands {subject.rule.threshold}")


def _labels(subject: Subject, keyids: tuple[str, ...]) -> str:
    return ", ".join(key_label(subject.keys[keyid]) for keyid in keyids if keyid in subject.keys)


def _confirm(call: Call, subject: Subject, *, yes: bool) -> None:
    """Return only when a person has said yes, or --yes was said.

    Raises:
        UsageError: Neither is so.
    """
    if yes:
        return
    what = f"{subject.entry.version} for {subject.channel}"
    if not call.around.watched:
        raise UsageError("nobody is here to confirm", subject=f"approve {what}", expected="--yes")
    answer = call.around.ask(f"Approve {what}? Type yes")
    if answer.strip() != "yes":
        raise UsageError("not confirmed, so nothing was approved", subject=what)
