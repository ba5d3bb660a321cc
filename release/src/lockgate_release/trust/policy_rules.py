"""What a policy must keep before anybody signs it, and before it comes into force. Pure.

1. Each approver is who the id says, and counts once.
2. What a rule demands is `critical`: a client that does not know the demand then offers nothing,
   instead of passing it over.
3. Attestations that it demands can be verified: there is a trusted root.
"""

from __future__ import annotations

import json

from securesystemslib.signer import Key
from tuf.api.metadata import Targets

from lockgate_release.documents import PolicyDocument
from lockgate_release.errors import DocumentError, TrustError
from lockgate_release.layout import POLICY_PATH, TRUSTED_ROOT_PATH
from lockgate_release.trust.public_keys import check_public_key, key_label, same_content
from lockgate_release.trust.standing import approvers

__all__ = ["check_provable", "check_rules"]

_DEMANDS = frozenset({"signatures", "approvals", "attestations"})


def check_rules(policy: PolicyDocument, data: bytes) -> None:
    """Return if a policy keeps rules 1 and 2.

    Args:
        policy: It.
        data: The bytes that it was read from.

    Raises:
        TrustError: It breaks rule 1.
        DocumentError: A key is none, or stands under an id not its own; or it breaks rule 2.
    """
    for name, rule in policy.channels.items():
        if rule.approvals is not None:
            _check_approvers(list(approvers(rule.approvals).values()), name)
    for name, words in json.loads(data).get("channels", {}).items():
        demanded = _DEMANDS & words.keys()
        unheard = sorted(demanded - set(words.get("critical", ())))
        if unheard:
            raise DocumentError(
                "a demand that is not critical: older clients would pass it over",
                subject=f"{POLICY_PATH}: channels.{name}.critical",
                expected=", ".join(sorted(demanded)),
                found=f"without {', '.join(unheard)}",
            )


def check_provable(policy: PolicyDocument, targets: Targets) -> None:
    """Return if what a policy demands can be proven with what targets name beside it (rule 3).

    Raises:
        DocumentError: It cannot, so that nothing could be offered.
    """
    asking = sorted(name for name, rule in policy.channels.items() if rule.attestations)
    if asking and TRUSTED_ROOT_PATH not in targets.targets:
        raise DocumentError(
            "demands attestations, and nothing to verify them with is there",
            subject=f"{POLICY_PATH}: channels.{asking[0]}",
            expected=TRUSTED_ROOT_PATH,
            hint="`lockgate policy trusted-root` puts it into the same ceremony, before it.",
        )


def _check_approvers(keys: list[Key], channel: str) -> None:
    subject = f"{POLICY_PATH}: approvals of {channel}"
    for key in keys:
        check_public_key(key, subject=subject)
    twice = same_content(keys)
    if twice:
        raise TrustError(
            "one key would count twice",
            subject=subject,
            found=" and ".join(map(key_label, twice)),
        )
