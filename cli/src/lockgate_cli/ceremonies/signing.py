"""Signing a ceremony with the keys at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from securesystemslib.signer import Signer

from lockgate_cli.context import Call
from lockgate_release.errors import LocalError, LockgateError, UsageError
from lockgate_release.trust.ceremony import Ceremony, Examined, add_signatures
from lockgate_release.trust.keys import load_signer
from lockgate_release.trust.public_keys import key_label

__all__ = ["Signed", "sign_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What came of signing.

    Attributes:
        ceremony: The ceremony with the signatures.
        by: Who signed now, as sentences name them.
        before: Whose signatures were there already.
    """

    ceremony: Ceremony
    by: tuple[str, ...]
    before: tuple[str, ...]


def sign_file(call: Call, examined: Examined) -> Signed:
    """Return the ceremony signed with every key at hand that counts.

    Keys that were named on the command line have to count; of those in the settings, the ones that
    do are taken.

    Raises:
        UsageError: No key at hand counts, or one that was named does not.
        LocalError: A key cannot be read, or does not sign.
    """
    known = examined.signers()
    uris = call.key_uris("root_keys") if call.flags.keys else _from_settings(call)
    if not uris:
        raise UsageError("no key", subject="--key", expected="the key to sign with")
    ceremony, by, before = examined.ceremony, list[str](), list[str]()
    for uri in uris:
        signer = load_signer(
            uri, known_keys=known.values(), environ=call.around.environ, ask=call.ask_secret
        )
        keyid = signer.public_key.keyid
        if keyid not in known:
            if call.flags.keys:
                raise UsageError(
                    "a key whose signature does not count here",
                    subject=uri,
                    expected=", ".join(map(key_label, known.values())),
                    found=keyid[:16],
                )
            continue
        label = key_label(known[keyid])
        if not examined.lacks(keyid):
            before.append(label)
            continue
        ceremony = _sign_parts(ceremony, examined.parts_of(keyid), signer, uri)
        by.append(label)
    if not by and not before:
        raise UsageError(
            "none of the keys at hand counts here",
            subject="keys",
            expected=", ".join(map(key_label, known.values())),
            hint="Say --key with the one to sign with.",
        )
    return Signed(ceremony=ceremony, by=tuple(by), before=tuple(before))


def _from_settings(call: Call) -> Sequence[str]:
    return tuple(dict.fromkeys((*call.key_uris("root_keys"), *call.key_uris("keys"))))


def _sign_parts(ceremony: Ceremony, parts: Sequence[str], signer: Signer, uri: str) -> Ceremony:
    for part in parts:
        try:
            ceremony = add_signatures(ceremony, part, [signer])
        except LockgateError:
            raise
        except Exception as exc:  # each service has exceptions of its own
            raise LocalError(
                "the key did not sign", subject=uri, found=f"{type(exc).__name__}: {exc}"[:300]
            ) from exc
    return ceremony
