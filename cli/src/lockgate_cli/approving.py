"""Approving a release for a channel: what is to be signed, decided from the verified state.

1. The policy in force names who may approve for the channel.
2. What is signed is the digest of the release's document, as it was read and proved here; the
   server's word for it counts nothing.
3. Where others have approved the same release, the same words are signed, so that the signatures
   count together; an approval that names other bytes is no such.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from securesystemslib.signer import Key, Signer

from lockgate_cli.api import Api
from lockgate_cli.context import Call
from lockgate_cli.http import Care
from lockgate_cli.output import say_again
from lockgate_cli.remembering import load_newest_base
from lockgate_cli.repository import Base, Stored, load_stored
from lockgate_release.approval_requests import ApproveOutcome, ApproveRequest
from lockgate_release.documents import ApprovalRule, Count, ReleaseEntry
from lockgate_release.documents.approval import Approval
from lockgate_release.errors import ConflictError, TransportError, UsageError
from lockgate_release.names import AppName, ChannelName, Sha256Hex
from lockgate_release.trust.approving import sign_approval
from lockgate_release.trust.keys import load_signer
from lockgate_release.trust.public_keys import key_label
from lockgate_release.trust.standing import approvals_of, approvers, count_approval

__all__ = ["Subject", "find_subject", "load_approvers", "send_approval"]

_ATTEMPTS = 4
_FIRST_WAIT_S = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A release that is to be let into a channel.

    Attributes:
        base: The verified state.
        channel: The channel.
        entry: The publishers' mark of the release.
        stored: Its documents, proved.
        rule: Who may approve.
        keys: Their public keys, by id.
        approval: The words to sign, with the signatures that they have.
        count: Which of these count.
    """

    base: Base
    channel: ChannelName
    entry: ReleaseEntry
    stored: Stored
    rule: ApprovalRule
    keys: dict[str, Key]
    approval: Approval
    count: Count


class _ApprovalApi(Api):
    """The same server's API: the call about approvals."""

    def approve(self, app: AppName, request: ApproveRequest) -> ApproveOutcome:
        """Have an approval kept in the channel's document."""
        care = Care(repeatable=True)
        body = self._ask("POST", f"apps/{app}/approvals", request.to_json(), care)
        return ApproveOutcome.parse(json.dumps(body).encode())


def find_subject(call: Call, api: Api, version: str, channel: ChannelName) -> Subject:
    """Return what is to be approved, and how far that has got.

    Raises:
        UsageError: The release is not live, or nobody approves for the channel.
        RepositoryError: The state cannot be verified.
        TransportError: It could not be fetched.
    """
    app = call.app
    base = load_newest_base(call, api, app, call.pinned_root())
    rule = base.policy.channel(channel).approvals
    if rule is None:
        raise UsageError(
            "the policy names nobody who approves for this channel",
            subject=channel,
            hint="`lockgate policy edit` changes it; maintainers sign that.",
        )
    stored = load_stored(api, base, version)
    found = next((item for item in base.entries.items() if item[1].version == version), None)
    target = base.chain.target(found[0]) if found else None
    if stored is None or found is None or target is None:
        raise UsageError("not a live release", subject=version, hint="Publish it first.")
    plain = Approval(
        app=app,
        channel=channel,
        version=version,
        release_sha256=Sha256Hex(target.hashes["sha256"]),
        approved_at=call.around.now().replace(microsecond=0),
    )
    approval, count = _words_there(base, rule, plain)
    return Subject(
        base=base,
        channel=channel,
        entry=found[1],
        stored=stored,
        rule=rule,
        keys=approvers(rule),
        approval=approval,
        count=count,
    )


def _words_there(base: Base, rule: ApprovalRule, plain: Approval) -> tuple[Approval, Count]:
    """Return the words that others have signed about the same release, or the new ones (rule 3)."""
    document = base.channels.get(plain.channel)
    about = (plain.app, plain.channel, plain.version, plain.release_sha256)
    for known in approvals_of(document.approvals if document else ()):
        count = count_approval(rule, known)
        if known.is_about(*about) and count.found:
            return known, count
    return plain, Count(found=(), is_enough=rule.threshold == 0)


def load_approvers(call: Call, subject: Subject) -> tuple[Signer, ...]:
    """Return those keys at hand whose approval counts and is not there yet; maybe none.

    Raises:
        UsageError: No key at hand counts, or one that was named does not.
        LocalError: A key cannot be read.
    """
    uris = call.key_uris("keys")
    expected = ", ".join(key_label(key) for key in subject.keys.values())
    if not uris:
        raise UsageError("no key", subject="--key", expected=f"one of {expected}")
    signers = [
        load_signer(
            uri,
            known_keys=subject.keys.values(),
            environ=call.around.environ,
            ask=call.ask_secret,
        )
        for uri in uris
    ]
    counting = [signer for signer in signers if signer.public_key.keyid in subject.keys]
    if not counting or (call.flags.keys and len(counting) != len(signers)):
        raise UsageError(
            "a key that may not approve for this channel",
            subject="--key",
            expected=f"one of {expected}",
            found=", ".join(signer.public_key.keyid[:8] for signer in signers),
        )
    return tuple(
        signer for signer in counting if signer.public_key.keyid not in subject.count.found
    )


def send_approval(
    call: Call, api: Api, subject: Subject, signers: Sequence[Signer]
) -> ApproveOutcome:
    """Sign and send; where others signed other words in between, sign theirs.

    Raises:
        ConflictError: Others kept moving first.
        LockgateError: The server refused, or could not be reached.
    """
    sender = _ApprovalApi(http=api.http, base=api.base)
    for attempt in range(1, _ATTEMPTS + 1):
        request = ApproveRequest(approval=sign_approval(subject.approval, signers))
        try:
            return sender.approve(subject.base.app, request)
        except (ConflictError, TransportError) as exc:
            if attempt == _ATTEMPTS:
                raise
            say_again(exc)
        call.around.sleep(_FIRST_WAIT_S * 2**attempt * call.around.jitter())
        before = subject.approval.release_sha256
        subject = find_subject(call, api, subject.entry.version, subject.channel)
        # Nobody may put other bytes under the words that somebody has agreed to.
        if subject.approval.release_sha256 != before:
            raise ConflictError("another release under the same version", subject="approval")
    raise AssertionError("the last attempt returns or raises")
