"""Approving: one more signature on the words that let a release into a channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from securesystemslib.signer import Key, Signer

from lockgate_release.documents.approval import Approval
from lockgate_release.strict_json import Json, JsonObject
from lockgate_release.trust.standing import canonical_bytes

__all__ = ["key_to_json", "sign_approval"]


def sign_approval(approval: Approval, signers: Iterable[Signer]) -> Approval:
    """Return the approval with these signatures put beside those it has."""
    payload = canonical_bytes(approval.to_json())
    made = {signer.public_key.keyid: signer.sign(payload).signature for signer in signers}
    both = {**dict(approval.signatures), **made}
    return replace(approval, signatures=tuple(sorted(both.items())))


def key_to_json(key: Key) -> JsonObject:
    """Return a public key as a policy names it: as TUF metadata does."""
    found: dict[str, Json] = key.to_dict()
    return found
