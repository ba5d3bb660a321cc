"""Which proofs of origin a channel demands: read strictly, matched exactly, told in words.

A rule is a list of demands, and every one of them must be met for the very artifact in hand:

1. A signer of a demand is an identity and the issuer that vouches for it. One identity counts once,
   whatever it has signed, and so does one signer of the rule: `threshold` of them must be there.
2. `predicate_types` narrows what counts to in-toto statements of these types. Without it, a plain
   signature counts as well as any statement.
3. `source_repository` and `workflow` are held against what the issuer has certified of the build.
4. In an identity, a source repository and a workflow, `*` stands for any run of characters, none
   included, that has no `/` in it. Nothing else is a pattern, case counts, and all of the text is
   matched. Who owns the name is written out: the scheme and host of an address, what stands behind
   the last `@` of a mailbox. An issuer and a predicate type are never patterns.

Whether a proof is genuine is found out in `provenance`, with sigstore; here is no cryptography.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lockgate_release.documents.common import rest_of, with_unknown
from lockgate_release.strict_json import Fields, Json, JsonObject

__all__ = [
    "AttestationDemand",
    "AttestationRule",
    "SignerRule",
    "is_name_pattern",
    "matches_name",
    "read_attestation_rule",
    "wide_signers",
]

_MOST_DEMANDS = 20
_MOST_SIGNERS = 100
_MOST_TYPES = 50
_LONGEST = 2048
# What certificates hold of them. Look-alike letters of other scripts have no place in a rule.
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/]*)(/.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerRule:
    """One who may vouch.

    Attributes:
        identity: What the certificate is for, a pattern (rule 4): a workflow's address or a
            mailbox.
        issuer: Who vouches for that identity, exactly.
    """

    identity: str
    issuer: str
    unknown: JsonObject = field(default_factory=dict)

    def matches(self, identity: str, issuer: str) -> bool:
        """Whether this signer is the one that a certificate names."""
        return issuer == self.issuer and matches_name(self.identity, identity)

    def to_json(self) -> JsonObject:
        """Return the signer as it stands in the document."""
        return with_unknown({"identity": self.identity, "issuer": self.issuer}, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationDemand:
    """One thing that must be proven of an artifact.

    Attributes:
        threshold: How many of the signers must have signed it, from 1 to how many there are.
        signers: Who may vouch, at least one.
        predicate_types: Which in-toto statements count; empty: a plain signature or any statement.
        source_repository: Where the sources must have come from, a pattern; "": from anywhere.
        workflow: Which top-level workflow must have built it, a pattern; "": any.
    """

    threshold: int = 1
    signers: tuple[SignerRule, ...]
    predicate_types: tuple[str, ...] = ()
    source_repository: str = ""
    workflow: str = ""
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the demand as it stands in the document."""
        known: dict[str, Json] = {
            "threshold": self.threshold,
            "signers": [signer.to_json() for signer in self.signers],
        }
        if self.predicate_types:
            known["predicate_types"] = list(self.predicate_types)
        if self.source_repository:
            known["source_repository"] = self.source_repository
        if self.workflow:
            known["workflow"] = self.workflow
        return with_unknown(known, self.unknown)

    def in_words(self) -> str:
        """Return the demand as one clause, for people."""
        who = " or ".join(f"{one.identity} (by {one.issuer})" for one in self.signers)
        what = " or ".join(self.predicate_types) or "a signature"
        text = f"with {what} of {self.threshold} of {who}"
        if self.source_repository:
            text += f", built from {self.source_repository}"
        if self.workflow:
            text += f", by the workflow {self.workflow}"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationRule:
    """Which proofs of origin a channel demands of each artifact.

    Attributes:
        demands: What must be proven, all of it; at least one.
    """

    demands: tuple[AttestationDemand, ...]
    unknown: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the rule as it stands in the document."""
        return with_unknown({"demands": [one.to_json() for one in self.demands]}, self.unknown)

    def in_words(self) -> tuple[str, ...]:
        """Return a clause for each demand, for people."""
        return tuple(demand.in_words() for demand in self.demands)


def wide_signers(rule: AttestationRule) -> tuple[str, ...]:
    """Return the identities of signers whom next to anybody can be, which is probably not meant.

    On a forge that everybody may join, that is one whose account is a pattern, unless the sources
    must come from an account that is written out; of mailboxes, one that is everybody's of a host.
    """
    return tuple(
        signer.identity
        for demand in rule.demands
        for signer in demand.signers
        if _has_wide_account(signer.identity)
        and not (demand.source_repository and not _has_wide_account(demand.source_repository))
    )


def _has_wide_account(pattern: str) -> bool:
    if "://" not in pattern:
        return pattern.startswith("*@")
    path = pattern.split("/", 3)[3:]
    return not path or "*" in path[0].split("/", 1)[0]


def matches_name(pattern: str, name: str) -> bool:
    """Whether a pattern stands for a name (rule 4).

    Linear in the length of both: a `*` takes as little as it can, within its part.
    """
    patterns, parts = pattern.split("/"), name.split("/")
    return len(patterns) == len(parts) and all(map(_matches_part, patterns, parts))


def _matches_part(pattern: str, part: str) -> bool:
    first, *middle = pattern.split("*")
    if not middle:
        return pattern == part
    last = middle.pop()
    if len(part) < len(first) + len(last) or not part.startswith(first):
        return False
    if not part.endswith(last):
        return False
    place, end = len(first), len(part) - len(last)
    for piece in middle:
        found = part.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def is_name_pattern(text: str) -> bool:
    """Whether a rule may hold the text where a pattern may stand (rule 4)."""
    if len(text) > _LONGEST or _PRINTABLE.fullmatch(text) is None:
        return False
    if "://" in text:
        address = _ADDRESS.fullmatch(text)
        owner = address[1] if address is not None else ""
    else:
        owner = text.rpartition("@")[2]
    return owner != "" and "*" not in owner


def _is_plain_name(text: str) -> bool:
    return is_name_pattern(text) and "*" not in text


def read_attestation_rule(fields: Fields) -> AttestationRule:
    """Return the rule in `fields`.

    Raises:
        DocumentError: It is no rule, or one of a newer kind; the message names the field.
    """
    demands = tuple(map(_read_demand, fields.objects("demands", most=_MOST_DEMANDS)))
    _check_any(fields, "demands", demands)
    return AttestationRule(demands=demands, unknown=rest_of(fields))


def _read_demand(fields: Fields) -> AttestationDemand:
    signers = tuple(map(_read_signer, fields.objects("signers", most=_MOST_SIGNERS)))
    _check_any(fields, "signers", signers)
    if len({(one.identity, one.issuer) for one in signers}) != len(signers):
        fields.fail("signers", "a signer named twice", expected="each signer once")
    return AttestationDemand(
        threshold=fields.integer("threshold", minimum=1, maximum=len(signers), default=1),
        signers=signers,
        predicate_types=_read_types(fields),
        source_repository=_read_pattern(fields, "source_repository"),
        workflow=_read_pattern(fields, "workflow"),
        unknown=rest_of(fields),
    )


def _read_signer(fields: Fields) -> SignerRule:
    return SignerRule(
        identity=fields.checked("identity", is_name_pattern, _A_PATTERN),
        issuer=fields.checked("issuer", _is_plain_name, "an issuer's address, without `*`"),
        unknown=rest_of(fields),
    )


def _read_types(fields: Fields) -> tuple[str, ...]:
    types = fields.texts("predicate_types", most=_MOST_TYPES, optional=True)
    if fields.has("predicate_types"):
        _check_any(fields, "predicate_types", types)
    for index, name in enumerate(types):
        if not _is_plain_name(name):
            fields.fail(
                f"predicate_types[{index}]",
                "wrong value",
                expected="a predicate type, without `*`",
                found=repr(name[:80]),
            )
    return types


_A_PATTERN = "a name in which `*` is the only pattern, with its owner written out"


def _read_pattern(fields: Fields, name: str) -> str:
    """Return the pattern in a field, or "" where there is no such field: null is not absent."""
    if name not in fields.names():
        # Asked for, so that a rule that calls it critical is understood.
        return fields.text(name, default="")
    return fields.checked(name, is_name_pattern, _A_PATTERN)


def _check_any(fields: Fields, name: str, found: Iterable[object] | Mapping[str, object]) -> None:
    if not tuple(found):
        fields.fail(name, "empty", expected="at least one")
